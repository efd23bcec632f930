"""Spectra of the condition: comparisons are fair only where they are alike.

A transport changes no condition. If reference and target have different spectra of it, even a map
that is right for each condition differs from the target in every marginal distribution.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flowmorph.samples import moved, unweighting

CLASSIFIER = {"folds": 5, "trees": 300, "learning_rate": 0.05}
FEWEST_POINTS = 20  # of either sample, so that they fill the classifier's folds
LEAST_PVALUE = 0.01  # of equal frequencies of discrete conditions


def balanced(sample: moved.MovedSample, discrete: bool = False, seed: int = 0) -> moved.MovedSample:
    """Weight the reference of a task whose images keep its conditions to the target's spectrum.

    Methods that weigh points keep their weights: these are learnt with the condition, whose
    spectrum they correct already.

    Args:
        sample: the task's points.
        discrete: whether conditions take few values, as in `balancing`.
        seed: of the classifier, and of unweighting the target where it has weights.

    Returns:
        The sample with other weights of the reference, those as given too; the very same where
        `balancing` gives none.
    """
    end = sample.condition_target
    if sample.weight_target is not None:
        end = end[unweighting.accepted(sample.weight_target, np.random.default_rng(seed))]
    start, given = sample.condition_reference, sample.weight_reference
    factors = _factors(start, end, discrete, seed, given)
    if factors is None:
        return sample
    signed = sample.signed_reference
    return replace(
        sample,
        weight_reference=_times(factors, given),
        signed_reference=None if signed is None else _times(factors, signed),
    )


def balancing(
    start: np.ndarray,
    end: np.ndarray,
    discrete: bool,
    seed: int,
    weights: np.ndarray | None = None,
) -> np.ndarray | None:
    """Weights of the reference's points that give their conditions the target's spectrum.

    Args:
        start: conditions of the reference, (N, C).
        end: conditions of the target, (M, C).
        discrete: whether they take few values, as categories do; weights are then ratios of
            frequencies, else odds of a classifier that knows the conditions only, times such ratios
            for categories beside others.
        seed: of the classifier.
        weights: of the reference's points, (N,); None for all the same.

    Returns:
        Weights (N,), which include those given; None where the spectra cannot be told apart, where
        there is no condition, where discrete conditions have no value in common, or where either
        sample has fewer than `FEWEST_POINTS`.
    """
    factors = _factors(start, end, discrete, seed, weights)
    return None if factors is None else _times(factors, weights)


def _factors(
    start: np.ndarray, end: np.ndarray, discrete: bool, seed: int, weights: np.ndarray | None
) -> np.ndarray | None:
    """What the given weights are multiplied by, (N,); arguments and None as in `balancing`."""
    points = min(unweighting.effective_number(len(start), weights), len(end))
    if not start.shape[1] or points < FEWEST_POINTS:
        return None
    few = _categories(start) & _categories(end)
    if discrete or few.all():
        return _ratios(start, end, weights)
    odds = _odds(start, end, seed, weights)
    if odds is None or not few.any():
        return odds
    # A classifier keeps a part of a difference, which between categories is known.
    left = _ratios(start[:, few], end[:, few], _times(odds, weights))
    return odds if left is None else odds * left


def _categories(condition: np.ndarray) -> np.ndarray:
    """Which conditions of (N, C) are categories, of which flows are given 0 or 1, (C,)."""
    return np.isin(condition, (0, 1)).all(axis=0)


def _times(factors: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return unweighting.relative(factors if weights is None else factors * weights)


def _ratios(start: np.ndarray, end: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
    # Here and in `_odds`: scripts that draw import this module, and should start fast.
    from scipy.stats import chi2_contingency

    values, place = np.unique(np.concatenate([start, end]), axis=0, return_inverse=True)
    place = place.reshape(-1)
    own, other = place[: len(start)], place[len(start) :]
    frequencies = np.bincount(own, weights, len(values)), np.bincount(other, None, len(values))
    counts = np.bincount(own, None, len(values)), frequencies[1]
    if len(values) < 2 or chi2_contingency(np.array(counts)).pvalue > LEAST_PVALUE:
        return None
    # A value that only the target has cannot be given to any point of the reference.
    shares = [each / each.sum() for each in frequencies]
    ratio = np.divide(shares[1], shares[0], out=np.zeros(len(values)), where=shares[0] > 0)
    return ratio[own] if ratio[own].any() else None


def _odds(
    start: np.ndarray, end: np.ndarray, seed: int, weights: np.ndarray | None
) -> np.ndarray | None:
    from threadpoolctl import threadpool_limits

    from flowmorph.alternatives import reweighting
    from flowmorph.metrics import two_sample

    told = two_sample.classifier_auc(start, end, seed=seed, weights=weights)
    if told.low <= 0.5:
        return None
    fair = start
    if weights is not None:
        fair = start[unweighting.resampled(weights, np.random.default_rng(seed))]
    none = [np.empty((len(each), 0)) for each in (fair, end, start)]
    settings = reweighting.Settings(**CLASSIFIER)
    with threadpool_limits(1):
        weigh = reweighting.fit((fair, none[0]), (end, none[1]), settings, seed)
        return weigh(start, none[2]).weights
