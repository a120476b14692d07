"""Large images from disk, a batch at a time."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import PIL.Image
import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wider.data._dataset import Normalisation, Preprocessing
from wider.data._prepare import drawn_rows, prepared
from wider.data._training_data import Augmentation, Batch, Part, TrainingData
from wider.data.images._augmentation import (
    Boxes,
    central_boxes,
    random_boxes,
    skip_random_boxes,
)
from wider.data.images._files import ENCODING, SMALLER_SIDE, BadImageError, opened_image
from wider.data.images._in_memory import Pixels
from wider.data.images._large_images import LargeImageData, StoredFacts, StoredImages
from wider.data.images._prepared import mean_and_deviation, scaled
from wider.errors import InputError
from wider.tasks import Task

# Images that a worker hands over at once: a batch is shared among workers, and what lies ready in
# shared memory stays small also for large batches.
CHUNK = 32

# A fork takes a hundredth of a second and a spawned process some, but only Linux forks safely.
START_METHOD = "fork" if sys.platform == "linux" else "spawn"


@dataclass(frozen=True, eq=False)
class StreamedData(TrainingData):
    """Large images on disk that are decoded and cropped when they are needed.

    Args:
        parts: the images of each part.
        image_size: height and width to which they are cropped, in pixels.
        num_classes: how many classes there are.
        mean: what is subtracted from pixels between 0 and 1, in each colour.
        deviation: what they are divided by then.
        workers: processes that decode; 0 to decode in this one.
    """

    parts: "dict[str, _StoredPart]"
    image_size: int
    num_classes: int
    mean: Float64[Tensor, "channels 1 1"]
    deviation: Float64[Tensor, "channels 1 1"]
    workers: int

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image after it is cropped."""
        return len(self.mean), self.image_size, self.image_size

    @property
    def task(self) -> Task:
        """See `TrainingData`."""
        return Task.of_images(self.image_shape, self.num_classes)

    @property
    def device(self) -> torch.device:
        """Where the batches are."""
        return self.mean.device

    def count(self, part: Part) -> int:
        """See `TrainingData`."""
        return len(self.parts[part].rows)

    def check_augmentation(self, augmentation: Augmentation) -> None:
        """See `TrainingData`."""
        if augmentation not in ("none", "resized-crop"):
            raise InputError(
                f"augmentation {augmentation!r} is for images of one size, and these are large "
                "ones that are cropped: use 'resized-crop' or 'none'"
            )

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
        """See `TrainingData`; with augmentation "none" each image is its own central crop."""
        self.check_augmentation(augmentation)
        part = self.parts["train"]

        def requests() -> Iterator[_Request]:
            for first in range(0, len(order), batch_size):
                chosen = order[first : first + batch_size]
                if first < start:
                    skip_random_boxes(len(chosen), generator=generator)
                    continue
                sizes = part.sizes[chosen]
                # Drawn for the whole batch, as other processes that have a share of it do.
                if augmentation == "resized-crop":
                    boxes = random_boxes(sizes, generator=generator)
                else:
                    boxes = central_boxes(sizes)
                yield from _chunks(part.rows[chosen][share], boxes[share])

        return self._batches(part.split, requests())

    def batches(self, part: Part, *, batch_size: int) -> Iterator[Batch]:
        """See `TrainingData`; each image is its own central crop."""
        stored = self.parts[part]
        boxes = central_boxes(stored.sizes)
        every = zip(stored.rows.split(batch_size), boxes.split(batch_size), strict=True)
        requests = (chunk for rows, own in every if len(rows) for chunk in _chunks(rows, own))
        return self._batches(stored.split, requests)

    def _batches(self, split: StoredImages, requests: "Iterable[_Request]") -> Iterator[Batch]:
        loader = DataLoader(
            _Crops(split, self.image_size),
            batch_size=None,
            sampler=requests,
            num_workers=self.workers,
            multiprocessing_context=START_METHOD if self.workers else None,
            generator=torch.Generator(),  # nothing is drawn from it; the global one is left alone
        )
        chunks: list[tuple[Pixels, Int64[Tensor, " images"]]] = []
        for pixels, labels, ends_batch in loader:
            chunks.append((pixels, labels))
            if ends_batch:
                images, targets = (torch.cat(tensors) for tensors in zip(*chunks, strict=True))
                yield scaled(self._sent(images), self.mean, self.deviation), self._sent(targets)
                chunks = []

    def _sent(self, tensor: Tensor) -> Tensor:
        if self.device.type != "cuda":
            return tensor.to(self.device)
        return tensor.pin_memory().to(self.device, non_blocking=True)


