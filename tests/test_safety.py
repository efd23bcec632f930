"""Names from outside: refused in one line, or harmless in the commands that hold them."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest
import yaml
from test_events import lhco_rows, write_lhco
from test_workflow import OUT, Project

from flowmorph.errors import InputError
from flowmorph.plan import paths
from flowmorph.plan.config import check

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "config/schema.yaml"
# Each would leave a file `pwned` where it ran, if a shell saw it as anything but one word.
HOSTILE = [
    "two words; touch pwned",
    "it's $(touch pwned) `touch pwned`",
    'a "quoted" | touch pwned & touch pwned > pwned',
    "žluťoučký * ? [a-z] ~ \\ !",
]
# Snakemake or a script would take these for something else than a name.
REFUSED = ["", "{wildcard} {config[seed]}", "--output=pwned", "line\ntouch pwned", "line\n"]
RUNS = [*HOSTILE, *REFUSED, ".", "..", "../pwned", "/tmp/pwned", "a/b", ".hidden", "é"]


def configuration() -> dict:
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())


def refusal(config: dict) -> str:
    with pytest.raises(InputError) as caught:
        check(config, SCHEMA)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("run", RUNS)
def test_a_run_whose_results_would_be_elsewhere_is_refused_in_one_line(run):
    assert refusal(configuration() | {"run": run}).startswith("config: run: ")


def leaves(value, path: str = "") -> list[str]:
    """Every key of a configuration whose value holds no other."""
    if not isinstance(value, dict):
        return [path]
    below = (leaves(each, f"{path}.{key}".strip(".")) for key, each in value.items())
    return sum(below, [])


def replaced(key: str, value) -> dict:
    """The default configuration with another value for one key."""
    config = configuration()
    *above, last = key.split(".")
    functools.reduce(dict.__getitem__, above, config)[last] = value
    return config


def accepted(config: dict) -> bool:
    try:
        check(config, SCHEMA)
    except InputError:
        return False
    return True


def test_text_of_ones_own_is_a_file_name():
    """All other text is one of a list; what a file name must not be is refused everywhere."""
    free = {key for key in leaves(configuration()) if accepted(replaced(key, "any text"))}
    assert {"collider.lhco.files.reference", "collider.lhco.files.target"} <= free
    for key in free:
        for name in REFUSED:
            assert refusal(replaced(key, name)).startswith(f"config: {key}: ")


class Outside(Project):
    """A project whose LHC Olympics file has a name from outside."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder)
        config = yaml.safe_load((folder / "tiny.yaml").read_text())
        lhco = {"files": {"target": name}, "events": {"target": 20}, "chunk_events": 20}
        config["collider"] |= {"source": "lhco", "lhco": lhco}
        (folder / "tiny.yaml").write_text(yaml.safe_dump(config))
        self.chunk = paths.events(OUT, "target", "0000")

    def left(self) -> list[Path]:
        """What a command that broke out would have made."""
        return [path for path in self.folder.rglob("*") if path.name.startswith("pwned")]


@pytest.mark.workflow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_from_outside_is_one_word_to_the_shell(tmp_path, name):
    project = Outside(tmp_path, name)
    missing = project.snakemake("--cores", "1", project.chunk, check=False)
    assert missing.returncode != 0 and "Traceback" not in missing.stderr
    log = (tmp_path / paths.log(OUT, "extract_lhco_events", "target", "0000")).read_text()
    assert name in log and len(re.findall("^error: ", log, re.M)) == 1
    write_lhco(tmp_path / name, lhco_rows(20))
    project.snakemake("--cores", "1", project.chunk)
    assert (tmp_path / project.chunk).stat().st_size
    assert project.left() == []


@pytest.mark.workflow
@pytest.mark.parametrize("name", ["it's; touch pwned", *HOSTILE[2:], "line\ntouch pwned"])
def test_a_project_can_lie_in_a_folder_with_an_odd_name(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    Project(folder).snakemake("--cores", "1", "fig1")
    assert (folder / paths.figure(OUT, "fig1", "png")).stat().st_size
    assert not list(tmp_path.rglob("pwned*"))


@pytest.mark.workflow
@pytest.mark.parametrize("name", ["a {folder}", "a $(touch pwned)", "a `touch pwned`"])
def test_a_folder_whose_name_would_be_read_is_refused_in_one_line(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    result = Project(folder).snakemake("--cores", "1", "fig1", check=False)
    assert result.returncode != 0 and "Traceback" not in result.stderr
    assert len(re.findall("^.*: rename this folder", result.stderr, re.M)) == 1
    assert not list(tmp_path.rglob("pwned*"))
