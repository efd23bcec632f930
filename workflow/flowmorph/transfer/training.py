"""The training loop of every flow: Adam, warm-up and cosine to zero, clipped gradients."""

from __future__ import annotations

import csv
import math
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from flowmorph.errors import InputError
from flowmorph.files import atomic
from flowmorph.flows import engine
from flowmorph.flows.flow import Flow
from flowmorph.flows.graphs import Batch, Recorder
from flowmorph.plan.jobs.training import Recipe
from flowmorph.plan.seeds import seed_for
from flowmorph.samples.resampling import systematic
from flowmorph.transfer.checkpoint import Checkpoint
from flowmorph.transfer.rollback import FAR, RETURNS, is_lost, lowest

VALIDATIONS = 20  # evaluations of the validation loss in one training ...
VALIDATION_STEPS = 20  # ... but not more often than this, or they would cost more than the training
PROGRESS_SECONDS = 15.0


@dataclass(frozen=True)
class Points:
    """Points (N, D), conditions (N, C) or None, and weights (N,), on the CPU, or None."""

    x: Tensor
    c: Tensor | None
    weights: Tensor | None = None

    def unweighted(self, seed: int) -> tuple[Tensor, Tensor | None]:
        """Points and conditions that count the same: their mean is that of the weighted points.

        Without weights, these points as they are.
        """
        if self.weights is None:
            return self.x, self.c
        rows = equal_weights(self.weights, torch.Generator().manual_seed(seed)).to(self.x.device)
        return self.x[rows], None if self.c is None else self.c[rows]


def equal_weights(weights: Tensor, generator: torch.Generator) -> Tensor:
    """Choose N rows in proportion to their weights, (N,), some of them several times.

    With equal weights, the rows chosen stand for the weighted ones.
    """
    start = torch.rand((), generator=generator, dtype=torch.float64)
    steps = (torch.arange(len(weights), dtype=torch.float64) + start) / len(weights)
    return torch.from_numpy(systematic(weights.double().numpy(), steps.numpy()))


class Sample:
    """Training points of one data set, drawn in batches without replacement epoch by epoch.

    With ``weights`` (N,) each epoch shows a point in proportion to its weight, so that the mean
    over batches is the weighted mean of the sample. Its variance is that of the weighted points,
    while multiplying losses by weights would let single points of large weight rule a batch.

    ``noise`` (C,), in scaled units, is the standard deviation of Gaussian noise on the conditions:
    a flow then learns densities that are smooth in the condition over this width. Few events allow
    a dependence on the condition that is not there, and between the intervals of the training
    region, where no event contradicts it, that dependence is what a transport would show.
    """

    def __init__(self, points: Points, batch: int, seed: int, noise: Tensor | None = None) -> None:
        if len(points.x) < batch:
            raise InputError(
                f"{len(points.x)} training points are fewer than one batch of {batch}: lower "
                "training.*.batch or provide more events"
            )
        self.x, self.c, self.weights = points.x, points.c, points.weights
        self.batch, self.generator = batch, torch.Generator().manual_seed(seed)
        self.noise, self.seed, self.drawn = noise, seed, 0
        self.order, self.position = torch.empty(0, dtype=torch.long), 0
        self.before = self.generator.get_state()

    def _shuffle(self) -> None:
        self.before = self.generator.get_state()
        order = torch.randperm(len(self.x), generator=self.generator)
        if self.weights is not None:
            order = equal_weights(self.weights, self.generator)[order]
        self.order, self.position = order.to(self.x.device), 0

    def reorder(self, number: int) -> None:
        """Begin an epoch in another order, which follows from the seed and this number."""
        self.generator.manual_seed(seed_for(self.seed, "order", number))
        self._shuffle()

    def resume(self, before: Tensor, position: int, drawn: int) -> None:
        """Go on at ``position`` of the epoch whose order the random state ``before`` gives.

        ``drawn`` batches were drawn until there.
        """
        self.generator.set_state(before)
        self._shuffle()
        self.position, self.drawn = position, drawn

    def draw(self, noise: float = 0.0) -> Batch:
        """Next batch, feature-major: (D, B) and (C, B) or None; ``noise`` is added to its points.

        It is Gaussian, of this standard deviation, and follows from the seed and the number of the
        batch.
        """
        if self.position + self.batch > len(self.order):
            self._shuffle()
        rows = self.order[self.position : self.position + self.batch]
        self.position += self.batch
        self.drawn += 1
        x = self.x[rows].T.contiguous()
        if noise:
            x = x + noise * self._gaussian("noise", x)
        c = None if self.c is None else self.c[rows].T.contiguous()
        if c is not None and self.noise is not None:
            c = c + self.noise[:, None] * self._gaussian("condition noise", c)
        return x, c

    def _gaussian(self, name: str, like: Tensor) -> Tensor:
        """Numbers of a standard normal, which follow from the seed and the number of the batch."""
        generator = torch.Generator(like.device)
        generator.manual_seed(seed_for(self.seed, name, self.drawn))
        return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)


