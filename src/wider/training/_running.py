"""An epoch that has begun."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from wider.training._distributed import Processes


@dataclass
class RunningEpoch:
    """How far an epoch is, and what its images gave so far.

    Attributes:
        visited: training images of all processes, in whole batches.
        seconds: wall time.
        losses: of this process, each a sum over the images of one step or of several.
        hits: images that were recognised, in the same sums.
    """

    visited: int = 0
    seconds: float = 0.0
    losses: list[Tensor] = field(default_factory=list)
    hits: list[Tensor] = field(default_factory=list)

    def to_tensors(self, num_images: int, processes: Processes) -> dict[str, Tensor]:
        """For a checkpoint, the sums of all processes; nothing before the first step.

        Args:
            num_images: that the epoch has, those of its evaluation included.
            processes: that train together; each of them calls this.
        """
        if not self.visited:
            return {}
        return {
            # Holds nothing but its shape, which is read from the head of a checkpoint.
            "epoch.visited": torch.empty(self.visited, num_images, 0),
            "epoch.seconds": torch.tensor(self.seconds, dtype=torch.float64),
            "epoch.losses": processes.gathered(torch.stack(self.losses).double()),
            "epoch.hits": processes.gathered(torch.stack(self.hits).double()),
        }

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], processes: Processes, device: torch.device
    ) -> "RunningEpoch":
        """The inverse of `to_tensors`; sums on a device.

        Of another number of processes, the first one takes the sums of all.
        """
        if "epoch.visited" not in tensors:
            return cls()
        losses, hits = (
            processes.own_row(tensors[name]).to(device) for name in ("epoch.losses", "epoch.hits")
        )
        visited, seconds = len(tensors["epoch.visited"]), float(tensors["epoch.seconds"])
        return cls(visited, seconds, list(losses), list(hits))
