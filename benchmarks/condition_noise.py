"""What noise on the condition costs: bias against variance in a gap of the training region.

    PYTHONPATH=workflow python benchmarks/condition_noise.py
    PYTHONPATH=workflow python benchmarks/condition_noise.py --strengths 3 --noises 0 1

A toy of known conditional density has the sidebands of the collider data, scaled to [-3, 3]. The
mean of one feature is linear in the condition, that of the other is curved and turns in the gap;
both have a width that grows. Densities are trained as the workflow trains the collider's, each
seed on points of its own; rows "taken out" first take out the trend, fitted to both sidebands.

Columns: divergence of the learned density from the exact one in the sidebands and in the gap (mean
and spread of the seeds, nats), that of the noise alone in the gap (exact: what it makes of the true
density), and in the gap bias and spread of each feature's mean and of the widths, in units of the
true width. docs/recipe.md holds the table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
import yaml
from scipy.special import logsumexp
from scipy.stats import qmc
from torch import Tensor

from flowmorph.flows import setup
from flowmorph.flows.flow import Flow
from flowmorph.metrics.divergence import kl_divergence
from flowmorph.plan.jobs.training import Network, Recipe
from flowmorph.transfer import density
from flowmorph.transfer.batches import Points
from flowmorph.transfer.points import Splits
from flowmorph.transfer.training import VALIDATION_STEPS, VALIDATIONS, Problem, Training

CONFIG = Path(__file__).parents[1] / "config" / "config.yaml"
EDGE, END = 1.0, 3.0  # sidebands 2.9 to 3.3 and 3.7 to 4.1 TeV, scaled
GAP = 2 * EDGE
HELD, DRAWN = 20_000, 4096  # points of a divergence; points drawn at a condition
INSIDE = np.linspace(-0.8, 0.8, 5) * EDGE  # conditions in the gap at which means are compared
# Points, strengths, noises in units of the gap, and whether the trend is taken out first. Of the
# collider's features four have a strength of 0.1 or less, Delta R has 1.8.
TABLE = (
    (5000, (0.1, 1.8, 6), (0, 0.25, 0.5, 1), False),
    (5000, (1.8, 6), (0, 0.5), True),
    (29_000, (0.1, 1.8, 6), (0, 0.5), False),
    (29_000, (6,), (0.5,), True),
)
TITLES = ("strength", "points", "noise", "sidebands", "gap", "noise alone")
TITLES += ("linear mean", "curved mean", "width")
SLOPE = np.pi / np.sqrt(6)  # the standard deviation of Gumbel's distribution


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

    def inverse(self, y: np.ndarray, c: np.ndarray) -> np.ndarray:
        """Scale back."""
        reduced = self.low + (y + END) * (self.high - self.low) / (2 * END)
        return np.polyval(self.mean, c[:, None]) + self._widths(c) * reduced

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

    def moments(self, c: float, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (2,) and width (2,) of the points that the flow makes of normal ones at ``c``."""
        conditions = np.full(len(normal), c)
        points = tensor(normal), tensor(conditions[:, None])
        y = setup.in_chunks(lambda z, c: self.flow.inverse(z, c)[0], *points)
        x = self.scaling.inverse(y.T.double().numpy(), conditions)
        return x.mean(axis=0), x.std(axis=0)


def tensor(values: np.ndarray) -> Tensor:
    """As the flows take it."""
    return torch.from_numpy(values.astype(np.float32))


def sidebands(count: int, rng: np.random.Generator) -> np.ndarray:
    """Conditions, uniform in both sidebands."""
    return rng.choice([-1.0, 1.0], count) * rng.uniform(EDGE, END, count)


