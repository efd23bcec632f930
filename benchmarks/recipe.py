"""Time to quality: which recipe brings a flow soonest to the quality of the paper's?

    PYTHONPATH=workflow python benchmarks/recipe.py                      # densities of the toys
    PYTHONPATH=workflow python benchmarks/recipe.py --kind transport     # transports between toys
    PYTHONPATH=workflow python benchmarks/recipe.py --kind collider --samples RUN/collider

Quality of a toy density is its exact divergence in nats; of a transport, the divergence of the
moved reference density on the target and a classifier's AUC; of a collider density, the
log-likelihood of events that it was not trained on. Times are processor seconds of one thread,
after compilation. docs/recipe.md holds the table and the choice that config/config.yaml makes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from flowmorph.flows import setup
from flowmorph.flows.flow import Flow
from flowmorph.formats import flat_root
from flowmorph.metrics import divergence
from flowmorph.metrics.two_sample import classifier_auc
from flowmorph.plan.jobs.training import Network, Recipe
from flowmorph.plan.methods import METHODS
from flowmorph.samples import toys
from flowmorph.samples.regions import CONDITION, FEATURES
from flowmorph.transfer import density, transport
from flowmorph.transfer.batches import Points
from flowmorph.transfer.morph import DensityPair, morph
from flowmorph.transfer.points import Splits
from flowmorph.transfer.problem import Problem
from flowmorph.transfer.training import Training

TRAIN, HELD = 500_000, 100_000
PAPER = {"batch": 128, "learning_rate": 1e-4, "warmup_steps": 0, "beta2": 0.999, "width": 128}
# 4 layers, 2 blocks of 64, 8 bins and 4,000 steps unless a row says otherwise.
BASE = {"batch": 512, "learning_rate": 3e-3, "beta2": 0.999}
SHARP = {"batch": 512, "learning_rate": 1e-2, "beta2": 0.95, "bins": 16}
FAST = {"batch": 256, "learning_rate": 5e-3, "beta2": 0.99, "bins": 16, "steps": 18_000}
# As in use, but of one start and with half as many steps again.
ONE_START = FAST | {"learning_rate": 3e-3}
DENSITIES = {
    "18,000 steps, one start": ONE_START,
    "peak rate 5e-3": FAST,
    "12,000 steps, peak rate 5e-3": FAST | {"steps": 12_000},
    "12,000 steps, beta2 0.999": ONE_START | {"steps": 12_000, "beta2": 0.999},
    "batch 512, 8,000 steps, peak rate 7e-3": FAST
    | {"batch": 512, "steps": 8000, "learning_rate": 7e-3},
    "batch 512, 8,000 steps, peak rate 5e-3, beta2 0.999": BASE
    | {"bins": 16, "steps": 8000, "learning_rate": 5e-3},
    "batch 512, 8,000 steps, peak rate 3e-3, beta2 0.999": BASE | {"bins": 16, "steps": 8000},
    "batch 512, 4,000 steps, peak rate 3e-3, beta2 0.999": BASE | {"bins": 16},
    "batch 512, 4,000 steps, peak rate 3e-3, beta2 0.999, 8 bins": BASE,
    # What is varied, one thing at a time, from a recipe that is good in half the time.
    "sharp: peak rate 1e-2, beta2 0.95": SHARP,
    "sharp, 8 bins": SHARP | {"bins": 8},
    "sharp, beta2 0.98": SHARP | {"beta2": 0.98},
    "sharp, beta2 0.999": SHARP | {"beta2": 0.999},
    "sharp, beta2 0.98, peak rate 5e-3": SHARP | {"beta2": 0.98, "learning_rate": 5e-3},
    "sharp, half the steps": SHARP | {"steps": 2000},
    "sharp, twice the steps": SHARP | {"steps": 8000},
    "2 layers, peak rate 5e-3": FAST | {"layers": 2},
    "6 layers, peak rate 5e-3": FAST | {"layers": 6},
    "width 32, peak rate 5e-3": FAST | {"width": 32},
    "width 128, peak rate 5e-3": FAST | {"width": 128},
    "1 block, peak rate 5e-3": FAST | {"blocks": 1},
    "the paper's, annealed in 10,000 steps": PAPER | {"steps": 10_000},
}
ROUGH = BASE | {"layers": 4, "bins": 16, "learning_rate": 1e-3, "steps": 3000}
# Densities of the points with noise, by the width of the noise and the transport's share of steps.
SMOOTH = {"batch": 256, "learning_rate": 3e-3, "beta2": 0.999, "bins": 16, "steps": 1200}
PHASES = {0.5: 0.1, 0.2: 0.2, 0.08: 0.2, 0.03: 0.2}
THREE = {0.5: 0.15, 0.2: 0.2, 0.08: 0.2}
MOVES = ROUGH | {"learning_rate": 2.5e-3, "steps": 4000, "phases": PHASES}
ABRUPT = ROUGH | {"densities": FAST}
# Between the densities of BASE.
DEEP = ROUGH | {"layers": 8, "bins": 8, "densities": BASE}
TRANSPORTS = {
    "in use": MOVES,
    "without phases": MOVES | {"phases": {}},
    "3,000 steps": MOVES | {"steps": 3000},
    "5,600 steps, peak rate 3e-3": MOVES | {"steps": 5600, "learning_rate": 3e-3},
    "3,000 steps, peak rate 1e-3, without phases, densities of 5e-3": ABRUPT,
    "3,000 steps, peak rate 1e-3, three widths": ROUGH | {"phases": THREE},
    "3,000 steps, peak rate 2e-3, three widths": ROUGH | {"phases": THREE, "learning_rate": 2e-3},
    "3,000 steps, peak rate 1e-3": ROUGH | {"phases": PHASES},
    "3,000 steps, peak rate 2e-3": ROUGH | {"phases": PHASES, "learning_rate": 2e-3},
    "3,000 steps, peak rate 4e-3": ROUGH | {"phases": PHASES, "learning_rate": 4e-3},
    "3,000 steps, peak rate 2e-3, beta2 0.99": ROUGH
    | {"phases": PHASES, "learning_rate": 2e-3, "beta2": 0.99},
    "densities of 8,000 steps, batch 512, 7e-3": ROUGH
    | {"densities": FAST | {"batch": 512, "steps": 8000, "learning_rate": 7e-3}},
    "densities of 8,000 steps, batch 512, 5e-3, 0.999": ROUGH
    | {"densities": BASE | {"bins": 16, "steps": 8000, "learning_rate": 5e-3}},
    "densities of 8,000 steps, batch 512, 3e-3, 0.999": ROUGH
    | {"densities": BASE | {"bins": 16, "steps": 8000}},
    "densities of 4,000 steps, batch 512, 3e-3, 0.999": ROUGH | {"densities": BASE | {"bins": 16}},
    "... and 8 bins": ROUGH | {"densities": BASE},
    "sharp densities": ROUGH | {"densities": SHARP},
    "batch 256, 4,500 steps, densities of 3e-3, 0.999": ROUGH
    | {"batch": 256, "steps": 4500}
    | {"densities": BASE | {"batch": 256, "bins": 16, "steps": 12_000}},
    "peak rate 5e-4": ROUGH | {"densities": BASE, "learning_rate": 5e-4},
    "4,500 steps, densities of 4,000 steps": ROUGH
    | {"densities": BASE | {"bins": 16}, "steps": 4500},
    "32 bins": ROUGH | {"densities": BASE, "bins": 32},
    "8 bins": ROUGH | {"densities": BASE, "bins": 8},
    "8 layers, 8 bins": DEEP,
    "8 layers, 8 bins, half the steps": DEEP | {"steps": 1500},
    "8 layers, 8 bins, twice the steps": DEEP | {"steps": 6000},
    "8 layers, 8 bins, peak rate 3e-4": DEEP | {"learning_rate": 3e-4},
    "8 layers, 8 bins, peak rate 5e-4": DEEP | {"learning_rate": 5e-4},
    "8 layers, 8 bins, peak rate 3e-3": DEEP | {"learning_rate": 3e-3},
    "8 layers, 8 bins, warm-up 750": DEEP | {"warmup_steps": 750},
    "8 layers, 8 bins, clip 0.5": DEEP | {"clip": 0.5},
    "8 layers, 8 bins, batch 256, 5,000 steps, 5e-4": DEEP
    | {"batch": 256, "steps": 5000, "learning_rate": 5e-4},
    "unidirectional": MOVES | {"method": "unidirectional"},
    "identity initialization": MOVES | {"method": "identity_initialization"},
    "movement penalty": MOVES | {"method": "movement_penalty", "penalty": 1.0},
}
EVENTS = {"batch": 256, "bins": 16, "steps": 1500, "learning_rate": 1e-3, "beta2": 0.999}
COLLIDER = {
    "16 bins": EVENTS,
    "8 bins": EVENTS | {"bins": 8},
    "8 bins, beta2 0.98": EVENTS | {"bins": 8, "beta2": 0.98},
    "8 bins, peak rate 3e-3": EVENTS | {"bins": 8, "learning_rate": 3e-3},
    "8 bins, half the steps": EVENTS | {"bins": 8, "steps": 750},
    "8 bins, a quarter of the steps": EVENTS | {"bins": 8, "steps": 375},
    "2 layers": EVENTS | {"layers": 2},
    "width 32": EVENTS | {"width": 32},
    "1 block": EVENTS | {"blocks": 1},
}
PAIRS = (("fourcircles", "star"), ("star", "checkerboard"), ("checkerboard", "fourcircles"))
BACK = tuple((b, a) for a, b in PAIRS)


def network(settings: dict) -> Network:
    """Size of a flow; what the settings do not say is as in the default configuration."""
    sizes = {"layers": 4, "blocks": 2, "width": 64, "bins": 8} | {
        key: settings[key] for key in ("layers", "blocks", "width", "bins") if key in settings
    }
    return Network(**sizes, tail_bound=4.0)


def recipe_of(settings: dict, points: int) -> Recipe:
    """Recipe with as many epochs as make the steps."""
    epochs = settings.get("steps", 4000) * settings["batch"] / points
    rate, warmup = settings["learning_rate"], settings.get("warmup_steps", 100)
    clip = settings.get("clip", 5.0)
    return Recipe(settings["batch"], epochs, rate, warmup, clip, settings["beta2"])


def fit(problem: Problem) -> tuple[float, int]:
    """Train as the workflow does; processor seconds, after compilation, and steps."""
    problem.prepare("compile")
    training = Training(problem)
    start = time.process_time()
    for _ in range(problem.steps):
        training.step()
    return time.process_time() - start, problem.steps


def toy(name: str, seed: int) -> Splits:
    """Training points of a toy; nothing here is validated during training."""
    points = toys.sample_toy(name, TRAIN, np.random.default_rng(seed))
    train = Points(torch.from_numpy(points.astype(np.float32)), None)
    return Splits(train, train)


def train_density(
    name: str, settings: dict, seed: int, noise: float = 0.0
) -> tuple[Flow, float, int]:
    """A toy's density flow, of its points with noise, with its processor seconds and steps."""
    torch.manual_seed(seed)
    sizes, recipe = network(settings), recipe_of(settings, TRAIN)
    problem = density.problem(name, toy(name, seed), sizes, recipe, seed, noise)
    return problem.flow, *fit(problem)


