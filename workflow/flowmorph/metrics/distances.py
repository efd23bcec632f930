"""How far a flow moves its points (paper figures 6, 9, 10 and A.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from flowmorph.errors import InputError
from flowmorph.samples.unweighting import relative


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation and number of a sample's distances, in the units of the space."""

    mean: float
    std: float
    points: int


def euclidean(moved: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Measure the Euclidean distance of each row of ``moved`` from the same row of ``reference``.

    Both have shape (N, D); the result is float64 of shape (N,), in the units of the space.
    """
    return np.linalg.norm(_displacement(moved, reference), axis=1)


def per_feature(moved: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Measure the absolute distance of each feature of each row; shape (N, D), float64."""
    return np.abs(_displacement(moved, reference))


def summarise(distance: np.ndarray, weights: np.ndarray | None = None) -> Summary:
    """Give mean, standard deviation (of the population, as numpy's) and number of distances.

    ``weights``, of the shape of ``distance``, may be negative, but their sum is not; a variance
    that they make negative counts as 0.
    """
    if distance.size == 0:
        raise InputError("no distances to summarise: the sample is empty")
    if weights is not None:
        weights = relative(weights)
        mean = np.average(distance, weights=weights)
        variance = np.average(np.square(distance - mean), weights=weights)
        return Summary(float(mean), float(np.sqrt(max(variance, 0.0))), int(distance.size))
    return Summary(float(distance.mean()), float(distance.std()), int(distance.size))


def between_trainings(images: Sequence[np.ndarray], weights: np.ndarray | None = None) -> float:
    """Average the distance between the images of a point by two trainings, over points and pairs.

    Args:
        images: of the same points by each of two or more trainings, (N, D) each.
        weights: what each point counts, (N,); None for all the same.

    Returns:
        The Euclidean distance, in the units of the space; 0 if all trainings found one map.

    Raises:
        InputError: a single training, no points, or other shapes.
    """
    if len(images) < 2:
        raise InputError("one training has no distance to others: two or more are needed")
    means = [summarise(euclidean(a, b), weights).mean for a, b in combinations(images, 2)]
    return float(np.mean(means))


def _displacement(moved: np.ndarray, reference: np.ndarray) -> np.ndarray:
    if moved.shape != reference.shape:
        raise InputError(f"distances need equal shapes, got {moved.shape} and {reference.shape}")
    return moved.astype(np.float64) - reference.astype(np.float64)
