"""Weights of either sign as weights that a density can have: none below zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import RepeatedKFold
from threadpoolctl import threadpool_limits

from flowmorph.errors import InputError
from flowmorph.samples.unweighting import relative

# Trees of 8 leaves and more are farther from known means (sWeights, and weights of +-1, of 3,000 to
# 200,000 rows), those of 4 as well where rows are many; three divisions into folds instead of one
# take an eighth off that distance.
FOLDS, DIVISIONS = 5, 3
TREES = {"max_iter": 1000, "learning_rate": 0.05, "max_leaf_nodes": 6, "min_samples_leaf": 50}
#: With these a tree can just part its rows: what is left without a fold, and without the tenth that
#: early stopping looks at.
FEWEST_ROWS = 150
BINS = 20
#: How often the worst of all histograms of a sample is called too different by chance.
CHANCE = 0.01

WORDS = {
    "absolute": "trainings take absolute weights",
    "drop": "trainings leave them out",
    "resample": "trainings take local means of the weights",
}


@dataclass(frozen=True)
class Report:
    """What became of the weights of one sample.

    Attributes:
        how: absolute, drop or resample.
        rows: number of rows.
        negative: rows of negative weight.
        change: sum of the new weights, in units of the sum of those given.
        clipped: rows whose local mean is below zero, which is set to zero; None if there is none.
        clipped_sum: sum of these local means, in units of the sum of the weights given; likewise.
        column: the column whose histograms before and after differ most.
        chi2: chi2 of that difference per degree of freedom.
        limit: what `chi2` rarely exceeds by chance in any of the columns.
    """

    how: str
    rows: int
    negative: int
    change: float
    clipped: int | None
    clipped_sum: float | None
    column: str
    chi2: float
    limit: float

    def __str__(self) -> str:
        said = (
            f"{self.negative:,} of {self.rows:,} rows ({self.negative / self.rows:.1%}) have "
            f"negative weights: {WORDS[self.how]}, and the sum of weights is {self.change:.4g} "
            "times what it was"
        )
        if self.clipped:
            said += (
                f"; the local mean is below zero, and set to zero, for {self.clipped:,} rows "
                f"({self.clipped / self.rows:.1%}), with {self.clipped_sum:.2%} of the sum"
            )
        return f"{said}; worst histogram before and after: {self.column}, chi2/ndf {self.chi2:.2f}"

    @property
    def warning(self) -> str | None:
        """What is wrong with the new weights, and what to do; None if nothing is found."""
        if self.chi2 <= self.limit:
            return None
        hint = "set own.negative: resample"
        if self.how == "resample":
            hint = "give more rows, which does not help where the density itself is negative"
        return (
            f"the weights that are trained on do not keep the distribution of {self.column}: "
            f"chi2/ndf {self.chi2:.2f} before and after, above {self.limit:.2f}: {hint}"
        )


def non_negative(
    columns: Mapping[str, np.ndarray], weights: np.ndarray, how: str, seed: int, place: str
) -> tuple[np.ndarray, Report]:
    """Give weights that are not negative in place of some that are.

    ``absolute`` takes their sizes, ``drop`` takes zero for negative ones, and ``resample`` takes
    the `local_mean` of all, with which rows have the density that they have with those given.

    Args:
        columns: features and conditions, (N,) each, by name.
        weights: of the same rows, (N,).
        how: absolute, drop or resample.
        seed: of folds and trees.
        place: whose weights these are, for messages.

    Returns:
        Weights (N,), and what became of them.

    Raises:
        InputError: the weights add up to zero or less, fewer than `FEWEST_ROWS` rows to resample,
            or no local mean above zero.
    """
    weights = relative(weights)
    if weights.sum() <= 0:
        raise InputError(
            f"{place} of the {len(weights)} rows that are used add up to zero or less: a density "
            "needs a sum above zero: give other weights or more rows"
        )
    below = None
    if how == "absolute":
        result = np.abs(weights)
    elif how == "drop":
        result = np.maximum(weights, 0.0)
    else:
        if len(weights) < FEWEST_ROWS:
            raise InputError(
                f"{place}: {len(weights)} rows are too few for local means, which need "
                f"{FEWEST_ROWS}: give more rows, or set own.negative to absolute or drop"
            )
        means = local_mean(np.column_stack(list(columns.values())), weights, seed)
        below = means < 0
        result = np.where(below, 0.0, means)
        if not result.any():
            raise InputError(
                f"{place}: no local mean is above zero: give other weights, or set own.negative "
                "to absolute or drop"
            )
    report = Report(
        how,
        len(weights),
        int((weights < 0).sum()),
        float(result.sum() / weights.sum()),
        None if below is None else int(below.sum()),
        None if below is None else float(np.abs(means[below]).sum() / weights.sum()),
        *_worst(columns, weights, result),
    )
    return result, report


def local_mean(x: np.ndarray, weights: np.ndarray, seed: int) -> np.ndarray:
    """Estimate the mean weight of rows such as each, E[w | x], by trees that have not seen it.

    Gradient-boosted trees are fitted to the weights of all folds but one, and give the means of
    that one; the result is the average over several divisions into folds. Runs on one thread; the
    same seed gives the same numbers. Source: Nachman and Thaler, arXiv:2007.11586, with trees in
    place of a network.

    Args:
        x: what the mean may depend on, (N, K).
        weights: of the same rows, (N,).
        seed: of folds and trees.

    Returns:
        Means (N,), some of which may be negative.
    """
    state = seed % 2**32
    means = np.zeros(len(weights))
    divisions = RepeatedKFold(n_splits=FOLDS, n_repeats=DIVISIONS, random_state=state)
    with threadpool_limits(1):
        for others, fold in divisions.split(x):
            trees = HistGradientBoostingRegressor(**TREES, early_stopping=True, random_state=state)
            trees.fit(x[others], weights[others])
            means[fold] += trees.predict(x[fold])
    return means / DIVISIONS


def histogram_chi2(
    values: np.ndarray, weights: np.ndarray, means: np.ndarray, bins: int = BINS
) -> tuple[float, int]:
    """Compare the histograms of one column with weights and with their local means.

    The bins hold equal numbers of rows. If the means are right, the differences w - mean add up to
    zero on average in each bin, with a variance that is the sum of their squares, and also that of
    w^2 - mean^2; of the two, the larger one is taken.

    Args:
        values: of the column, (N,).
        weights: of the rows, (N,).
        means: local means of the weights, (N,), in any unit.
        bins: number of bins.

    Returns:
        chi2 per degree of freedom, and degrees of freedom, bins - 1; zero for a column of equal
        values, which has no histogram.
    """
    cuts = np.unique(np.quantile(values, np.arange(1, bins) / bins))
    place = np.searchsorted(cuts, values, side="right")
    means = means * (weights.sum() / means.sum())
    difference = weights - means
    sums, squares, others = (
        np.bincount(place, each) for each in (difference, difference**2, weights**2 - means**2)
    )
    # In a bin where by chance hardly a weight is negative, squares are too few.
    variance = np.maximum(squares, others)
    filled = variance > 0
    degrees = int(filled.sum()) - 1
    if degrees < 1:
        return 0.0, 0
    return float(np.sum(sums[filled] ** 2 / variance[filled]) / degrees), degrees


def _worst(
    columns: Mapping[str, np.ndarray], weights: np.ndarray, means: np.ndarray
) -> tuple[str, float, float]:
    """The column farthest above what chance allows, its chi2 and what chance allows."""
    found = []
    for name, values in columns.items():
        chi2, degrees = histogram_chi2(values, weights, means)
        if degrees:
            limit = float(stats.chi2.isf(CHANCE / len(columns), degrees) / degrees)
            found.append((name, chi2, limit))
    return max(found, key=lambda each: each[1] / each[2], default=("none", 0.0, 1.0))
