"""Entropic optimal transport between the training samples (POT), extended to any point.

The entropic map sends a point to the mean of the target points, weighted by the plan's density
there (Pooladian and Niles-Weed, arXiv:2109.12004). Entropy draws all images together; the same map
from the reference to itself shows by how much, and is subtracted (as in the Sinkhorn divergence:
Feydy et al., arXiv:1810.08278).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import ot

from flowmorph.alternatives.interface import Morph, Morphed, Points

CHUNK = 1024  # points moved at a time: the matrix of distances stays small
ITERATIONS, TOLERANCE = 1000, 1e-6  # of Sinkhorn's algorithm; error of the marginals


@dataclass(frozen=True)
class Settings:
    """Training points, strength of the entropy, and the condition's cost.

    Up to ``batches`` transports are solved, each between ``points`` others of both samples: time
    and memory grow with the square of the points, the scatter falls with the number of all.
    ``epsilon`` is in units of the squared distance; ``condition_weight`` is what a difference in
    the condition costs in units of one in a feature.
    """

    points: int
    batches: int
    epsilon: float
    condition_weight: float


def fit(reference: Points, target: Points, settings: Settings, seed: int) -> Morph:
    """Solve transports between random training points, condition included as a coordinate.

    A point x moves by the mean over batches of T(x) - S(x), where T is the entropic map to the
    target and S that to the reference itself; its condition stays what it is.
    """
    rng = np.random.default_rng(seed)
    features, maps = reference[0].shape[1], []
    for start, end in zip(*(_batches(s, settings, rng) for s in (reference, target)), strict=False):
        to_target = _entropic_map(start, end, features, settings.epsilon)
        to_itself = _entropic_map(start, start, features, settings.epsilon)
        maps.append((to_target, to_itself))

    def move(points: np.ndarray, condition: np.ndarray) -> Morphed:
        moved = np.empty_like(points)
        for first in range(0, len(points), CHUNK):
            rows = slice(first, first + CHUNK)
            x = _joined((points[rows], condition[rows]), settings)
            shifts = [to_target(x) - to_itself(x) for to_target, to_itself in maps]
            moved[rows] = points[rows] + np.mean(shifts, axis=0)
        return Morphed(moved)

    return move


def _joined(sample: Points, settings: Settings) -> np.ndarray:
    x, c = sample
    return np.concatenate([x, settings.condition_weight * c], axis=1, dtype=np.float64)


def _batches(sample: Points, settings: Settings, rng: np.random.Generator) -> list[np.ndarray]:
    """Full batches of points with their conditions, or one of all points if they are fewer."""
    order = rng.permutation(len(sample[0]))
    size = min(settings.points, len(order))
    first = range(0, len(order) - size + 1, size)[: settings.batches]
    rows = [order[i : i + size] for i in first]
    return [_joined((sample[0][part], sample[1][part]), settings) for part in rows]


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
