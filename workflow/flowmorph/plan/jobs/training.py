"""Jobs that train a flow."""

from __future__ import annotations

import math

from flowmorph.plan.jobs.data import Data
from flowmorph.plan.jobs.form import job


@job
class Network:
    """Size of a flow; `flowmorph.flows.flow.Architecture` adds its features and its context."""

    layers: int
    blocks: int
    width: int
    bins: int
    tail_bound: float


@job
class Recipe:
    """How long and how fast to train (paper, section II.2).

    ``condition_noise`` is the standard deviation of Gaussian noise on the conditions of each batch,
    in units of the gap between the intervals of the training region.
    """

    batch: int
    epochs: float
    learning_rate: float
    warmup_steps: int
    clip: float
    beta2: float = 0.999
    condition_noise: float = 0.0

    def steps(self, points: int) -> int:
        """Optimizer steps for ``points`` training points."""
        return max(1, round(self.epochs * points / self.batch))

    def rate(self, step: int, steps: int) -> float:
        """Learning rate: linear warm-up, then a cosine to zero (Loshchilov and Hutter 2017)."""
        warmup = min(self.warmup_steps, steps // 4)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        return (
            0.5
            * self.learning_rate
            * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
        )


@job
class DensityJob:
    """The density of one data set; ``device`` and ``engine`` are as in the configuration."""

    data: Data
    network: Network
    recipe: Recipe
    seed: int
    device: str = "auto"
    engine: str = "auto"


@job
class TransportJob:
    """The transport of one task by one method; ``mode`` is how the condition enters, None if not.

    ``penalty`` is the strength of the movement penalty, 0 for methods that have none.
    """

    task: str
    method: str
    mode: str | None
    penalty: float
    reference: Data
    target: Data
    network: Network
    recipe: Recipe
    seed: int
    device: str = "auto"
    engine: str = "auto"


@job
class AlternativeJob:
    """What a method that is no flow makes of a task's points, in each of ``splits``.

    ``settings`` are the method's own, checked by its module.
    """

    method: str
    settings: dict
    reference: Data
    target: Data
    splits: tuple[str, ...]
    seed: int
