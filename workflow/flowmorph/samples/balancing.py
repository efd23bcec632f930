"""Learn the weights that give the reference the target's spectrum of the condition.

A classifier that knows the conditions only gives the ratio of densities as p / (1 - p) (Cranmer,
Pavez and Louppe, arXiv:1506.02169). It is logistic regression on a polynomial, which is smooth, and
so reaches across a gap between training intervals, and then boosted trees for what that leaves.
Each classifier weights rows that it has not seen. Between values of discrete conditions the ratio
of frequencies is taken as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

import numpy as np

from flowmorph.errors import InputError
from flowmorph.preprocess.categories import MOST
from flowmorph.samples import row_hashes
from flowmorph.samples.balance import Balance, Odds, Trees, in_cells, products
from flowmorph.samples.unweighting import relative

#: Folds of the classifier where the trainings have none.
FOLDS = 5
TREES = {"max_iter": 200, "learning_rate": 0.1, "max_leaf_nodes": 4, "min_samples_leaf": 100}
FEWEST_ROWS = 1000  # of both samples, below which trees would part hardly more than noise
#: A condition with at most `MOST` values, each in so many rows on average, is discrete.
ROWS_A_VALUE = 20
#: Most of the target that may lie where the reference has nothing.
MOST_UNCOVERED = 0.05
#: Bins, of equally many target rows, in which the reference is looked for, and least rows of each.
BINS, ROWS_A_BIN = 200, 20


@dataclass(frozen=True)
class Spectrum:
    """Conditions of a sample's training rows.

    Attributes:
        condition: as flows are given them, (N, C), float32.
        weights: of the rows, (N,), none below zero; None if all count the same.
        found: hashes of the rows, (N,).
    """

    condition: np.ndarray
    weights: np.ndarray | None
    found: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """Conditions as float64."""
        return self.condition.astype(np.float64)

    @property
    def counts(self) -> np.ndarray:
        """Weights that add up to one, (N,)."""
        weights = np.ones(len(self.condition)) if self.weights is None else relative(self.weights)
        return weights / weights.sum()


def fit(
    reference: Spectrum,
    target: Spectrum,
    names: Sequence[str],
    folds: int = FOLDS,
    endless: Sequence[bool] = (),
    seed: int = 0,
) -> tuple[Balance, float]:
    """Learn the factors of the reference's weights.

    Args:
        reference: conditions of the sample that is weighted.
        target: conditions of the sample whose spectrum it gets.
        names: of the C conditions, for messages.
        folds: of the classifiers, two at least.
        endless: conditions, (C,), in which rows beyond the target's range keep a weight, because
            training rows were cut in them; empty for none.
        seed: of the trees.

    Returns:
        The factors, and the part of the target that lies where the reference has no rows.

    Raises:
        InputError: that part is above `MOST_UNCOVERED`.
    """
    start, end = reference.values, target.values
    discrete = np.array(
        [_discrete(start[:, i], end[:, i]) for i in range(start.shape[1])], dtype=bool
    )
    there = end[target.counts > 0]
    low, high = there.min(axis=0), there.max(axis=0)
    open_ended = np.zeros(len(discrete), bool) if not len(endless) else np.asarray(endless)
    low[open_ended | discrete], high[open_ended | discrete] = -np.inf, np.inf
    uncovered = _uncovered(reference, target, discrete, names)
    cells = np.unique(np.concatenate([start, end])[:, discrete], axis=0)
    odds: tuple[Odds, ...] = ()
    if not discrete.all():
        odds = tuple(_odds(reference, target, discrete, fold, folds, seed) for fold in range(folds))
    balance = Balance(low, high, discrete, cells, np.ones(len(cells)), odds)
    counts = reference.counts * balance.factors(start, reference.found)
    has = _shares(cells, start[:, discrete], counts / counts.sum())
    wanted = _shares(cells, end[:, discrete], target.counts)
    # A value that only the target has cannot be given to any row of the reference.
    ratios = np.divide(wanted, has, out=np.zeros(len(cells)), where=has > 0)
    balance = replace(balance, ratios=ratios)
    mean = np.sum(reference.counts * balance.factors(start, reference.found))
    return replace(balance, ratios=ratios / mean), uncovered


def _discrete(start: np.ndarray, end: np.ndarray) -> bool:
    """Whether a condition of both samples has few values, each in many rows."""
    values = np.concatenate([start, end])
    few = len(np.unique(values))
    return few <= min(MOST, len(values) // ROWS_A_VALUE)


def _shares(cells: np.ndarray, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sum of counts (N,) of rows with the values (N, D) of each of the cells (V, D), (V,)."""
    if not cells.shape[1]:
        return np.array([counts.sum()])
    place = in_cells(values, cells, np.arange(len(cells), dtype=float)).astype(np.int64)
    return np.bincount(place, counts, len(cells))


