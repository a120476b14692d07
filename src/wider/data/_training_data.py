"""What training needs to know of its data, whatever they are of and wherever they lie."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Literal, Self

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from wider.errors import InputError
from wider.tasks import Task

Part = Literal["train", "test", "validation"]
"""A part of data that are ready for training, by name."""

Augmentation = Literal["none", "crop", "crop-flip", "resized-crop"]
"""What is done at random to a training image each time that it is used."""

Batch = tuple[Shaped[Tensor, "batch *shape"], Shaped[Tensor, "batch *targets"]]


@dataclass(frozen=True, eq=False)
class TrainingData(ABC):
    """Scaled examples with what is to be said of them, a batch at a time, on one device."""

    @property
    @abstractmethod
    def task(self) -> Task:
        """What nets for it take and give."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the batches are."""

    @abstractmethod
    def count(self, part: Part) -> int:
        """How many examples a part has; of text, windows."""

    def num_targets(self, part: Part) -> int:
        """How many things are said of a part: losses and metrics are means over them."""
        each = self.task.shape[0] if self.task.output == "tokens" else 1
        return self.count(part) * each

    def bytes_per_token(self, part: Part) -> float:  # noqa: ARG002
        """Of a part of a text, its bytes for each of its tokens; 1 of what is no text."""
        return 1.0

    def check_augmentation(self, augmentation: Augmentation) -> None:
        """Does nothing if these examples can be augmented in that way; what is no image, in none.

        Raises:
            InputError: they cannot.
        """
        if augmentation != "none":
            raise InputError(
                f"augmentation {augmentation!r} is for images, and these are {self.task.input}: "
                "use 'none'"
            )

    @abstractmethod
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
        """One epoch of training examples, or the rest of one.

        Args:
            order: in which they are visited.
            batch_size: examples a batch; the last one may be smaller.
            augmentation: what is done to them.
            generator: of all that is drawn, on the CPU; the same whatever the device and share.
            share: which examples of each batch are returned; all of them by default. Where several
                processes train one net, each has its own.
            start: how many examples are left out, in whole batches; the others are as if those had
                been returned.
        """

    @abstractmethod
    def batches(self, part: Part, *, batch_size: int) -> Iterator[Batch]:
        """The examples of a part in their own order, none of them augmented."""

    def to(self, device: torch.device | str) -> Self:
        """The same data on a device.

        Args:
            device: such as "cpu" or "cuda".
        """
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors = {name: each for name, each in every.items() if isinstance(each, Tensor)}
        return replace(self, **{name: tensor.to(device) for name, tensor in tensors.items()})


Augmenter = Callable[
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
        self.check_augmentation(augmentation)
        inputs, targets = self.part("train")
        augment = self._augmenter(augmentation, len(order), generator)
        rows, places = order.to(self.device), torch.arange(len(order), device=self.device)
        for first in range(start, len(order), batch_size):
            batch = slice(first, first + batch_size)
            own = rows[batch][share]
            chosen = inputs[own]
            yield augment(chosen, places[batch][share]) if augment else chosen, targets[own]

    def batches(self, part: Part, *, batch_size: int) -> Iterator[Batch]:
        """See `TrainingData`."""
        inputs, targets = self.part(part)
        yield from zip(inputs.split(batch_size), targets.split(batch_size), strict=True)

    def _augmenter(
        self,
        augmentation: Augmentation,  # noqa: ARG002
        count: int,  # noqa: ARG002
        generator: torch.Generator,  # noqa: ARG002
    ) -> Augmenter | None:
        """What augments some inputs, given their places in the epoch; None if nothing does.

        Args:
            augmentation: what is done to them.
            count: of the inputs of an epoch.
            generator: of all that is drawn.
        """
        return None
