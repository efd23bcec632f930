"""The comparison with the paper over several trainings: distances, accuracy, divergence, verdicts.

Distances stand beside the published ones. The paper has no numbers for accuracy; the classifier's
AUC and the divergence of the moved density say what the distances are worth.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import yaml

from flowmorph.errors import InputError
from flowmorph.metrics.measures import CEILING, FLOOR, Measure
from flowmorph.plan.labels import label
from flowmorph.plan.methods import PUBLISHED
from flowmorph.plan.tasks import COLLIDER, GROUPS, names
from flowmorph.tables.measures import deviation
from flowmorph.tables.table import DISTANCE_BLOCKS, Column, Table, Value

#: A published number within this many standard deviations of the difference is reproduced.
REPRODUCED = 2.0
VERDICTS = ("explained", "not explained")

COLUMNS = (
    Column("sample", "sample"),
    Column("method", "method"),
    Column("trainings", "trainings"),
    Column("mean", "mean distance", 3),
    Column("mean_spread", "± of a training", 3),
    Column("std", "std", 3),
    Column("paper_mean", "paper mean", 3),
    Column("paper_std", "paper std", 3),
    Column("off", "off, in standard deviations", 1),
    Column("verdict", "verdict"),
    Column("auc", "AUC", 3),
    Column("auc_spread", "± of a training", 3),
    Column("auc_largest", "largest", 3),
    Column("divergence", "divergence [nats]", 3),
    Column("divergence_spread", "± of a training", 3),
    Column("divergence_largest", "largest", 3),
)


@dataclass(frozen=True)
class Block:
    """Tasks whose numbers are averaged: their names, the split of their points, a heading.

    ``published`` is the block of `DISTANCE_BLOCKS` that has the paper's distances, if any has.
    """

    heading: str
    tasks: Sequence[str]
    split: str
    published: str = ""


BLOCKS = (
    *(
        Block(DISTANCE_BLOCKS[name][0], names(GROUPS[name]), GROUPS[name][0].family.held_out, name)
        for name in ("different", "identical")
    ),
    Block(
        DISTANCE_BLOCKS[COLLIDER.name][0],
        [COLLIDER.name],
        COLLIDER.family.held_out,
        COLLIDER.name,
    ),
    Block("collider, signal region", [COLLIDER.name], COLLIDER.family.beyond),
)


def fidelity_table(
    distances: Iterable[Mapping[str, str]], measures: Iterable[Measure], reasons: Mapping
) -> Table:
    """Put the means of several trainings, and how far one scatters, beside the published numbers.

    Args:
        distances: rows of the distance table (`read_distances`).
        measures: of the toys and of the collider task, of every training.
        reasons: for numbers that are not reproduced, by block and method (`read_reasons`).

    Returns:
        A row for each block and method: the AUC is averaged over a block's tasks, and its spread is
        that of the averages; ``largest`` is that of all tasks and trainings. The reasons are notes.
    """
    published = {(row["sample"], row["method"]): row for row in distances}
    numbers: dict[tuple, dict[str, list[float]]] = {}
    for m in measures:
        if not m.feature:
            key = m.task, m.split, m.method, m.metric
            numbers.setdefault(key, {}).setdefault(m.training, []).append(m.value)
    rows, notes = [], []
    for block in BLOCKS:
        found = [key for key in published if key[0] == block.heading]
        compared = [label(FLOOR), label(CEILING)]
        order = compared + [method for _, method in found]
        order += [label(name) for name in PUBLISHED if label(name) not in order]
        known = {label(name): name for name in (FLOOR, CEILING, *PUBLISHED)}
        for method in order:
            row: dict[str, Value] = dict.fromkeys(column.key for column in COLUMNS)
            row |= {"sample": block.heading, "method": method}
            row |= _published(published.get((block.heading, method)))
            name = known.get(method)
            if name:
                row |= _averages(block, name, numbers, row["mean"] is None)
            verdict, reason = _verdict(row, reasons.get(block.published, {}).get(name or method))
            row["verdict"] = verdict
            rows.append(row)
            if reason:
                notes.append(f"{block.heading}, {method}: {verdict}. {reason}")
    return Table(COLUMNS, rows, notes)


def read_distances(path: str | os.PathLike) -> list[dict[str, str]]:
    """Read a distance table (CSV) of several trainings; raises InputError for one of a single."""
    with open(path, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows or "mean_spread" not in rows[0]:
        raise InputError(
            f"{path}: one training has no spread: set seeds.toy and seeds.collider to 2 or more "
            "(config/fidelity.yaml has 5)"
        )
    return rows


def read_reasons(path: str | os.PathLike) -> dict[str, dict[str, dict[str, str]]]:
    """Read why published numbers are not reproduced, by block and method (YAML).

    Raises InputError for a verdict that is not one of `VERDICTS`, and for one without a reason.
    """
    with open(path, encoding="utf-8") as stream:
        reasons = yaml.safe_load(stream)
    for block, methods in reasons.items():
        for method, entry in methods.items():
            if entry.get("verdict") not in VERDICTS or not entry.get("reason"):
                words = " or ".join(VERDICTS)
                raise InputError(f"{path}: {block}.{method} needs a reason and a verdict: {words}")
    return reasons


def _published(row: Mapping[str, str] | None) -> dict[str, Value]:
    if row is None:
        return {}
    keys = ("mean", "mean_spread", "std", "paper_mean", "paper_std", "off")
    given = {key: float(row[key]) if row[key] else None for key in keys}
    return {"trainings": int(row["trainings"]), **given}


def _averages(block: Block, method: str, numbers: Mapping, distances: bool) -> dict[str, Value]:
    """AUC and divergence of a method on a block's tasks, and the distances if these are asked."""
    found: dict[str, Value] = {}
    metrics = {"auc": "auc", "divergence": "divergence"}
    if distances:
        metrics |= {"mean": "distance_mean", "std": "distance_std"}
    for key, metric in metrics.items():
        tasks = [numbers.get((task, block.split, method, metric)) for task in block.tasks]
        if None in tasks:
            continue
        averages = np.mean([[value for (value,) in each.values()] for each in tasks], axis=0)
        found[key] = float(averages.mean())
        if key != "std":
            found[f"{key}_spread"] = deviation(averages)
        if key in ("auc", "divergence"):
            found[f"{key}_largest"] = max(value for each in tasks for (value,) in each.values())
        found["trainings"] = len(averages)
    return found


def _verdict(row: Mapping[str, Value], given: Mapping[str, str] | None) -> tuple[Value, str]:
    """A row's verdict, and the reason where it is not reproduced."""
    if row["paper_mean"] is None:
        return None, ""
    off = row["off"]
    # Without a spread (a baseline has none) a number is compared by what a figure's legend shows.
    alike = abs(off) <= REPRODUCED if off is not None else _close(row["mean"], row["paper_mean"])
    if alike:
        return "reproduced", ""
    given = given or {"verdict": "not explained", "reason": ""}
    return given["verdict"], given["reason"]


def _close(ours: Value, theirs: Value) -> bool:
    return abs(ours - theirs) <= 0.01
