"""A single transport of toys between the densities of a run, to be changed before it is trained.

What `reversals.py` and `first_weights.py` share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from flowmorph.flows import setup, storage
from flowmorph.metrics import distances
from flowmorph.plan import paths, targets, tasks
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.methods import UNTRAINED, find
from flowmorph.samples import toys
from flowmorph.transfer import points, running, transport
from flowmorph.transfer.checkpoint import Checkpoint
from flowmorph.transfer.morph import DensityPair, morph
from flowmorph.transfer.problem import Problem
from flowmorph.transfer.progress import Quiet

POINTS = 100_000


@dataclass
class OneTransport:
    """A transport that is set up, without smoothed densities and without restarts.

    Attributes:
        task: reference and target.
        pair: their densities.
        problem: what is trained, whose flow may be changed before; None for the base transfer.
    """

    task: tasks.Task
    pair: DensityPair
    problem: Problem | None

    def train(self, checkpoint: Checkpoint | None = None) -> float:
        """Train, and return the loss above that of a perfect transport; nan where none is known."""
        if not self.problem:
            return np.nan
        graphs = self.problem.prepare("auto")
        history = running.train(self.problem, checkpoint, graphs, Quiet())
        return min(row.get("above_lowest", np.nan) for row in history)

    def moved(self) -> tuple[np.ndarray, np.ndarray]:
        """New points of the reference (N, 2), and where they are moved to."""
        x = toys.sample_toy(self.task.reference.toy, POINTS, np.random.default_rng(0))
        start = torch.from_numpy(x.astype(np.float32))
        forward = morph(self.pair, self.problem.flow if self.problem else None).forward
        return x, setup.in_chunks(forward, start, None, None).T.numpy()


def travelled(x: np.ndarray, image: np.ndarray) -> str:
    """Mean distance and standard deviation between points (N, 2) and where they are moved to."""
    found = distances.summarise(distances.euclidean(image, x))
    return f"{found.mean:.3f} ± {found.std:.3f}"


def prepare(
    jobs: Jobs,
    task: tasks.Task,
    method: str,
    training: int,
    seed: int,
    densities: Sequence[str] | None = None,
) -> OneTransport:
    """Set up a transport between the densities of a training; points and weights by the seed.

    Args:
        jobs: of the run that has the densities.
        task: reference and target.
        method: name of one of the paper's.
        training: number of the densities' training.
        seed: of torch, and of the points.
        densities: names of the two; those of the task if it is None.
    """
    setup.start(1, seed, "cpu")
    names = densities or [each.name for each in task.datasets]
    files = (paths.flow(paths.density(jobs.out, name, training)) for name in names)
    pair = DensityPair(*(storage.load(file) for file in files), targets.mode(task, jobs.config))
    if method in UNTRAINED:
        return OneTransport(task, pair, None)
    job = jobs.transport(task.name, method, training)
    splits = [points.load(data, torch.device("cpu")) for data in (job.reference, job.target)]
    problem = transport.problem(
        task.name,
        find(method),
        pair,
        *splits,
        job.network,
        replace(job.recipe, restarts=0),
        penalty=job.penalty,
        seed=seed,
    )
    return OneTransport(task, pair, problem)
