"""The training loop of every flow: Adam, warm-up and cosine to zero, clipped gradients."""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from flowmorph.errors import InputError
from flowmorph.files import atomic
from flowmorph.flows import engine
from flowmorph.flows.flow import Flow
from flowmorph.flows.graphs import Batch, Recorder
from flowmorph.transfer.checkpoint import Checkpoint, checkpoint_minutes

VALIDATIONS = 20  # evaluations of the validation loss in one training ...
VALIDATION_STEPS = 20  # ... but not more often than this, or they would cost more than the training
PROGRESS_SECONDS = 15.0

#: The loss of one batch (x, c) of each sample.
Loss = Callable[..., Tensor]


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to train (paper, section II.2)."""

    batch: int
    epochs: float
    learning_rate: float
    warmup_steps: int
    clip: float
    beta2: float = 0.999

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


def equal_weights(weights: Tensor, generator: torch.Generator) -> Tensor:
    """Choose as many rows as there are so that equal weights stand for the given ones, (N,).

    Systematic resampling: row i is there floor or ceil of N w_i / sum w times, in row order, and
    N w_i / sum w times on average (Kitagawa, J. Comput. Graph. Stat. 5 (1996) 1).
    """
    total = weights.double().cumsum(0)
    start = torch.rand((), generator=generator, dtype=torch.float64)
    steps = (torch.arange(len(weights), dtype=torch.float64) + start) / len(weights)
    # A step that rounding puts at the very end would lie behind the last row.
    return torch.searchsorted(total, steps * total[-1], right=True).clamp_(max=len(weights) - 1)


def unweighted(
    x: Tensor, c: Tensor | None, weights: Tensor | None, seed: int
) -> tuple[Tensor, Tensor | None]:
    """Points (N, D) and conditions with the weighted ones' mean; the same without weights."""
    if weights is None:
        return x, c
    rows = equal_weights(weights, torch.Generator().manual_seed(seed)).to(x.device)
    return x[rows], None if c is None else c[rows]


class Sample:
    """Training points of one data set, drawn in batches without replacement epoch by epoch.

    With ``weights`` (N,) each epoch shows a point in proportion to its weight, so that the mean
    over batches is the weighted mean of the sample. Its variance is that of the weighted points,
    while multiplying losses by weights would let single points of large weight rule a batch.
    """

    def __init__(
        self,
        x: Tensor,
        c: Tensor | None,
        batch: int,
        generator: torch.Generator,
        weights: Tensor | None = None,
    ) -> None:
        if len(x) < batch:
            raise InputError(
                f"{len(x)} training points are fewer than one batch of {batch}: lower "
                "training.*.batch or provide more events"
            )
        self.x, self.c, self.batch, self.generator = x, c, batch, generator
        self.weights = weights
        self.order, self.position = torch.empty(0, dtype=torch.long), 0
        self.before = generator.get_state()

    def _shuffle(self) -> None:
        self.before = self.generator.get_state()
        order = torch.randperm(len(self.x), generator=self.generator)
        if self.weights is not None:
            order = equal_weights(self.weights, self.generator)[order]
        self.order, self.position = order.to(self.x.device), 0

    def resume(self, before: Tensor, position: int) -> None:
        """Go on at ``position`` of the epoch whose order the random state ``before`` gives."""
        self.generator.set_state(before)
        self._shuffle()
        self.position = position

    def draw(self) -> Batch:
        """Next batch, feature-major: (D, B) and (C, B) or None."""
        if self.position + self.batch > len(self.order):
            self._shuffle()
        rows = self.order[self.position : self.position + self.batch]
        self.position += self.batch
        x = self.x[rows].T.contiguous()
        return x, None if self.c is None else self.c[rows].T.contiguous()


