"""Charts as files."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wider.errors import InputError
from wider.files import make_folder, write_output
from wider.report._sections import Section
from wider.study import Picture

PIXELS_PER_INCH = 144
ENDINGS = ("png", "svg", "pdf", "html")


def write_pictures(sections: Sequence[Section], folder: Path) -> list[Path]:
    """Writes every chart as PDF, PNG and SVG.

    Args:
        sections: what to draw.
        folder: made when it does not exist. A file is named after its chart and the scale.

    Returns:
        The files.
    """
    make_folder(folder)
    paths = []
    for section in sections:
        for picture in section.pictures:
            for ending in ("pdf", "png", "svg"):
                path = folder / f"{picture.name}-{section.scale_name}.{ending}"
                write_chart(picture.chart, path)
                paths.append(path)
    return paths


def check_picture_file(path: Path) -> None:
    """Does nothing where a picture can be written to that file.

    Raises:
        InputError: its ending is none that is known, or its folder is not there.
    """
    if path.suffix[1:] not in ENDINGS:
        raise InputError(
            f"cannot write a picture to {str(path)!r}: use a name that ends in "
            f"{', '.join('.' + ending for ending in ENDINGS[:-1])} or .{ENDINGS[-1]}"
        )
    if not path.parent.is_dir():
        raise InputError(
            f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}; make it first"
        )


def write_picture_files(pictures: Sequence[Picture], path: Path) -> list[Path]:
    """Writes the pictures of one experiment.

    Args:
        pictures: of it.
        path: of the file; its ending says which kind. Of several pictures each has its name added.

    Returns:
        The files.

    Raises:
        InputError: a file cannot be written.
    """
    check_picture_file(path)
    paths = []
    for picture in pictures:
        several = len(pictures) > 1
        target = path.with_stem(f"{path.stem}-{picture.name}") if several else path
        write_chart(picture.chart, target)
        paths.append(target)
    return paths


def write_chart(chart: Any, path: Path) -> None:
    """Writes one chart; the ending of the file says as what.

    A page (HTML) works offline.

    Raises:
        InputError: the file cannot be written.
    """
    options: dict[str, Any] = {}
    if path.suffix == ".png":
        options = {"ppi": PIXELS_PER_INCH}  # a vector format has no resolution
    elif path.suffix == ".html":
        options = {"inline": True}
    drawn = io.BytesIO() if path.suffix in (".png", ".pdf") else io.StringIO()
    chart.save(drawn, format=path.suffix[1:], **options)
    content = drawn.getvalue()
    try:
        write_output(path, content if isinstance(content, bytes) else content.encode())
    except OSError as error:
        raise InputError(
            f"cannot write {str(path)!r} ({error.strerror}): choose another file"
        ) from error
