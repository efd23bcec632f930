"""The training loop of every flow: Adam, warm-up and cosine to zero, clipped gradients."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from flowmorph.errors import InputError
from flowmorph.files import atomic
from flowmorph.flows.flow import Flow

VALIDATIONS = 20  # evaluations of the validation loss in one training ...
VALIDATION_STEPS = 20  # ... but not more often than this, or they would cost more than the training
PROGRESS_SECONDS = 15.0


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to train (paper, section II.2)."""

    batch: int
    epochs: float
    learning_rate: float
    warmup_steps: int
    clip: float

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


class Sample:
    """Training points of one data set, drawn in batches without replacement epoch by epoch."""

    def __init__(self, x: Tensor, c: Tensor | None, batch: int, generator: torch.Generator) -> None:
        if len(x) < batch:
            raise InputError(
                f"{len(x)} training points are fewer than one batch of {batch}: lower "
                "training.*.batch or provide more events"
            )
        self.x, self.c, self.batch, self.generator = x, c, batch, generator
        self.order, self.position = torch.empty(0, dtype=torch.long), 0

    def draw(self) -> tuple[Tensor, Tensor | None]:
        """Next batch, feature-major: (D, B) and (C, B) or None."""
        if self.position + self.batch > len(self.order):
            order = torch.randperm(len(self.x), generator=self.generator)
            self.order, self.position = order.to(self.x.device), 0
        rows = self.order[self.position : self.position + self.batch]
        self.position += self.batch
        x = self.x[rows].T.contiguous()
        return x, None if self.c is None else self.c[rows].T.contiguous()


def train(
    flow: Flow,
    loss: Callable[[int], Tensor],
    validate: Callable[[], float],
    recipe: Recipe,
    steps: int,
    steps_per_epoch: float,
    name: str,
) -> list[dict[str, float]]:
    """Minimise ``loss(step)`` and return the history: one row per validation.

    Raises InputError when the loss stops being finite, since nothing after that step has meaning.
    """
    optimizer = torch.optim.Adam([flow.flat], lr=recipe.learning_rate, fused=True)
    every = max(VALIDATION_STEPS, steps // VALIDATIONS)
    history: list[dict[str, float]] = []
    # Kept on the device: reading a loss each step would wait for it each step.
    recent = torch.zeros((), device=flow.flat.device)
    start = reported = time.monotonic()
    for step in range(steps):
        rate = recipe.rate(step, steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        value = loss(step)
        value.backward()
        torch.nn.utils.clip_grad_norm_([flow.flat], recipe.clip, foreach=False)
        optimizer.step()
        recent += value.detach()
        done = step + 1
        if done % every == 0 or done == steps:
            since = done - (history[-1]["step"] if history else 0)
            row = {
                "step": done,
                "epoch": done / steps_per_epoch,
                "train_loss": recent.item() / since,
                "validation_loss": validate(),
                "learning_rate": rate,
            }
            recent.zero_()
            if not math.isfinite(row["train_loss"]):
                raise InputError(
                    f"{name}: the loss is not finite at step {done}; lower the learning rate"
                )
            history.append(row)
        now = time.monotonic()
        if history and (now - reported > PROGRESS_SECONDS or done == steps):
            reported = now
            meter = tqdm.format_meter(done, steps, now - start, unit=" steps", ncols=70)
            rate_points = recipe.batch * done / (now - start)
            print(
                f"{name} {meter} loss {history[-1]['train_loss']:.4f} "
                f"validation {history[-1]['validation_loss']:.4f} {rate_points:,.0f} points/s",
                flush=True,
            )
    return history


def write_history(history: list[dict[str, float]], path: str | Path) -> None:
    """Write the loss history as CSV."""
    with atomic(path) as part, open(part, "w", newline="") as file:
        writer = csv.DictWriter(file, history[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.8g}" for k, v in row.items()} for row in history)
