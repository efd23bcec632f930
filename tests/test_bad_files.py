"""Bad input of every kind: one line that names file, column and row; exit 1; nothing is left."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from bad_files import CASES, RAN, good
from scripts_by_name import path_of
from test_events import lhco_rows, write_lhco
from test_features import run

from flowmorph.formats.tables import SampleFiles, open_sample, open_writer
from flowmorph.plan import own_config
from flowmorph.plan.jobs.events import OwnFiles, OwnJob
from flowmorph.plan.jobs.form import to_json

ROOT = Path(__file__).parents[1]


def arguments(
    folder: Path,
    files: Path | list[Path],
    tree: str | None = None,
    features: tuple[str, ...] = ("pt",),
    weights: str | None = None,
    missing: str = "error",
    train: list | None = None,
    other: dict | None = None,
    negative: str = "error",
) -> list[str]:
    """Of the script that reads a user's samples, where the reference is bad, or the pair is.

    ``other`` replaces columns of the target.
    """
    patterns = [str(path) for path in files] if isinstance(files, list) else str(files)
    (folder / "target").mkdir()
    target = good(folder / "target", **(other or {}))
    samples = {
        name: OwnFiles(where, key, None, weighted)
        for name, where, key, weighted in (
            ("reference", patterns, tree, weights), ("target", str(target), None, None),
        )
    }  # fmt: skip
    regions = {"column": "eta" if train else None, "train": train}
    columns = list(own_config.choices(list(features)).items())
    how = regions, missing, (100, 100), (-3, 3), 0.2, 1, negative
    job = OwnJob(*samples.values(), columns, [], *how)
    return [
        "--job", to_json(job),
        *(f"--output-{name}={folder / name}.npz" for name in ("reference", "target")),
        f"--output-preprocessing={folder / 'pre.json'}", f"--output-rows={folder / 'rows.csv'}",
    ]  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_line_that_says_what_and_where(tmp_path, capfd, name):
    message, build = CASES[name]
    request = build(tmp_path)
    message = f"({message})|({request.pop('message', message)})"
    unnamed, rows = request.pop("unnamed", False), request.pop("rows", None)
    claimed = mock.patch.object(SampleFiles, "rows", rows) if rows else nullcontext()
    argv = arguments(tmp_path, **request)
    before = sorted(tmp_path.iterdir())
    signal.alarm(60)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with claimed:
            assert run("prepare_own_samples.py", *argv) == 1
    finally:
        signal.alarm(0)
    captured = capfd.readouterr()
    (line,) = captured.err.splitlines()
    assert re.search(message, line), line
    assert line.startswith("error: " + ("" if unnamed else str(tmp_path)))
    assert RAN not in captured.out
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 200_000
    assert sorted(tmp_path.iterdir()) == before


def test_a_good_file_is_none_of_these(tmp_path):
    argv = arguments(tmp_path, good(tmp_path), features=("pt", "eta"), weights="n")
    assert run("prepare_own_samples.py", *argv) == 0
    outputs = {"reference.npz", "target.npz", "pre.json", "rows.csv"}
    assert outputs < {each.name for each in tmp_path.iterdir()}


def test_a_file_that_may_not_be_read(tmp_path):
    path = good(tmp_path)
    argv = arguments(tmp_path, path)
    path.chmod(0)
    command = [sys.executable, str(path_of("prepare_own_samples")), *argv]
    if os.access(path, os.R_OK):
        if shutil.which("setpriv") is None:
            pytest.skip("this user may read every file, and there is no setpriv to stop that")
        drop = ["--bounding-set", "-dac_override,-dac_read_search"]
        command = ["setpriv", *drop, "--inh-caps", "-all", *command]
    result = script_alone(command)
    assert result.stderr == f"error: {path}: may not be read (permissions): change them\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["good.parquet", "target"]


def test_there_are_enough_kinds():
    assert len(CASES) >= 50


@pytest.mark.parametrize("kind", ["ttree", "pandas-table", "pandas-fixed", "parquet", "csv", "npz"])
def test_nothing_is_left_of_a_file_that_could_not_be_finished(tmp_path, kind):
    files = open_sample(str(good(tmp_path, kind)))
    output = tmp_path / f"moved{files.files[0].suffix}"
    with pytest.raises(RuntimeError), open_writer(output, files) as writer:
        for chunk in files.chunks(None, 20):
            writer.write(chunk)
            raise RuntimeError("stopped")
    assert [path.name for path in tmp_path.iterdir()] == [files.files[0].name]


SCRIPTS = {
    "extract_lhco_events.py": ("--start", "0", "--stop", "5"),
    "read_lhco_features.py": (),
    "extract_delphes_events.py": ("--start", "0", "--stop", "5"),
    "build_features.py": (),
    "merge_features.py": (),
}


def test_scripts_end_with_one_line_and_no_output(tmp_path, capfd):
    """Junk, a pipe, a folder and a link to itself in each script that reads files from outside."""
    (tmp_path / "junk").write_bytes(np.random.default_rng(1).bytes(3000))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(tmp_path.iterdir())
    for script, arguments in SCRIPTS.items():
        for name in ("junk", "pipe", "folder", "loop", "absent"):
            path = tmp_path / name
            signal.alarm(60)
            status = run(script, "--input", path, *arguments, "--output", tmp_path / "out")
            signal.alarm(0)
            lines = capfd.readouterr().err.splitlines()
            assert status == 1 and len(lines) == 1, (script, name, lines)
            assert lines[0].startswith("error: ") and str(path) in lines[0], (script, name, lines)
    assert sorted(tmp_path.iterdir()) == before


def script_alone(command: list) -> subprocess.CompletedProcess:
    """Run a script that has to fail in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 1 and not result.stdout
    return result


def test_a_bad_event_on_the_command_line(tmp_path):
    rows = lhco_rows(9)
    rows[6, 3] = -2.0
    path = write_lhco(tmp_path / "x.h5", rows)
    command = [
        sys.executable,
        ROOT / "workflow/scripts/events/extract_lhco_events.py",
        "--input",
        path,
    ]
    output = tmp_path / "out.parquet"
    result = script_alone([*command, "--start", "0", "--stop", "9", "--output", output])
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {path}: event 6 has a particle with negative or non-finite pt")
    assert [file.name for file in tmp_path.iterdir()] == ["x.h5"]
