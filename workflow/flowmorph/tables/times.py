"""What a run's time went into, from the benchmark files that snakemake writes for each job."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from flowmorph.errors import InputError
from flowmorph.plan.methods import METHODS
from flowmorph.plan.tasks import DATASETS, TASKS
from flowmorph.tables.table import Column, Table

#: Stages of the workflow, in its order; a rule says in which it is.
STAGES = (
    "events", "features", "densities", "transports", "alternatives", "moving", "search",
    "measures", "figures",
)  # fmt: skip
EVIDENCE = ("measures", "figures")  # stages that describe results and make none
TITLES = {
    "toy": "toys",
    "rotated": "rotated toys",
    "collider": "collider data",
    "own": "own samples",
}


class Job(NamedTuple):
    """A job that ran: its stage, its rule, its wildcards, and its seconds of wall time."""

    stage: str
    rule: str
    wildcards: tuple[str, ...]
    seconds: float


def read(folder: str | Path) -> list[Job]:
    """Read the benchmark files below a run's folder; raises InputError if there is none."""
    jobs = []
    for path in sorted(Path(folder).rglob("*.tsv")):
        stage, rule, *wildcards = path.relative_to(folder).with_suffix("").parts
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        if not rows or "s" not in rows[0]:
            raise InputError(f"{path}: not a benchmark file of snakemake")
        jobs.append(Job(stage, rule, tuple(wildcards), sum(float(row["s"]) for row in rows)))
    if not jobs:
        raise InputError(f"{folder}: no benchmark files: run the workflow first")
    return jobs


def stage_table(jobs: Iterable[Job]) -> Table:
    """Add up the time of each stage, and its share of all.

    The last two rows are measures and figures together, and all stages.
    """
    seconds: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for job in jobs:
        seconds[job.stage].append(job.seconds)
    every = sum(seconds.values(), [])
    seconds["measures and figures"] = sum((seconds[name] for name in EVIDENCE), [])
    return _table("stage", seconds | {"all": every}, sum(every))


def rule_table(jobs: Iterable[Job]) -> Table:
    """Add up the time of each rule, the costliest first."""
    seconds: dict[str, list[float]] = {}
    for job in jobs:
        seconds.setdefault(job.rule, []).append(job.seconds)
    ordered = dict(sorted(seconds.items(), key=lambda item: -sum(item[1])))
    return _table("rule", ordered, sum(map(sum, seconds.values())))


def training_table(jobs: Iterable[Job]) -> Table:
    """Add up the time of the trainings of each method on each family of tasks."""
    seconds: dict[str, list[float]] = {}
    for job in jobs:
        if job.stage == "densities":
            dataset, _, *noise = job.wildcards
            family, what = DATASETS[dataset].family, "smoothed density" if noise else "density"
        elif job.stage == "transports":
            task, method, _ = job.wildcards
            family, what = TASKS[task].family, METHODS[method].name.replace("_", " ")
            what += ", penalty scan" if job.rule == "train_scanned_transport" else ""
        else:
            continue
        seconds.setdefault(f"{TITLES[family.name]}, {what}", []).append(job.seconds)
    return _table("training", dict(sorted(seconds.items())), None)


def _table(what: str, seconds: Mapping[str, list[float]], whole: float | None) -> Table:
    rows = [
        {
            what: name,
            "jobs": len(each),
            "total": sum(each),
            "each": sum(each) / len(each) if each else None,
            "share": 100 * sum(each) / whole if whole else None,
        }
        for name, each in seconds.items()
    ]
    columns = [
        Column(what, what),
        Column("jobs", "jobs"),
        Column("total", "seconds", 1),
        Column("each", "each", 1),
    ]
    return Table(columns + [Column("share", "% of all", 1)] * bool(whole), rows)
