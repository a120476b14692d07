"""The notebook runs from top to bottom, and shows what comes out."""

import base64
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import PIL.Image
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOK = EXAMPLES / "wider.ipynb"

# Accuracies, mostly: other processors round differently, and then a few images tell.
TOLERANCE = 0.02
DECIMAL = re.compile(r"-?\d+\.\d+")


def code_cells(path: Path) -> dict[str, nbformat.NotebookNode]:
    cells = nbformat.read(path, as_version=4).cells
    return {cell.id: cell for cell in cells if cell.cell_type == "code"}


def outputs_of(cell: nbformat.NotebookNode, kind: str) -> list[str]:
    return [output.data[kind] for output in cell.outputs if kind in output.get("data", {})]


def words_and_decimals(text: str) -> tuple[list[str], list[float]]:
    return DECIMAL.sub("#", text).split(), [float(found) for found in DECIMAL.findall(text)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The notebook after a run of its own; a failing cell or a warning in it is an error."""
    path = tmp_path_factory.mktemp("notebook") / "wider.ipynb"
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / "execute.py"), str(path)],
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return path


def test_outputs_are_those_that_are_shown(made: Path):
    shown_cells, made_cells = code_cells(NOTEBOOK), code_cells(made)
    assert shown_cells.keys() == made_cells.keys()
    for name, cell in made_cells.items():
        shown = shown_cells[name]
        assert shown.source == cell.source
        assert shown.execution_count == cell.execution_count
        # Anything printed, on standard error too, is none of these.
        assert {output.output_type for output in cell.outputs} <= {"execute_result"}, name
        for kind in ("text/plain", "text/html"):
            for ours, theirs in zip(outputs_of(cell, kind), outputs_of(shown, kind), strict=True):
                words, decimals = words_and_decimals(ours)
                shown_words, shown_decimals = words_and_decimals(theirs)
                assert words == shown_words, name
                assert decimals == pytest.approx(shown_decimals, rel=0, abs=TOLERANCE), name


def test_the_chart_is_a_picture_of_the_same_size(made: Path):
    sizes = []
    for path in (NOTEBOOK, made):
        (picture,) = outputs_of(code_cells(path)["chart"], "image/png")
        with PIL.Image.open(io.BytesIO(base64.b64decode(picture))) as image:
            assert len(image.getcolors(maxcolors=2**20) or []) > 10  # it is not blank
            sizes.append(image.size)
    assert sizes[0] == sizes[1]


def test_no_trace_of_a_machine_is_kept():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.language_info == {"name": "python"}
    assert NOTEBOOK.stat().st_size < 300_000
    for text in texts(notebook):
        assert not re.search(r"(?<![\w.:/<])/\w[\w.-]*/", text), text  # an absolute path
    assert not any(cell.metadata for cell in notebook.cells)  # such as the time that a cell took


def texts(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for cell in notebook.cells:
        yield cell.source
        if cell.cell_type == "code":
            yield from outputs_of(cell, "text/plain")
            yield from outputs_of(cell, "text/html")


def test_linked_files_exist():
    sources = "\n".join(cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells)
    links = re.findall(r"\]\((?!http)([^)]+)\)", sources)
    assert links
    for link in links:
        assert (EXAMPLES / link).exists(), link
