"""The training of a transport by each method (paper, section II.1).

The logarithm of a sharp density is rough where there are few points, and a transport that begins
there ends in a bad minimum. It may therefore begin between smoothed densities, those of the points
with Gaussian noise, with the same noise on its batches; the noise falls from phase to phase, and
the last phase is the paper's training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from flowmorph.flows import setup, storage
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.plan.jobs.form import as_dict
from flowmorph.plan.jobs.training import Network, Recipe, TransportJob
from flowmorph.plan.methods import Method, find
from flowmorph.transfer import points
from flowmorph.transfer.morph import DensityPair, context_size
from flowmorph.transfer.points import Splits
from flowmorph.transfer.problem import Phase, Problem


@dataclass(frozen=True)
class Smoothed:
    """A phase between smoothed densities.

    Attributes:
        width: standard deviation of the noise.
        share: part of all steps.
        pair: densities of the points with this noise.
    """

    width: float
    share: float
    pair: DensityPair


def phases(
    method: Method,
    flow: Flow,
    pair: DensityPair,
    penalty: float,
    steps: int,
    smoothed: Sequence[Smoothed] = (),
) -> list[Phase]:
    """Share the steps among the phases; what is left goes to the last, between the densities."""
    found = [
        Phase(int(part.share * steps), part.pair.losses(method, flow, penalty), part.width)
        for part in smoothed
    ]
    left = steps - sum(phase.steps for phase in found)
    return [*found, Phase(left, pair.losses(method, flow, penalty))]


def of_job(
    job: TransportJob,
    densities: tuple[str, str],
    smoothed: Sequence[tuple[str, str]],
    threads: int,
) -> Problem:
    """Set up the training of a job: its seed, its device, its points.

    ``densities`` are the files of those of reference and target, ``smoothed`` those of densities
    with noise, widest first.
    """
    device = setup.start(threads, job.seed, job.device)

    def pair(files: tuple[str, str]) -> DensityPair:
        return DensityPair(*(storage.load(path).to(device) for path in files), job.mode)

    parts = zip(job.smoothing.widths, job.smoothing.shares, smoothed, strict=True)
    return problem(
        f"transport {job.task} {job.method}",
        find(job.method),
        pair(densities),
        *(points.load(data, device) for data in (job.reference, job.target)),
        job.network,
        job.recipe,
        job.penalty,
        job.seed,
        [Smoothed(width, share, pair(files)) for width, share, files in parts],
    )


def problem(
    name: str,
    method: Method,
    pair: DensityPair,
    reference: Splits,
    target: Splits,
    network: Network,
    recipe: Recipe,
    penalty: float,
    seed: int,
    smoothed: Sequence[Smoothed] = (),
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
        smoothed: the phases before the last, widest noise first.
    """
    device = reference.train.x.device
    features, conditions = reference.sizes
    arch = Architecture(features, context_size(pair.mode, conditions), **as_dict(network))
    flow = Flow(arch, method.identity).to(device)
    if recipe.shuffled_condition:
        pair = replace(pair, shuffled=True)
        smoothed = [replace(part, pair=replace(part.pair, shuffled=True)) for part in smoothed]
    losses = pair.losses(method, flow, penalty)
    # Each sample has its own order, so that reference and target are paired at random.
    seeded = list(enumerate((reference, target), start=seed))
    held = [splits.validation.unweighted(number) for number, splits in seeded]
    pairs_held = min(len(x) for x, _ in held)
    arrays = [None if part is None else part[:pairs_held] for points in held for part in points]

    def mean_of(values: Sequence[Tensor], points: int) -> Tensor:
        return (sum(values) / len(values)).expand(points)

    def batch_loss(x, c_x, y, c_y) -> Tensor:
        return mean_of([loss((x, c_x), (y, c_y)) for loss in losses], x.shape[1])

    def lowest_loss(x, c_x, y, c_y) -> Tensor:
        return mean_of(pair.lowest_losses(method, (x, c_x), (y, c_y)), x.shape[1])

    def validate() -> float:
        return setup.in_chunks(batch_loss, *arrays).mean().item()

    def floor() -> float:
        return setup.in_chunks(lowest_loss, *arrays).mean().item()

    # An epoch draws each point of the larger sample once, or of the smaller.
    count = {"larger": max, "smaller": min}[recipe.epoch_of]
    size = count(len(splits.train.x) for _, splits in seeded)
    pairs = [*(part.pair for part in smoothed), pair]
    densities = [one for each in pairs for one in (each.reference, each.target)]
    return Problem(
        name,
        flow,
        [splits.sample(recipe, number) for number, splits in seeded],
        phases(method, flow, pair, penalty, recipe.steps(size), smoothed),
        validate,
        recipe,
        size / recipe.batch,
        [flow, *densities],
        optimum="a perfect transport between these densities",
        floor=None if penalty else floor,
        decay=reference.decay(recipe, flow),
    )