@prepared.register
def _(data: LargeImageData, preprocessing: Preprocessing, *, workers: int | None) -> StreamedData:
    size = preprocessing.image_size
    if size is None or size > SMALLER_SIDE:
        raise InputError(
            f"image_size is {size}, but the images of {data.name} are of several sizes and have to "
            f"be cropped to one: use 224, or another number up to {SMALLER_SIDE}"
        )
    if preprocessing.normalisation == "pixel":
        raise InputError(
            'normalisation "pixel" scales each pixel of images that lie as they are, and those of '
            f'{data.name} are cropped at random: use "channel" or "unit"'
        )
    if workers is not None and workers < 0:
        raise InputError(f"workers is {workers}; use 0 or more processes")
    train_rows, validation_rows = drawn_rows(data, preprocessing, "images")
    chosen = {
        "train": (data.train, train_rows),
        "validation": (data.train, validation_rows),
        "test": (data.test, torch.arange(len(data.test))),
    }
    facts = {part: split.facts(rows) for part, (split, rows) in chosen.items()}
    sample = facts["train"]
    if preprocessing.scaled_by == "all":
        sample = data.train.facts(torch.arange(len(data.train)))
    mean, deviation = _mean_and_deviation(sample, preprocessing.normalisation)
    return StreamedData(
        parts={part: _StoredPart(*chosen[part], facts[part].sizes) for part in chosen},
        image_size=size,
        num_classes=data.num_classes,
        mean=mean.view(-1, 1, 1),
        deviation=deviation.view(-1, 1, 1),
        workers=torch.get_num_threads() if workers is None else workers,
    )


@dataclass(frozen=True)
class _Request:
    """Images to be decoded, and whether they are the last ones of their batch.

    Lists, as a tensor is fetched from its sender, who may have been killed by then.
    """

    rows: list[int]
    boxes: list[tuple[int, int, int, int]]
    ends_batch: bool


class _Crops(Dataset[tuple[Pixels, Int64[Tensor, " images"], bool]]):
    """Answers a request for parts of images."""

    def __init__(self, split: StoredImages, image_size: int) -> None:
        self.split = split
        self.image_size = image_size

    def __getitem__(self, request: _Request) -> tuple[Pixels, Int64[Tensor, " images"], bool]:
        size = self.image_size
        pixels = np.empty((len(request.rows), size, size, 3), dtype=np.uint8)
        labels = np.empty(len(request.rows), dtype=np.int64)
        requested = zip(request.rows, request.boxes, strict=True)
        for place, (row, box) in enumerate(requested):
            content, labels[place] = self.split.read(row)
            try:
                pixels[place] = _cropped(content, box, size)
            except (BadImageError, OSError) as error:
                raise InputError(
                    f"image {self.split.place(row)} cannot be decoded: {error}. Remove that file "
                    "and the index.json beside it, and run `wider prepare` again."
                ) from error
        channels_first = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        return channels_first, torch.from_numpy(labels), request.ends_batch


def _cropped(
    content: bytes, box: tuple[int, int, int, int], size: int
) -> UInt8[np.ndarray, "height width colours"]:
    """A part of an image file, given its edges, brought to a square."""
    with opened_image(content, formats=(ENCODING,)) as image:
        # Cut out first: with resize(box=...) the edges would mix with pixels beyond them.
        part = image.crop(box)
    return np.asarray(part.resize((size, size), PIL.Image.Resampling.BILINEAR))


@dataclass(frozen=True)
class _StoredPart:
    """Which images of a split are used, and the size of each."""

    split: StoredImages
    rows: Int64[Tensor, " images"]
    sizes: Int64[Tensor, "images 2"]


def _mean_and_deviation(
    train: StoredFacts, normalisation: Normalisation
) -> tuple[Float64[Tensor, " channels"], Float64[Tensor, " channels"]]:
    if normalisation == "unit":
        return torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    num_pixels = int(train.sizes.prod(dim=1).sum())
    return mean_and_deviation(train.sums, train.squares, num_pixels)


def _chunks(rows: Int64[Tensor, " images"], boxes: Boxes) -> Iterator[_Request]:
    pieces = list(zip(rows.split(CHUNK), boxes.split(CHUNK), strict=True))
    for number, (own_rows, own_boxes) in enumerate(pieces, start=1):
        own = [tuple(box) for box in own_boxes.tolist()]
        yield _Request(own_rows.tolist(), own, ends_batch=number == len(pieces))
