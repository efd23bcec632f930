"""How strongly features depend on a condition."""

from __future__ import annotations

import numpy as np

#: Above this there is no noise on a condition, whose bias grows with the square of the strength. It
#: helps the collider's features, which have up to 1.8, and ruins a toy that has 6 (docs/recipe.md).
STRONG = 2.5


def strength(points: np.ndarray, condition: np.ndarray) -> np.ndarray:
    """How far each feature's mean moves over the values of a condition, in the feature's widths.

    The mean is a quadratic in the condition, fitted by least squares; the width is the standard
    deviation around it.

    Args:
        points: features, (N, D).
        condition: one condition of the same events, (N,).

    Returns:
        Strengths (D,); infinite for a feature that the condition fixes.
    """
    basis = np.vander(np.asarray(condition, dtype=np.float64), 3)
    values = np.asarray(points, dtype=np.float64)
    mean = basis @ np.linalg.lstsq(basis, values, rcond=None)[0]
    width = np.sqrt(np.mean((values - mean) ** 2, axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.ptp(mean, axis=0) / width
    return np.nan_to_num(found, nan=0.0, posinf=np.inf)
