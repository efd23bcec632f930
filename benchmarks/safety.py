"""How often a training fails: many seeds of each toy's density, and the worst beside the median.

    PYTHONPATH=workflow python benchmarks/safety.py --seeds 30 --processes 2
    ATEN_CPU_CAPABILITY=avx2 PYTHONPATH=workflow python benchmarks/safety.py --seeds 30

Trains as the workflow does, by the default configuration's recipe, network and numbers of points,
with validation and returns to an earlier state. Quality is the exact divergence in nats (100,000
points). Roundings, which depend on the processor, change a training as much as its seed does:
ATEN_CPU_CAPABILITY sets them. Exits with 1 if a training ends above twice its toy's median.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
import yaml
from recipe import HELD

from flowmorph.flows import setup
from flowmorph.metrics import divergence
from flowmorph.plan.jobs.training import Network, Recipe
from flowmorph.samples import toys
from flowmorph.transfer import density
from flowmorph.transfer.batches import Points
from flowmorph.transfer.checkpoint import Checkpoint
from flowmorph.transfer.points import Splits
from flowmorph.transfer.running import train

CONFIG = Path(__file__).parents[1] / "config/config.yaml"


class Trained(NamedTuple):
    """The divergence (nats) and its error, processor seconds, and returns of one training."""

    divergence: float
    error: float
    seconds: float
    returns: int


def drawn(name: str, size: int, rng: np.random.Generator) -> torch.Tensor:
    """Points (size, 2) of a toy."""
    return torch.from_numpy(toys.sample_toy(name, size, rng).astype(np.float32))


def trained(name: str, seed: int, changes: dict) -> Trained:
    """Train a toy's density with one seed; ``changes`` are to the recipe."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config, rng = yaml.safe_load(CONFIG.read_text()), np.random.default_rng(seed)
    sizes = config["toys"]["points"]
    splits = Splits(*(Points(drawn(name, sizes[s], rng), None) for s in ("train", "validation")))
    network = Network(**config["flows"]["density"])
    recipe = Recipe(**config["training"]["toy"]["density"] | changes)
    problem = density.problem(f"{name} {seed}", splits, network, recipe, seed)
    problem.prepare("compile")
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        history = train(problem, Checkpoint(f"{folder}/checkpoint", "", 1e9))
    seconds = time.process_time() - start
    held = drawn(name, HELD, rng)
    model = setup.in_chunks(problem.flow.log_prob, held).double().numpy()
    gap = divergence.mean(toys.log_density(name, held.numpy()) - model)
    return Trained(gap.value, gap.error, seconds, int(history[-1]["returns"]))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--toys", nargs="+", default=list(toys.TOYS), choices=list(toys.TOYS))
    parser.add_argument("--seeds", type=int, default=30, help="trainings of each toy")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--clip", type=float, help="in place of the configuration's")
    parser.add_argument("--rate", type=float, help="peak learning rate, likewise")
    args = parser.parse_args()
    given = {"clip": args.clip, "learning_rate": args.rate}
    changes = {key: value for key, value in given.items() if value is not None}
    seeds = range(args.first, args.first + args.seeds)
    worst = 0.0
    print(f"processor: {torch.backends.cpu.get_cpu_capability()}", flush=True)
    with ProcessPoolExecutor(args.processes, get_context("spawn")) as pool:
        pending = {
            name: [pool.submit(trained, name, seed, changes) for seed in seeds]
            for name in args.toys
        }
        for name, each in pending.items():
            results = []
            for seed, future in zip(seeds, each, strict=True):
                one = future.result()
                results.append(one)
                print(
                    f"{name}, seed {seed}: {one.divergence:.4f} ± {one.error:.4f} nats, "
                    f"{one.seconds:.0f} s, {one.returns} returns",
                    flush=True,
                )
            values = [one.divergence for one in results]
            worst = max(worst, max(values) / median(values))
            print(
                f"{name}: {len(values)} trainings, median {median(values):.4f}, mean "
                f"{np.mean(values):.4f}, largest {max(values):.4f} nats "
                f"({max(values) / median(values):.2f} medians), "
                f"{sum(one.returns for one in results)} returns",
                flush=True,
            )
    return int(worst > 2)


if __name__ == "__main__":
    sys.exit(main())
