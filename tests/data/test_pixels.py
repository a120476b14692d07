"""What becomes of transparent, deep, large and odd image files."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra.numpy import arrays

from wider.data import ImageData, load, write_shards
from wider.errors import InputError

Loaded = Callable[[bytes], ImageData]
Refused = Callable[[bytes, str], None]

PIXELS = arrays(np.uint8, (3, 4, 4))


@pytest.fixture
def loaded(data_dir: Path, write_images: Callable[..., Path]) -> Loaded:
    """A dataset of one image."""

    def loaded(image: bytes) -> ImageData:
        write_images("train", [image], [0])
        write_images("test", [image], [1])
        return load("small", data_dir=data_dir)

    return loaded


def file_of(image: PIL.Image.Image, file_format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG of any depth, written by hand: Pillow writes 16 bits of grey alone."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture
def refused(
    loaded: Loaded, write_images: Callable[..., Path], data_dir: Path, tmp_path: Path
) -> Refused:
    """Both ways to read images refuse this one for the same reason."""

    def refused(content: bytes, reason: str) -> None:
        with pytest.raises(
            InputError, match=rf"Image 0 of train of .* cannot be used: .*({reason})"
        ):
            loaded(content)
        for split in ("train", "test"):
            write_images(split, [content, content], [0, 1])
        with pytest.raises(InputError, match=rf"train image 0 \(.*({reason}).*prepare again"):
            write_shards("small", tmp_path / "prepared", data_dir=data_dir)

    return refused


@given(pixels=PIXELS, alpha=arrays(np.uint8, (3, 4)))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_transparent_pixels_lie_on_white(
    loaded: Loaded, pixels: np.ndarray, alpha: np.ndarray
) -> None:
    pixels[0, 0, :3], alpha[0, 0] = 0, 255  # something that is seen
    pixels[..., 3] = alpha
    data = loaded(file_of(PIL.Image.fromarray(pixels, "RGBA")))
    share = alpha[..., None] / 255
    expected = 255 * (1 - share) + pixels[..., :3] * share
    found = data.train.images[0].permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() <= 1  # rounded
    assert np.array_equal(found[alpha == 255], pixels[alpha == 255, :3])
    assert (found[alpha == 0] == 255).all()


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA", "P", "L", "RGB"])
def test_a_shape_that_only_transparency_shows(loaded: Loaded, mode: str) -> None:
    alpha = np.array([[255, 0, 255], [0, 255, 0]], dtype=np.uint8)
    seen = np.where(alpha == 255, 0, 255)
    if mode in ("P", "L", "RGB"):  # one colour, black or another, stands for nothing
        image = PIL.Image.fromarray((alpha == 0).astype(np.uint8)).convert(mode)
        if mode == "P":
            image = PIL.Image.fromarray((alpha == 0).astype(np.uint8), "L").convert("P")
            image.putpalette([0, 0, 0, 0, 0, 0])
        content = file_of(image, transparency=(1, 1, 1) if mode == "RGB" else 1)
    else:
        image = PIL.Image.new("RGBA", (3, 2), (0, 0, 0, 0))
        image.putalpha(PIL.Image.fromarray(alpha))
        content = file_of(image.convert(mode), "TIFF" if mode == "PA" else "PNG")
        if mode == "PA":
            content = file_of(
                image.quantize(), "GIF", transparency=image.quantize().getpixel((1, 0))
            )
    data = loaded(content)
    assert data.image_shape[0] == (1 if mode in ("LA", "L") else 3)
    for channel in data.train.images[0].numpy():
        assert np.array_equal(channel, seen)


@given(pixels=PIXELS)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_opaque_alpha_changes_nothing(loaded: Loaded, pixels: np.ndarray) -> None:
    pixels[..., 3] = 255
    for mode, plain in (("RGBA", "RGB"), ("LA", "L"), ("P", "P")):
        image = PIL.Image.fromarray(pixels[..., :3], "RGB").convert(plain)
        opaque = image.copy()
        if mode != "P":
            opaque.putalpha(255)
        options: dict[str, Any] = {"transparency": b"\xff" * 256} if mode == "P" else {}
        assert loaded(file_of(opaque, **options)).digest == loaded(file_of(image)).digest


def test_an_image_of_which_nothing_is_seen_on_white(refused: Refused) -> None:
    white = PIL.Image.new("LA", (3, 2), (255, 0))
    white.putpixel((0, 0), (255, 255))
    refused(file_of(white), "nothing of it is seen on white")


@pytest.mark.parametrize("colour", [0, 2, 4, 6])
def test_png_of_16_bits(refused: Refused, colour: int) -> None:
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    rows = (b"\0" + b"\x00\xff" * channels * 3) * 2
    refused(png(3, 2, 16, colour, rows), "16 bits for each channel|mode I;16")


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_png_of_fewer_bits_is_read(loaded: Loaded, depth: int) -> None:
    most = 2**depth - 1
    values = [0, most, 1, most - 1]
    bits = "".join(f"{value:0{depth}b}" for value in values).ljust(8, "0")
    row = bytes(int(bits[start : start + 8], 2) for start in range(0, len(bits), 8))
    data = loaded(png(4, 1, depth, 0, b"\0" + row))
    assert data.train.images.flatten().tolist() == [value * 255 // most for value in values]


@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_tiff_of_16_bits(refused: Refused, kind: str) -> None:
    samples = 1 if kind == "grey" else 3
    pixels = struct.pack("<H", 300) * samples * 4
    tags = [
        (256, 3, 1, 2),  # width
        (257, 3, 1, 2),  # height
        (258, 3, samples, 16 if samples == 1 else 8),  # bits; of three, where they are
        (259, 3, 1, 1),  # not compressed
        (262, 3, 1, 1 if samples == 1 else 2),
        (273, 4, 1, 14),  # where the pixels are
        (277, 3, 1, samples),
        (278, 3, 1, 2),
        (279, 4, 1, len(pixels)),
    ]
    head = struct.pack("<2sHI3H", b"II", 42, 14 + len(pixels), 16, 16, 16) + pixels
    directory = b"".join(
        struct.pack("<HHI", tag, type_, count) + struct.pack("<I", value)
        for tag, type_, count, value in tags
    )
    content = head + struct.pack("<H", len(tags)) + directory + bytes(4)
    refused(content, "16 bits for each channel|mode I;16")


@pytest.mark.parametrize("head", [b"P6 2 2 65535\n", b"P6 2 2 1023\n", b"P5 2 2 65535\n"])
def test_ppm_of_16_bits(refused: Refused, head: bytes) -> None:
    refused(head + bytes(24), "1[06] bits for each channel|mode I")


def test_ppm_of_8_bits_is_read(loaded: Loaded) -> None:
    assert loaded(b"P5 2 1 255\n\x07\xff").train.images.flatten().tolist() == [7, 255]


def test_more_frames_than_one(loaded: Loaded, refused: Refused) -> None:
    frames = [PIL.Image.new("L", (2, 2), shade) for shade in (0, 100, 200)]
    for file_format in ("GIF", "PNG", "TIFF", "WEBP"):
        content = file_of(frames[0], file_format, save_all=True, append_images=frames[1:])
        refused(content, "3 frames")
    telephone = file_of(frames[1], "MPO", save_all=True, append_images=frames[2:])
    assert loaded(telephone).train.images.eq(100).all()


def test_formats_for_which_pillow_starts_programs(refused: Refused) -> None:
    eps = file_of(PIL.Image.new("RGB", (2, 2)), "EPS")
    refused(eps, "no file of the formats BMP, GIF, JPEG")


def test_more_pixels_than_fit(
    loaded: Loaded, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = png(13_000, 13_000, 1, 0, (b"\0" + bytes(1625)) * 13_000)
    assert len(bomb) < 30_000
    with monkeypatch.context() as patch:
        patch.setattr(PIL.Image.Image, "load", lambda _: pytest.fail("it was decoded"))
        refused(bomb, "13,000x13,000 pixels")
    with pytest.raises(InputError, match=r"4,194,304 are the most.*wider prepare"):
        loaded(png(2049, 2048, 1, 0, b""))
