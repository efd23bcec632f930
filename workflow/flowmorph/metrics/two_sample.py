"""Tests of whether a moved sample can be told from the target."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from flowmorph.metrics.divergence import Estimate


class FeatureComparison(NamedTuple):
    """How one feature of a sample compares with the target's."""

    ks: float
    ks_pvalue: float
    chi2: float
    degrees: int
    chi2_pvalue: float


def classifier_auc(
    sample: np.ndarray,
    target: np.ndarray,
    *,
    seed: int,
    condition_sample: np.ndarray | None = None,
    condition_target: np.ndarray | None = None,
    folds: int = 5,
    max_iter: int = 300,
) -> Estimate:
    """Area under the ROC curve of a classifier trained to tell the sample from the target.

    0.5 means that it cannot; 1 that it always can. ``sample`` has shape (n, D), ``target`` (m, D);
    conditions, (n, C) and (m, C), are further inputs of the classifier. Gradient-boosted trees are
    trained on all folds but one and scored on that one, so that every point is scored once by a
    classifier that has not seen it. The AUC is averaged over folds, as scores of different
    classifiers cannot be ranked together; the error is DeLong's. Runs on one thread; the same
    seed gives the same number. Raises ValueError if there are fewer points than folds.
    """
    if condition_sample is not None and condition_target is not None:
        sample = np.concatenate([sample, condition_sample], axis=1)
        target = np.concatenate([target, condition_target], axis=1)
    x = np.concatenate([sample, target]).astype(np.float64)
    is_target = np.repeat([False, True], [len(sample), len(target)])
    state = seed % 2**32
    splitter = StratifiedKFold(folds, shuffle=True, random_state=state)
    results = []
    with threadpool_limits(1):
        for train, test in splitter.split(x, is_target):
            trees = HistGradientBoostingClassifier(
                max_iter=max_iter, early_stopping=True, random_state=state
            )
            score = trees.fit(x[train], is_target[train]).predict_proba(x[test])[:, 1]
            results.append(_auc(score[~is_target[test]], score[is_target[test]]))
    values, errors = np.array(results).T
    return Estimate(float(values.mean()), float(np.sqrt((errors**2).sum()) / folds))


def _auc(negative: np.ndarray, positive: np.ndarray) -> Estimate:
    """AUC of scores with its standard error (DeLong et al., Biometrics 44 (1988) 837)."""
    n, m = len(negative), len(positive)
    ranks = stats.rankdata(np.concatenate([negative, positive]))
    below = (ranks[n:] - stats.rankdata(positive)) / n
    above = 1 - (ranks[:n] - stats.rankdata(negative)) / m
    variance = below.var(ddof=1) / m + above.var(ddof=1) / n
    return Estimate(float(below.mean()), float(np.sqrt(variance)))


def compare_features(
    sample: np.ndarray, target: np.ndarray, bins: int = 20
) -> list[FeatureComparison]:
    """Compare each feature's distribution by Kolmogorov-Smirnov and by chi2 of the binned ratio.

    ``sample`` has shape (n, D), ``target`` (m, D); one result per feature. The bins hold equal
    numbers of the pooled points. chi2 is the test of homogeneity of two histograms: it allows for
    the Poisson errors of both samples and leaves their totals free, so degrees = bins - 1.
    """
    results = []
    for a, b in zip(np.asarray(sample).T, np.asarray(target).T, strict=True):
        ks = stats.ks_2samp(a, b, method="asymp")
        chi2, degrees = _chi2(a, b, bins)
        results.append(
            FeatureComparison(
                float(ks.statistic),
                float(ks.pvalue),
                chi2,
                degrees,
                float(stats.chi2.sf(chi2, degrees)) if degrees else 1.0,
            )
        )
    return results


def _chi2(a: np.ndarray, b: np.ndarray, bins: int) -> tuple[float, int]:
    cuts = np.unique(np.quantile(np.concatenate([a, b]), np.arange(1, bins) / bins))
    counts_a = np.bincount(np.searchsorted(cuts, a, side="right"), minlength=len(cuts) + 1)
    counts_b = np.bincount(np.searchsorted(cuts, b, side="right"), minlength=len(cuts) + 1)
    filled = counts_a + counts_b > 0
    counts_a, counts_b = counts_a[filled], counts_b[filled]
    scale = np.sqrt(len(b) / len(a))
    chi2 = ((scale * counts_a - counts_b / scale) ** 2 / (counts_a + counts_b)).sum()
    return float(chi2), int(filled.sum() - 1)
