"""Environments: the lock file is complete, exact and installed; conda's list has the same pins."""

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
ENVS = ROOT / "envs"
EXACT = re.compile(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.]*)")
# Conda's name of a package, where it is another one than the Python registry's.
CONDA_NAMES = {
    "pytorch": "torch",
    "pytables": "tables",
    "matplotlib-base": "matplotlib",
    "snakemake-minimal": "snakemake",
}
CONDA_TOOLS = {"python", "pip", "cxx-compiler", "make"}
# On Linux the registry's torch brings CUDA libraries, at versions that torch itself pins.
CUDA = re.compile(r"nvidia-|cuda-|triton")


def pins(name):
    lines = (ENVS / name).read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    matches = [EXACT.fullmatch(line) for line in lines]
    loose = [line for line, match in zip(lines, matches, strict=True) if not match]
    assert not loose, f"not an exact pin in {name}: {loose}"
    found = [(canonicalize_name(match[1]), match[2]) for match in matches]
    assert len(found) == len(dict(found)), f"a package twice in {name}"
    return dict(found)


def installed_version(name):
    return metadata.version(name).partition("+")[0]  # torch's local version says which build it is


def test_direct_pins_are_in_the_lock():
    lock = pins("requirements.lock")
    assert {name: lock.get(name) for name in pins("requirements.in")} == pins("requirements.in")


def test_versions_that_the_project_is_bound_to():
    lock = pins("requirements.lock")
    assert lock["torch"] == "2.13.0"
    assert lock["pythia8mc"] == "8.317.2"
    assert lock["nflows"] == "0.14"
    assert lock["snakemake"].startswith("9.27.")


def test_lock_is_what_is_installed():
    lock = pins("requirements.lock")
    assert {name: installed_version(name) for name in lock} == lock


def test_second_jet_engine_is_installed_as_pinned():
    assert {name: installed_version(name) for name in pins("pyjet.txt")} == pins("pyjet.txt")
    makefile = (ROOT / "Makefile").read_text()
    for option in ("--no-deps", "--no-build-isolation", "--no-binary pyjet", "--no-cache-dir"):
        assert option in makefile and option in (ENVS / "pyjet.txt").read_text()


def test_lock_holds_everything_that_its_packages_need():
    lock = pins("requirements.lock")
    extras = {name: set() for name in lock}
    for _ in range(3):  # an extra may ask for another package's extra
        for name in lock:
            for requirement in needs(name, extras[name]):
                extras.get(canonicalize_name(requirement.name), set()).update(requirement.extras)
    for name in lock:
        for requirement in needs(name, extras[name]):
            needed = canonicalize_name(requirement.name)
            if CUDA.match(needed):
                continue
            assert needed in lock, f"{name} needs {needed}, which is not in the lock"
            assert requirement.specifier.contains(lock[needed]), f"{name} needs {requirement}"


def needs(name, extras):
    for line in metadata.requires(name) or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


@pytest.mark.parametrize("path", sorted(ENVS.glob("*.[!p]*")), ids=lambda path: path.name)
def test_environment_files_name_no_host_folder_or_build(path):
    text = path.read_text()
    for unwanted in ("://", "file:", " @ ", "--index", "--find-links", "/home", "/root", "/opt"):
        assert unwanted not in text
    entries = re.sub(r"#.*", "", text)
    assert "nvidia" not in entries and "+" not in entries


def test_conda_environment_has_the_same_pins():
    dependencies = yaml.safe_load((ENVS / "environment.yaml").read_text())["dependencies"]
    by_pip = next(entry["pip"] for entry in dependencies if isinstance(entry, dict))
    conda = dict(entry.partition("=")[::2] for entry in dependencies if isinstance(entry, str))
    assert conda.keys() >= CONDA_TOOLS
    python = conda.pop("python")
    assert Requirement(f"python{requires_python()}").specifier.contains(python)
    found = {CONDA_NAMES.get(name, name): pin for name, pin in conda.items() if pin}
    found |= dict(EXACT.fullmatch(entry).groups() for entry in by_pip)
    assert found == pins("requirements.in")


def requires_python():
    text = (ROOT / "pyproject.toml").read_text()
    return re.search(r'^requires-python = "([^"]+)"', text, re.M)[1]


def imported_modules(*folders):
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    yield from ((alias.name.partition(".")[0], path) for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    yield node.module.partition(".")[0], path


def test_what_the_code_imports_is_pinned_directly():
    direct = set(pins("requirements.in")) | {"flowmorph", "pyjet"}
    own = {path.stem for path in ROOT.glob("*/**/*.py") if ".venv" not in path.parts}
    providers = metadata.packages_distributions()
    for module, path in imported_modules("workflow", "tests", "benchmarks", "rules"):
        if module in sys.stdlib_module_names or module in own:
            continue
        names = {canonicalize_name(name) for name in providers.get(module, [module])}
        # One benchmark compares with packages that have an environment of their own.
        pinned = direct | (set(pins("../benchmarks/peers.txt")) if path.stem == "peers" else set())
        assert names & pinned, f"{path.name} imports {module}, which requirements.in does not pin"


def test_what_the_workflow_imports_is_installed_with_its_extra():
    """`pip install '.[workflow]'`; pyjet, the other engine of jets, is compiled in a clone only."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["workflow"]]
    listed = {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}
    providers = metadata.packages_distributions()
    for module, path in imported_modules("workflow"):
        if module in sys.stdlib_module_names or module in ("flowmorph", "pyjet"):
            continue
        names = {canonicalize_name(name) for name in providers.get(module, [module])}
        assert names & listed.keys(), f"{path.name} imports {module}, which no list names"
    direct = pins("requirements.in")
    for name, requirement in listed.items():
        assert requirement.specifier.contains(direct[name]), f"{requirement} is not as pinned"
