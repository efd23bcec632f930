"""The shapes of the toys, and how rotated ones are turned.

Nothing here imports scipy: figures use this module, and that import takes as long as drawing one of
them.
"""

from __future__ import annotations

import math

import numpy as np

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


def rotated(x: np.ndarray, angle: float | np.ndarray) -> np.ndarray:
    """Turn points of a plain toy, shape (N, 2), into those of the rotated one, counterclockwise.

    ``angle`` is in degrees, one or (N,).
    """
    return ROTATED_SCALE * _turned(x, np.deg2rad(angle))


def turned_back(x: np.ndarray, angle: float | np.ndarray) -> np.ndarray:
    """Undo `rotated`: give the points of the plain toy, float64 of shape (N, 2)."""
    return _turned(np.asarray(x, dtype=np.float64), -np.deg2rad(angle)) / ROTATED_SCALE


def _turned(x: np.ndarray, angle: float | np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos * x[:, 0] - sin * x[:, 1], sin * x[:, 0] + cos * x[:, 1]], axis=1)