def _uncovered(
    reference: Spectrum, target: Spectrum, discrete: np.ndarray, names: Sequence[str]
) -> float:
    """Part of the target that lies where the reference has no rows; raises InputError for much."""
    start, end, share = reference.values[reference.counts > 0], target.values, target.counts
    lacking, worst = np.zeros(len(end), bool), {}
    for i, name in enumerate(names):
        if discrete[i]:
            alone = ~np.isin(end[:, i], start[:, i])
        else:
            bins = max(min(BINS, len(end) // ROWS_A_BIN), 1)
            cuts = np.unique(np.quantile(end[:, i], np.arange(1, bins) / bins))
            filled = np.bincount(np.searchsorted(cuts, start[:, i]), None, len(cuts) + 1) > 0
            alone = ~filled[np.searchsorted(cuts, end[:, i])]
            alone |= (end[:, i] < start[:, i].min()) | (end[:, i] > start[:, i].max())
        lacking |= alone
        worst[name] = share[alone].sum()
    if discrete.any():
        cells = np.unique(start[:, discrete], axis=0)
        lacking |= in_cells(end[:, discrete], cells, np.ones(len(cells))) == 0
    uncovered = float(share[lacking].sum())
    if uncovered > MOST_UNCOVERED:
        raise InputError(
            f"own.balance: {uncovered:.1%} of the target's training rows have values of the "
            f"condition that no training row of the reference has (most in "
            f"{max(worst, key=worst.get)!r}): no weight gives it their spectrum: leave these rows "
            "out of the target, or set balance: false"
        )
    return uncovered


def _odds(
    reference: Spectrum, target: Spectrum, discrete: np.ndarray, fold: int, folds: int, seed: int
) -> Odds:
    """Ratio of the target's density of the condition to the reference's, without one fold."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    seen = row_hashes.folds(reference.found, folds) != fold
    x = np.concatenate([reference.values[seen], target.values])
    is_target = np.repeat([False, True], [seen.sum(), len(target.values)])
    counts = np.concatenate([reference.counts[seen], target.counts])
    used = counts > 0
    x, is_target, counts = x[used], is_target[used], _alike(counts[used], is_target[used])
    center, width = x.mean(axis=0), x.std(axis=0)
    width[width == 0] = 1.0
    terms = _terms(discrete)
    z = products((x - center) / width, terms)
    with threadpool_limits(1):
        smooth = LogisticRegression(solver="newton-cholesky").fit(z, is_target, counts)
        left = np.where(is_target, 1.0, np.exp(smooth.decision_function(z))) * counts
        trees = _trees(x, is_target, _alike(left, is_target), seed)
    ends = x.min(axis=0), x.max(axis=0)
    return Odds(center, width, *ends, terms, smooth.coef_[0], smooth.intercept_, trees)


def _alike(counts: np.ndarray, is_target: np.ndarray) -> np.ndarray:
    """Counts (N,) of which each sample has half, and the mean is one."""
    sums = np.bincount(is_target, counts)
    return counts / sums[is_target.astype(np.int64)] * (len(counts) / 2)


def _terms(discrete: np.ndarray) -> np.ndarray:
    """Pairs of columns, (K, 2): each alone, and every two but for those that are both discrete."""
    columns = range(len(discrete))
    pairs = [
        pair for pair in combinations_with_replacement(columns, 2) if not discrete[list(pair)].all()
    ]
    return np.array([(i, -1) for i in columns] + pairs, np.int64)


def _trees(x: np.ndarray, is_target: np.ndarray, counts: np.ndarray, seed: int) -> Trees:
    """Boosted trees for the logarithm of the ratio, as many as rows held back speak for."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    if min(is_target.sum(), (~is_target).sum()) < FEWEST_ROWS:
        return from_sklearn(None, 0)
    model = HistGradientBoostingClassifier(
        **TREES, early_stopping=True, random_state=seed % 2**32
    ).fit(x, is_target, counts)
    return from_sklearn(model, int(np.argmax(model.validation_score_)))


def from_sklearn(model, number: int) -> Trees:
    """The first trees of a classifier of scikit-learn, `HistGradientBoostingClassifier`.

    What it starts from is added to the first tree. There is no public way to its trees, whose
    values a test holds against those of scikit-learn.
    """
    kinds = {"feature": np.int64, "threshold": np.float64, "left": np.int64, "right": np.int64}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in (*kinds, "value")}
    roots, size = [], 0
    for i in range(number):
        nodes = model._predictors[i][0].nodes
        own, leaf = np.arange(len(nodes)), nodes["is_leaf"].astype(bool)
        start = model._baseline_prediction.item() if i == 0 else 0.0
        for name, values in {
            "feature": np.where(leaf, -1, nodes["feature_idx"]),
            "threshold": np.where(leaf, 0.0, nodes["num_threshold"]),
            "left": np.where(leaf, own, nodes["left"].astype(np.int64)) + size,
            "right": np.where(leaf, own, nodes["right"].astype(np.int64)) + size,
            "value": np.where(leaf, nodes["value"] + start, 0.0),
        }.items():
            parts[name].append(values)
        roots.append(size)
        size += len(nodes)
    arrays = {
        name: np.concatenate(values or [np.empty(0)]).astype(kinds.get(name, np.float64))
        for name, values in parts.items()
    }
    return Trees(np.array(roots, np.int64), **arrays)
