"""The collider task's columns, and the cuts that make its regions and its training sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flowmorph.plan.tasks import COLLIDER_CONDITION, COLLIDER_FEATURES, GEV_PER_TEV

FEATURES, CONDITION = COLLIDER_FEATURES, COLLIDER_CONDITION
COLUMNS = (*FEATURES, CONDITION)


def in_gev(intervals_tev: Sequence[Sequence[float]]) -> np.ndarray:
    """Intervals of M in TeV as bands (n, 2) in GeV."""
    return np.reshape(intervals_tev, (-1, 2)) * GEV_PER_TEV


def inside(values: np.ndarray, bands: np.ndarray) -> np.ndarray:
    """Whether values (N,) lie in one of the bands (n, 2): low <= value < high."""
    value = values[:, None]
    return ((value >= bands[:, 0]) & (value < bands[:, 1])).any(axis=1)


def select(
    table: dict[str, np.ndarray], condition: str, bands: np.ndarray
) -> dict[str, np.ndarray]:
    """Keep the events whose condition lies in one of the bands (n, 2): low <= value < high."""
    chosen = inside(table[condition], bands)
    return {name: column[chosen] for name, column in table.items()}


def split(
    table: dict[str, np.ndarray], fraction: float, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Put a random ``fraction`` of the events apart (training, validation), each in event order."""
    rows = len(next(iter(table.values())))
    apart = np.zeros(rows, dtype=bool)
    apart[rng.permutation(rows)[: round(fraction * rows)]] = True
    return (
        {name: column[~apart] for name, column in table.items()},
        {name: column[apart] for name, column in table.items()},
    )
