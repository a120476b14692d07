"""From an image file to its pixels, and what is not taken for an image."""

import io
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import PIL.Image
import PIL.ImageOps

# Read by Pillow itself: for others, such as EPS, it starts programs.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

# Pillow's modes of pixels that have 8 bits for each channel.
GREY_MODES = {"1", "L", "LA"}
COLOUR_MODES = {"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"}

BITS_PER_SAMPLE = 258  # the tag of TIFF
LFS_POINTER = b"version https://git-lfs.github.com/spec/"


class Picture(NamedTuple):
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


def decoded(content: bytes, *, most_pixels: int) -> Picture:
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
            with PIL.Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check(image, content, most_pixels)
                # Cameras store photographs lying on their side and note which way is up.
                PIL.ImageOps.exif_transpose(image, in_place=True)
                return Picture(_opaque(image), str(image.format).lower())
    except PIL.UnidentifiedImageError as error:  # its own message holds an address in memory
        raise BadImageError(f"it is no file of the formats {', '.join(FORMATS)}") from error
    except BadImageError:
        raise
    except Exception as error:  # Pillow raises whatever its decoders raise
        raise BadImageError(str(error) or type(error).__name__) from error


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
