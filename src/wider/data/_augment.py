"""Moving training images at random, a batch at a time and on their device."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor
from torch.nn import functional

Augmentation = Literal["none", "crop", "crop-flip", "resized-crop"]

PADDING = 4  # pixels that are added to every side before an image is cut out again


class Moves(NamedTuple):
    """What is done to each of some images.

    Attributes:
        corners: row and column of the padded image at which the new image starts.
        flips: whether left and right are exchanged afterwards.
    """

    corners: Int64[Tensor, "images 2"]
    flips: Bool[Tensor, " images"]

    def of(self, part: Int64[Tensor, " some"]) -> "Moves":
        """The moves of some of the images."""
        return Moves(self.corners[part], self.flips[part])


def draw_moves(
    augmentation: Augmentation, count: int, *, generator: torch.Generator
) -> Moves | None:
    """Draws what is done to each image.

    Args:
        augmentation: "crop" moves an image by up to 4 pixels along rows and along columns;
            "crop-flip" also turns every second one, on average, around; "none" does nothing.
        count: of the images.
        generator: on the CPU, so that every device sees the same moves.

    Returns:
        The moves; None if there is nothing to do.

    Source:
        Golubeva et al. 2021, Appendix A.
    """
    if augmentation == "none":
        return None
    corners = torch.randint(2 * PADDING + 1, (count, 2), generator=generator)
    flips = torch.rand(count, generator=generator) < 0.5
    return Moves(corners, flips if augmentation == "crop-flip" else torch.zeros_like(flips))


def moved(
    images: Float32[Tensor, "batch channels height width"],
    moves: Moves,
    black: Float32[Tensor, " channels"],
) -> Float32[Tensor, "batch channels height width"]:
    """Images padded with black, cut out again elsewhere, and turned around.

    Args:
        images: a batch.
        moves: of each of them, on its device.
        black: the value of a black pixel in each channel.
    """
    height, width = images.shape[2:]
    shade = black.to(images).view(-1, 1, 1)
    # Padding is with zeros, which therefore have to be black for a moment.
    padded = functional.pad(images - shade, (PADDING,) * 4) + shade
    corners, flips = moves
    every = torch.arange(len(images), device=images.device)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    cut = windows[every, :, corners[:, 0], corners[:, 1]]
    return torch.where(flips.view(-1, 1, 1, 1), cut.flip(3), cut)
