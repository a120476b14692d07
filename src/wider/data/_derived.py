"""Smaller and simpler datasets made of others."""

from dataclasses import replace

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional

from wider.data._images import ImageData, Split, content_digest
from wider.data._preprocessing import Preprocessing
from wider.errors import InputError

# ITU-R BT.601: how bright red, green and blue look.
BRIGHTNESS = (0.299, 0.587, 0.114)

CHUNK = 1000  # images that are widened to floating point at a time

Images = UInt8[Tensor, "images channels height width"]


def derived(data: ImageData, preprocessing: Preprocessing) -> ImageData:
    """The dataset that a preprocessing makes of a loaded one: fewer classes, grey, shrunk.

    Args:
        data: as loaded.
        preprocessing: of which `classes`, `grey` and `shrunk_to` count here.

    Returns:
        A dataset with a digest of its own; the same one if nothing is to be done.

    Raises:
        InputError: a class or a size that the dataset does not have.
    """
    wanted, size = preprocessing.classes, preprocessing.shrunk_to
    if not (wanted or preprocessing.grey or size):
        return data
    _check(data, preprocessing)
    classes = tuple(data.classes[label] for label in wanted) or data.classes
    train, test = (_derived(split, preprocessing) for split in (data.train, data.test))
    return replace(
        data,
        classes=classes,
        train=train,
        test=test,
        digest=content_digest(classes, train, test),
        notes=(*data.notes, *_chosen(wanted, classes)),
    )


def _chosen(wanted: tuple[int, ...], classes: tuple[str, ...]) -> tuple[str, ...]:
    """A note of the names behind the numbers: as text, '10' comes before '2'."""
    if not wanted:
        return ()
    names = ", ".join(map(repr, classes))
    return (f"classes {', '.join(map(str, wanted))} are {names}",)


def _check(data: ImageData, preprocessing: Preprocessing) -> None:
    wanted, size = preprocessing.classes, preprocessing.shrunk_to
    unknown = [label for label in wanted if not 0 <= label < data.num_classes]
    if unknown or len(set(wanted)) < len(wanted) or len(wanted) == 1:
        raise InputError(
            f"classes are {', '.join(map(str, wanted))}; use two or more different ones from 0 to "
            f"{data.num_classes - 1}, the classes of {data.name}"
        )
    sides = data.image_shape[1:]
    if size is not None and size >= min(sides):
        raise InputError(
            f"shrunk_to is {size}, but the images of {data.name} have {sides[0]}x{sides[1]} "
            "pixels: use fewer, or leave it out"
        )


def _derived(split: Split, preprocessing: Preprocessing) -> Split:
    images, labels = split.images, split.labels
    if preprocessing.classes:
        wanted = torch.tensor(preprocessing.classes)
        rows = torch.isin(labels, wanted)
        images, labels = images[rows], (labels[rows][:, None] == wanted).int().argmax(1)
    return Split(torch.cat([_simpler(part, preprocessing) for part in images.split(CHUNK)]), labels)


def _simpler(images: Images, preprocessing: Preprocessing) -> Images:
    values = images.float()
    if preprocessing.grey and images.shape[1] == len(BRIGHTNESS):
        values = (values * torch.tensor(BRIGHTNESS).view(-1, 1, 1)).sum(1, keepdim=True)
    if preprocessing.shrunk_to is not None:
        values = functional.adaptive_avg_pool2d(values, preprocessing.shrunk_to)
    return values.round().to(torch.uint8)
