"""Runs of more trainings than a command line has room for."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from test_config import SCHEMA, read
from test_own_tutorial import SMALL
from test_workflow import OUT, Project
from yaml import safe_load

from flowmorph.flows import storage
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.metrics import measures
from flowmorph.plan import own_members, paths, tasks
from flowmorph.plan.config import check

FEATURES = [f"feature_{i}" for i in range(30)]
METHODS = ["base_transfer", "flows_for_flows", "identity_initialization"]
MOST = {"folds": 100, "variations": {"seeds": 99, "bootstrap": 99}}
ARGUMENT, LINE = 2**17, 2**21  # bytes that Linux takes, in one argument and in all of them

pytestmark = pytest.mark.workflow


def settings(**changes) -> dict:
    """A run of 30 features; ``changes`` are of ``own``."""
    own = {role: {"files": f"data/{role}.csv"} for role in tasks.SAMPLES}
    own |= {"features": FEATURES, "condition": ["m"], "methods": METHODS, **changes}
    own |= {"regions": {"column": "m", "train": [[0, 1], [2, 3]], "apply": [[1, 2]]}}
    small = safe_load(SMALL) | {"own": own, "device": "cpu", "engine": "eager"}
    for network in small["flows"].values():
        network["width"] = len(FEATURES)
    return small


def members(**changes) -> list[own_members.Member]:
    config = read("config")
    config["own"] |= changes
    check(config, SCHEMA)
    return own_members.members(config)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = Project(tmp_path_factory.mktemp("many"))
    (project.folder / "data").mkdir()
    for seed, role in enumerate(tasks.SAMPLES):
        rng = np.random.default_rng(seed)
        table = pd.DataFrame(rng.normal(seed, 1, (400, len(FEATURES))), columns=FEATURES)
        table.assign(m=rng.uniform(0, 3, 400)).to_csv(
            project.folder / f"data/{role}.csv", index=False
        )
    return project


def commands(project: Project, changes: dict) -> Iterator[tuple[str, str]]:
    """Rule and command of each job of a run."""
    said = project.snakemake("--dry-run", "--printshellcmds", override=settings(**changes)).stdout
    for block in said.split("\n\n"):
        found = re.search(r"^(?:local)?rule (\w+):\n", block, re.M)
        command = re.search(r"^Shell command: (.*)", block, re.M | re.S)
        if found and command:
            yield found[1], command[1]


def sizes(project: Project, changes: dict) -> dict[str, tuple[int, int]]:
    """Bytes of the longest argument, and of all of a command, of each rule's largest job."""
    found: dict[str, tuple[int, int]] = {}
    for rule, command in commands(project, changes):
        # What `lines` writes is no argument: it is the shell's own.
        words = shlex.split(re.sub(r"@<\(lines (?:'[^']*'|[^')])*\)", "@/dev/fd/63", command))
        line = max(map(len, words)), sum(len(word) + 9 for word in words)  # each with its address
        found[rule] = tuple(map(max, found.get(rule, line), line))
    return found


def test_the_most_trainings_that_the_schema_allows_have_room(project):
    most, known = len(members(**MOST)), {}
    for bootstrap in (1, 3):
        changes = {"folds": 2, "variations": {"seeds": 0, "bootstrap": bootstrap}}
        known[len(members(**changes))] = sizes(project, changes)
    (few, less), (more, large) = known.items()
    assert {"evaluate_densities", "count_costs", "bundle_transport", "fig_own_ratios"} <= set(large)
    for rule, line in large.items():
        for now, before, limit in zip(line, less[rule], (ARGUMENT, LINE), strict=True):
            each = (now - before) / (more - few)
            # Their numbers have up to five figures in the largest run, three here.
            assert now + 1.1 * each * (most - more) < limit, rule


def test_densities_of_many_variations_are_measured(project):
    changes = {"folds": 5, "variations": {"seeds": 0, "bootstrap": 24}}
    prepared = [paths.own_prepared(OUT, dataset.name) for dataset in tasks.OWN.datasets]
    project.snakemake("--cores", "1", *prepared, override=settings(**changes))
    flow = Flow(
        Architecture(len(FEATURES), 1, layers=1, blocks=0, width=30, bins=4, tail_bound=4.0)
    )
    storage.save(flow, project.folder / "flow", {})
    numbers = [member.number for member in members(**changes)]
    for dataset in tasks.OWN.datasets:
        for number in numbers:
            place = project.folder / paths.flow(paths.density(OUT, dataset.name, number))
            place.parent.mkdir(parents=True)
            shutil.copy(project.folder / "flow", place)
    table = paths.density_measures(OUT)
    project.snakemake(
        "--cores", "1", table, "--allowed-rules", "evaluate_densities", override=settings(**changes)
    )
    found = {(row.task, row.training) for row in measures.read([project.folder / table])}
    expected = {(each.name, str(number)) for each in tasks.OWN.datasets for number in numbers}
    assert found == expected and len(found) == 250
