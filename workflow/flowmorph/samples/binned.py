"""Moved samples in bins of a column of the user's: the rows of each that lie there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from flowmorph.plan.jobs.measuring import ClosureJob
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples.datasets import own_array
from flowmorph.samples.moved import MovedSample


@dataclass(frozen=True)
class Binned:
    """Rows of one bin.

    Attributes:
        column: whose bin it is.
        label: of the bin: its ends, or its category.
        names: samples that these rows are of: ``reference`` and methods. It is one of them where
            the column is a feature, as others have moved other rows into the bin.
        rows: of the reference, (n,).
        target_rows: of the target, (m,).
    """

    column: str
    label: str
    names: Sequence[str]
    rows: np.ndarray
    target_rows: np.ndarray

    def of(self, sample: MovedSample) -> MovedSample:
        """The rows of the sample, as many of the target as of the reference."""
        size = min(len(self.rows), len(self.target_rows))
        return sample.select(self.rows[:size], self.target_rows[:size])


def values(
    job: ClosureJob, split: str, reference: Sequence[str], target: Sequence[str], rows: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Values of the columns that are no features and no categories, of reference and target.

    ``reference`` and ``target`` are the files that have them, none where there are no such columns;
    a moved sample has the first ``rows``. Raises `InputError` for files without them.
    """
    if not job.others:
        return {}
    found = [own_array(path, split, "closure")[:rows] for path in (*reference, *target)]
    return {name: tuple(each[:, i] for each in found) for i, name in enumerate(job.others)}


def binned(
    sample: MovedSample,
    job: ClosureJob,
    preprocessing: Preprocessor,
    given: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> Iterator[Binned]:
    """The rows of each bin, column by column.

    Args:
        sample: the moved sample.
        job: which columns and bins.
        preprocessing: of the run.
        given: `values` of this sample.
    """
    names = ("reference", *job.methods)
    for column, edges in job.bins:
        labels = [f"{low:.12g} to {high:.12g}" for low, high in pairwise(edges)]
        if column in job.features:
            place = job.features.index(column)
            own = {}
            for name in (*names, "target"):
                points = sample.points(name)[:, place].astype(np.float64)
                own[name] = _bins(preprocessing.inverse({column: points})[column], edges)
            groups = [((name,), own[name], own["target"]) for name in names]
        elif column in preprocessing.categories:
            known = preprocessing.categories[column].labels
            place = preprocessing.names(job.condition).index((column, known[0]))
            labels = list(map(str, known))
            ends = (
                condition[:, place : place + len(known)].argmax(axis=1)
                for condition in (sample.condition_reference, sample.condition_target)
            )
            groups = [(names, *ends)]
        else:
            groups = [(names, *(_bins(each, edges) for each in given[column]))]
        for number, label in enumerate(labels):
            for of, start, end in groups:
                rows = (np.flatnonzero(each == number) for each in (start, end))
                yield Binned(column, label, of, *rows)


def _bins(values: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """Number of the bin of each value (N,), low <= value < high; -1 or the last edge's for none."""
    return np.searchsorted(edges, values, side="right") - 1
