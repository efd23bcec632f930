"""One density for both samples, with a switch that says which of them it describes.

A flow p(x | c, s) is trained on both samples together, with s = 0 for points of the reference and
s = 1 for those of the target. A point goes to the base with the switch off and comes back with it
on (Daumann et al., arXiv:2403.18582): base transfer, whose two densities are one network.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch

from flowmorph.alternatives.interface import Morph, Morphed, Points
from flowmorph.flows import setup
from flowmorph.plan.jobs import training as jobs
from flowmorph.transfer import batches, density, morph, points
from flowmorph.transfer.training import Training

HELD_OUT = 0.1  # of the training points, by which the best state of the training is chosen
MODE = "concat"  # both samples' conditions are given: they differ in the switch
ENGINE = "auto"  # compiled kernels, and plain PyTorch where no compiler is


@dataclass(frozen=True)
class Settings:
    """Network and training, as those of a density (`flowmorph.plan.jobs.training`).

    ``condition_noise`` is in scaled units: no gap of a training region is known here.
    """

    layers: int
    blocks: int
    width: int
    bins: int
    tail_bound: float
    batch: int
    epochs: float
    learning_rate: float
    warmup_steps: int
    clip: float
    condition_noise: float


def fit(reference: Points, target: Points, settings: Settings, seed: int) -> Morph:
    """Train the density on both samples, and give base transfer from one switch to the other.

    The condition is one more input, the same on the way to the base and back. A sample with more
    points is shown as many times more often.
    """
    device = setup.start(threads=1, seed=seed, device="cpu")
    network, recipe = (_part(settings, kind) for kind in (jobs.Network, jobs.Recipe))
    splits = _splits(reference, target, seed)
    problem = density.problem("switched density", splits, network, recipe, seed)
    problem.prepare(ENGINE)
    training = Training(problem)
    while training.done < problem.steps:
        training.step()
        if training.due():
            training.record()
    training.finish()
    transfer = morph.BaseTransfer(morph.DensityPair(problem.flow, problem.flow, MODE))

    def move(start: np.ndarray, condition: np.ndarray) -> Morphed:
        x = torch.from_numpy(start).to(device)
        off, on = (torch.from_numpy(_switched(condition, side)).to(device) for side in (0, 1))
        return Morphed(setup.in_chunks(transfer.forward, x, off, on).T.numpy())

    return move


def _part(settings: Settings, kind: type) -> jobs.Network | jobs.Recipe:
    known = {field.name for field in fields(settings)}
    return kind(**{f.name: getattr(settings, f.name) for f in fields(kind) if f.name in known})


def _switched(condition: np.ndarray, side: int) -> np.ndarray:
    """Conditions (N, C) and the switch, (N, C + 1)."""
    return np.column_stack([condition, np.full(len(condition), side, dtype=np.float32)])


def _splits(reference: Points, target: Points, seed: int) -> points.Splits:
    """Points of both samples, of which a random part is held out."""
    samples = (reference, target)
    x = np.concatenate([x for x, _ in samples])
    c = np.concatenate([_switched(c, side) for side, (_, c) in enumerate(samples)])
    order = np.random.default_rng(seed).permutation(len(x))
    held = max(1, round(HELD_OUT * len(x)))
    train, held_out = (
        batches.Points(torch.from_numpy(x[rows]), torch.from_numpy(c[rows]))
        for rows in (order[held:], order[:held])
    )
    # Noise is in units of these: of one for a condition, and of none for the switch.
    units = torch.ones(c.shape[1], dtype=torch.float32, device="cpu")
    units[-1] = 0
    return points.Splits(train, held_out, units)
