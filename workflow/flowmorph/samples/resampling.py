"""Systematic resampling: rows in proportion to their weights."""

from __future__ import annotations

import numpy as np


def systematic(weights: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Choose rows in proportion to their weights, by steps along them.

    Rows, each as long as its weight, are laid end to end on [0, 1). ``weights`` have shape (N,),
    ``steps`` (M,) lie in [0, 1); the result, (M,), is the row in which each step falls. With
    equally spaced steps row i is there floor or ceil of M w_i / sum w times, and M w_i / sum w
    times on average over the place of the first step (Kitagawa, J. Comput. Graph. Stat. 5 (1996)
    1).
    """
    total = np.cumsum(weights, dtype=np.float64)
    rows = np.searchsorted(total, steps * total[-1], side="right")
    # A step that rounding puts at the very end would lie behind the last row.
    return np.minimum(rows, len(weights) - 1)
