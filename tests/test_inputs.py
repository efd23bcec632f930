"""Files of the user's: found where the configuration says, and never where a rule writes."""

from __future__ import annotations

import copy
import os
import re
from pathlib import Path

import pytest
import yaml
from test_config import SCHEMA, read
from test_workflow import OUT, Project

from flowmorph.errors import InputError
from flowmorph.plan import inputs, paths, targets
from flowmorph.plan.config import check

RUN = OUT.removeprefix("results/")
CONTENT = b"what took a year to simulate"
# Rules that read a file of the user's: the key that names it, an output that it may lie at, and
# what is asked for.
RULES = {
    "prepare_own_samples": ("own.target.files", paths.own_prepared(OUT, "own_target"), "all"),
    "move_reference": (
        "own.reference.files", paths.moved_reference(OUT, "base_transfer", ".csv"), "all",
    ),
    "move_file": ("apply", paths.applied(OUT, "base_transfer", "more.csv"), "apply"),
    "extract_lhco_events": (
        "collider.lhco.files.target", paths.events(OUT, "target", "0000"), "fig8",
    ),
    "read_lhco_features": (
        "collider.lhco_features.files.target", paths.features(OUT, "target"), "fig8",
    ),
    "extract_delphes_events": (
        "collider.delphes.files.target", paths.events(OUT, "target", "0000"), "fig8",
    ),
}  # fmt: skip
WAYS = ("relative", "absolute", "link to the file", "link to the folder", "pattern", "other folder")


def own_config(config: dict) -> dict:
    for role in ("reference", "target"):
        config["own"][role]["files"] = f"data/{role}.csv"
    return config | {"own": config["own"] | {"features": ["x"], "methods": ["base_transfer"]}}


def configured(key: str, name: str) -> dict:
    """A configuration in which one key names a file, and others what goes with it."""
    config = copy.deepcopy(read("config")) | {"run": RUN}
    source = key.split(".")[1] if key.startswith("collider.") else None
    if source:
        config["collider"]["source"] = source
        config["collider"][source]["files"] = {"reference": "data/reference.h5", "target": None}
    else:
        config = own_config(config)
    above, last = inputs._place(config, key)
    above[last] = name
    return config


def called(way: str, output: str, folder: Path) -> str:
    """A name, made in one way, of the file at ``output``; links are made on the way."""
    if way == "absolute":
        return str(folder / output)
    if way == "link to the file":
        (folder / "data").mkdir(exist_ok=True)
        link = folder / "data" / f"link{Path(output).suffix}"
        link.symlink_to(folder / output)
        return f"data/{link.name}"
    if way == "link to the folder":
        (folder / "old").symlink_to((folder / output).parent)
        return f"old/{Path(output).name}"
    if way == "other folder":  # the folder of results is the link
        os.rename(folder / "results", folder / "scratch")
        (folder / "results").symlink_to("scratch")
        return output.replace("results", "scratch", 1)
    return f"**/*{Path(output).suffix}" if way == "pattern" else output


def laid(folder: Path, output: str) -> Path:
    path = folder / output
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)
    return path


@pytest.mark.workflow
@pytest.mark.parametrize("rule", RULES)
def test_a_file_where_a_rule_writes_stays_and_is_named(tmp_path, rule):
    project = Project(tmp_path)
    key, output, target = RULES[rule]
    file = laid(tmp_path, output)
    for way in WAYS:
        if way == "pattern" and key.startswith("collider.lhco"):
            continue  # one file, and no pattern
        name = called(way, output, tmp_path)
        override = configured(key, name) | {"engine": "eager"}
        result = project.snakemake("--cores", "1", target, check=False, override=override)
        said = result.stdout + result.stderr
        assert result.returncode == 1 and "Traceback" not in said, way
        (line,) = re.findall("^.*lies in .*$", said, re.M)
        known = Path(output).name if way == "pattern" else name
        assert line.startswith(f"config: {key}: ") and known in line, way
        assert "copy it elsewhere, or choose another name for the run" in line
        assert file.read_bytes() == CONTENT


