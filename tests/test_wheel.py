"""The library without the workflow: a wheel of it, in an environment that has nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from test_envs import CUDA
from test_workflow import ROOT

# In a file of its own, so that it runs wherever the wheel is installed.
USE = """
import importlib.util
import pathlib
import sys

import numpy as np

import flowmorph

assert importlib.util.find_spec("snakemake") is None
assert pathlib.Path(flowmorph.__file__).is_relative_to(sys.prefix), flowmorph.__file__
rng = np.random.default_rng(1)
reference, target = (
    {"x": rng.normal(shift, 1, 300), "m": rng.uniform(0, 1, 300)} for shift in (0, 0.5)
)
small = {"batch": 50, "epochs": 1, "learning_rate": 5e-3}
network = {"layers": 2, "blocks": 1, "width": 8, "bins": 4}
transport = flowmorph.fit(
    reference, target, ["x"], ["m"], progress=False,
    training={"density": small, "transport": small},
    flows={"density": network, "transport": network},
)
transport.save("transport.safetensors")
moved = flowmorph.load("transport.safetensors").move(reference)
assert np.isfinite(moved["x"]).all() and not np.array_equal(moved["x"], reference["x"])
assert list(transport.report(reference, target).table["auc"] > 0) == [True] * 3
np.savez("reference.npz", **reference)
np.save("moved.npy", moved["x"])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel of the project as it is."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("workflow/flowmorph", "config"):
        junk = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=junk)
    shutil.copy(ROOT / "pyproject.toml", source)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
        "--no-index", "--wheel-dir", out, source, cwd=out)  # fmt: skip
    (found,) = out.glob("*.whl")
    return found


def run(*command, cwd: Path, **variables: str) -> None:
    """Run a command that sees nothing of this environment's paths; it has to succeed."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=own | variables, text=True,
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def environment(folder: Path) -> Path:
    """An empty environment; gives its Python."""
    venv.create(folder, with_pip=False)
    return folder / "bin/python"


def needed(requirements: list[str]) -> dict[str, metadata.Distribution]:
    """The distributions that requirements ask for, and all that these ask for, by name."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [(Requirement(line), "") for line in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if CUDA.match(name):
            continue
        new = name not in found
        found[name] = found.get(name) or metadata.distribution(name)
        assert requirement.specifier.contains(found[name].version, prereleases=True), requirement
        for each in (*[""] * new, *requirement.extras):
            waiting += [(Requirement(line), each) for line in found[name].requires or []]
    return found


def requirements_of(wheel: Path) -> list[str]:
    """What a wheel says that it needs."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        about = Path(archive.extract(name, wheel.parent / "about"))
    return metadata.Distribution.at(about.parent).requires


def test_the_wheel_has_what_the_library_reads(wheel):
    with zipfile.ZipFile(wheel) as archive:
        for name in ("config.yaml", "schema.yaml"):
            packed = archive.read(f"flowmorph/plan/{name}")
            assert packed == (ROOT / "config" / name).read_bytes()
        names = set(archive.namelist())
        assert "flowmorph/flows/kernels.cpp" in names
        assert not [name for name in names if not name.startswith("flowmorph")]
    assert wheel.stat().st_size < 1e6


def test_the_wheel_pulls_in_no_workflow(wheel):
    found = needed(requirements_of(wheel))
    assert not [name for name in found if name.startswith(("snakemake", "pythia", "fastjet"))]
    assert {"torch", "numpy", "pandas", "matplotlib"} <= set(found)


@pytest.mark.workflow
def test_it_works_with_what_it_says_that_it_needs_and_nothing_else(wheel, tmp_path):
    python = environment(tmp_path / "env")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
        "--no-index", wheel, cwd=tmp_path)  # fmt: skip
    packages = tmp_path / "packages"
    packages.mkdir()
    for distribution in needed(requirements_of(wheel)).values():
        for name in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            link = packages / name
            if not link.exists():
                link.symlink_to(distribution.locate_file(name))
    (place,) = (tmp_path / "env/lib").glob("python*/site-packages")
    (place / "packages.pth").write_text(f"{packages}\n")
    results = []
    for engine, variables in {"compiled": {}, "plain": {"CXX": "no-compiler"}}.items():
        folder, cache = tmp_path / engine, tmp_path / f"cache of {engine}"
        folder.mkdir()
        (folder / "use.py").write_text(USE)
        run(python, "use.py", cwd=folder, FLOWMORPH_CACHE=str(cache), **variables)
        assert len(list(cache.glob("*.so"))) == (engine == "compiled")
        results.append(folder)
    run(tmp_path / "env/bin/flowmorph", "move", "--transport", "transport.safetensors", "--input",
        "reference.npz", "--output", "moved.npz", cwd=results[0])  # fmt: skip
    first, second = (np.load(folder / "moved.npy") for folder in results)
    assert np.abs(first - second).max() < 1e-3
    assert np.array_equal(np.load(results[0] / "moved.npz")["x_moved"], first)


@pytest.mark.long
def test_it_is_installed_with_all_that_it_needs(wheel, tmp_path):
    python = environment(tmp_path / "env")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", wheel, cwd=tmp_path)
    (tmp_path / "use.py").write_text(USE)
    run(python, "use.py", cwd=tmp_path, FLOWMORPH_CACHE=str(tmp_path / "cache"))
