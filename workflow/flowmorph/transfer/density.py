"""The training of a density by maximum likelihood (paper, eq. 1)."""

from __future__ import annotations

import torch
from torch import Tensor

from flowmorph.flows import setup
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.flows.graphs import Batch
from flowmorph.plan.jobs.form import as_dict
from flowmorph.plan.jobs.training import DensityJob, Network, Recipe
from flowmorph.transfer import points
from flowmorph.transfer.points import Splits
from flowmorph.transfer.training import Phase, Problem


def of_job(job: DensityJob, threads: int) -> Problem:
    """Set up the training of a job: its seed, its device, its points."""
    device = setup.start(threads, job.seed, job.device)
    name = f"density {job.data.name}" + (f" with noise {job.noise:g}" if job.noise else "")
    splits = points.load(job.data, device)
    return problem(name, splits, job.network, job.recipe, job.seed, job.noise)


def problem(
    name: str, splits: Splits, network: Network, recipe: Recipe, seed: int, noise: float = 0.0
) -> Problem:
    """Set up the training of a data set's density.

    Args:
        name: of the training, for its log.
        splits: points to train on and to validate with.
        network: size of the flow.
        recipe: settings of the training loop.
        seed: of the order of points; the flow's first parameters follow from torch's own seed.
        noise: width of a Gaussian with which the density is convolved; 0 for the density itself.
    """
    device = splits.train.x.device
    features, conditions = splits.sizes
    flow = Flow(Architecture(features, conditions, **as_dict(network))).to(device)
    x, c = splits.validation.unweighted(seed)
    if noise:
        x = x + noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).to(x)

    def loss(batch: Batch) -> Tensor:
        return -flow.log_prob(*batch).mean()

    def validate() -> float:
        return -setup.in_chunks(flow.log_prob, x, c).mean().item()

    size = len(splits.train.x)
    return Problem(
        name,
        flow,
        [splits.sample(recipe, seed)],
        [Phase(recipe.steps(size), [loss], noise)],
        validate,
        recipe,
        size / recipe.batch,
        [flow],
        None if noise else splits.floor,
        splits.decay(recipe, flow),
    )
