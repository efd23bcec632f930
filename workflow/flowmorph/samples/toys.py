"""The toy distributions of the paper (section III, appendix B) and their exact densities.

All toys live in the plane, nearly all of their mass in [-4, 4]^2. Because each density has a closed
form, the quality of any flow on them can be stated in nats, with a floor of zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy  # its submodules are loaded at their first use, which most jobs never come to

from flowmorph.errors import InputError
from flowmorph.samples import geometry, toy_parts

SMEAR = 0.1  # standard deviation of the Gaussian noise of the circles and the star
# A checkerboard point stored in single precision may land this far outside its square.
EDGE_TOLERANCE = 1e-6


def sample_toy(name: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``n`` independent points of one toy distribution.

    Returns float64 of shape (n, 2). Raises InputError for an unknown name.
    """
    return _toy(name)[0](n, rng)


def sample_part_by_part(name: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``n`` points of each part of a toy, one part after the other: circles, or arms.

    The order is that of the authors' code. The checkerboard has no such parts: its 4 ``n`` points
    come in any order. Returns float64 of shape (4 n, 2). Raises InputError for an unknown name.
    """
    part = np.repeat(np.arange(4), n)
    if name == "fourcircles":
        return _circles(part, rng)
    return (
        _quarter_turns(_bar(4 * n, rng), part) if name == "star" else sample_toy(name, 4 * n, rng)
    )


def log_density(name: str, x: np.ndarray) -> np.ndarray:
    """Evaluate the exact log-density of a toy, in nats.

    ``x`` has shape (n, 2), the result (n,) in float64. It is finite for the circles and the star
    (until the square of a coordinate overflows) and -inf off the checkerboard's squares.
    Raises InputError for an unknown name.
    """
    return _toy(name)[1](np.asarray(x, dtype=np.float64))


def sample_rotated_toy(
    name: str, n: int, angles_deg: Sequence[float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw points that are each rotated by a randomly chosen angle and scaled (appendix B).

    ``angles_deg`` are degrees, counterclockwise, equally likely. Returns the points (n, 2) and the
    condition (n, 1) = angle / 45. Raises InputError for an unknown name or an empty angle list.
    """
    if len(angles_deg) == 0:
        raise InputError("rotated toys need at least one angle (config key rotated.angles_deg)")
    x = sample_toy(name, n, rng)
    angle = rng.choice(np.asarray(angles_deg, dtype=np.float64), size=n)
    return geometry.rotated(x, angle), angle[:, None] / geometry.CONDITION_UNIT_DEG


def log_density_rotated(name: str, x: np.ndarray, condition: np.ndarray) -> np.ndarray:
    """Evaluate the exact log p(x | condition) of a rotated toy, in nats.

    ``x`` has shape (n, 2), ``condition`` (n, 1) = angle / 45 degrees; the result has shape (n,).
    Raises InputError for an unknown name.
    """
    plain = geometry.turned_back(x, geometry.degrees(condition))
    return log_density(name, plain) - 2 * math.log(geometry.ROTATED_SCALE)


def _toy(name: str):
    try:
        return _TOYS[name]
    except KeyError:
        raise InputError(f"unknown toy {name!r}: choose one of {', '.join(TOYS)}") from None


def _quarter_turns(x: np.ndarray, k: np.ndarray | int) -> np.ndarray:
    """Rotate by k * 90 degrees without the rounding of a cosine."""
    cos, sin = np.array([1.0, 0.0, -1.0, 0.0])[k], np.array([0.0, 1.0, 0.0, -1.0])[k]
    return np.stack([cos * x[:, 0] - sin * x[:, 1], sin * x[:, 0] + cos * x[:, 1]], axis=1)


def _log_gaussian(x: np.ndarray) -> np.ndarray:
    """Log of the one-dimensional Gaussian of width SMEAR, -inf where its square overflows."""
    with np.errstate(over="ignore"):
        return -0.5 * (x / SMEAR) ** 2 - math.log(SMEAR * math.sqrt(2 * math.pi))


def _sample_fourcircles(n: int, rng: np.random.Generator) -> np.ndarray:
    return _circles(toy_parts.drawn_circles(n, rng), rng)


def _circles(circle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n, centre = len(circle), geometry.CENTRES[circle]
    angle = rng.uniform(0, 2 * np.pi, size=n)
    ring = geometry.RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return centre + ring + SMEAR * rng.standard_normal((n, 2))


def _log_density_fourcircles(x: np.ndarray) -> np.ndarray:
    rings = []
    for centre in geometry.CENTRES:
        r = np.hypot(*(x - centre).T)
        z = r * (geometry.RADIUS / SMEAR**2)
        # A ring convolved with a Gaussian: exp(-(r^2 + R^2) / 2 s^2) I0(r R / s^2) / (2 pi s^2).
        # The scaled Bessel function i0e(z) = exp(-z) I0(z) completes the square.
        across = _log_gaussian(r - geometry.RADIUS)
        along = np.log(scipy.special.i0e(z)) - math.log(SMEAR * math.sqrt(2 * math.pi))
        rings.append(across + along)
    return scipy.special.logsumexp(rings, axis=0) - math.log(4)


def _sample_star(n: int, rng: np.random.Generator) -> np.ndarray:
    bar = _bar(n, rng)
    return _quarter_turns(bar, rng.integers(4, size=n))


def _bar(n: int, rng: np.random.Generator) -> np.ndarray:
    along = rng.uniform(*geometry.BAR, size=n)
    return np.stack([along, np.zeros(n)], axis=1) + SMEAR * rng.standard_normal((n, 2))


def _log_density_star(x: np.ndarray) -> np.ndarray:
    low, high = geometry.BAR
    middle, half = (low + high) / 2, (high - low) / 2
    arms = []
    for k in range(4):
        along, across = _quarter_turns(x, k).T
        # Uniform convolved with a Gaussian: [Phi((half - d) / s) - Phi((-half - d) / s)] / length,
        # d = distance from the middle. The second Phi is at most 1e-23 of the first for this bar of
        # twenty standard deviations, so below the rounding of the first.
        d = np.abs(along - middle)
        with np.errstate(over="ignore"):
            box = scipy.special.log_ndtr((half - d) / SMEAR) - math.log(2 * half)
        arms.append(box + _log_gaussian(across))
    return scipy.special.logsumexp(arms, axis=0) - math.log(4)


def _sample_checkerboard(n: int, rng: np.random.Generator) -> np.ndarray:
    x1 = rng.uniform(-2, 2, size=n)
    x2 = rng.uniform(0, 1, size=n) - 2 * rng.integers(2, size=n) + np.floor(x1) % 2
    return 2 * np.stack([x1, x2], axis=1)


def _log_density_checkerboard(x: np.ndarray) -> np.ndarray:
    cell = np.clip(np.floor(x / 2), -2, 1)
    filled = cell.sum(axis=1) % 2 == 0
    on_edge = (np.abs(x - 2 * np.round(x / 2)) <= EDGE_TOLERANCE).any(axis=1)
    inside = (np.abs(x) <= geometry.BOX + EDGE_TOLERANCE).all(axis=1)
    return np.where(inside & (filled | on_edge), -math.log(32), -np.inf)


_TOYS = {
    "fourcircles": (_sample_fourcircles, _log_density_fourcircles),
    "star": (_sample_star, _log_density_star),
    "checkerboard": (_sample_checkerboard, _log_density_checkerboard),
}
TOYS = tuple(_TOYS)
