"""Measured numbers as rows of a file: one number each, so that new metrics need no new columns."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from typing import NamedTuple

from flowmorph.errors import InputError
from flowmorph.files import atomic
from flowmorph.plan.tasks import named

# Entries in the column method that are no methods.
FLOOR = "floor"  # one half of the target against the other: no method can do better
CEILING = "ceiling"  # the reference as it is
BASELINE = "baseline"  # random pairs of reference and target
TARGET = "target"  # in the row that says that there are TOO_FEW points of it
DENSITY = "density"  # of a data set; the column task then has the data set's name

TOO_FEW = "too_few_points"  # metric: points that were too few to be compared
# Metric: nats above the lowest possible loss of a training that ended far from it.
TOO_FAR = "too_far"


class Number(NamedTuple):
    """What is measured of one method; ``feature`` is empty for all features together."""

    method: str
    feature: str
    metric: str
    value: float


class Measure(NamedTuple):
    """A `Number`, and what it was measured on.

    Attributes:
        task: name of a task or, for densities, of a data set.
        split: split of the points.
        training: number of the flows' training, as text, or "ensemble".
        method: a method, or `FLOOR`, `CEILING`, `BASELINE`, `TARGET` or `DENSITY`.
        feature: name of a feature; empty for all features together.
        metric: what was measured.
        value: the number.
    """

    task: str
    split: str
    training: str
    method: str
    feature: str
    metric: str
    value: float

    @property
    def name(self) -> str:
        """Name, in tables, of the task's points in this split."""
        return named(self.task, self.split)


def write(measures: Iterable[Measure], path: str | os.PathLike) -> None:
    """Write measures as CSV, with nine digits."""
    with atomic(path) as part, part.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(Measure._fields)
        writer.writerows((*m[:-1], f"{m.value:.9g}") for m in measures)


def read(paths: Iterable[str | os.PathLike]) -> list[Measure]:
    """Read the measures of several files; raises InputError for files of another kind."""
    measures = []
    for path in paths:
        with open(path, encoding="utf-8", newline="") as stream:
            rows = csv.reader(stream)
            if tuple(next(rows, ())) != Measure._fields:
                raise InputError(f"{path}: not a file of measures ({', '.join(Measure._fields)})")
            try:
                measures += [Measure(*words, float(value)) for *words, value in rows]
            except (TypeError, ValueError) as error:
                raise InputError(f"{path}: not a file of measures ({error})") from error
    return measures
