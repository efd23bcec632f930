"""Where a map between two samples is not to be trusted: where one of them has hardly any events."""

from __future__ import annotations

import numpy as np

#: A density this many times below the other is almost none.
FACTOR = 100.0


def lacking(log_p: np.ndarray, log_other: np.ndarray) -> np.ndarray:
    """Points (N,), bool, where a density, exp(``log_p``), is almost none beside the other."""
    return log_p < log_other - np.log(FACTOR)


def share(lacks: np.ndarray, weights: np.ndarray | None) -> float:
    """Part of the points (N,), by their weights (N,), for which this is true."""
    return float(np.average(lacks, weights=weights))
