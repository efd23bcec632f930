"""The library's page, docs/python.md, block by block, and the example notebook."""

from __future__ import annotations

import contextlib
import copy
import inspect
import json
import re
import sys

import execute
import nbformat
import pytest
from test_workflow import ROOT

import flowmorph

TEXT = (ROOT / "docs/python.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.M | re.S)
NOTEBOOK = execute.NOTEBOOK
SMALL = {"ROWS = 40_000": "ROWS = 2_000", '"epochs": 15': '"epochs": 1'}


def test_every_block_of_the_page_runs(tmp_path):
    session: dict = {}
    with contextlib.chdir(tmp_path):
        for block in BLOCKS:
            exec(block, session)
    assert len(BLOCKS) == 5 and (tmp_path / "report.png").stat().st_size
    assert session["of_arrays"].features == ("pt",)


def test_the_page_names_every_argument():
    rows = re.findall(r"^\| (`.*?) \|", TEXT, re.M)
    given = {"reference", "target", "weights", "columns", "progress"}
    named = {name for row in rows for name in re.findall("`([a-z_]+)`", row)}
    assert named | given == set(inspect.signature(flowmorph.fit).parameters)


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A kernel of this Python, wherever others are."""
    folder = tmp_path / "jupyter/kernels/python3"
    folder.mkdir(parents=True)
    launch = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": launch, "display_name": "Python 3", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "workflow"))


@pytest.mark.workflow
def test_the_notebook_runs(kernel, tmp_path):
    notebook = nbformat.read(NOTEBOOK, 4)
    for cell in notebook.cells:
        for normal, small in SMALL.items():
            cell.source = cell.source.replace(normal, small)
    for small in SMALL.values():
        assert any(small in cell.source for cell in notebook.cells)
    execute.execute(notebook, tmp_path)
    execute.tidy(notebook)
    shown = "".join(str(cell.get("outputs", "")) for cell in notebook.cells)
    for text in ("transport own movement_penalty: 100%", "ceiling", "data:image/png;base64"):
        assert text in shown
    assert (tmp_path / "transport.safetensors").is_file()


def test_the_notebook_is_kept_with_its_pictures():
    notebook = nbformat.read(NOTEBOOK, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [each for each in outputs if each.output_type == "error"]
    data = "".join(str(each.get("data", "")) for each in outputs)
    assert "data:image/png;base64" in data and "'image/png'" in data
    again = copy.deepcopy(notebook)
    execute.tidy(again)
    assert again == notebook and NOTEBOOK.stat().st_size < 1e6