def densities(recipes: dict, names: list[str], seed: int) -> Iterator[tuple[str, ...]]:
    """The divergence of each toy's density by each recipe."""
    for recipe, settings in recipes.items():
        for name in names:
            flow, seconds, steps = train_density(name, settings, seed)
            held = toys.sample_toy(name, HELD, np.random.default_rng(seed + 99))
            model = setup.in_chunks(flow.log_prob, torch.from_numpy(held.astype(np.float32)))
            exact = toys.log_density(name, held)
            kl = divergence.mean(exact - model.double().numpy())
            yield recipe, name, f"{steps:,}", f"{seconds:.0f}", f"{kl.value:.4f} ± {kl.error:.4f}"


def transports(
    recipes: dict, seed: int, pairs: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, ...]]:
    """The divergence and the AUC of transports between learned densities."""
    learned: dict[tuple, Flow] = {}

    def density_of(name: str, settings: dict, noise: float = 0.0) -> Flow:
        key = name, repr(sorted(settings.items())), noise
        if key not in learned:
            learned[key] = train_density(name, settings, seed, noise)[0].requires_grad_(False)
        return learned[key]

    for recipe, settings in recipes.items():
        method = METHODS[settings.get("method", "flows_for_flows")]
        densities = settings.get("densities", ONE_START)
        for a, b in pairs:
            pair = DensityPair(*(density_of(name, densities) for name in (a, b)), None)
            smoothed = [
                transport.Smoothed(
                    width, share, DensityPair(*(density_of(n, SMOOTH, width) for n in (a, b)), None)
                )
                for width, share in settings.get("phases", {}).items()
            ]
            torch.manual_seed(seed)
            ends = toy(a, seed), toy(b, seed + 1)
            sizes, plan = network(settings), recipe_of(settings, TRAIN)
            penalty = settings.get("penalty", 0.0)
            problem = transport.problem(
                f"{a} to {b}", method, pair, *ends, sizes, plan, penalty, seed, smoothed
            )
            seconds, steps = fit(problem)
            moved_by = morph(pair, problem.flow)
            held = toys.sample_toy(b, HELD, np.random.default_rng(seed + 99))
            start = toys.sample_toy(a, HELD // 5, np.random.default_rng(seed + 98))
            model, moved = (
                setup.in_chunks(
                    lambda x, function=function: function(x, None, None),
                    torch.from_numpy(points.astype(np.float32)),
                )
                for function, points in ((moved_by.log_prob, held), (moved_by.forward, start))
            )
            gap = divergence.mean(toys.log_density(b, held) - model.double().numpy())
            auc = classifier_auc(moved.T.numpy(), held[: len(start)], seed=seed)
            quality = f"{gap.value:.3f} ± {gap.error:.3f}, AUC {auc.value:.3f}"
            yield recipe, f"{a} to {b}", f"{steps:,}", f"{seconds:.0f}", quality


def collider(recipes: dict, folder: Path, seed: int) -> Iterator[tuple[str, ...]]:
    """The likelihood of held-out target events under densities by each recipe."""

    def read(split: str) -> tuple[Tensor, Tensor]:
        table = flat_root.read_table(folder / "target.root", split, [*FEATURES, CONDITION])
        columns = np.stack([table[name] for name in (*FEATURES, CONDITION)], axis=1)
        return torch.from_numpy(columns.astype(np.float32)).split(len(FEATURES), dim=1)

    train, held = Points(*read("train")), read("validation")
    for recipe, settings in recipes.items():
        torch.manual_seed(seed)
        plan = recipe_of(settings, len(train.x))
        problem = density.problem(
            "target", Splits(train, Points(*held)), network(settings), plan, seed
        )
        seconds, steps = fit(problem)
        flow = problem.flow
        model = divergence.mean(setup.in_chunks(flow.log_prob, *held).double().numpy())
        quality = f"{model.value:.3f} ± {model.error:.3f}"
        yield recipe, "target", f"{steps:,}", f"{seconds:.0f}", quality


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kind", choices=("density", "transport", "collider"), default="density")
    parser.add_argument("--toys", nargs="+", default=list(toys.TOYS), choices=list(toys.TOYS))
    parser.add_argument("--samples", type=Path, help="prepared collider samples of a run")
    parser.add_argument("--recipes", nargs="+", help="rows of the table; default: all")
    parser.add_argument("--both-ways", action="store_true", help="all six pairs of toys, not three")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| recipe | sample | steps | seconds | quality |\n|---|---|---|---|---|", flush=True)
    recipes = {"density": DENSITIES, "transport": TRANSPORTS, "collider": COLLIDER}[args.kind]
    if args.recipes:
        recipes = {name: recipes[name] for name in args.recipes}
    if args.kind == "density":
        rows = densities(recipes, args.toys, args.seed)
    elif args.kind == "transport":
        rows = transports(recipes, args.seed, PAIRS + BACK if args.both_ways else PAIRS)
    else:
        rows = collider(recipes, args.samples or parser.error("--samples is needed"), args.seed)
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
