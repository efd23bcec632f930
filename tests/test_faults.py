"""A small version of benchmarks/faults.py, and each of its faults once where it cannot miss."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_workflow import OUT, ROOT

from flowmorph.plan import paths

STAR = paths.density(OUT, "star", 1)
WEIGHTS = paths.flow(STAR)
RUN = [WEIGHTS, "--cores", "1"]
# A training of some seconds that saves its state three times a second.
OVERRIDE = {
    "engine": "eager",
    "checkpoint_minutes": 0.005,
    "training": {"toy": {"density": {"batch": 200, "epochs": 300}}},
}

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def faults():
    spec = importlib.util.spec_from_file_location("faults", ROOT / "benchmarks/faults.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Harmed:
    """A project on a disk of its own (where that can be had), and what its runs print."""

    def __init__(self, faults, folder: Path) -> None:
        self.faults, self.folder = faults, folder
        self.log = folder.with_suffix(".log")
        faults.copy_project(folder, ROOT / "tests/tiny.yaml", OVERRIDE)

    def start(self, *arguments: str) -> subprocess.Popen:
        with open(self.log, "w") as log:
            return self.faults.snakemake(self.folder, log, *(arguments or RUN))

    def wait_for_checkpoint(self) -> None:
        checkpoint, end = self.folder / paths.checkpoint(STAR), time.monotonic() + 300
        while not checkpoint.exists():
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)


@pytest.fixture(scope="module")
def quiet(faults, tmp_path_factory) -> Path:
    project = Harmed(faults, tmp_path_factory.mktemp("quiet"))
    assert project.start().wait() == 0, project.log.read_text()
    return project.folder


@pytest.fixture
def project(faults, tmp_path) -> Harmed:
    (tmp_path / "harmed").mkdir()
    return Harmed(faults, tmp_path / "harmed")


@pytest.fixture
def harmer(faults, tmp_path):
    """Something that can harm a project on a small disk."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "harmed"
    folder.mkdir()
    try:
        disk = faults.small_disk(folder, 60)
        disk.__enter__()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no small disk can be mounted here: {error}")
    harmer = faults.Harmer(folder, RUN, tmp_path / "harmed.log", random.Random(4))
    harmer.megabytes = 60
    yield harmer
    harmer.log.close()
    disk.__exit__(None, None, None)


def test_random_faults_change_no_byte(faults, quiet, harmer, tmp_path):
    Harmed(faults, harmer.folder)
    if faults.FAKETIME.exists():
        harmer.clock = tmp_path / "clock"
        harmer.jump()
    harmer.run(kills=4, mean_seconds=1.5)
    assert harmer.kills() >= 4
    assert not harmer.faults["second snakemake, not refused"]
    assert faults.differing(quiet, harmer.folder) == []


def test_what_a_killed_process_left_of_its_clock_stops_no_other(faults, monkeypatch, tmp_path):
    monkeypatch.setattr(faults, "SHARED_MEMORY", tmp_path)
    with subprocess.Popen(["true"]) as ended:
        pass
    names = [f"{kind}_{number}" for number in (ended.pid, os.getpid())
             for kind in ("faketime_shm", "sem.faketime_sem")]  # fmt: skip
    for name in names:
        (tmp_path / name).touch()
    faults.forget_clocks_of_the_killed()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[2:])


def test_a_second_snakemake_is_refused_and_ctrl_c_saves(faults, quiet, project):
    first = project.start()
    project.wait_for_checkpoint()
    (training,) = faults.scripts_below(first.pid)
    training.suspend()
    second = project.start()
    assert second.wait(timeout=300) != 0
    assert "lock" in project.log.read_text() and first.poll() is None
    training.resume()
    os.killpg(first.pid, signal.SIGINT)
    assert first.wait(timeout=300) != 0
    while faults.scripts_in(project.folder):
        time.sleep(0.05)
    assert (project.folder / paths.checkpoint(STAR)).exists()
    assert not (project.folder / WEIGHTS).exists()
    # Nothing to unlock, and what was trained is not trained again.
    assert project.start().wait() == 0
    assert "goes on from step" in project.log.read_text()
    assert faults.differing(quiet, project.folder) == []


def test_a_full_disk_is_said_and_leaves_nothing_torn(faults, quiet, harmer):
    project = Harmed(faults, harmer.folder)
    run = project.start()
    project.wait_for_checkpoint()
    filler = project.folder / "filler"
    with pytest.raises(OSError), open(filler, "wb") as file:
        while True:
            file.write(bytes(1 << 16))
    assert run.wait(timeout=300) != 0
    assert f"No space left on device: '{paths.checkpoint(STAR)}'" in project.log.read_text()
    assert not (project.folder / WEIGHTS).exists()
    filler.unlink()
    harmer.start()
    assert harmer.running.wait() == 0
    assert "goes on from step" in Path(harmer.log.name).read_text()
    assert faults.differing(quiet, project.folder) == []


def test_a_read_only_results_folder_is_said(faults, harmer):
    project = Harmed(faults, harmer.folder)
    results = project.folder / "results"
    results.mkdir()
    with faults.unwritable(results):
        assert project.start("fig1", "--cores", "1").wait() != 0
    assert "Read-only file system" in project.log.read_text()
    assert not list(results.iterdir())


def test_a_file_from_the_future_is_named(project):
    """What a clock that was ahead has left behind: its jobs would run again and again."""
    script = project.folder / "workflow/scripts/plot/plot_schematic.py"
    later = time.time() + 864_000
    os.utime(script, (later, later))
    assert project.start("fig1", "--cores", "1").wait() != 0
    output = project.log.read_text()
    assert "clock skew" in output and "input workflow/scripts/plot/plot_schematic.py" in output
    figure = project.folder / paths.figure(OUT, "fig1", "png")
    assert not figure.exists()
    os.utime(script)
    assert project.start("fig1", "--cores", "1").wait() == 0
    assert figure.exists()
