"""The training of a density by maximum likelihood (paper, eq. 1).

It may begin on the points of both samples. What they have in common, such as how features depend on
a condition, is then learnt from twice as many; the last steps see the sample's own points only.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from flowmorph.flows import setup
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.flows.graphs import Batch
from flowmorph.plan.jobs.form import as_dict
from flowmorph.plan.jobs.training import DensityJob, Network, Recipe
from flowmorph.plan.seeds import seed_for
from flowmorph.transfer import points
from flowmorph.transfer.points import Splits
from flowmorph.transfer.problem import Phase, Problem


def of_job(job: DensityJob, threads: int) -> Problem:
    """Set up the training of a job: its seed, its device, its points."""
    device = setup.start(threads, job.seed, job.device)
    name = f"density {job.data.name}" + (f" with noise {job.noise:g}" if job.noise else "")
    splits = points.load(job.data, device)
    if not job.noise:
        splits = replace(splits, floor=points.floor(job.data))
    other = points.load(job.other, device) if job.other else None
    return problem(name, splits, job.network, job.recipe, job.seed, job.noise, other)


def problem(
    name: str,
    splits: Splits,
    network: Network,
    recipe: Recipe,
    seed: int,
    noise: float = 0.0,
    other: Splits | None = None,
) -> Problem:
    """Set up the training of a data set's density.

    Args:
        name: of the training, for its log.
        splits: points to train on and to validate with.
        network: size of the flow.
        recipe: settings of the training loop.
        seed: of the order of points; the flow's first parameters follow from torch's own seed.
        noise: width of a Gaussian with which the density is convolved; 0 for the density itself.
        other: points of the other sample, with which the training begins; None for none.
    """
    device = splits.train.x.device
    features, conditions = splits.sizes
    flow = Flow(Architecture(features, conditions, **as_dict(network))).to(device)
    x, c = splits.validation.unweighted(seed)
    if noise:
        drawn = {"dtype": torch.float32, "device": "cpu"}
        generator = torch.Generator().manual_seed(seed)
        x = x + noise * torch.randn(x.shape, generator=generator, **drawn).to(x)

    def loss(batch: Batch) -> Tensor:
        return -flow.log_prob(*batch).mean()

    def validate() -> float:
        return -setup.in_chunks(flow.log_prob, x, c).mean().item()

    size = len(splits.train.x)
    samples = [splits.sample(recipe, seed)]
    phases = [Phase(recipe.steps(size), [loss], noise, draws=(0,))]
    if other:
        samples.append(splits.joined(other).sample(recipe, seed_for(seed, "both")))
        first = int(recipe.both_share * recipe.steps(size))
        own = replace(phases[0], steps=phases[0].steps - first)
        phases = [Phase(first, [loss], noise, draws=(1,)), own]
    return Problem(
        name,
        flow,
        samples,
        phases,
        validate,
        recipe,
        size / recipe.batch,
        [flow],
        floor=None if noise or splits.floor is None else lambda: splits.floor,
        decay=splits.decay(recipe, flow),
    )
