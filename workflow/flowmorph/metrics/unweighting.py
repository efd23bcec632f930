"""From weighted to unweighted samples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def effective_number(rows: int, weights: np.ndarray | None) -> int:
    """Number of equal points with the statistical weight of ``rows`` weighted ones.

    (sum w)^2 / sum w^2 (Kish, Survey Sampling, 1965); ``rows`` without weights.
    """
    if weights is None:
        return rows
    return int(np.square(weights.sum()) / np.square(weights).sum())


def accepted(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Choose rows, each at most once, in proportion to their weights: the rest is dropped.

    Acceptance against the largest weight, as generators unweight events. What is left is a fair
    sample of independent points, to which every test applies as it is; mean weight over largest
    weight is the share that is left.
    """
    return np.flatnonzero(rng.random(len(weights)) * weights.max() < weights)


def unweighted(arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Unweight the moved points of a task, and its target, which is independent of them.

    ``arrays`` are those of a file of moved samples with ``weight_reference`` and
    ``weight_target``; the result has as many rows as the smaller sample has left, no weights.
    """
    from_reference = accepted(arrays["weight_reference"], rng)
    from_target = accepted(arrays["weight_target"], rng)
    size = min(len(from_reference), len(from_target))
    rows = {False: from_reference[:size], True: from_target[:size]}
    return {
        name: array[rows[name in ("target", "condition_target")]]
        for name, array in arrays.items()
        if not name.startswith("weight_")
    }
