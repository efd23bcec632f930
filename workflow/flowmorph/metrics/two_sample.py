"""Tests of whether a moved sample can be told from the target."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from flowmorph.samples.quantile_bins import QuantileBins
from flowmorph.samples.unweighting import effective_points, relative

#: What intervals of resampled scores are widened by: a fold's classifier is trained on the others'
#: points, so that the AUCs of folds vary together. Of equal samples they scatter by 1.12 to 1.27
#: times as much as their scores tell (benchmarks/auc_intervals.py).
BETWEEN_FOLDS = 1.25


class Auc(NamedTuple):
    """An area under the ROC curve with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class FeatureComparison(NamedTuple):
    """How one feature of a sample compares with the target's.

    Attributes:
        ks: Kolmogorov-Smirnov distance, the largest of the two cumulative distributions, 0 to 1.
        ks_pvalue: probability of a larger one if the distributions are equal.
        chi2: chi2 of the two binned distributions.
        degrees: its degrees of freedom; 0 if all values are equal.
        chi2_pvalue: probability of a larger chi2 if the distributions are equal.
    """

    ks: float
    ks_pvalue: float
    chi2: float
    degrees: int
    chi2_pvalue: float

    @property
    def chi2_per_degree(self) -> float:
        """Near 1 for equal distributions; zero if all values are equal and nothing can differ."""
        return self.chi2 / self.degrees if self.degrees else 0.0


def classifier_auc(
    sample: np.ndarray,
    target: np.ndarray,
    *,
    seed: int,
    condition_sample: np.ndarray | None = None,
    condition_target: np.ndarray | None = None,
    folds: int = 5,
    max_iter: int = 300,
    replicas: int = 200,
    weights: np.ndarray | None = None,
) -> Auc:
    """Area under the ROC curve of a classifier trained to tell the sample from the target.

    0.5 means that it cannot; 1 that it always can (Lopez-Paz and Oquab, arXiv:1610.06545).
    Gradient-boosted trees are trained on all folds but one and scored on that one, so that every
    point is scored once by a classifier that has not seen it. The AUC is averaged over folds, as
    scores of different classifiers cannot be ranked together. Runs on one thread; the same seed
    gives the same number. Fewer points than folds are a ValueError.

    Args:
        sample: points, (n, D).
        target: points, (m, D).
        seed: of folds, trees and resampling.
        condition_sample: conditions of the sample, (n, C), further inputs of the classifier; taken
            only if those of the target are given, too.
        condition_target: conditions of the target, (m, C).
        folds: number of folds, at least 2.
        max_iter: most trees of each classifier.
        replicas: bootstrap resamplings of the scores, from which the interval comes, with
            `BETWEEN_FOLDS`.
        weights: what each point of the sample counts, (n,), in training and in the AUC; None for
            all the same.
    """
    if condition_sample is not None and condition_target is not None:
        sample = np.concatenate([sample, condition_sample], axis=1)
        target = np.concatenate([target, condition_target], axis=1)
    x = np.concatenate([sample, target]).astype(np.float64)
    is_target = np.repeat([False, True], [len(sample), len(target)])
    counts = np.ones(len(x))
    if weights is not None:
        weights = relative(weights)
        counts[: len(sample)] = weights / weights.mean()
        x = QuantileBins(x)(x)
    state = seed % 2**32
    splitter = StratifiedKFold(folds, shuffle=True, random_state=state)
    rng = np.random.default_rng(state)
    results = []
    with threadpool_limits(1):
        for train, test in splitter.split(x, is_target):
            trees = HistGradientBoostingClassifier(
                max_iter=max_iter, early_stopping=True, random_state=state
            )
            # None, not ones: the trees of points with weights, even equal ones, are grown in
            # another way.
            given = None if weights is None else counts[train]
            trees.fit(x[train], is_target[train], sample_weight=given)
            score = trees.predict_proba(x[test])[:, 1]
            ours, theirs = ~is_target[test], is_target[test]
            weight = None if weights is None else counts[test][ours]
            results.append(_bootstrapped(score[ours], score[theirs], replicas, rng, weight))
    value, *resampled = np.mean(results, axis=0)
    edges = value + BETWEEN_FOLDS * (np.quantile(resampled, (0.025, 0.975)) - value)
    return Auc(float(value), *(float(edge) for edge in edges.clip(0, 1)))


