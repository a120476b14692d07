"""A round that has begun."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from wider.training._distributed import Processes
from wider.training._scored import Sums

NAMES = ("losses", "hits", "metrics")


@dataclass
class RunningRound:
    """How far a round is, and what its examples gave so far.

    Attributes:
        visited: training examples of all processes, in whole batches.
        seconds: wall time.
        sums: of this process, each over the examples of one step or of several.
    """

    visited: int = 0
    seconds: float = 0.0
    sums: list[Sums] = field(default_factory=list)

    def to_tensors(self, num_examples: int, processes: Processes) -> dict[str, Tensor]:
        """For a checkpoint, the sums of all processes; nothing before the first step.

        Args:
            num_examples: that the round has, those of its evaluation included.
            processes: that train together; each of them calls this.
        """
        if not self.visited:
            return {}
        columns = zip(NAMES, zip(*self.sums, strict=True), strict=False)
        return {
            # Holds nothing but its shape, which is read from the head of a checkpoint.
            "epoch.visited": torch.empty(self.visited, num_examples, 0),
            "epoch.seconds": torch.tensor(self.seconds, dtype=torch.float64),
            **{
                f"epoch.{name}": processes.gathered(torch.stack(column).double())
                for name, column in columns
            },
        }

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], processes: Processes, device: torch.device
    ) -> "RunningRound":
        """The inverse of `to_tensors`; sums on a device.

        Of another number of processes, the first one takes the sums of all.
        """
        if "epoch.visited" not in tensors:
            return cls()
        columns = [
            processes.own_row(tensors[name]).to(device)
            for name in map("epoch.{}".format, NAMES)
            if name in tensors
        ]
        visited, seconds = len(tensors["epoch.visited"]), float(tensors["epoch.seconds"])
        return cls(visited, seconds, list(zip(*columns, strict=True)))
