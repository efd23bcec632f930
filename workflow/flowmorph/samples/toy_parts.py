"""Which part of a toy a point belongs to: one of the four circles, or an arm of the star."""

from __future__ import annotations

import numpy as np

from flowmorph.samples import geometry


def circle_and_angle(
    x: np.ndarray, rotation: float | np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Find the circle that each point of the four circles is nearest to, and its angle on it.

    ``x`` has shape (N, 2); ``rotation`` in degrees, one or (N,), for rotated toys, None for plain
    ones. Returns the circle's index (N,), 0 to 3, and the angle (N,) in radians, before any
    rotation.
    """
    x = _plain(x, rotation)
    offset = x[:, None, :] - geometry.CENTRES
    circle = np.argmin(np.abs(np.hypot(offset[..., 0], offset[..., 1]) - geometry.RADIUS), axis=1)
    nearest = offset[np.arange(len(x)), circle]
    return circle, np.arctan2(nearest[:, 1], nearest[:, 0])


def arm(x: np.ndarray, rotation: float | np.ndarray | None = None) -> np.ndarray:
    """Find the arm of the star along which each point lies, 0 to 3; arguments as above."""
    return np.argmax(_plain(x, rotation) @ geometry.ARMS.T, axis=1)


def _plain(x: np.ndarray, rotation: float | np.ndarray | None) -> np.ndarray:
    if rotation is not None:
        return geometry.turned_back(x, rotation)
    return np.asarray(x, dtype=np.float64)
