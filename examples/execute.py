"""Execute the example notebook in place: python examples/execute.py (minutes)."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_output

NOTEBOOK = Path(__file__).with_name("quickstart.ipynb")


def execute(notebook: NotebookNode, folder: str | Path) -> None:
    """Run every cell in a folder; raises nbclient's error for one that fails."""
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=3600, resources=where).execute()


def tidy(notebook: NotebookNode) -> None:
    """Leave of bars what the screen shows in the end, and no times of cells."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            text = "".join(each.text for each in cell.outputs if each.output_type == "stream")
            text = re.sub(r"[^\n]*\r(?=[^\n])", "", text)
            others = [each for each in cell.outputs if each.output_type != "stream"]
            shown = [new_output("stream", name="stderr", text=text)] if text else []
            cell.outputs = [*shown, *others]


if __name__ == "__main__":
    notebook = nbformat.read(NOTEBOOK, 4)
    with TemporaryDirectory() as folder:
        execute(notebook, folder)
    tidy(notebook)
    nbformat.write(notebook, NOTEBOOK)
