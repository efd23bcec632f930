"""From weighted to unweighted samples."""

from __future__ import annotations

import numpy as np

from flowmorph.samples.resampling import systematic


def relative(weights: np.ndarray) -> np.ndarray:
    """Weights, (n,), in a unit in which the largest size is between 1/2 and 1, or all are zero.

    Weights matter only relative to each other, but squares and sums of those such as 1e-300 or
    1e300 are beyond the range of float64. The unit is a power of two, which changes no digit.
    """
    weights = np.asarray(weights, dtype=np.float64)
    _, exponent = np.frexp(np.abs(weights).max(initial=0.0))
    return np.ldexp(weights, -exponent)


def effective_points(weights: np.ndarray) -> float:
    """How many points of equal weight have the statistical power of these: (sum w)^2 / sum w^2.

    Weights may be negative. Zero if all weights are zero. Source: Kish, Survey Sampling (1965),
    section 11.7.
    """
    weights = relative(weights)
    squares = np.square(weights).sum()
    return float(np.square(weights.sum()) / squares) if squares else 0.0


def effective_number(rows: int, weights: np.ndarray | None) -> int:
    """`effective_points` as a whole number; ``rows`` where there are no weights."""
    return rows if weights is None else int(effective_points(weights))


def accepted(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Choose rows, each at most once, in proportion to their weights: the rest is dropped.

    Acceptance against the largest weight, as generators unweight events. What is left is a fair
    sample of independent points, to which every test applies as it is; mean weight over largest
    weight is the share that is left.
    """
    weights = relative(weights)
    return np.flatnonzero(rng.random(len(weights)) * weights.max(initial=0.0) < weights)


def resampled(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Choose rows in proportion to their weights, as many as `effective_number`, but one at least.

    Systematic resampling: rows of large weight come several times, so this is for averages, and not
    for tests that take points for independent.
    """
    number = max(effective_number(len(weights), weights), 1)
    return systematic(relative(weights), (rng.permutation(number) + rng.random()) / number)
