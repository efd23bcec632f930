"""The points that a flow is trained on, as tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from flowmorph.flows import setup
from flowmorph.flows.flow import Flow
from flowmorph.plan.jobs.data import Data
from flowmorph.plan.jobs.training import Recipe
from flowmorph.samples import datasets
from flowmorph.transfer.batches import Points, Sample


@dataclass(frozen=True)
class Splits:
    """Points that a data set's flows are trained on, and those that they are validated on."""

    train: Points
    validation: Points
    gaps: Tensor | None = None  # (C,), of the training region in each condition, in scaled units
    floor: float | None = None  # loss of the exact density on the validation points, if it is known

    def sample(self, recipe: Recipe, seed: int) -> Sample:
        """Training points to draw batches from."""
        noise = None
        if recipe.condition_noise and self.gaps is not None and self.gaps.any():
            noise = recipe.condition_noise * self.gaps
        return Sample(self.train, recipe.batch, seed, noise)

    def decay(self, recipe: Recipe, flow: Flow) -> Tensor | None:
        """What each of a flow's parameters (P,) loses of itself in a step, over the rate."""
        conditions = torch.zeros(flow.arch.context, dtype=torch.float32, device="cpu")
        if self.gaps is not None and self.gaps.any():
            gaps = self.gaps.cpu().repeat(flow.arch.context // len(self.gaps))
            conditions = recipe.condition_decay * gaps.sign()
        if not recipe.weight_decay and not conditions.any():
            return None
        layer = flow.layout.per_weight(recipe.weight_decay, conditions)
        return layer.repeat(flow.arch.layers).to(flow.flat.device)

    def joined(self, other: Splits) -> Splits:
        """The same, with the other sample's points to train on besides."""
        return replace(self, train=self.train.joined(other.train))

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of features, and of conditions."""
        c = self.train.c
        return self.train.x.shape[1], 0 if c is None else c.shape[1]


def load(data: Data, device: torch.device) -> Splits:
    """Read or draw the points of a data set, as tensors on a device."""
    return Splits(
        *(
            Points(
                *setup.tensors(*datasets.load(data, split), device),
                setup.weights(datasets.weights(data, split)),
            )
            for split in ("train", "validation")
        ),
        torch.from_numpy(datasets.condition_gaps(data).astype(np.float32)).to(device),
    )


def floor(data: Data) -> float | None:
    """Loss of the exact density on a data set's validation points, in nats; None if not known."""
    exact = datasets.exact_log_density(data, *datasets.load(data, "validation"))
    return None if exact is None else -float(exact.mean())
