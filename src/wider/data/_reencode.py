"""One large image as it is stored for training."""

import io
from typing import Any, NamedTuple

import numpy as np
import PIL.Image

from wider.data._pixels import BadImageError, content_of, decoded

SMALLER_SIDE = 256  # pixels
QUALITY = 90
ENCODING = "jpeg"
MOST_PIXELS = 89_000_000  # of an image; Pillow warns of a few more
RULE = (
    f"upright, on white, in colour, smaller side at most {SMALLER_SIDE} pixels (shrunk if larger, "
    f"bilinear with antialiasing), JPEG of quality {QUALITY} with colours at half the resolution "
    "(4:2:0)"
)


class Reencoded(NamedTuple):
    """An image of which the smaller side has at most 256 pixels.

    Attributes:
        content: the JPEG file.
        height: in pixels.
        width: in pixels.
        sums: of the pixel values of the JPEG, in each colour.
        squares: sums of the squares of these values.
    """

    content: bytes
    height: int
    width: int
    sums: tuple[int, ...]
    squares: tuple[int, ...]


def reencode(record: dict[str, Any]) -> Reencoded:
    """Brings an image into the form in which it is stored.

    Args:
        record: "bytes" of an image file, or None and the "path" to it.

    Returns:
        The image in red, green and blue, upright, with a smaller side of at most 256 pixels.

    Raises:
        BadImageError: it cannot be decoded.
        OSError: the file cannot be read, which may pass.

    Source:
        Golubeva et al. 2021, Appendix A.1, for the size.
    """
    image = decoded(content_of(record), most_pixels=MOST_PIXELS).image.convert("RGB")
    try:
        stored = _encoded(_shrunk(image))
    except OSError as error:  # more pixels on a side than a JPEG can have
        raise BadImageError(str(error)) from error
    with opened_image(stored) as image:  # JPEG changes pixels: those that will be read count
        pixels = np.asarray(image).astype(np.int64)
    return Reencoded(
        content=stored,
        height=pixels.shape[0],
        width=pixels.shape[1],
        sums=tuple(pixels.sum(axis=(0, 1)).tolist()),
        squares=tuple(np.square(pixels).sum(axis=(0, 1)).tolist()),
    )


def opened_image(content: bytes) -> PIL.Image.Image:
    """A stored image, not decoded yet.

    Raises:
        OSError: it is damaged.
    """
    try:
        return PIL.Image.open(io.BytesIO(content), formats=[ENCODING])
    except PIL.UnidentifiedImageError as error:  # its own message holds an address in memory
        raise OSError("it is no JPEG file") from error


def _shrunk(image: PIL.Image.Image) -> PIL.Image.Image:
    smaller = min(image.size)
    if smaller <= SMALLER_SIDE:
        return image
    width, height = (round(side * SMALLER_SIDE / smaller) for side in image.size)
    return image.resize((width, height), PIL.Image.Resampling.BILINEAR)


def _encoded(image: PIL.Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=QUALITY, subsampling="4:2:0")
    return buffer.getvalue()
