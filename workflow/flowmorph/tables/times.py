"""What a run's time went into, from the benchmark files that snakemake writes for each job."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from flowmorph.errors import InputError
from flowmorph.tables.table import Column, Table

# Rules by stage of the workflow; those that are not here make figures and tables.
STAGES: dict[str, tuple[str, ...]] = {
    "events": (
        "generate_events", "extract_lhco_events", "extract_delphes_events", "download_lhco",
    ),
    "features": (
        "build_features", "merge_features", "prepare_samples", "read_lhco_features",
        "compare_medians", "compare_counts", "prepare_own_samples",
    ),
    "densities": ("train_density",),
    "transports": ("train_transport",),
    "alternatives": ("morph_by_alternative",),
    "moving": ("move_samples", "mix_ensemble", "bundle_transport", "move_reference", "move_file"),
    "measures": ("measure_task", "evaluate_densities", "count_costs"),
}  # fmt: skip
FIGURES = "figures and tables"
EVIDENCE = ("measures", FIGURES)  # what describes the results and makes none


class Job(NamedTuple):
    """A job that ran: its rule, its wildcards, and its seconds of wall time."""

    rule: str
    wildcards: tuple[str, ...]
    seconds: float


def read(folder: str | Path) -> list[Job]:
    """Read the benchmark files below a run's folder; raises InputError if there is none."""
    jobs = []
    for path in sorted(Path(folder).rglob("*.tsv")):
        rule, *wildcards = path.relative_to(folder).with_suffix("").parts
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        if not rows or "s" not in rows[0]:
            raise InputError(f"{path}: not a benchmark file of snakemake")
        jobs.append(Job(rule, tuple(wildcards), sum(float(row["s"]) for row in rows)))
    if not jobs:
        raise InputError(f"{folder}: no benchmark files: run the workflow first")
    return jobs


def stage_of(rule: str) -> str:
    """Name the stage that a rule belongs to."""
    return next((stage for stage, rules in STAGES.items() if rule in rules), FIGURES)


def stage_table(jobs: Iterable[Job]) -> Table:
    """Add up the time of each stage, and its share of all; evidence and all in the last rows."""
    seconds: dict[str, list[float]] = {stage: [] for stage in (*STAGES, FIGURES)}
    for job in jobs:
        seconds[stage_of(job.rule)].append(job.seconds)
    seconds["measures, figures and tables"] = sum((seconds[name] for name in EVIDENCE), [])
    seconds["all"] = sum((seconds[name] for name in (*STAGES, FIGURES)), [])
    return _table("stage", seconds, sum(seconds["all"]))


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
        if job.rule in ("train_density", "train_transport"):
            task, *method = job.wildcards
            family = "rotated toys" if task.startswith("rotated_") else "toys"
            if task.startswith(("science", "reference", "target")):
                family = "collider data"
            name = ", ".join((family, *(m.replace("_", " ") for m in method or ["density"])))
            seconds.setdefault(name, []).append(job.seconds)
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
