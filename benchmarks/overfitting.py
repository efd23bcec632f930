"""What keeps a conditional density from learning a dependence on the condition that is not there.

    PYTHONPATH=workflow python benchmarks/overfitting.py
    PYTHONPATH=workflow python benchmarks/overfitting.py --strength 6 --cures "in use" "noise 0.5"

A toy of known conditional density has the sidebands of the collider data, scaled to [-3, 3]. The
mean of one feature is linear in the condition, that of the other is curved and turns in the gap;
both have a width that grows. Each cure's divergence from the exact density in the sidebands and in
the gap between them (mean and spread of the seeds, nats), and in the upper sideband after a
training on the lower one alone, with points of which one would choose a cure without knowing the
truth. Every training keeps the parameters of the best validation. docs/recipe.md holds the table.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import yaml
from scipy.special import logsumexp
from torch import Tensor

from flowmorph.flows import setup
from flowmorph.flows.flow import Flow
from flowmorph.metrics.divergence import kl_divergence
from flowmorph.plan.jobs.training import Network, Recipe
from flowmorph.transfer import density
from flowmorph.transfer.batches import Points
from flowmorph.transfer.points import Splits
from flowmorph.transfer.training import Training

CONFIG = Path(__file__).parents[1] / "config" / "config.yaml"
EDGE, END = 1.0, 3.0  # sidebands 2.9 to 3.3 and 3.7 to 4.1 TeV, scaled
GAP = 2 * EDGE
HELD = 20_000  # points of a divergence
SLOPE = np.pi / np.sqrt(6)  # the standard deviation of Gumbel's distribution
TITLES = ("cure", "sidebands", "gap", "from the lower sideband to the upper")


@dataclass(frozen=True)
class Toy:
    """Two features of Gumbel's shape, like masses; ``strength`` is how far a mean moves.

    That is over all the box [-3, 3], in units of the width in its middle. The width grows by as
    many tenths of itself from the middle to the end.
    """

    strength: float

    def means(self, c: np.ndarray) -> np.ndarray:
        """Means (N, 2) at conditions (N,)."""
        curved = np.cos(c / 2 + 0.3) / (1 - np.cos(END / 2 + 0.3))
        return self.strength * np.stack([c / (2 * END), curved], axis=1)

    def widths(self, c: np.ndarray) -> np.ndarray:
        """Standard deviation (N, 1) of both features."""
        return 1 + self.strength * c[:, None] / (10 * END)

    def sample(self, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Points (N, 2) at conditions (N,)."""
        shape = (rng.gumbel(size=(len(c), 2)) - np.euler_gamma) / SLOPE
        return self.means(c) + self.widths(c) * shape

    def log_density(self, x: np.ndarray, c: np.ndarray) -> np.ndarray:
        """Logarithm (N,) of the density of points (N, 2) at conditions (N,), in nats."""
        g = np.euler_gamma + SLOPE * (x - self.means(c)) / self.widths(c)
        return (np.log(SLOPE / self.widths(c)) - g - np.exp(-g)).sum(axis=1)


class Scaling:
    """Maps features to [-3, 3]; with ``trend`` their means and widths are first fitted in c.

    The mean is a quadratic of c and the logarithm of the width is linear, by least squares.
    """

    def __init__(self, x: np.ndarray, c: np.ndarray, trend: bool) -> None:
        self.mean = np.polyfit(c, x, 2 if trend else 0)
        distance = np.log(np.abs(x - np.polyval(self.mean, c[:, None])))
        self.log_width = np.polyfit(c, distance, 1 if trend else 0)
        self.low, self.high = np.zeros(2), np.full(2, 2 * END)  # keeps what `forward` gets
        reduced = self.forward(x, c) + END
        self.low, self.high = reduced.min(axis=0), reduced.max(axis=0)

    def forward(self, x: np.ndarray, c: np.ndarray) -> np.ndarray:
        """Scale points (N, 2) at conditions (N,)."""
        reduced = (x - np.polyval(self.mean, c[:, None])) / self._widths(c)
        return 2 * END * (reduced - self.low) / (self.high - self.low) - END

    def log_slope(self, c: np.ndarray) -> np.ndarray:
        """Logarithm (N,) of the determinant of `forward`."""
        return np.log(2 * END / (self.high - self.low) / self._widths(c)).sum(axis=1)

    def _widths(self, c: np.ndarray) -> np.ndarray:
        return np.exp(np.polyval(self.log_width, c[:, None]))