def _bootstrapped(
    negative: np.ndarray,
    positive: np.ndarray,
    replicas: int,
    rng: np.random.Generator,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """AUC of the scores, then of ``replicas`` resamplings of them with replacement.

    ``weights`` are those of the negative scores, each of which is then resampled with its weight.
    """
    # Resampling only changes how often a score occurs: one sorting serves every replica.
    values, rank = np.unique(np.concatenate([negative, positive]), return_inverse=True)
    samples = [
        np.bincount(part, minlength=len(values))
        for part in (rank[: len(negative)], rank[len(negative) :])
    ]
    if weights is not None:
        return _bootstrapped_weighted(rank, weights, samples[1], replicas, rng)
    return np.array(
        [
            _auc(*samples),
            *(
                _auc(*(rng.multinomial(counts.sum(), counts / counts.sum()) for counts in samples))
                for _ in range(replicas)
            ),
        ]
    )


def _bootstrapped_weighted(
    rank: np.ndarray,
    weights: np.ndarray,
    positive: np.ndarray,
    replicas: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """As `_bootstrapped`, of weighted negative scores, whose places are the first in ``rank``."""
    rank, total = rank[: len(weights)], positive.sum()
    results = [_auc(np.bincount(rank, weights, len(positive)), positive)]
    for _ in range(replicas):
        times = rng.multinomial(len(weights), np.full(len(weights), 1 / len(weights)))
        negative = np.bincount(rank, weights * times, len(positive))
        results.append(_auc(negative, rng.multinomial(total, positive / total)))
    return np.array(results)


def _auc(negative: np.ndarray, positive: np.ndarray) -> float:
    """AUC of two histograms of the same ascending scores: equal scores count half."""
    below = np.cumsum(negative) - 0.5 * negative
    return float(below @ positive / (negative.sum() * positive.sum()))


def compare_features(
    sample: np.ndarray,
    target: np.ndarray,
    bins: int = 20,
    weights: np.ndarray | None = None,
    target_weights: np.ndarray | None = None,
) -> list[FeatureComparison]:
    """Compare each feature's distribution by Kolmogorov-Smirnov and by chi2 of the binned ratio.

    ``sample`` has shape (n, D), ``target`` (m, D); one result per feature. The bins hold equal
    numbers of the pooled points. chi2 is the test of homogeneity of two histograms: it allows for
    the Poisson errors of both samples and leaves their totals free, so degrees = bins - 1.
    ``weights``, (n,), and ``target_weights``, (m,), say what each point counts, some of them maybe
    less than nothing; chi2 then has the errors of sums of weights, and the Kolmogorov-Smirnov
    p-value takes `effective_points` for their number. Sources: Hodges, Ark. Mat. 3 (1958) 469 (as
    in scipy); Gagunashvili, arXiv:physics/0605123.
    """
    results = []
    given = tuple(None if w is None else relative(w) for w in (weights, target_weights))
    for a, b in zip(np.asarray(sample).T, np.asarray(target).T, strict=True):
        if all(w is None for w in given):
            ks, pvalue = stats.ks_2samp(a, b, method="asymp")
        else:
            ks, pvalue = _weighted_ks(a, b, *given)
        chi2, degrees = _chi2(a, b, bins, *given)
        results.append(
            FeatureComparison(
                float(ks),
                float(pvalue),
                chi2,
                degrees,
                float(stats.chi2.sf(chi2, degrees)) if degrees else 1.0,
            )
        )
    return results


def ks_distances(
    sample: np.ndarray,
    target: np.ndarray,
    weights: np.ndarray | None = None,
    target_weights: np.ndarray | None = None,
) -> np.ndarray:
    """Kolmogorov-Smirnov distance of each feature, (D,), as `compare_features` has it.

    ``sample`` has shape (n, D), ``target`` (m, D); the weights are (n,) and (m,).
    """
    return np.array(
        [
            _largest_gap(a, b, weights, target_weights)
            for a, b in zip(np.asarray(sample).T, np.asarray(target).T, strict=True)
        ]
    )


def _largest_gap(
    a: np.ndarray, b: np.ndarray, weights: np.ndarray | None, target_weights: np.ndarray | None
) -> float:
    at = np.unique(np.concatenate([a, b]))
    ours, theirs = _cumulative(a, weights, at), _cumulative(b, target_weights, at)
    return float(np.abs(ours - theirs).max())


def _weighted_ks(
    a: np.ndarray, b: np.ndarray, weights: np.ndarray | None, target_weights: np.ndarray | None
) -> tuple[float, float]:
    distance = _largest_gap(a, b, weights, target_weights)
    n, m = (
        len(x) if w is None else effective_points(w) for x, w in ((a, weights), (b, target_weights))
    )
    size = round(n * m / (n + m)) if n + m else 0
    return distance, float(stats.kstwo.sf(distance, max(size, 1)))


def _cumulative(values: np.ndarray, weights: np.ndarray | None, at: np.ndarray) -> np.ndarray:
    """Share of the values up to each of the points ``at``."""
    if weights is None:
        return np.searchsorted(np.sort(values), at, side="right") / len(values)
    order = np.argsort(values, kind="stable")
    below = np.concatenate([[0.0], np.cumsum(weights[order]) / weights.sum()])
    return below[np.searchsorted(values[order], at, side="right")]


def _chi2(
    a: np.ndarray,
    b: np.ndarray,
    bins: int,
    weights: np.ndarray | None = None,
    target_weights: np.ndarray | None = None,
) -> tuple[float, int]:
    cuts = np.unique(np.quantile(np.concatenate([a, b]), np.arange(1, bins) / bins))
    size = len(cuts) + 1
    places = [np.searchsorted(cuts, x, side="right") for x in (a, b)]
    counts_a, counts_b = (np.bincount(place, minlength=size) for place in places)
    filled = counts_a + counts_b > 0
    if weights is None and target_weights is None:
        counts_a, counts_b = counts_a[filled], counts_b[filled]
        scale = np.sqrt(len(b) / len(a))
        terms = (scale * counts_a - counts_b / scale) ** 2 / (counts_a + counts_b)
    else:
        ours, theirs = (
            _shares(place, w, size)
            for place, w in zip(places, (weights, target_weights), strict=True)
        )
        variance = ours[1] + theirs[1]
        # Weights of zero leave a bin without content and error.
        filled &= variance > 0
        terms = (ours[0] - theirs[0])[filled] ** 2 / variance[filled]
    return float(terms.sum()), int(filled.sum() - 1)


def _shares(
    place: np.ndarray, weights: np.ndarray | None, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Share of a sample in each bin, and its variance; the whole is taken as known."""
    if weights is None:
        counts = np.bincount(place, minlength=size)
        return counts / len(place), counts / len(place) ** 2
    sums, squares = (np.bincount(place, w, size) for w in (weights, weights**2))
    return sums / weights.sum(), squares / weights.sum() ** 2
