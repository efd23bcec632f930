"""Optimal-transport flow matching: a flow from reference to target that needs no densities.

A velocity v(x, t, c) is fitted to the straight lines between the reference and target points that
the exact optimal transport of each batch pairs (Lipman et al., arXiv:2210.02747; Tong et al.,
arXiv:2302.00482).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torch import Tensor, nn

from flowmorph.alternatives.interface import Morph, Morphed, Points
from flowmorph.flows import setup
from flowmorph.transfer.adam import Adam

CHUNK = 8192  # points moved at a time


@dataclass(frozen=True)
class Settings:
    """Network, training and integration.

    ``condition_weight`` is what a difference in the condition costs in the pairing, in units of one
    in a feature.
    """

    width: int
    layers: int
    batch: int
    steps: int
    learning_rate: float
    condition_weight: float
    integration_steps: int


def fit(reference: Points, target: Points, settings: Settings, seed: int) -> Morph:
    """Fit the velocity by Adam with a cosine to zero; follow it by fourth-order Runge-Kutta steps.

    Pairs have nearly the same condition, and the velocity is given that of the target, so that
    points arrive where the target is at the condition that it was told.
    """
    # One thread is fastest for matrices of this size, and gives the same bytes anywhere.
    setup.start(threads=1, seed=seed, device="cpu")
    rng = np.random.default_rng(seed)
    (x, c_x), (y, c_y) = reference, target
    with setup.single():
        network = _network(x.shape[1] + 1 + c_x.shape[1], x.shape[1], settings)
    adam = Adam(network.parameters(), settings.learning_rate, (0.9, 0.999))
    batch = min(settings.batch, len(x), len(y))
    rows_x, rows_y = _rows(rng, len(x), batch), _rows(rng, len(y), batch)
    for step in range(settings.steps):
        rate = 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        adam.rate = settings.learning_rate * rate
        own, near = next(rows_x), next(rows_y)
        start, end, condition = x[own], y[near], c_y[near]
        pairs = _pairs(
            start, end, settings.condition_weight * c_x[own], settings.condition_weight * condition
        )
        start, end, condition = (torch.from_numpy(a) for a in (start, end[pairs], condition[pairs]))
        time = torch.rand(batch, 1, dtype=torch.float32, device="cpu")
        place = start + time * (end - start)
        velocity = network(torch.cat([place, time, condition], dim=1))
        loss = (velocity - (end - start)).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    network.requires_grad_(False)

    def move(points: np.ndarray, condition: np.ndarray) -> Morphed:
        parts = [
            _integrate(
                network,
                torch.from_numpy(points[first : first + CHUNK]),
                torch.from_numpy(condition[first : first + CHUNK]),
                settings.integration_steps,
            )
            for first in range(0, len(points), CHUNK)
        ]
        return Morphed(torch.cat(parts).numpy())

    return move


def _network(inputs: int, outputs: int, settings: Settings) -> nn.Sequential:
    sizes = [inputs, *[settings.width] * settings.layers]
    hidden = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.SiLU())]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], outputs))


def _rows(rng: np.random.Generator, points: int, batch: int):
    """Rows of batches without replacement, epoch by epoch, for ever."""
    while True:
        order = rng.permutation(points)
        for first in range(0, points - batch + 1, batch):
            yield order[first : first + batch]


def _pairs(x: np.ndarray, y: np.ndarray, c_x: np.ndarray, c_y: np.ndarray) -> np.ndarray:
    """Which row of ``y`` each row of ``x`` goes to at the least sum of squared distances."""
    start, end = np.concatenate([x, c_x], axis=1), np.concatenate([y, c_y], axis=1)
    return linear_sum_assignment(cdist(start, end, "sqeuclidean"))[1]


def _integrate(network: nn.Module, x: Tensor, c: Tensor, steps: int) -> Tensor:
    """Follow the velocity from t = 0 to 1."""

    def velocity(x: Tensor, t: float) -> Tensor:
        return network(torch.cat([x, x.new_full((len(x), 1), t), c], dim=1))

    h = 1 / steps
    for i in range(steps):
        t = i * h
        k1 = velocity(x, t)
        k2 = velocity(x + h / 2 * k1, t + h / 2)
        k3 = velocity(x + h / 2 * k2, t + h / 2)
        k4 = velocity(x + h * k3, t + h)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x
