"""Which part of a toy a point belongs to: one of the four circles, or an arm of the star."""

from __future__ import annotations

import numpy as np

from flowmorph.errors import InputError
from flowmorph.samples import geometry

_FARTHEST = geometry.RADIUS / 2  # from its circle: ten standard deviations of the points' noise


def drawn_circles(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the circle, 0 to 3, that each of ``n`` points of the four circles belongs to.

    A sample begins with these random numbers, so that its seed tells the circle of each point, also
    where circles cross.
    """
    return rng.integers(4, size=n)


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
    return circle, _angle(x, circle)


def angle_on(
    x: np.ndarray, circle: np.ndarray, rotation: float | np.ndarray | None = None
) -> np.ndarray:
    """Give the angle of each point on the circle (N,) that it was drawn from; otherwise as above.

    Raises InputError where a point does not lie on its circle.
    """
    x = _plain(x, rotation)
    distance = np.hypot(*(x - geometry.CENTRES[circle]).T) - geometry.RADIUS
    if np.abs(distance).max(initial=0.0) > _FARTHEST:
        raise InputError(
            "these points were not drawn from these circles: give the seed of their data set"
        )
    return _angle(x, circle)


def arm(x: np.ndarray, rotation: float | np.ndarray | None = None) -> np.ndarray:
    """Find the arm of the star along which each point lies, 0 to 3; arguments as above."""
    return np.argmax(_plain(x, rotation) @ geometry.ARMS.T, axis=1)


def _angle(x: np.ndarray, circle: np.ndarray) -> np.ndarray:
    offset = x - geometry.CENTRES[circle]
    return np.arctan2(offset[:, 1], offset[:, 0])


def _plain(x: np.ndarray, rotation: float | np.ndarray | None) -> np.ndarray:
    if rotation is not None:
        return geometry.turned_back(x, rotation)
    return np.asarray(x, dtype=np.float64)
