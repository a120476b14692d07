"""What training needs to know of its data, whatever they are of and wherever they lie."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from wider.data._augment import Augmentation
from wider.data._part import Part
from wider.tasks import Task

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

    @abstractmethod
    def check_augmentation(self, augmentation: Augmentation) -> None:
        """Does nothing if these examples can be moved in that way.

        Raises:
            InputError: they cannot.
        """

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
            augmentation: how they are moved.
            generator: of all that is drawn, on the CPU; the same whatever the device and share.
            share: which examples of each batch are returned; all of them by default. Where several
                processes train one net, each has its own.
            start: how many examples are left out, in whole batches; the others are as if those had
                been returned.
        """

    @abstractmethod
    def batches(self, part: Part, *, batch_size: int) -> Iterator[Batch]:
        """The examples of a part in their own order, none of them moved."""

    def to(self, device: torch.device | str) -> Self:
        """The same data on a device.

        Args:
            device: such as "cpu" or "cuda".
        """
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors = {name: each for name, each in every.items() if isinstance(each, Tensor)}
        return replace(self, **{name: tensor.to(device) for name, tensor in tensors.items()})
