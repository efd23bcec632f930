"""What trainings minimise: a density's loss (paper, eq. 1), and a transport's by each method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from flowmorph.flows import setup
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.flows.graphs import Batch
from flowmorph.plan.jobs.data import Data
from flowmorph.plan.jobs.form import as_dict
from flowmorph.plan.jobs.training import Network, Recipe
from flowmorph.plan.methods import Method
from flowmorph.samples import datasets
from flowmorph.transfer.morph import DensityPair, context_size
from flowmorph.transfer.training import Points, Problem, Sample


@dataclass(frozen=True)
class Splits:
    """Points that a data set's flows are trained on, and those that they are validated on."""

    train: Points
    validation: Points
    gaps: Tensor | None = None  # (C,), of the training region in each condition, in scaled units

    def sample(self, recipe: Recipe, seed: int) -> Sample:
        """Training points to draw batches from."""
        noise = None
        if recipe.condition_noise and self.gaps is not None and self.gaps.any():
            noise = recipe.condition_noise * self.gaps
        return Sample(self.train, recipe.batch, seed, noise)

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


def density(name: str, splits: Splits, network: Network, recipe: Recipe, seed: int) -> Problem:
    """Set up the training of a data set's density by maximum likelihood (paper, eq. 1).

    Args:
        name: of the training, for its log.
        splits: points to train on and to validate with.
        network: size of the flow.
        recipe: settings of the training loop.
        seed: of the order of points; the flow's first parameters follow from torch's own seed.
    """
    device = splits.train.x.device
    features, conditions = splits.sizes
    flow = Flow(Architecture(features, conditions, **as_dict(network))).to(device)
    held = splits.validation.unweighted(seed)

    def loss(batch: Batch) -> Tensor:
        return -flow.log_prob(*batch).mean()

    def validate() -> float:
        values = setup.in_chunks(flow.log_prob, *held, size=_chunk(recipe, device))
        return -values.mean().item()

    points = len(splits.train.x)
    return Problem(
        name,
        flow,
        [splits.sample(recipe, seed)],
        [loss],
        validate,
        recipe,
        recipe.steps(points),
        points / recipe.batch,
        [(flow, ["forward"])],
    )


def transport(
    name: str,
    method: Method,
    pair: DensityPair,
    reference: Splits,
    target: Splits,
    network: Network,
    recipe: Recipe,
    penalty: float,
    seed: int,
) -> Problem:
    """Set up the training of a transport between two densities by a method's losses.

    Args:
        name: of the training, for its log.
        method: what is trained; the losses of its directions alternate.
        pair: the frozen densities p_R and p_T.
        reference: points x to train on and to validate with.
        target: points y to train on and to validate with.
        network: size of the flow.
        recipe: settings of the training loop.
        penalty: strength w of the movement penalty, per unit of L1 distance; 0 for none.
        seed: of the order of points; the flow's first parameters follow from torch's own seed.
    """
    device = reference.train.x.device
    features, conditions = reference.sizes
    arch = Architecture(features, context_size(pair.mode, conditions), **as_dict(network))
    flow = Flow(arch, method.identity).to(device)
    losses = pair.losses(method, flow, penalty)
    # Each sample has its own order, so that reference and target are paired at random.
    seeded = list(enumerate((reference, target), start=seed))
    held = [splits.validation.unweighted(number) for number, splits in seeded]
    size = min(len(x) for x, _ in held)
    arrays = [None if part is None else part[:size] for points in held for part in points]

    def batch_loss(x, c_x, y, c_y) -> Tensor:
        values = [loss((x, c_x), (y, c_y)) for loss in losses]
        return (sum(values) / len(values)).expand(x.shape[1])

    def validate() -> float:
        return setup.in_chunks(batch_loss, *arrays, size=_chunk(recipe, device)).mean().item()

    # The larger sample sets the length: an epoch draws each of its points once.
    points = max(len(splits.train.x) for _, splits in seeded)
    uses = [
        (flow, method.directions),
        *((one, ["forward"]) for one in (pair.reference, pair.target)),
    ]
    return Problem(
        name,
        flow,
        [splits.sample(recipe, number) for number, splits in seeded],
        losses,
        validate,
        recipe,
        recipe.steps(points),
        points / recipe.batch,
        uses,
    )


def _chunk(recipe: Recipe, device: torch.device) -> int:
    return recipe.batch if device.type == "cpu" else setup.CHUNK
