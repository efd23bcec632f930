"""Gradient-boosted reweighting by hep_ml: points stay where they are and count more or less.

Each tree looks for leaves in which the weighted samples differ most, by a symmetrised chi-squared,
and multiplies the weights there by the ratio of what both samples have (Rogozhnikov,
arXiv:1608.05806). It is the tool that experiments use; `reweighting` is the ratio by a classifier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hep_ml.reweight import GBReweighter

from flowmorph.alternatives.interface import Morph, Morphed, Points


@dataclass(frozen=True)
class Settings:
    """Trees, their shrinkage and depth, and what keeps them from following fluctuations.

    ``leaf_points`` is the least number of training points in a leaf, ``subsample`` the part of them
    that each tree sees.
    """

    trees: int
    learning_rate: float
    depth: int
    leaf_points: int
    subsample: float


def fit(reference: Points, target: Points, settings: Settings, seed: int) -> Morph:
    """Boost trees on both samples; the condition is one more input, and is corrected as well.

    Weights are in units of their mean over the points that are weighted.
    """
    reweighter = GBReweighter(
        n_estimators=settings.trees,
        learning_rate=settings.learning_rate,
        max_depth=settings.depth,
        min_samples_leaf=settings.leaf_points,
        gb_args={"subsample": settings.subsample, "random_state": seed % 2**32},
    )
    reweighter.fit(*(np.concatenate(sample, axis=1) for sample in (reference, target)))

    def weigh(points: np.ndarray, condition: np.ndarray) -> Morphed:
        weights = reweighter.predict_weights(np.concatenate([points, condition], axis=1))
        return Morphed(points, weights / weights.mean())

    return weigh
