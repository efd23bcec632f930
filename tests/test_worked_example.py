"""The example of docs/worked-example.md, block by block, with few events and small trainings."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from test_own_tutorial import SMALL
from test_workflow import ROOT, Project

TEXT = (ROOT / "docs/worked-example.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.M | re.S)
EVENTS, SCRIPT = 3000, "benchmarks/worked_example.py"

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("worked_example", ROOT / SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Path:
    """A project after the whole example, with two folds and one bootstrap."""
    folder = Project(tmp_path_factory.mktemp("example")).folder
    (folder / "benchmarks").mkdir()
    shutil.copy(ROOT / SCRIPT, folder / SCRIPT)
    tools = folder / "bin"
    tools.mkdir()
    (tools / "flowmorph").write_text(f'#!/bin/sh\nexec {sys.executable} -m flowmorph "$@"\n')
    (tools / "flowmorph").chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(folder / "workflow")}
    for language, block in BLOCKS:
        if language == "yaml":
            config = yaml.safe_load(block) | yaml.safe_load(SMALL)
            config["own"] |= {"folds": 2, "variations": {"bootstrap": 1}}
            (folder / "my.yaml").write_text(yaml.safe_dump(config))
            continue
        done = subprocess.run(
            ["bash", "-e", "-c", re.sub(r"--events \d+", f"--events {EVENTS}", block)],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return folder


def test_moved_photons_have_the_spectra_of_the_data(example, script):
    moved = pd.read_parquet(example / "moved.parquet")
    truth = pd.read_parquet(example / "data/truth.parquet")
    assert len(moved) == EVENTS
    pt, endcap, weights, given = (
        np.concatenate([moved[name.format(photon)] for photon in ("lead", "sublead")])
        for name in ("{}_pt", "{}_part", "flowmorph_{}_weight", "weight")
    )
    endcap = endcap == "endcap"
    # The sign is the event's, and the balance is not constant.
    assert (weights * given >= 0).all() and (weights != 0).mean() > 0.99
    assert np.std(np.abs(weights)) > 0.3
    # Each event's mean sign, which is known, has less noise than its sign.
    sign = np.tile(script.mean_sign(moved["first_pt"].to_numpy()), 2)
    weights, given = weights / given * sign, sign
    in_endcap = truth["part"] == "endcap"
    for chosen, of_truth in ((endcap, in_endcap), (~endcap, ~in_endcap)):
        share, exact = weights[chosen].sum() / weights.sum(), of_truth.mean()
        bare = given[chosen].sum() / given.sum()
        assert abs(share - exact) < 0.05 < abs(bare - exact)
        mean = np.average(pt[chosen], weights=weights[chosen])
        # Gamma of shape 1.5: the mean is known to three per cent, and differs by ten.
        exact, bare = truth["pt"][of_truth].mean(), np.average(pt[chosen], weights=given[chosen])
        assert abs(mean - exact) < 0.5 * abs(bare - exact)


def test_every_option_has_its_columns_and_tables(example):
    moved = pd.read_parquet(example / "moved.parquet")
    for photon in ("lead", "sublead"):
        assert (moved[f"flowmorph_{photon}_moved"] == 1).all()
        assert moved[f"flowmorph_{photon}_support_moved"].between(0, 3).all()
        for feature in ("iso", "width"):
            new = f"{photon}_{feature}_moved"
            assert (moved[f"{new}_1"] != moved[new]).mean() > 0.3
            assert moved[f"{new}_1"].corr(moved[new]) > 0.3
        for isolation in (moved[f"{photon}_iso_moved"], moved[f"{photon}_iso_moved_1"]):
            assert 0.2 < (isolation == 0).mean() < 0.9 and (isolation >= 0).all()
    rows = (example / "results/worked/tables/own_rows.md").read_text()
    assert "effective number after balance" in rows and "spectrum of pt, part" in rows
    for name in ("tables/closure_bins.md", "figures/fig_own_closure_bins.pdf"):
        assert (example / "results/worked" / name).stat().st_size
    assert (example / "example.png").stat().st_size > 10_000
