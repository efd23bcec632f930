"""Values as numbers of the bins between their quantiles: all that boosted trees look at."""

from __future__ import annotations

import numpy as np

BINS = 255  # what scikit-learn's histograms hold


class QuantileBins:
    """Bins of each column with equal numbers of points, whatever the points' weights.

    Trees grown on the numbers of the bins are those grown on the values. Of points with weights
    scikit-learn 1.8 and 1.9 would look for weighted quantiles, one by one, and spend most of a
    training on it (their pull request 34248); columns of at most 255 values they take as they are.
    """

    def __init__(self, x: np.ndarray) -> None:
        """Find the bins of points, (n, D)."""
        self._edges = [_edges(column) for column in x.T]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Numbers of the bins that points, (n, D), fall into, (n, D)."""
        return np.stack(
            [
                np.searchsorted(edges, column).astype(np.uint8)
                for edges, column in zip(self._edges, x.T, strict=True)
            ],
            axis=1,
        )


def _edges(column: np.ndarray) -> np.ndarray:
    values = np.unique(column)
    if len(values) <= BINS:  # each its own
        return (values[1:] + values[:-1]) / 2
    inner = np.linspace(0, 100, BINS + 1)[1:-1]
    return np.unique(np.percentile(column, inner, method="averaged_inverted_cdf"))
