"""The tutorial for one's own samples, docs/own-data.md, block by block, with small trainings."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import uproot
import yaml
from test_workflow import ROOT, Project

TEXT = (ROOT / "docs/own-data.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.M | re.S)
SMALL = """
training:
  own:
    density: {batch: 200, epochs: 2, learning_rate: 5.0e-3}
    transport: {batch: 200, epochs: 2, learning_rate: 5.0e-3}
flows:
  density: {layers: 2, blocks: 1, width: 8, bins: 4}
  transport: {layers: 2, blocks: 1, width: 8, bins: 4}
measures: {two_sample_points: 100, assignment_points: 50}
"""

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory) -> Path:
    """A project after the whole tutorial."""
    folder = Project(tmp_path_factory.mktemp("tutorial")).folder
    tools = folder / "bin"
    tools.mkdir()
    (tools / "flowmorph").write_text(f'#!/bin/sh\nexec {sys.executable} -m flowmorph "$@"\n')
    (tools / "flowmorph").chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(folder / "workflow")}
    session: dict = {}  # later blocks use the names of earlier ones
    how = {"cwd": folder, "env": environment, "capture_output": True, "text": True, "timeout": 600}
    for language, block in BLOCKS:
        if language == "yaml":
            (folder / "my.yaml").write_text(block + SMALL)
            continue
        if language == "python":
            with contextlib.chdir(folder):
                exec(block, session)
            continue
        done = subprocess.run(["bash", "-e", "-c", block], **how)
        assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return folder


def test_every_kind_of_block_is_there():
    assert {language for language, _ in BLOCKS} == {"python", "yaml", "bash"}


def test_results_that_the_tutorial_names_are_there(tutorial):
    results = tutorial / "results/mine"
    section = TEXT.partition("## 3. ")[2].partition("## 4. ")[0]
    for place in re.findall(r"^\| [^|]+ \| (`.*`.*) \|$", section, re.M):
        folder = ""
        for name in re.findall("`([^`]+)`", place):
            name = name.replace("<method>", "movement_penalty")
            folder = str(Path(name).parent) if "/" in name else folder
            pattern = name if "/" in name else f"{folder}/{name}"
            found = list(results.glob(pattern))
            assert found and all(path.stat().st_size for path in found), pattern
    html = (results / "report.html").read_text()
    for name in ("fig_own_ratios.png", "fig_own_apply_ratios.png", "own_rows.csv"):
        assert name in html


def test_the_moved_reference_has_every_row_and_column(tutorial):
    before = uproot.open(tutorial / "data/mc.root")["events"].arrays(library="np")
    file = tutorial / "results/mine/moved/reference/movement_penalty.root"
    after = uproot.open(file)["events"].arrays(library="np")
    for name, values in before.items():
        assert np.array_equal(after[name], values) and after[name].dtype == values.dtype
    inside = (before["mass"] >= 3.3) & (before["mass"] < 3.7)
    assert np.array_equal(after["flowmorph_moved"], inside.astype(np.int8))
    for name in ("pt", "tau21", "n_tracks"):
        assert np.array_equal(after[f"{name}_moved"][~inside], before[name][~inside])
        assert (after[f"{name}_moved"][inside] != before[name][inside]).mean() > 0.3
    assert np.array_equal(after["n_tracks_moved"] % 1, np.zeros(len(inside)))
    assert 0 <= after["tau21_moved"].min() and after["tau21_moved"].max() <= 1


def test_rule_and_command_move_alike(tutorial):
    applied = tutorial / "results/mine/applied/movement_penalty/more.root"
    assert applied.read_bytes() == (tutorial / "moved.root").read_bytes()


def test_nothing_is_left_to_do_and_applying_trains_nothing(tutorial):
    command = [sys.executable, "-m", "snakemake", "--configfile", "my.yaml", "--dry-run"]
    output = subprocess.run(command, cwd=tutorial, text=True, capture_output=True).stdout
    assert "Nothing to be done" in output


def test_a_file_to_apply_is_one_word_to_the_shell(tutorial):
    name = "it's $(touch pwned) `touch pwned`; touch pwned.root"
    shutil.copy(tutorial / "data/more.root", tutorial / "data" / name)
    more = (tutorial / "my.yaml").read_text() + yaml.safe_dump({"apply": f"data/{name}"})
    (tutorial / "odd.yaml").write_text(more)
    command = [sys.executable, "-m", "snakemake", "apply", "--cores", "1"]
    done = subprocess.run(
        [*command, "--configfile", "odd.yaml"], cwd=tutorial, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert (tutorial / "results/mine/applied/movement_penalty" / name).stat().st_size
    assert not [path for path in tutorial.rglob("*") if path.name.startswith("pwned")]
