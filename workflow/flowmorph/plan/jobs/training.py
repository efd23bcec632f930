"""Jobs that train a flow."""

from __future__ import annotations

import math
from dataclasses import fields, replace

from flowmorph.plan.jobs.data import Data, files_of
from flowmorph.plan.jobs.form import choice, job


@job
class Network:
    """Size of a flow; `flowmorph.flows.flow.Architecture` adds its features and its context.

    Attributes:
        layers: number of autoregressive layers.
        blocks: residual blocks in the network of each layer.
        width: hidden units in the network of each layer.
        bins: bins of each spline.
        tail_bound: half-width of the box in which the splines act, in scaled units.
    """

    layers: int
    blocks: int
    width: int
    bins: int
    tail_bound: float


@job
class Recipe:
    """How long and how fast to train (paper, section II.2).

    Attributes:
        batch: points in one optimizer step.
        epochs: passes over the training points; may be a fraction.
        learning_rate: peak of the schedule.
        warmup_steps: steps of linear rise before the cosine.
        clip: largest norm of the gradient.
        beta2: memory of Adam's mean squared gradient, 0 to 1.
        condition_noise: standard deviation of Gaussian noise on the conditions of each batch, in
            units of the widest gap between the intervals of the training region.
        weight_decay: what weights lose of themselves in a step, in units of the learning rate
            (AdamW, Loshchilov and Hutter 2019); biases lose nothing.
        condition_decay: what the weights of a condition with such a gap lose besides.
        both_share: part of a density's steps, the first ones, whose batches are of the points of
            both samples.
        starts: trainings that are begun, of which the best one goes on.
        start_share: part of all steps after which it is chosen.
        restarts: how often a training that ends far from the lowest possible loss begins again;
            the better one is kept.
        far_nats: a training that ends this much above the lowest possible loss is far from it.
        epoch_of: the sample whose points make an epoch of a transport, the larger or the smaller.
        shuffled_condition: whether a transport that shares its condition with the densities gets
            that of another event, as in the authors' unidirectional transfer.
    """

    batch: int
    epochs: float
    learning_rate: float
    warmup_steps: int
    clip: float
    beta2: float = 0.999
    condition_noise: float = 0.0
    weight_decay: float = 0.0
    condition_decay: float = 0.0
    starts: int = 1
    start_share: float = 0.08
    restarts: int = choice(0)
    far_nats: float = choice(0.2)
    epoch_of: str = choice("larger")
    shuffled_condition: bool = choice(False)
    both_share: float = choice(0.0)

    def in_use(
        self,
        goal: bool,
        noise: bool,
        decay: bool,
        shared: bool = False,
        unequal: bool = False,
    ) -> Recipe:
        """The same, with the default of each setting that does nothing in a training.

        A change of such a setting is then no reason to train again.

        Args:
            goal: whether the lowest possible loss is known.
            noise: whether a sample's condition has a gap in the training region.
            decay: whether that of the sample has one whose gaps the weights go by.
            shared: whether a transport shares its condition with the densities.
            unequal: whether a transport's samples may have unequal numbers of points.
        """
        needs = {
            "start_share": self.starts > 1,
            "restarts": goal,
            "far_nats": goal,
            "condition_noise": noise,
            "condition_decay": decay,
            "shuffled_condition": shared,
            "epoch_of": unequal,
        }
        plain = Recipe(self.batch, self.epochs, self.learning_rate, self.warmup_steps, self.clip)
        idle = (name for name, used in needs.items() if not used)
        return replace(self, **{name: getattr(plain, name) for name in idle})

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


#: Names of the settings of a network and of a transport's training.
NETWORK, RECIPE = (
    tuple(field.name for field in fields(each) if field.name != "both_share")
    for each in (Network, Recipe)
)


@job
class DensityJob:
    """Train the density of one data set.

    Attributes:
        data: the data set.
        network: size of the flow.
        recipe: settings of the training loop.
        seed: of all random numbers of the training.
        device: auto, cpu or cuda.
        engine: auto, compile or eager, as in the configuration.
        noise: standard deviation of Gaussian noise on the points, in units of the features, for a
            smoothed density; 0 for the density itself.
        other: data set of the other sample, where the training begins on the points of both.
    """

    data: Data
    network: Network
    recipe: Recipe
    seed: int
    device: str = "auto"
    engine: str = "auto"
    noise: float = 0.0
    other: Data | None = choice(None)

    @property
    def files(self) -> list[str]:
        """The files that the points are read from."""
        return [*self.data.files, *(self.other.files if self.other else [])]


@job
class Smoothing:
    """The phases of a transport's training between smoothed densities.

    Attributes:
        widths: standard deviation of the noise on the points in each, in units of the features,
            widest first.
        shares: part of the transport's steps that each has; the rest is between the densities.
    """

    widths: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()


@job
class TransportJob:
    """Train the transport of one task by one method.

    Attributes:
        task: name of the task.
        method: name of the method.
        mode: how the condition enters: shared, difference or concat; None if there is none.
        penalty: strength w of the movement penalty, per unit of L1 distance; 0 for methods that
            have none.
        reference: data set of the reference.
        target: data set of the target.
        network: size of the flow.
        recipe: settings of the training loop.
        seed: of all random numbers of the training.
        device: auto, cpu or cuda.
        engine: auto, compile or eager, as in the configuration.
        smoothing: phases between smoothed densities.
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
    smoothing: Smoothing = Smoothing()


@job
class AlternativeJob:
    """Morph a task's points by a method that is no flow.

    Attributes:
        method: name of its module in `flowmorph.alternatives`.
        settings: the method's own, checked by its module.
        reference: data set of the reference.
        target: data set of the target.
        splits: splits whose points are morphed.
        seed: of all random numbers of the method.
    """

    method: str
    settings: dict
    reference: Data
    target: Data
    splits: tuple[str, ...]
    seed: int

    @property
    def files(self) -> list[str]:
        """The files that the points are read from."""
        return files_of(self.reference, self.target)
