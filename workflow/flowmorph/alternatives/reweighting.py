"""Classifier reweighting: reference points stay where they are and count more or less.

The ratio p_T / p_R is p / (1 - p) for the probability p that a classifier gives to the target
(Cranmer, Pavez and Louppe, arXiv:1506.02169; Andreassen and Nachman, arXiv:1907.08209).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold

from flowmorph.alternatives.interface import Morph, Morphed, Points
from flowmorph.samples.quantile_bins import QuantileBins


@dataclass(frozen=True)
class Settings:
    """Folds of the training points, and at most how many trees are boosted on each."""

    folds: int
    trees: int
    learning_rate: float


def fit(reference: Points, target: Points, settings: Settings, seed: int) -> Morph:
    """Train one classifier on all folds but one, calibrated on that one, for each of the folds.

    The weight is the mean over these classifiers' p, as p / (1 - p), in units of its mean over the
    points that are weighted. The condition is one more input: the weights correct its distribution
    as well.
    """
    x = np.concatenate([np.concatenate(sample, axis=1) for sample in (reference, target)])
    bins = QuantileBins(x)
    is_target = np.repeat([False, True], [len(reference[0]), len(target[0])])
    state = seed % 2**32
    # Both samples count the same in total, so that p = 1/2 where the densities are equal.
    counts = np.where(is_target, len(reference[0]) / len(target[0]), 1.0)
    trees = HistGradientBoostingClassifier(
        max_iter=settings.trees,
        learning_rate=settings.learning_rate,
        early_stopping=True,
        random_state=state,
    )
    folds = StratifiedKFold(settings.folds, shuffle=True, random_state=state)
    classifier = CalibratedClassifierCV(trees, method="sigmoid", cv=folds)
    classifier.fit(bins(x), is_target, sample_weight=counts)

    def weigh(points: np.ndarray, condition: np.ndarray) -> Morphed:
        p = classifier.predict_proba(bins(np.concatenate([points, condition], axis=1)))[:, 1]
        weights = p / (1 - p)
        return Morphed(points, weights / weights.mean())

    return weigh
