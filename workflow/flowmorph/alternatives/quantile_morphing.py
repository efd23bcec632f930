"""Quantile morphing: each feature to the target's quantile of the same level, correlations aside.

For one feature this is the optimal transport (Santambrogio, Optimal Transport for Applied
Mathematicians (2015), theorem 2.9). Between bins of the condition, shifts are interpolated (compare
Read, Nucl. Instrum. Meth. A 425 (1999) 357).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flowmorph.alternatives.interface import Morph, Morphed, Points
from flowmorph.errors import InputError


@dataclass(frozen=True)
class Settings:
    """Training points between two levels of a quantile function, and bins of the condition.

    Fewer points follow the target more closely, and the fluctuations of its training sample too.
    The bins hold equally many points.
    """

    points_per_level: int
    bins: int


def fit(reference: Points, target: Points, settings: Settings, seed: int) -> Morph:
    """Tabulate the quantiles of both samples in bins of the condition; there is one at most.

    A point moves by the mean of the two nearest bins' maps, weighted by its distance in the
    condition from the bins' mean conditions: between sidebands the map is interpolated. Beyond
    the outermost bins and quantiles, the outermost shift is kept. ``seed`` changes nothing.
    """
    if reference[1].shape[1] > 1:
        raise InputError(
            "quantile_morphing takes one condition at most, leave it out of the methods"
        )
    centres, tables = [], []
    for condition, samples in _bins(reference, target, settings.bins):
        levels = max(2, min(map(len, samples)) // settings.points_per_level)
        steps = (np.arange(levels) + 0.5) / levels
        # Hazen's quantiles: with as many levels as points, the points themselves.
        tables.append([np.quantile(x, steps, axis=0, method="hazen") for x in samples])
        centres.append(condition)

    def move(points: np.ndarray, condition: np.ndarray) -> Morphed:
        moved = np.stack([_mapped(points, *table) for table in tables])
        if len(tables) > 1:
            place = np.interp(condition[:, 0], centres, np.arange(len(centres)))
            low = np.minimum(place.astype(int), len(centres) - 2)
            rows, upper = np.arange(len(points)), (place - low)[:, None]
            moved = (1 - upper) * moved[low, rows] + upper * moved[low + 1, rows]
        else:
            moved = moved[0]
        return Morphed(moved.astype(points.dtype))

    return move


def _bins(reference: Points, target: Points, bins: int):
    """Mean condition and both samples' points in each bin; one bin where there is no condition."""
    (x, c_x), (y, c_y) = reference, target
    if not c_x.shape[1]:
        yield 0.0, (x, y)
        return
    edges = np.quantile(np.concatenate([c_x, c_y]), np.arange(1, bins) / bins)
    places = [np.searchsorted(edges, c[:, 0], side="right") for c in (c_x, c_y)]
    for i in range(bins):
        rows = [place == i for place in places]
        if all(part.any() for part in rows):
            condition = np.concatenate([c_x[rows[0]], c_y[rows[1]]]).mean()
            yield float(condition), (x[rows[0]], y[rows[1]])


def _mapped(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Points (N, D) from quantiles ``start`` (L, D) to those of ``end``."""
    moved = np.empty(points.shape)
    for i, x in enumerate(points.T.astype(np.float64)):
        inside = np.clip(x, start[0, i], start[-1, i])
        moved[:, i] = np.interp(inside, start[:, i], end[:, i]) + (x - inside)
    return moved
