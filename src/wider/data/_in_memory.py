"""Training data of which every example is in memory."""

from abc import abstractmethod
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from wider.data._augment import Augmentation
from wider.data._part import Part
from wider.data._training_data import Batch, TrainingData
from wider.errors import InputError

Mover = Callable[
    [Shaped[Tensor, "batch *shape"], Int64[Tensor, " batch"]], Shaped[Tensor, "batch *shape"]
]


class InMemoryData(TrainingData):
    """Inputs and targets in memory."""

    @abstractmethod
    def part(self, name: Part) -> Batch:
        """The inputs and targets of one part."""

    @property
    def device(self) -> torch.device:
        """See `TrainingData`."""
        return self.part("train")[0].device

    def count(self, part: Part) -> int:
        """See `TrainingData`."""
        return len(self.part(part)[1])

    def check_augmentation(self, augmentation: Augmentation) -> None:
        """See `TrainingData`."""
        if augmentation != "none":
            raise InputError(
                f"augmentation {augmentation!r} moves images, and these are none: use 'none'"
            )

    def train_batches(
        self,
        order: Int64[Tensor, " examples"],
        *,
        batch_size: int,
        augmentation: Augmentation,
        generator: torch.Generator,
        share: slice = slice(None),
        start: int = 0,
    ) -> Iterator[Batch]:
        """See `TrainingData`."""
        inputs, targets = self.part("train")
        mover = self._mover(augmentation, len(order), generator)
        rows, places = order.to(self.device), torch.arange(len(order), device=self.device)
        for first in range(start, len(order), batch_size):
            batch = slice(first, first + batch_size)
            own = rows[batch][share]
            chosen = inputs[own]
            yield mover(chosen, places[batch][share]) if mover else chosen, targets[own]

    def batches(self, part: Part, *, batch_size: int) -> Iterator[Batch]:
        """See `TrainingData`."""
        inputs, targets = self.part(part)
        yield from zip(inputs.split(batch_size), targets.split(batch_size), strict=True)

    def _mover(
        self,
        augmentation: Augmentation,
        count: int,  # noqa: ARG002
        generator: torch.Generator,  # noqa: ARG002
    ) -> Mover | None:
        """What moves some inputs, given their places in the epoch; None if nothing is to be done.

        Args:
            augmentation: how they are moved.
            count: of the inputs of an epoch.
            generator: of the moves.
        """
        self.check_augmentation(augmentation)
        return None
