"""Samples with negative weights whose truth is known."""

from __future__ import annotations

import numpy as np
from scipy import stats

HALF = 5.0  # of the range of the discriminating variable
SIGNAL_MEAN = np.array([1.0, 0.5])
BACKGROUND_MEAN = np.array([-0.5, 0.0])
SIGNAL_WIDTH, BACKGROUND_WIDTH = 0.6, 1.2


def s_weights(mass: np.ndarray, yields: tuple[int, int]) -> np.ndarray:
    """Weights of the signal, a unit Gaussian in the mass, on a flat background.

    Source: Pivk and Le Diberder, arXiv:physics/0402083, equations 11 and 14.
    """
    densities = np.stack([stats.norm.pdf(mass), np.full(len(mass), 0.5 / HALF)])
    total = np.asarray(yields) @ densities
    covariance = np.linalg.inv((densities / total**2) @ densities.T)
    return covariance[0] @ densities / total


def signal_and_background(
    signal: int, background: int, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Two features of a mixture with sWeights, and the true mean weight at each row.

    Within signal and background the features are independent of the mass, so the mean weight is the
    probability of the signal, given the features.
    """
    mass = np.concatenate([rng.normal(size=signal), rng.uniform(-HALF, HALF, background)])
    x = np.concatenate(
        [
            SIGNAL_MEAN + SIGNAL_WIDTH * rng.normal(size=(signal, 2)),
            BACKGROUND_MEAN + BACKGROUND_WIDTH * rng.normal(size=(background, 2)),
        ]
    )
    of_signal, of_background = (
        yields * stats.norm.pdf(x, mean, width).prod(axis=1)
        for yields, mean, width in (
            (signal, SIGNAL_MEAN, SIGNAL_WIDTH), (background, BACKGROUND_MEAN, BACKGROUND_WIDTH),
        )
    )  # fmt: skip
    table = {"x": x[:, 0], "y": x[:, 1], "w": s_weights(mass, (signal, background))}
    return table, of_signal / (of_signal + of_background)


def next_to_leading_order(
    rows: int, largest: float, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Rows of weight +-1, and the true mean weight at each.

    The part of negative ones falls from its ``largest`` value, at x = 0, to a tenth of it.
    """
    x, y = rng.uniform(-3, 3, rows), rng.normal(size=rows)
    negative = largest * (0.1 + 0.9 * np.exp(-0.5 * (x / 0.5) ** 2))
    return {"x": x, "y": y, "w": np.where(rng.random(rows) < negative, -1.0, 1.0)}, 1 - 2 * negative
