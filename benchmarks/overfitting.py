"""What keeps a conditional density from learning a dependence on the condition that is not there.

    PYTHONPATH=workflow python benchmarks/overfitting.py
    PYTHONPATH=workflow python benchmarks/overfitting.py --cures "as it is" "noise, in use"

The toy of condition_noise.py, 5,000 points in two sidebands: each cure's divergence from the exact
density in the sidebands and in the gap between them (mean and spread of the seeds, nats), and in
the upper sideband after a training on the lower one alone, with points of which one would choose a
cure without knowing the truth. Every training keeps the parameters of the best validation.
docs/recipe.md holds the table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from condition_noise import (
    EDGE,
    END,
    GAP,
    HELD,
    Learned,
    Scaling,
    Toy,
    in_use,
    sidebands,
    tensor,
)
from scipy.special import logsumexp

from flowmorph.flows.flow import Flow
from flowmorph.metrics.divergence import kl_divergence
from flowmorph.plan.jobs.training import Network, Recipe
from flowmorph.transfer import density
from flowmorph.transfer.batches import Points
from flowmorph.transfer.points import Splits
from flowmorph.transfer.training import Training

TITLES = ("cure", "sidebands", "gap", "from the lower sideband to the upper")
Hook = Callable[[Training, torch.Generator], None]


@dataclass(frozen=True)
class Cure:
    """What a training does differently.

    Attributes:
        recipe: other settings of the recipe.
        network: other settings of the network.
        shrink: by how much the condition is scaled, so that its weights have to be as much larger.
        drop: part of the weights that each step leaves out, others at each step.
        mixed: trainings whose densities are averaged.
    """

    recipe: dict | None = None
    network: dict | None = None
    shrink: float = 1.0
    drop: float = 0.0
    mixed: int = 1


QUIET = {"condition_noise": 0.0}
CURES = {
    "as it is": Cure(QUIET),
    "noise, in use": Cure(),
    "a quarter of the steps": Cure(QUIET | {"epochs": 11}),
    "a sixteenth of the steps": Cure(QUIET | {"epochs": 3}),
    "width 16": Cure(QUIET, {"width": 16}),
    "one layer of width 16": Cure(QUIET, {"layers": 1, "width": 16}),
    "condition scaled by 0.1": Cure(QUIET, shrink=0.1),
    "weight decay 1": Cure(QUIET | {"weight_decay": 1}),
    "weight decay 10": Cure(QUIET | {"weight_decay": 10}),
    "decay of the condition's weights, 3": Cure(QUIET | {"condition_decay": 3}),
    "decay of the condition's weights, 10": Cure(QUIET | {"condition_decay": 10}),
    "decay of the condition's weights, 30": Cure(QUIET | {"condition_decay": 30}),
    "decay of the condition's weights, 100": Cure(QUIET | {"condition_decay": 100}),
    "both decays, 3 and 1": Cure(QUIET | {"condition_decay": 3, "weight_decay": 1}),
    "both decays, 10 and 1": Cure(QUIET | {"condition_decay": 10, "weight_decay": 1}),
    "both decays, 10 and 0.3": Cure(QUIET | {"condition_decay": 10, "weight_decay": 0.3}),
    "both decays, 10 and 3": Cure(QUIET | {"condition_decay": 10, "weight_decay": 3}),
    "decay 10 and noise 0.25": Cure({"condition_noise": 0.25, "condition_decay": 10}),
    "decay 10 and noise 0.5": Cure({"condition_noise": 0.5, "condition_decay": 10}),
    "dropout of 5 % of the weights": Cure(QUIET, drop=0.05),
    "dropout of 20 % of the weights": Cure(QUIET, drop=0.2),
    "three trainings averaged": Cure(QUIET, mixed=3),
    "noise, three trainings averaged": Cure(mixed=3),
}


def named(flow: Flow, part: str) -> torch.Tensor:
    """Which of a flow's parameters (all layers') have a name with this part."""
    marks = torch.zeros_like(flow.flat)
    for layer in marks.split(flow.layout.size):
        for name, view in flow.layout.views(layer).items():
            view.fill_(float(part in name))
    return marks


def train(training: Training, cure: Cure, seed: int) -> None:
    """Run a training to its end with a cure."""
    flow, random = training.flow, torch.Generator().manual_seed(seed)
    droppable = named(flow, "weight")
    while training.done < training.steps:
        kept = flow.flat.detach().clone()
        if cure.drop:
            left = torch.rand(len(kept), generator=random) >= cure.drop
            used = kept * torch.where(droppable > 0, left / (1 - cure.drop), 1.0)
            with torch.no_grad():
                flow.flat.copy_(used)
        training.step()
        with torch.no_grad():
            if cure.drop:
                flow.flat.add_(kept - used)
        if training.due():
            training.record()
    training.finish()


@dataclass(frozen=True)
class Mixture:
    """Average of densities whose condition was scaled by ``shrink``."""

    parts: list[Learned]
    shrink: float

    def log_density(self, x: np.ndarray, c: np.ndarray) -> np.ndarray:
        """As `Toy.log_density`; the parts' scaling does not depend on the condition."""
        each = [part.log_density(x, self.shrink * c) for part in self.parts]
        return logsumexp(each, axis=0) - np.log(len(each))


def learn(
    x: np.ndarray, c: np.ndarray, cure: Cure, recipe: Recipe, network: Network, seed: int
) -> Mixture:
    """A density of points (N, 2) at conditions (N,), a fifth of them for validation."""
    recipe = replace(recipe, **(cure.recipe or {}))
    network = replace(network, **(cure.network or {}))
    scaling = Scaling(x, c, trend=False)
    y, conditions = tensor(scaling.forward(x, c)), tensor(cure.shrink * c[:, None])
    held = len(c) // 5
    points, parts = [Points(y[r], conditions[r]) for r in (slice(held, None), slice(held))], []
    for number in range(cure.mixed):
        own = 100 * seed + number
        torch.manual_seed(own)
        splits = Splits(*points, torch.tensor([GAP]))
        problem = density.problem("toy", splits, network, recipe, own)
        problem.prepare("compile")
        train(Training(problem, say=lambda line: None), cure, own)
        parts.append(Learned(problem.flow, scaling))
    return Mixture(parts, cure.shrink)


def divergences(
    toy: Toy, points: int, cure: Cure, recipe: Recipe, network: Network, seed: int
) -> list[float]:
    """In the sidebands and the gap, and from one sideband to the other."""
    rng = np.random.default_rng(seed)
    c = sidebands(points + points // 4, rng)
    x = toy.sample(c, rng)
    low = c < 0
    both, one = (learn(x[r], c[r], cure, recipe, network, seed) for r in (slice(None), low))
    tests = np.random.default_rng(99)
    places = (
        (both, sidebands(HELD, tests)),
        (both, tests.uniform(-EDGE, EDGE, HELD)),
        (one, tests.uniform(EDGE, END, HELD)),
    )
    found = []
    for learned, at in places:
        test = toy.sample(at, tests)
        exact = toy.log_density(test, at)
        found.append(kl_divergence(exact, learned.log_density(test, at)).value)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cures", nargs="+", choices=CURES, default=list(CURES))
    parser.add_argument("--strength", type=float, default=0.1, help="of the dependence")
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    network, recipe = in_use()
    print(f"| {' | '.join(TITLES)} |\n{'|---' * len(TITLES)}|", flush=True)
    for name in args.cures:
        found = [
            divergences(Toy(args.strength), args.points, CURES[name], recipe, network, seed)
            for seed in range(args.seeds)
        ]
        mean, spread = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
        cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(mean, spread, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