@dataclass(frozen=True)
class Learned:
    """A density flow of scaled features."""

    flow: Flow
    scaling: Scaling

    def log_density(self, x: np.ndarray, c: np.ndarray) -> np.ndarray:
        """As `Toy.log_density`."""
        scaled = tensor(self.scaling.forward(x, c)), tensor(c[:, None])
        found = setup.in_chunks(self.flow.log_prob, *scaled).double().numpy()
        return found + self.scaling.log_slope(c)


def tensor(values: np.ndarray) -> Tensor:
    """As the flows take it."""
    return torch.from_numpy(values.astype(np.float32))


def sidebands(count: int, rng: np.random.Generator) -> np.ndarray:
    """Conditions, uniform in both sidebands."""
    return rng.choice([-1.0, 1.0], count) * rng.uniform(EDGE, END, count)


@dataclass(frozen=True)
class Cure:
    """What a training does differently.

    Attributes:
        recipe: other settings of the recipe.
        network: other settings of the network.
        shrink: by how much the condition is scaled, so that its weights have to be as much larger.
        drop: part of the weights that each step leaves out, others at each step.
        mixed: trainings whose densities are averaged.
        trend: whether the features' trend is taken out first.
    """

    recipe: dict | None = None
    network: dict | None = None
    shrink: float = 1.0
    drop: float = 0.0
    mixed: int = 1
    trend: bool = False


NONE = {"weight_decay": 0.0, "condition_decay": 0.0}
NOISE = NONE | {"condition_noise": 0.5}
CURES = {
    "none": Cure(NONE),
    "in use": Cure(),
    "in use, three trainings averaged": Cure(mixed=3),
    "in use, trend taken out": Cure(trend=True),
    "weight decay 1": Cure(NONE | {"weight_decay": 1}),
    "weight decay 10": Cure(NONE | {"weight_decay": 10}),
    "condition decay 3": Cure(NONE | {"condition_decay": 3}),
    "condition decay 10": Cure(NONE | {"condition_decay": 10}),
    "condition decay 30": Cure(NONE | {"condition_decay": 30}),
    "weight decay 0.3, condition decay 10": Cure({"weight_decay": 0.3, "condition_decay": 10}),
    "weight decay 1, condition decay 10": Cure({"weight_decay": 1, "condition_decay": 10}),
    "weight decay 3, condition decay 10": Cure({"weight_decay": 3, "condition_decay": 10}),
    "noise 0.25": Cure(NONE | {"condition_noise": 0.25}),
    "noise 0.5": Cure(NOISE),
    "noise 0.5, condition decay 10": Cure(NOISE | {"condition_decay": 10}),
    "noise 0.5, trend taken out": Cure(NOISE, trend=True),
    "noise 0.5, three trainings averaged": Cure(NOISE, mixed=3),
    "a quarter of the steps": Cure(NONE | {"epochs": 11}),
    "a sixteenth of the steps": Cure(NONE | {"epochs": 3}),
    "width 16": Cure(NONE, {"width": 16}),
    "one layer of width 16": Cure(NONE, {"layers": 1, "width": 16}),
    "condition scaled by 0.1": Cure(NONE, shrink=0.1),
    "dropout of 5 % of the weights": Cure(NONE, drop=0.05),
    "dropout of 20 % of the weights": Cure(NONE, drop=0.2),
    "three trainings averaged": Cure(NONE, mixed=3),
}


def train(training: Training, cure: Cure, seed: int) -> None:
    """Run a training to its end with a cure."""
    flow, random = training.flow, torch.Generator().manual_seed(seed)
    weights = flow.layout.per_weight(1.0, torch.zeros(flow.arch.context)).repeat(flow.arch.layers)
    while training.done < training.steps:
        if cure.drop:
            kept = flow.flat.detach().clone()
            left = torch.rand(len(kept), generator=random) >= cure.drop
            used = kept * torch.where(weights > 0, left / (1 - cure.drop), 1.0)
            with torch.no_grad():
                flow.flat.copy_(used)
        training.step()
        if cure.drop:
            with torch.no_grad():
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
    scaling = Scaling(x, c, cure.trend)
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


def in_use() -> tuple[Network, Recipe]:
    """Network and recipe of the collider task's densities."""
    config = yaml.safe_load(CONFIG.read_text())
    return Network(**config["flows"]["density"]), Recipe(
        **config["training"]["collider"]["density"]
    )


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