class Training:
    """A training that can stop after any step and go on as if it had not.

    ``graphs`` launches a GPU's steps as CUDA graphs.
    """

    def __init__(
        self, flow: Flow, samples: list[Sample], recipe: Recipe, steps: int, graphs: bool = False
    ) -> None:
        self.flow, self.samples, self.recipe, self.steps = flow, samples, recipe, steps
        self.recorder = Recorder() if graphs else None
        # What a graph reads has to lie on the device.
        rate = torch.tensor(recipe.learning_rate, device=flow.flat.device)
        self.optimizer = torch.optim.Adam(
            [flow.flat], lr=rate if graphs else recipe.learning_rate, betas=(0.9, recipe.beta2),
            fused=True, capturable=graphs,
        )  # fmt: skip
        self.history: list[dict[str, float]] = []
        # Kept on the device: reading a loss each step would wait for it each step.
        self.recent = torch.zeros((), device=flow.flat.device)
        self.done = 0

    def save(self, checkpoint: Checkpoint) -> None:
        """Write all that changes from step to step."""
        adam = self.optimizer.state_dict()["state"][0]
        tensors = {"flat": self.flow.flat.detach(), "recent": self.recent}
        tensors |= {f"adam.{name}": value for name, value in adam.items()}
        tensors |= {f"order.{i}": sample.before for i, sample in enumerate(self.samples)}
        positions = [sample.position for sample in self.samples]
        note = {"step": self.done, "positions": positions, "history": self.history}
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
            sample.resume(tensors[f"order.{i}"], note["positions"][i])
        self.done, self.history = note["step"], note["history"]
        print(f"goes on from step {self.done} of checkpoint {checkpoint.path}", flush=True)

    def step(self, losses: Sequence[Loss]) -> None:
        """One update of the weights, by the loss whose turn it is."""
        rate = self.recipe.rate(self.done, self.steps)
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        turn = self.done % len(losses)
        update = partial(self._update, losses[turn])
        batches = [sample.draw() for sample in self.samples]
        if self.recorder is None:
            update(batches)
        else:
            self.recorder(turn, update, batches)
        self.done += 1

    def _update(self, loss: Loss, batches: list[Batch]) -> None:
        self.optimizer.zero_grad()
        value = loss(*batches)
        value.backward()
        torch.nn.utils.clip_grad_norm_([self.flow.flat], self.recipe.clip, foreach=False)
        self.optimizer.step()
        self.recent += value.detach()

    def record(self, validate: Callable[[], float], steps_per_epoch: float, name: str) -> None:
        """Add the mean loss since the last record, and the validation loss, to the history."""
        since = self.done - (self.history[-1]["step"] if self.history else 0)
        row = {
            "step": self.done,
            "epoch": self.done / steps_per_epoch,
            "train_loss": self.recent.item() / since,
            "validation_loss": validate(),
            "learning_rate": self.recipe.rate(self.done - 1, self.steps),
        }
        self.recent.zero_()
        if not math.isfinite(row["train_loss"]):
            raise InputError(
                f"{name}: the loss is not finite at step {self.done}; lower the learning rate"
            )
        self.history.append(row)


def train(
    flow: Flow,
    samples: list[Sample],
    losses: Sequence[Loss],
    validate: Callable[[], float],
    recipe: Recipe,
    steps: int,
    steps_per_epoch: float,
    name: str,
    checkpoint: Checkpoint,
    graphs: bool = False,
) -> list[dict[str, float]]:
    """Minimise ``losses``, one a step in turn, and return the history: one row per validation.

    Each loss takes one batch (x, c) of each of ``samples``; ``graphs`` is for a GPU. Raises
    InputError when the loss stops being finite, since nothing after that step has meaning, and when
    a signal asked it to stop.
    """
    training = Training(flow, samples, recipe, steps, graphs)
    training.restore(checkpoint)
    every = max(VALIDATION_STEPS, steps // VALIDATIONS)
    first, start = training.done, time.monotonic()
    reported = start
    with checkpoint.listening():
        while training.done < steps:
            training.step(losses)
            done = training.done
            if done % every == 0 or done == steps:
                training.record(validate, steps_per_epoch, name)
            now = time.monotonic()
            if training.history and (now - reported > PROGRESS_SECONDS or done == steps):
                reported = now
                row = training.history[-1]
                meter = tqdm.format_meter(
                    done, steps, now - start, initial=first, unit=" steps", ncols=70
                )
                points_per_second = recipe.batch * (done - first) / (now - start)
                print(
                    f"{name} {meter} loss {row['train_loss']:.4f} "
                    f"validation {row['validation_loss']:.4f} {points_per_second:,.0f} points/s",
                    flush=True,
                )
            if checkpoint.due() and done < steps:
                training.save(checkpoint)
    return training.history


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that every training script has."""
    parser.add_argument("--flow", type=json.loads, required=True, help="architecture (JSON)")
    parser.add_argument("--recipe", type=json.loads, required=True, help="training (JSON)")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--engine", default="auto", choices=engine.CHOICES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpoint", required=True, help="file to go on from (safetensors)")
    parser.add_argument("--checkpoint-minutes", type=float, default=checkpoint_minutes())
    parser.add_argument("--output", required=True, help="weights (safetensors)")
    parser.add_argument("--history", required=True, help="loss history (CSV)")


def write_history(history: list[dict[str, float]], path: str | Path) -> None:
    """Write the loss history as CSV."""
    with atomic(path) as part, open(part, "w", newline="") as file:
        writer = csv.DictWriter(file, history[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.8g}" for k, v in row.items()} for row in history)
