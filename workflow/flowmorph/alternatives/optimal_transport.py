"""Entropic optimal transport between the training samples (POT), extended to any point.

The entropic map sends a point to the mean of the target points, weighted by the plan's density at it
(Pooladian and Niles-Weed, arXiv:2109.12004). Entropy draws all images together; the same map from the
reference to itself shows by how much, and is subtracted (as in the Sinkhorn divergence: Feydy et al.,
arXiv:1810.08278).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import ot

from flowmorph.morphing import Morph, Morphed, Points

CHUNK = 1024  # points moved at a time: the matrix of distances stays small
ITERATIONS, TOLERANCE = 1000, 1e-6  # of Sinkhorn's algorithm; error of the marginals


@dataclass(frozen=True)
class Settings:
    """Training points of each sample, strength of the entropy, and the condition's cost.

    ``epsilon`` is in units of the squared distance; ``condition_weight`` is what a difference in the
    condition costs in units of one in a feature.
    """

    points: int
    epsilon: float
    condition_weight: float


def fit(reference: Points, target: Points, settings: Settings, seed: int) -> Morph:
    """Solve the transport between random training points, condition included as a coordinate.

    A point x moves by T(x) - S(x), where T is the entropic map to the target and S that to the
    reference itself; its condition stays what it is.
    """
    rng = np.random.default_rng(seed)
    start, end = (_chosen(sample, settings, rng) for sample in (reference, target))
    to_target = _entropic_map(start, end, reference[0].shape[1], settings.epsilon)
    to_itself = _entropic_map(start, start, reference[0].shape[1], settings.epsilon)

    def move(points: np.ndarray, condition: np.ndarray) -> Morphed:
        moved = np.empty_like(points)
        for first in range(0, len(points), CHUNK):
            rows = slice(first, first + CHUNK)
            x = _joined((points[rows], condition[rows]), settings)
            moved[rows] = points[rows] + to_target(x) - to_itself(x)
        return Morphed(moved)

    return move


def _joined(sample: Points, settings: Settings) -> np.ndarray:
    x, c = sample
    return np.concatenate([x, settings.condition_weight * c], axis=1, dtype=np.float64)


def _chosen(sample: Points, settings: Settings, rng: np.random.Generator) -> np.ndarray:
    rows = rng.permutation(len(sample[0]))[: settings.points]
    return _joined((sample[0][rows], sample[1][rows]), settings)


def _entropic_map(start: np.ndarray, end: np.ndarray, features: int, epsilon: float):
    """The map to the features of ``end`` (n, D + C), a function of points (m, D + C)."""
    weights = [np.full(len(points), 1 / len(points)) for points in (start, end)]
    _, log = ot.bregman.sinkhorn_stabilized(
        *weights,
        ot.dist(start, end),
        epsilon,
        numItermax=ITERATIONS,
        stopThr=TOLERANCE,
        log=True,
        warn=False,  # a few per mille of error in the marginals matter less than the entropy
    )
    potential = log["beta"]

    def apply(x: np.ndarray) -> np.ndarray:
        exponent = (potential - ot.dist(x, end)) / epsilon
        share = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        return share @ end[:, :features] / share.sum(axis=1, keepdims=True)

    return apply