@dataclass(frozen=True)
class Phase:
    """A part of a training.

    Attributes:
        steps: number of optimizer steps.
        losses: functions of one batch (x, c) of each sample, in nats, one a step in turn.
        noise: standard deviation of Gaussian noise on the points of each batch.
    """

    steps: int
    losses: Sequence[Callable[..., Tensor]]
    noise: float = 0.0


@dataclass(frozen=True)
class Problem:
    """What a training minimises, phase by phase.

    Attributes:
        name: of the training, for its log.
        flow: the flow that is trained.
        samples: training points, from each of which a step draws a batch.
        phases: what is minimised; the learning rate has one schedule over all of them.
        validate: gives the last phase's loss of points that are not trained on, in nats.
        recipe: settings of the training loop.
        steps_per_epoch: steps that count as one epoch in the loss history.
        uses: flows that the losses take, each with its directions, "forward" or "inverse".
        floor: validation loss of the exact density, in nats; None where it is not known.
    """

    name: str
    flow: Flow
    samples: list[Sample]
    phases: Sequence[Phase]
    validate: Callable[[], float]
    recipe: Recipe
    steps_per_epoch: float
    uses: Sequence[tuple[Flow, Sequence[str]]] = ()
    floor: float | None = None

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

    def prepare(self, choice: str) -> bool:
        """Compile the flows, if that is worth it; gives whether steps are to be CUDA graphs.

        ``choice`` is that of `flowmorph.flows.engine.decide`.
        """
        way = engine.decide(choice, self.steps, self.flow.flat.device)
        if way == engine.COMPILED:
            engine.prepare(
                library
                for flow, directions in self.uses
                for library in flow.compile(self.recipe.batch).libraries(directions, gradients=True)
            )
        return way == engine.GRAPHS


