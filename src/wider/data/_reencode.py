"""One large image as it is stored for training."""

import io
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageOps

from wider.data._modes import COLOUR_MODES, GREY_MODES

SMALLER_SIDE = 256  # pixels
QUALITY = 90
ENCODING = "jpeg"
RULE = (
    f"upright, in colour, smaller side {SMALLER_SIDE} pixels (bilinear with antialiasing), "
    f"JPEG of quality {QUALITY} with colours at half the resolution (4:2:0)"
)


class Reencoded(NamedTuple):
    """An image of which the smaller side has 256 pixels.

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


class BadImageError(Exception):
    """An image that cannot be used; the message says why, the same way each time."""


def reencode(record: dict[str, Any]) -> Reencoded:
    """Brings an image into the form in which it is stored.

    Args:
        record: "bytes" of an image file, or None and the "path" to it.

    Returns:
        The image in red, green and blue, upright, with its smaller side at 256 pixels.

    Raises:
        BadImageError: it cannot be decoded.
        OSError: the file cannot be read, which may pass.

    Source:
        Golubeva et al. 2021, Appendix A.1, for the size.
    """
    content = record["bytes"]
    if content is None:
        content = Path(record["path"]).read_bytes()
    try:
        with warnings.catch_warnings():
            # Of notes that cameras left in the file; the pixels are what counts.
            warnings.simplefilter("ignore")
            stored = _encoded(_resized(_upright_colours(content)))
    except PIL.UnidentifiedImageError as error:  # its own message holds an address in memory
        raise BadImageError("no image file that Pillow knows") from error
    except Exception as error:  # Pillow raises whatever its decoders raise
        raise BadImageError(str(error) or type(error).__name__) from error
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
    """An image file in memory, not decoded yet."""
    return PIL.Image.open(io.BytesIO(content))


def _upright_colours(content: bytes) -> PIL.Image.Image:
    with opened_image(content) as image:
        if image.mode not in GREY_MODES | COLOUR_MODES:
            raise BadImageError(f"pixels of mode {image.mode}, not of 8 bits for each channel")
        PIL.ImageOps.exif_transpose(image, in_place=True)
        return image.convert("RGB")


def _resized(image: PIL.Image.Image) -> PIL.Image.Image:
    smaller = min(image.size)
    width, height = (round(side * SMALLER_SIDE / smaller) for side in image.size)
    return image.resize((width, height), PIL.Image.Resampling.BILINEAR)


def _encoded(image: PIL.Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=QUALITY, subsampling="4:2:0")
    return buffer.getvalue()