def fit(problem: Problem) -> None:
    """Train as the workflow does."""
    problem.prepare("compile")
    training = Training(problem)
    every = max(VALIDATION_STEPS, problem.steps // VALIDATIONS)
    for step in range(1, problem.steps + 1):
        training.step()
        if step % every == 0 or step == problem.steps:
            training.record()
    training.finish()


def learn(
    toy: Toy, points: int, recipe: Recipe, network: Network, trend: bool, seed: int
) -> Learned:
    """A density trained on points of the sidebands, and validated with a fifth of all."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    c = sidebands(points + points // 4, rng)
    x = toy.sample(c, rng)
    scaling = Scaling(x, c, trend)
    y, conditions = tensor(scaling.forward(x, c)), tensor(c[:, None])
    train, held = (
        Points(y[rows], conditions[rows]) for rows in (slice(points), slice(points, None))
    )
    splits = Splits(train, held, torch.tensor([GAP]))
    problem = density.problem("toy", splits, network, recipe, seed)
    fit(problem)
    return Learned(problem.flow, scaling)


def blurred(toy: Toy, scaling: Scaling, noise: float, x: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Log-density (N,) that noise of this width makes of the exact one, with points without end."""
    nodes = np.arange(EDGE, END, 0.05) + 0.025
    y, parts, shares = scaling.forward(x, c), [], []
    for node in (*-nodes, *nodes):
        at = np.full(len(c), node)
        parts.append(toy.log_density(scaling.inverse(y, at), at) - scaling.log_slope(at))
        shares.append(-0.5 * ((c - node) / noise) ** 2)
    return (
        logsumexp(np.add(parts, shares), axis=0) - logsumexp(shares, axis=0) + scaling.log_slope(c)
    )


def bias_and_spread(errors: np.ndarray) -> tuple[float, float]:
    """Root mean square of the bias, and of the spread, of errors (seeds, conditions).

    What the spread adds to the square of a mean of few seeds is subtracted.
    """
    variance = errors.var(axis=0, ddof=1)
    square = np.mean(errors.mean(axis=0) ** 2 - variance / len(errors))
    return np.sqrt(max(square, 0)), np.sqrt(variance.mean())


def row(
    strength: float, points: int, recipe: Recipe, network: Network, trend: bool, seeds: int
) -> Iterator[str]:
    """Cells of the table: divergences, and means and widths in the gap."""
    toy = Toy(strength)
    learned = [learn(toy, points, recipe, network, trend, seed) for seed in range(seeds)]
    yield from (
        f"{strength:g}" + ", taken out" * trend,
        f"{points:,}",
        f"{recipe.condition_noise:g}",
    )
    rng = np.random.default_rng(99)
    for c in (sidebands(HELD, rng), rng.uniform(-EDGE, EDGE, HELD)):
        x = toy.sample(c, rng)
        exact = toy.log_density(x, c)
        found = [kl_divergence(exact, each.log_density(x, c)).value for each in learned]
        yield f"{np.mean(found):.3f} ± {np.std(found, ddof=1):.3f}"
    if noise := recipe.condition_noise * GAP:
        alone = kl_divergence(exact, blurred(toy, learned[0].scaling, noise, x, c))
    yield f"{alone.value:.3f}" if noise else ""
    normal = qmc.MultivariateNormalQMC(np.zeros(2), seed=0).random(DRAWN)
    moments = np.array([[each.moments(c, normal) for c in INSIDE] for each in learned])
    means = (moments[:, :, 0] - toy.means(INSIDE)) / toy.widths(INSIDE)
    widths = moments[:, :, 1] / toy.widths(INSIDE) - 1
    for errors in (means[..., 0], means[..., 1], widths.reshape(seeds, -1)):
        yield "{:.2f}, {:.2f}".format(*bias_and_spread(errors))


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
    parser.add_argument("--strengths", type=float, nargs="+", help="default: the whole table")
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--noises", type=float, nargs="+", default=[0, 0.25, 0.5, 1])
    parser.add_argument("--take-out", action="store_true", help="first take out the trend")
    parser.add_argument("--epochs", type=float, help="default: the configuration's")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    network, recipe = in_use()
    recipe = replace(recipe, epochs=args.epochs or recipe.epochs)
    print(f"| {' | '.join(TITLES)} |\n{'|---' * len(TITLES)}|", flush=True)
    own = (args.points, args.strengths, args.noises, args.take_out)
    for points, strengths, noises, trend in [own] if args.strengths else TABLE:
        for strength, noise in product(strengths, noises):
            noisy = replace(recipe, condition_noise=noise)
            cells = row(strength, points, noisy, network, trend, args.seeds)
            print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\n{time.process_time():.0f} processor seconds")


if __name__ == "__main__":
    main()