class Training:
    """A training that can stop after any step and go on as if it had not.

    With ``graphs``, a GPU runs the steps as CUDA graphs.
    """

    def __init__(self, problem: Problem, graphs: bool = False) -> None:
        self.problem, self.flow, self.samples = problem, problem.flow, problem.samples
        self.recipe, self.steps = problem.recipe, problem.steps
        flow, recipe = self.flow, self.recipe
        self.recorder = Recorder() if graphs else None
        # What a graph reads has to lie on the device.
        rate = torch.tensor(recipe.learning_rate, device=flow.flat.device)
        self.optimizer = torch.optim.Adam(
            [flow.flat], lr=rate if graphs else recipe.learning_rate, betas=(0.9, recipe.beta2),
            fused=True, capturable=graphs,
        )  # fmt: skip
        self.history: list[dict[str, float]] = []
        # Kept on the device: to read the loss at each step would mean to wait for the device each
        # time.
        self.recent = torch.zeros((), device=flow.flat.device)
        self.done = 0  # steps of the schedule
        self.taken = 0  # optimizer steps: those that were given up, too
        self.returns = 0
        # State with the lowest validation loss so far, which is the last phase's in every phase.
        self.best: dict[str, Tensor] = {}

    def _state(self) -> dict[str, Tensor]:
        """What a step changes: parameters, and the optimizer's means."""
        adam = self.optimizer.state[self.flow.flat]
        return {"flat": self.flow.flat.detach()} | {f"adam.{k}": v for k, v in adam.items()}

    def save(self, checkpoint: Checkpoint) -> None:
        """Write all that changes from step to step."""
        tensors = self._state() | {"recent": self.recent}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= {f"order.{i}": sample.before for i, sample in enumerate(self.samples)}
        note = {
            "step": self.done,
            "taken": self.taken,
            "returns": self.returns,
            "positions": [sample.position for sample in self.samples],
            "history": self.history,
        }
        checkpoint.save(tensors, note)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take the state of a checkpoint of this training, if there is one."""
        state = checkpoint.load()
        if state is None:
            return
        tensors, note = state
        with torch.no_grad():
            self.flow.flat.copy_(tensors["flat"])
        self.recent.copy_(tensors["recent"])
        adam = {name[5:]: value for name, value in tensors.items() if name.startswith("adam.")}
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": {0: adam}, "param_groups": groups})
        for i, sample in enumerate(self.samples):
            sample.resume(tensors[f"order.{i}"], note["positions"][i], note["taken"])
        self.done, self.history = note["step"], note["history"]
        self.taken, self.returns = note["taken"], note["returns"]
        self.best = {name[5:]: value for name, value in tensors.items() if name[:5] == "best."}
        print(f"goes on from step {self.done} of checkpoint {checkpoint.path}", flush=True)

    def step(self) -> None:
        """One update of the weights, by the loss whose turn it is."""
        number = self.problem.phase_of(self.done)
        phase = self.problem.phases[number]
        rate = self.recipe.rate(self.done, self.steps)
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        turn = self.done % len(phase.losses)
        update = partial(self._update, phase.losses[turn])
        batches = [sample.draw(phase.noise) for sample in self.samples]
        if self.recorder is None:
            update(batches)
        else:
            self.recorder((number, turn), update, batches)
        self.done += 1
        self.taken += 1

    def _update(self, loss: Callable[..., Tensor], batches: list[Batch]) -> None:
        self.optimizer.zero_grad()
        value = loss(*batches)
        value.backward()
        torch.nn.utils.clip_grad_norm_([self.flow.flat], self.recipe.clip, foreach=False)
        self.optimizer.step()
        self.recent += value.detach()

    def record(self) -> None:
        """Add the mean loss since the last record, and the validation loss, to the history.

        A training that has lost what it had learnt goes back to its best state.
        """
        since = self.taken - (self.history[-1]["steps_taken"] if self.history else 0)
        row = {
            "step": self.done,
            "epoch": self.done / self.problem.steps_per_epoch,
            "phase": self.problem.phase_of(self.done - 1),
            "train_loss": self.recent.item() / since,
            "validation_loss": self.problem.validate(),
            "learning_rate": self.recipe.rate(self.done - 1, self.steps),
            "steps_taken": self.taken,
            "returns": self.returns,
        }
        self.recent.zero_()
        self.history.append(row)
        if row is lowest(self.history):
            self.best = {name: value.clone() for name, value in self._state().items()}
        finite = math.isfinite(row["train_loss"])
        # At the end of the schedule nothing is left to go on with, and the best state is kept.
        lost = not finite or (self.done < self.steps and is_lost(self.history))
        if lost and self.best and self.returns < RETURNS:
            self._go_back()
        elif not finite:
            raise InputError(
                f"{self.problem.name}: the loss is not finite at step {self.done}; lower the "
                "learning rate"
            )

    def _go_back(self) -> None:
        """Go on from the best state, at its place in the schedule, with another order of points."""
        last, best = self.history[-1], lowest(self.history)
        # In place, since recorded CUDA graphs read and write these tensors.
        for name, value in self._state().items():
            value.copy_(self.best[name])
        self.done = best["step"]
        self.returns += 1
        for sample in self.samples:
            sample.reorder(self.returns)
        print(
            f"{self.problem.name}: the validation loss {last['validation_loss']:.4f} at step "
            f"{last['step']} is above the {best['validation_loss']:.4f} at step {best['step']}: "
            f"goes back there, and on with another order of the points (return {self.returns} of "
            f"at most {RETURNS})",
            flush=True,
        )

    def finish(self) -> None:
        """Take the parameters with the lowest validation loss, and say if they are bad."""
        if not self.best:
            return
        with torch.no_grad():
            self.flow.flat.copy_(self.best["flat"])
        name, best = self.problem.name, lowest(self.history)
        if self.returns == RETURNS and is_lost(self.history):
            print(
                f"{name}: warning: the loss has risen after {RETURNS} returns; the parameters "
                f"of step {best['step']} are kept",
                flush=True,
            )
        if self.problem.floor is not None:
            above = best["validation_loss"] - self.problem.floor
            warning = "warning: " if above > FAR else ""
            print(f"{name}: {warning}ends {above:.4f} nats above the exact density", flush=True)


def train(problem: Problem, checkpoint: Checkpoint, graphs: bool = False) -> list[dict[str, float]]:
    """Train and return the history: one row per validation; ``graphs`` is for a GPU.

    A training that has lost what it had learnt goes back (`flowmorph.transfer.rollback`). Raises
    InputError when the loss is not finite and there is no return left, since nothing after that
    step has meaning, and when a signal asked it to stop.
    """
    training = Training(problem, graphs)
    training.restore(checkpoint)
    name, steps = problem.name, problem.steps
    every = max(VALIDATION_STEPS, steps // VALIDATIONS)
    first, start = training.taken, time.monotonic()
    reported = start
    with checkpoint.listening():
        while training.done < steps:
            training.step()
            done = training.done
            if done % every == 0 or done == steps:
                training.record()
            now = time.monotonic()
            if training.history and (now - reported > PROGRESS_SECONDS or done == steps):
                reported = now
                row = training.history[-1]
                speed = (training.taken - first) / (now - start)
                meter = tqdm.format_meter(
                    done, steps, now - start, rate=speed, unit=" steps", ncols=70
                )
                print(
                    f"{name} {meter} loss {row['train_loss']:.4f} "
                    f"validation {row['validation_loss']:.4f} "
                    f"{problem.recipe.batch * speed:,.0f} points/s",
                    flush=True,
                )
            if checkpoint.due() and done < steps:
                training.save(checkpoint)
    training.finish()
    return training.history


def write_history(history: list[dict[str, float]], path: str | Path) -> None:
    """Write the loss history as CSV."""
    with atomic(path) as part, open(part, "w", newline="") as file:
        writer = csv.DictWriter(file, history[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.8g}" for k, v in row.items()} for row in history)
