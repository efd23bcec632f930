"""The shapes of the toys, how rotated ones are turned, and which part of one a point belongs to.

Figures need this, so that nothing here imports scipy, which takes longer to start than a figure to
draw.
"""

from __future__ import annotations

import math

import numpy as np

from flowmorph.errors import InputError

RADIUS = 2.0
CENTRES = np.array([(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)])
BAR = (0.6, 2.6)  # where an arm of the star begins and ends: 2 (u + 0.3), u in (0, 1)
ARMS = np.array([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)])
BOX = 4.0
ROTATED_SCALE = 4.0 / math.sqrt(2 * 4.0**2)  # keeps the rotated box inside the unrotated one
CONDITION_UNIT_DEG = 45.0  # a rotated toy's condition is its angle divided by this


def degrees(condition: np.ndarray) -> np.ndarray:
    """Give the rotation angle in degrees, float64 of shape (N,), of conditions of shape (N, 1)."""
    return CONDITION_UNIT_DEG * np.asarray(condition, dtype=np.float64)[:, 0]


def angle_pair(text: str) -> tuple[float, float]:
    """Read the angles of reference and target, in degrees, from ``FROM:TO``.

    A single number stands for both. Raises InputError for any other text.
    """
    start, separator, end = text.partition(":")
    try:
        return float(start), float(end if separator else start)
    except ValueError:
        raise InputError(f"'{text}' is not FROM:TO in degrees") from None


def rotated(x: np.ndarray, angle: float | np.ndarray) -> np.ndarray:
    """Turn points of a plain toy, shape (N, 2), into those of the rotated one, counterclockwise.

    ``angle`` is in degrees, one or (N,).
    """
    return ROTATED_SCALE * _turned(x, np.deg2rad(angle))


def turned_back(x: np.ndarray, angle: float | np.ndarray) -> np.ndarray:
    """Undo `rotated`: give the points of the plain toy, float64 of shape (N, 2)."""
    return _turned(np.asarray(x, dtype=np.float64), -np.deg2rad(angle)) / ROTATED_SCALE


def circle_and_angle(
    x: np.ndarray, rotation: float | np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Find the circle that each point of the four circles is nearest to, and its angle on it.

    ``x`` has shape (N, 2); ``rotation`` in degrees, one or (N,), for rotated toys, None for plain
    ones. Returns the circle's index (N,), 0 to 3, and the angle (N,) in radians, before any
    rotation.
    """
    x = _plain(x, rotation)
    offset = x[:, None, :] - CENTRES
    circle = np.argmin(np.abs(np.hypot(offset[..., 0], offset[..., 1]) - RADIUS), axis=1)
    nearest = offset[np.arange(len(x)), circle]
    return circle, np.arctan2(nearest[:, 1], nearest[:, 0])


def arm(x: np.ndarray, rotation: float | np.ndarray | None = None) -> np.ndarray:
    """Find the arm of the star along which each point lies, 0 to 3; arguments as above."""
    return np.argmax(_plain(x, rotation) @ ARMS.T, axis=1)


def _plain(x: np.ndarray, rotation: float | np.ndarray | None) -> np.ndarray:
    return np.asarray(x, dtype=np.float64) if rotation is None else turned_back(x, rotation)


def _turned(x: np.ndarray, angle: float | np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos * x[:, 0] - sin * x[:, 1], sin * x[:, 0] + cos * x[:, 1]], axis=1)