def refusal(config: dict, function=inputs.check_apart, given=OUT) -> str | None:
    try:
        function(config, given)
    except InputError as error:
        assert "\n" not in str(error)
        return str(error)
    return None


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("rule", RULES)
def test_files_of_other_runs_and_of_other_sources_are_fine(here, rule):
    key, output, _ = RULES[rule]
    other = output.replace(RUN, f"{RUN}2", 1)
    laid(here, other)
    laid(here, output)
    assert refusal(configured(key, other)) is None
    assert refusal(configured(key, output)) is not None
    config = configured(key, output)
    if key.startswith("collider."):
        config["collider"]["source"] = "pythia"
        assert refusal(config) is None


@pytest.mark.parametrize("folder", [".snakemake/shadow", "xdg/flowmorph", "mine/cache"])
def test_folders_that_snakemake_and_the_compiler_write_are_refused(here, monkeypatch, folder):
    monkeypatch.delenv("FLOWMORPH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "xdg"))
    if folder.startswith("mine"):
        monkeypatch.setenv("FLOWMORPH_CACHE", str(here / folder))
    laid(here, f"{folder}/more.csv")
    assert "lies in" in refusal(configured("apply", f"{folder}/more.csv"))


def test_a_folder_of_results_that_is_a_link_to_the_samples_is_found(here):
    laid(here, "samples/more.csv")
    applied = Path(paths.applied(OUT, "base_transfer", "more.csv"))
    applied.parent.parent.mkdir(parents=True)
    applied.parent.symlink_to(here / "samples")
    assert "samples/more.csv: lies in" in refusal(configured("apply", "samples/more.csv"))


def test_a_pattern_that_will_match_a_result_is_refused_before_there_is_one(here):
    laid(here, "data/more.csv")
    laid(here, "more.csv")
    for key, pattern, expected in (
        ("apply", "*/**/more.csv", paths.applied(OUT, "base_transfer", "more.csv")),
        ("apply", f"{here}/*/**/m*.csv", paths.applied(OUT, "base_transfer", "more.csv")),
        ("own.reference.files", "**/*.csv", paths.moved_reference(OUT, "base_transfer", ".csv")),
        (
            "own.target.files",
            "results/*/*/own/*/validation.npz",
            paths.moved(OUT, "own", 1, "validation"),
        ),
        ("collider.delphes.files.target", "**/target.root", paths.features(OUT, "target")),
    ):
        config = configured(key, pattern)
        written = targets.samples(OUT, config) + targets.results(OUT, config)
        found = refusal(config, inputs.check_patterns, written)
        assert found.startswith(f"config: {key}: {pattern}: matches results/")
        assert refusal(config, inputs.check_patterns, [expected]) is not None
    for pattern in ("data/**/*.csv", "more.*", "results/*.csv", "results/*/more.csv"):
        config = configured("apply", pattern)
        written = [paths.applied(OUT, "base_transfer", "more.csv"), *targets.results(OUT, config)]
        assert refusal(config, inputs.check_patterns, written) is None


# --- the home folder


def test_every_key_with_files_knows_the_home_folder(here, monkeypatch):
    """The keys are those whose schema is a file or several."""
    monkeypatch.setenv("HOME", str(here))
    config = read("config")
    for key in (*inputs.OWN, *sum(inputs.SOURCES.values(), ()), inputs.DOWNLOADS):
        above, last = inputs._place(config, key)
        above[last] = "~/a.root"
    for key in ("own.reference.files", "apply"):
        above, last = inputs._place(config, key)
        above[last] = ["~/a.root", "b/~c.root"]
    config["own"]["features"] = ["~x"]
    check(config, SCHEMA)
    before = yaml.safe_dump(config)
    inputs.expand_home(config)
    after = yaml.safe_dump(config)
    assert before.count("~/") > 9 and "~/" not in after.replace("b/~c", "")
    assert config["apply"] == [str(here / "a.root"), "b/~c.root"]
    assert config["own"]["features"] == ["~x"]


@pytest.mark.workflow
def test_the_home_folder_is_known_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    project = Project(tmp_path)
    override = configured("apply", "~/nowhere.csv")
    result = project.snakemake("--dry-run", "apply", check=False, override=override)
    assert f"apply: {tmp_path}/home/nowhere.csv: no such file" in result.stdout + result.stderr
    laid(tmp_path, "home/more.csv")
    override = configured("apply", "~/more.csv")
    jobs = project.snakemake("--dry-run", "apply", override=override).stdout
    assert re.search(rf"input: {tmp_path}/home/more.csv, ", jobs)
