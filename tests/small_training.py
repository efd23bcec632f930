"""A training of a small density that tests watch and kill."""

import torch

from flowmorph.flows.flow import Architecture, Flow
from flowmorph.plan.jobs.training import Recipe
from flowmorph.transfer.batches import Points, Sample
from flowmorph.transfer.checkpoint import Checkpoint
from flowmorph.transfer.problem import Phase, Problem
from flowmorph.transfer.running import train

POINTS = torch.randn(600, 2, generator=torch.Generator().manual_seed(3))


class Killed(Exception):
    """Stands for the end of the process at a step."""


def run(path, recipe: Recipe, floor: float | None = None, first=None, kill_at=-1, bad_after=None):
    """Train a density; gives its parameters, its history and the first parameters of each start.

    ``kill_at`` counts the steps of this process; after ``bad_after`` of them the loss is none.
    """
    torch.manual_seed(0)
    flow = Flow(Architecture(2, 0, 2, 1, 8, 4, 4.0))
    if first is not None:
        flow.flat.data.copy_(first)
    begun, steps, initialise = [flow.flat.detach().clone()], 0, flow.initialise

    def watched() -> None:
        initialise()
        begun.append(flow.flat.detach().clone())

    flow.initialise = watched

    def loss(batch) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == kill_at:
            raise Killed
        value = -flow.log_prob(*batch).mean()
        return value * float("nan") if bad_after is not None and steps > bad_after else value

    def validate() -> float:
        return -flow.log_prob(POINTS.T.contiguous()).mean().item()

    problem = Problem(
        "test", flow, [Sample(Points(POINTS, None), recipe.batch, 1)],
        [Phase(recipe.steps(600), [loss])], validate, recipe, 600 / recipe.batch,
        floor=None if floor is None else lambda: floor,
    )  # fmt: skip
    history = train(problem, Checkpoint(path, "a", 0 if kill_at > 0 else 60))
    return flow.flat.detach().clone(), history, begun
