"""Which part of a toy a point belongs to: one of the four circles, or an arm of the star."""

from __future__ import annotations

import numpy as np

# Geometry of the toys, as in flowmorph.samples.toys (a test compares them): importing that module
# would cost each figure the start-up time of scipy.
CENTRES = np.array([(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)])
RADIUS = 2.0
ROTATED_SCALE = 4.0 / np.sqrt(32.0)
ARMS = np.array([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)])


def circle_and_angle(
    x: np.ndarray, rotation: float | np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Find the circle that each point of the four circles is nearest to, and its angle on it.

    ``x`` has shape (N, 2); ``rotation`` in degrees, one or (N,), for rotated toys, None for plain
    ones. Returns the circle's index (N,), 0 to 3, and the angle (N,) in radians, before any
    rotation.
    """
    x = _turned_back(x, rotation)
    offset = x[:, None, :] - CENTRES
    circle = np.argmin(np.abs(np.hypot(offset[..., 0], offset[..., 1]) - RADIUS), axis=1)
    nearest = offset[np.arange(len(x)), circle]
    return circle, np.arctan2(nearest[:, 1], nearest[:, 0])


def arm(x: np.ndarray, rotation: float | np.ndarray | None = None) -> np.ndarray:
    """Find the arm of the star along which each point lies, 0 to 3; arguments as above."""
    return np.argmax(_turned_back(x, rotation) @ ARMS.T, axis=1)


def _turned_back(x: np.ndarray, rotation: float | np.ndarray | None) -> np.ndarray:
    x = np.asarray(x, dtype=np.float64)
    if rotation is None:
        return x
    c, s = np.cos(np.deg2rad(rotation)), np.sin(np.deg2rad(rotation))
    turned = (c * x[:, 0] + s * x[:, 1], c * x[:, 1] - s * x[:, 0])
    return np.stack(turned, axis=1) / ROTATED_SCALE
