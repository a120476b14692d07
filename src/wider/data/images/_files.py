"""One image file: decoded to pixels, or refused; and brought to the form in which it is stored."""

import io
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageOps

from wider.data._folders import LFS_POINTER

# Read by Pillow itself: for others, such as EPS, it starts programs.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

# Pillow's modes of pixels that have 8 bits for each channel.
GREY_MODES = {"1", "L", "LA"}
COLOUR_MODES = {"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"}

BITS_PER_SAMPLE = 258  # the tag of TIFF

COLOURS = 3
SMALLER_SIDE = 256  # pixels
QUALITY = 90
ENCODING = "jpeg"  # of stored images
MOST_PIXELS = 89_000_000  # of an image that is shrunk; Pillow warns of a few more
RULE = (
    f"upright, on white, in colour, smaller side at most {SMALLER_SIDE} pixels (shrunk if larger, "
    f"bilinear with antialiasing), JPEG of quality {QUALITY} with colours at half the resolution "
    "(4:2:0)"
)


class Decoded(NamedTuple):
    """A decoded image.

    Attributes:
        image: upright, without transparency, of mode L if it is grey, otherwise RGB.
        encoding: the file's format, in lower case.
    """

    image: PIL.Image.Image
    encoding: str


class BadImageError(Exception):
    """An image that cannot be used; the message says why, the same way each time."""


def content_of(record: dict[str, Any]) -> bytes:
    """The bytes of an image file that a table holds, or names.

    Args:
        record: "bytes", or None and the "path" to them.

    Raises:
        BadImageError: it holds and names nothing.
        OSError: the file cannot be read, which may pass.
    """
    if record["bytes"] is not None:
        return record["bytes"]
    if record["path"] is None:
        raise BadImageError("there is none")
    path = Path(record["path"])
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise BadImageError("it is no regular file")
    return path.read_bytes()


def decoded(content: bytes, *, most_pixels: int) -> Decoded:
    """Decodes an image; where it is transparent, it lies on white.

    Args:
        content: the file.
        most_pixels: that the image may have.

    Raises:
        BadImageError: the content is no such image, or its pixels would be changed without a word.
    """
    if content.startswith(LFS_POINTER):
        raise BadImageError("it is a pointer of Git LFS: run `git lfs pull` to get the file itself")
    try:
        with warnings.catch_warnings():
            # Of notes that cameras left in the file; the pixels are what counts.
            warnings.simplefilter("ignore")
            with opened_image(content) as image:
                _check(image, content, most_pixels)
                # Cameras store photographs lying on their side and note which way is up.
                PIL.ImageOps.exif_transpose(image, in_place=True)
                return Decoded(_opaque(image), str(image.format).lower())
    except BadImageError:
        raise
    except Exception as error:  # Pillow raises whatever its decoders raise
        raise BadImageError(str(error) or type(error).__name__) from error


def opened_image(content: bytes, *, formats: tuple[str, ...] = FORMATS) -> PIL.Image.Image:
    """An image of one of some formats, not decoded yet.

    Raises:
        BadImageError: it is of none of them.
    """
    try:
        return PIL.Image.open(io.BytesIO(content), formats=formats)
    except PIL.UnidentifiedImageError as error:  # its own message holds an address in memory
        raise BadImageError(f"it is no file of the formats {', '.join(formats)}") from error


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
    # JPEG changes pixels: those that will be read count.
    with opened_image(stored, formats=(ENCODING,)) as image:
        pixels = np.asarray(image).astype(np.int64)
    return Reencoded(
        content=stored,
        height=pixels.shape[0],
        width=pixels.shape[1],
        sums=tuple(pixels.sum(axis=(0, 1)).tolist()),
        squares=tuple(np.square(pixels).sum(axis=(0, 1)).tolist()),
    )


def _check(image: PIL.Image.Image, content: bytes, most_pixels: int) -> None:
    """Looks at what can be known before the pixels are decoded."""
    width, height = image.size
    if width * height > most_pixels:
        raise BadImageError(
            f"it has {height:,}x{width:,} pixels (height x width), and {most_pixels:,} are the most"
        )
    if image.mode not in GREY_MODES | COLOUR_MODES:
        raise BadImageError(f"it has pixels of mode {image.mode}, not of 8 bits for each channel")
    bits = _bits(image, content)
    if bits > 8:
        raise BadImageError(f"it has {bits} bits for each channel, not 8")
    # Beside its photograph a telephone stores small or flat copies of it (MPO).
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        raise BadImageError(f"it has {frames} frames, and which of them counts is not known")


def _bits(image: PIL.Image.Image, content: bytes) -> int:
    """Bits for each channel in the file itself: of 16 Pillow drops the lower 8 without a word."""
    match image.format:
        case "PNG":
            return content[24]
        case "TIFF":
            return max(getattr(image, "tag_v2").get(BITS_PER_SAMPLE, (1,)))  # noqa: B009
        case "PPM":
            arguments = getattr(image, "tile")[0].args  # noqa: B009
            most = arguments[-1] if isinstance(arguments[-1], int) else 255
            return int(most).bit_length()
    return 8


def _opaque(image: PIL.Image.Image) -> PIL.Image.Image:
    mode = "L" if image.mode in GREY_MODES else "RGB"
    if not image.has_transparency_data:
        return image.convert(mode)
    transparent = image.convert("RGBA")
    alpha = transparent.getchannel("A")
    canvas = PIL.Image.new(mode, image.size, "white")
    canvas.paste(transparent.convert(mode), mask=alpha)
    if alpha.getextrema() != (255, 255) and set(canvas.tobytes()) == {255}:
        raise BadImageError("nothing of it is seen on white, on which transparent images are laid")
    return canvas


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
