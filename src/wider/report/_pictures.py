"""Charts as files."""

from collections.abc import Sequence
from pathlib import Path

from wider.report._sections import Section

PIXELS_PER_INCH = 144


def write_pictures(sections: Sequence[Section], folder: Path) -> list[Path]:
    """Writes every chart as PDF, PNG and SVG.

    Args:
        sections: what to draw.
        folder: made when it does not exist. A file is named after its chart and the scale.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for section in sections:
        for picture in section.pictures:
            for ending in ("pdf", "png", "svg"):
                path = folder / f"{picture.name}-{section.scale.name}.{ending}"
                if ending == "png":
                    picture.chart.save(str(path), ppi=PIXELS_PER_INCH)
                else:  # a vector format has no resolution
                    picture.chart.save(str(path))
                paths.append(path)
    return paths
