"""Runs the notebook and keeps its outputs, without anything that differs from run to run.

python examples/execute.py            # in place, after an edit
python examples/execute.py OUTPUT     # leaves the notebook as it is
"""

import base64
import io
import os
import sys
import tempfile
from pathlib import Path

import nbformat
import PIL.Image
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).with_name("wider.ipynb")
SECONDS_A_CELL = 300
WARNINGS = "error,ignore::PendingDeprecationWarning:ipykernel.kernelbase"  # it warns of itself


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a run from top to bottom; warnings are errors in it.

    Args:
        path: of the notebook.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"JUPYTER_RUNTIME_DIR": folder, "IPYTHONDIR": folder}
        kernel = AsyncKernelManager(
            # A user's Jupyter may have another Python under the same name.
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            connection_file=f"{folder}/kernel.json",
            transport="ipc",  # no port that others on the machine could reach
        )
        client = NotebookClient(notebook, km=kernel, timeout=SECONDS_A_CELL, record_timing=False)
        environment = {**os.environ, "PYTHONWARNINGS": WARNINGS}
        client.execute(env=environment, cwd=folder, cleanup_kc=True)
    notebook.metadata.language_info = {"name": "python"}  # the version is this machine's
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = _smaller(output.data["image/png"])
    return notebook


def _smaller(picture: str) -> str:
    """The same pixels in a quarter of the bytes: Altair's PNGs are made to be fast."""
    file = io.BytesIO()
    PIL.Image.open(io.BytesIO(base64.b64decode(picture))).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else NOTEBOOK
    nbformat.write(executed(NOTEBOOK), output)
