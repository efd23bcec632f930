"""What a training minimises, phase by phase, and at which rates."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from torch import Tensor

from flowmorph.flows import engine
from flowmorph.flows.flow import Flow
from flowmorph.plan.jobs.training import Recipe
from flowmorph.transfer.batches import Sample


@dataclass(frozen=True)
class Phase:
    """A part of a training.

    Attributes:
        steps: number of optimizer steps.
        losses: functions of one batch (x, c) of each sample, in nats, one a step in turn.
        noise: standard deviation of Gaussian noise on the points of each batch.
        draws: numbers of the problem's samples that batches are drawn from; None for all.
    """

    steps: int
    losses: Sequence[Callable[..., Tensor]]
    noise: float = 0.0
    draws: Sequence[int] | None = None


@dataclass(frozen=True)
class Problem:
    """What a training minimises, phase by phase.

    Attributes:
        name: of the training, for its log.
        flow: the flow that is trained.
        samples: training points, of which a step draws batches.
        phases: what is minimised; the learning rate has one schedule over all of them. Each
            begins with a warm-up and an optimizer without memory, since gradients of a sharper loss
            are larger than the mean squares of those before.
        validate: gives the last phase's loss of points that are not trained on, in nats.
        recipe: settings of the training loop.
        steps_per_epoch: steps that count as one epoch in the loss history.
        uses: flows that the losses take.
        optimum: name of what has the lowest possible loss, for the log.
        floor: gives the validation loss of that, in nats; None where it is not known.
        decay: what each parameter (P,) loses of itself in a step, in units of the learning rate;
            None for nothing.
    """

    name: str
    flow: Flow
    samples: list[Sample]
    phases: Sequence[Phase]
    validate: Callable[[], float]
    recipe: Recipe
    steps_per_epoch: float
    uses: Sequence[Flow] = ()
    optimum: str = "the exact density"
    floor: Callable[[], float] | None = None
    decay: Tensor | None = None

    @property
    def steps(self) -> int:
        """Number of optimizer steps."""
        return sum(phase.steps for phase in self.phases)

    @property
    def ends(self) -> list[int]:
        """The step after the last one of each phase."""
        return list(accumulate(phase.steps for phase in self.phases))

    def phase_of(self, step: int) -> int:
        """Number of the phase of a step."""
        return bisect_right(self.ends, step)

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        rate, warmup = self.recipe.rate(step, self.steps), self.recipe.warmup_steps
        since = step - self.begin_of(step)
        return rate * min(1.0, (since + 1) / warmup) if since < step and warmup else rate

    def begin_of(self, step: int) -> int:
        """First step of a step's phase."""
        number = self.phase_of(step)
        return self.ends[number - 1] if number else 0

    def prepare(self, choice: str) -> bool:
        """Let the flows run compiled, if they can; gives whether steps are to be CUDA graphs.

        ``choice`` is that of `flowmorph.flows.engine.decide`.
        """
        way = engine.decide(choice, self.flow.flat.device)
        if way == engine.COMPILED:
            for flow in self.uses:
                flow.compile()
        return way == engine.GRAPHS
