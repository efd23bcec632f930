"""Small samples that the tests of figures draw."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text

from flowmorph.figures import closure
from flowmorph.metrics.measures import Measure
from flowmorph.plan.methods import PUBLISHED
from flowmorph.samples import moved, toys

ANGLES = (7.5, 45.0)
TOY_SEED, ROTATED_SEED = 1, 2
LOSS_CSV = """step,epoch,start,phase,train_loss,validation_loss,learning_rate,returns
0,0,2,0,3.5,,0.001,0
50,0.5,2,0,2.5,2.6,0.0005,0
100,1,2,0,2.25,2.375,0,0
"""


def toy_task() -> moved.MovedSample:
    """A toy task whose methods move by 0.1, 0.2, ... along the first axis."""
    rng = np.random.default_rng(TOY_SEED)
    reference = toys.sample_toy("fourcircles", 400, rng)
    target, none = toys.sample_toy("star", 400, rng), np.empty((400, 0))
    images = {name: reference + [0.1 * i, 0.0] for i, name in enumerate(PUBLISHED, start=1)}
    return moved.MovedSample(reference, target, none, none, images)


def rotated_task() -> moved.MovedSample:
    """A conditional task from every angle to every other; each method is the exact rotation."""
    rng = np.random.default_rng(ROTATED_SEED)
    reference, start = toys.sample_rotated_toy("fourcircles", 1200, ANGLES, rng)
    target, end = toys.sample_rotated_toy("fourcircles", 1200, ANGLES, rng)
    turn = np.deg2rad(45.0 * (end - start)[:, 0])
    c, s = np.cos(turn), np.sin(turn)
    x, y = reference.T
    images = dict.fromkeys(PUBLISHED, np.column_stack([c * x - s * y, s * x + c * y]))
    return moved.MovedSample(reference, target, start, end, images)


def science_task() -> moved.MovedSample:
    """Five features whose methods move every one by 0.02, 0.04, ..."""
    rng = np.random.default_rng(3)
    reference = np.clip(rng.normal(0.1, 1.0, (600, 5)), -3, 3)
    target = np.clip(rng.normal(0.0, 1.0, (600, 5)), -3, 3)
    images = {name: reference - 0.02 * i for i, name in enumerate(PUBLISHED, start=1)}
    mass = rng.uniform(-3, 3, (600, 1))
    return moved.MovedSample(reference, target, mass, mass, images)


def events(seed: int) -> dict[str, np.ndarray]:
    """A feature table in GeV."""
    rng = np.random.default_rng(seed)
    return {
        "m_j1": rng.gamma(2.0, 50.0, 500),
        "delta_m_jj": rng.exponential(150.0, 500),
        "tau21_j1": rng.uniform(0, 1, 500),
        "tau21_j2": rng.uniform(0, 1, 500),
        "delta_r_jj": rng.normal(3.2, 0.2, 500),
        "m_jj": rng.uniform(2500.0, 4500.0, 500),
    }


def loss_history() -> dict[str, np.ndarray]:
    """A loss table, validated at every tenth row."""
    step = np.arange(0.0, 1000.0, 10.0)
    validation = np.full(100, np.nan)
    validation[9::10] = 1.25
    return {
        "step": step,
        "epoch": step / 100,
        "start": np.ones(100),
        "phase": np.zeros(100),
        "train_loss": 1.2 + np.exp(-step / 100),
        "validation_loss": validation,
        "learning_rate": 1e-3 * (1 - step / 1000),
        "returns": np.zeros(100),
    }


def regions() -> dict[str, list[Measure]]:
    """Measures of both regions; in the signal region every number is larger by a tenth."""
    metrics = {"auc": 0.6, "auc_low": 0.58, "auc_high": 0.63, "sliced_wasserstein": 0.1}
    metrics["distance_mean"] = 0.4
    return {
        region: [
            Measure("collider", "", "1", name, "", metric, scale * value)
            for name in closure.ROWS
            for metric, value in metrics.items()
        ]
        for region, scale in zip(closure.REGIONS, (1.0, 1.1), strict=True)
    }


def texts(fig: Figure) -> str:
    """All that is written in a figure."""
    return "\n".join(t.get_text() for t in fig.findobj(Text) if t.get_visible())
