"""The training of a density by maximum likelihood (paper, eq. 1)."""

from __future__ import annotations

from torch import Tensor

from flowmorph.flows import setup
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.flows.graphs import Batch
from flowmorph.plan.jobs.form import as_dict
from flowmorph.plan.jobs.training import Network, Recipe
from flowmorph.transfer.points import Splits, chunk
from flowmorph.transfer.training import Problem


def problem(name: str, splits: Splits, network: Network, recipe: Recipe, seed: int) -> Problem:
    """Set up the training of a data set's density.

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
        values = setup.in_chunks(flow.log_prob, *held, size=chunk(recipe, device))
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
        splits.floor,
    )
