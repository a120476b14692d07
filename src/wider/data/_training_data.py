"""What training needs to know of its data, wherever the images lie."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from wider.data._augment import Augmentation
from wider.tasks import Task

Part = Literal["train", "test", "validation"]
Batch = tuple[Float32[Tensor, "batch channels height width"], Int64[Tensor, " batch"]]


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
        """How many images a part has."""

    def num_targets(self, part: Part) -> int:
        return self.count(part)

    def bytes_per_token(self, part: Part) -> float:  # noqa: ARG002 - of text alone
        """How many bytes of text a token of a part is, on average; 1 where there are no tokens."""
        return 1.0

    @abstractmethod
    def check_augmentation(self, augmentation: Augmentation) -> None:
        """Does nothing if these images can be moved in that way.

        Raises:
            InputError: they cannot.
        """

    @abstractmethod
    def train_batches(
        self,
        order: Int64[Tensor, " images"],
        *,
        batch_size: int,
        augmentation: Augmentation,
        generator: torch.Generator,
        share: slice = slice(None),
        start: int = 0,
    ) -> Iterator[Batch]:
        """One epoch of training images, or the rest of one.

        Args:
            order: in which they are visited.
            batch_size: images a batch; the last one may be smaller.
            augmentation: how they are moved.
            generator: of the moves, on the CPU; they are the same whatever the device and share.
            share: which images of each batch are returned; all of them by default. Where several
                processes train one net, each has its own.
            start: how many images are left out, in whole batches; the others are moved as if those
                had been returned.
        """

    @abstractmethod
    def batches(self, part: Part, *, batch_size: int) -> Iterator[Batch]:
        """The images of a part in their own order, none of them moved."""
