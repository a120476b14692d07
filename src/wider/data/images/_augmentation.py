"""Which part of an image a net sees: drawn at random for training, and otherwise the middle.

Images of one size are augmented a batch at a time, on their device; of large images, rectangles are
drawn that are cut out when they are decoded.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor
from torch.nn import functional

from wider.data._training_data import Augmentation

PADDING = 4  # pixels that are added to every side before an image is cut out again

LEAST_AREA, LEAST_ASPECT = 0.2, 3 / 4  # of a random crop: share of the image; width to height
TRIES = 10
# As 224 of 256 pixels on ImageNet, whatever the size of the image that is wanted.
CENTRAL_SHARE = 224 / 256

Boxes = Int64[Tensor, "images 4"]


class DrawnAugmentation(NamedTuple):
    """What is done to each of some images.

    Attributes:
        corners: row and column of the padded image at which the new image starts.
        flips: whether left and right are exchanged afterwards.
    """

    corners: Int64[Tensor, "images 2"]
    flips: Bool[Tensor, " images"]

    def of(self, part: Int64[Tensor, " some"]) -> "DrawnAugmentation":
        """What is done to some of the images."""
        return DrawnAugmentation(self.corners[part], self.flips[part])


def draw_augmentation(
    augmentation: Augmentation, count: int, *, generator: torch.Generator
) -> DrawnAugmentation | None:
    """Draws what is done to each image.

    Args:
        augmentation: "crop" shifts an image by up to 4 pixels along rows and along columns;
            "crop-flip" also turns every second one, on average, around; "none" does nothing.
        count: of the images.
        generator: on the CPU, so that every device sees the same draws.

    Returns:
        What is drawn; None if there is nothing to do.

    Source:
        Golubeva et al. 2021, Appendix A.
    """
    if augmentation == "none":
        return None
    corners = torch.randint(2 * PADDING + 1, (count, 2), generator=generator)
    flips = torch.rand(count, generator=generator) < 0.5
    if augmentation == "crop":
        flips = torch.zeros_like(flips)
    return DrawnAugmentation(corners, flips)


def augmented(
    images: Float32[Tensor, "batch channels height width"],
    drawn: DrawnAugmentation,
    black: Float32[Tensor, " channels"],
) -> Float32[Tensor, "batch channels height width"]:
    """Images padded with black, cut out again elsewhere, and turned around.

    Args:
        images: a batch.
        drawn: for each of them, on its device.
        black: the value of a black pixel in each channel.
    """
    height, width = images.shape[2:]
    shade = black.to(images).view(-1, 1, 1)
    # Padding is with zeros, which therefore have to be black for a moment.
    padded = functional.pad(images - shade, (PADDING,) * 4) + shade
    corners, flips = drawn
    every = torch.arange(len(images), device=images.device)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    cut = windows[every, :, corners[:, 0], corners[:, 1]]
    return torch.where(flips.view(-1, 1, 1, 1), cut.flip(3), cut)


def central_boxes(sizes: Int64[Tensor, "images 2"]) -> Boxes:
    """The square in the middle of each image, with sides of 7/8 of its smaller side.

    Args:
        sizes: height and width of each image.

    Returns:
        Left, top, right and bottom edge; the last two are just outside.
    """
    sides = (sizes.min(dim=1, keepdim=True).values * CENTRAL_SHARE).round().long()
    return _boxes(((sizes - sides) / 2).round().long(), sides.expand(-1, 2))


def random_boxes(sizes: Int64[Tensor, "images 2"], *, generator: torch.Generator) -> Boxes:
    """A random rectangle of each image.

    Its area is uniform between 0.2 and 1 of the image's, the logarithm of width / height uniform
    between those of 3/4 and 4/3, and its place uniform. A rectangle that does not fit is drawn
    again; after ten tries it is the largest in the middle with an allowed width / height.

    Args:
        sizes: height and width of each image.
        generator: on the CPU.

    Returns:
        As `central_boxes`.

    Source:
        Szegedy et al. 2015, Section 6; Golubeva et al. 2021, Appendix A.1, for the least area.
    """
    count = len(sizes)
    numbers = _numbers(count, generator)
    tries, places = numbers[:, :TRIES], numbers[:, TRIES]
    extents = _extents(tries, sizes)
    fits = ((extents > 0) & (extents <= sizes[:, None])).all(dim=2)
    first = fits.int().argmax(dim=1)  # of equal numbers the first one's place
    drawn = extents[torch.arange(count), first]
    corners = (places * (sizes - drawn + 1)).floor().long()
    fallback = _largest_allowed(sizes)
    found = fits.any(dim=1, keepdim=True)
    return torch.where(found, _boxes(corners, drawn), _boxes((sizes - fallback) // 2, fallback))


def skip_random_boxes(count: int, *, generator: torch.Generator) -> None:
    """Leaves a generator as `random_boxes` of so many images would."""
    _numbers(count, generator)


def _numbers(count: int, generator: torch.Generator) -> Float64[Tensor, "images draws 2"]:
    return torch.rand(count, TRIES + 1, 2, dtype=torch.float64, generator=generator)


def _extents(
    tries: Float64[Tensor, "images tries 2"], sizes: Int64[Tensor, "images 2"]
) -> Int64[Tensor, "images tries 2"]:
    """Heights and widths of rectangles, from numbers between 0 and 1."""
    areas = sizes.prod(dim=1, keepdim=True) * (LEAST_AREA + (1 - LEAST_AREA) * tries[..., 0])
    aspects = torch.exp(math.log(LEAST_ASPECT) * (1 - 2 * tries[..., 1]))
    return torch.stack([areas / aspects, areas * aspects], dim=2).sqrt().round().long()


def _largest_allowed(sizes: Int64[Tensor, "images 2"]) -> Int64[Tensor, "images 2"]:
    """Heights and widths that leave out as little as possible of images too wide or too tall."""
    return torch.minimum(sizes, (sizes.flip(1) / LEAST_ASPECT).round().long())


def _boxes(corners: Int64[Tensor, "images 2"], extents: Int64[Tensor, "images 2"]) -> Boxes:
    """Rectangles by columns and rows, from top left corners and sizes by rows and columns."""
    return torch.cat([corners.flip(1), (corners + extents).flip(1)], dim=1)
