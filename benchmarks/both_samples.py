"""What a density gains, or loses, that begins on the points of both samples (`both_share`).

    snakemake results/default/collider/target.root
    PYTHONPATH=workflow python benchmarks/both_samples.py
    PYTHONPATH=workflow python benchmarks/both_samples.py --rows 48000 --shares 0.5 0.9
    PYTHONPATH=workflow python benchmarks/both_samples.py --toys

The density of the collider target, for some numbers of its training events beside all of the
reference's: the mean of -log p over target events that no training saw, in the sidebands and in the
signal region, mean and standard deviation of the seeds, in nats. With ``--toys`` the same of toys,
which have little in common: how far the density is from the exact one. docs/recipe.md has the
tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import yaml

from flowmorph.flows import setup
from flowmorph.flows.flow import Flow
from flowmorph.plan import tasks
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.jobs.training import DensityJob, Recipe
from flowmorph.samples import datasets
from flowmorph.transfer import density, points, running
from flowmorph.transfer.batches import Points
from flowmorph.transfer.points import Splits
from flowmorph.transfer.progress import Quiet

CONFIG = yaml.safe_load((Path(__file__).parents[1] / "config/config.yaml").read_text())
RECIPE = Recipe(**CONFIG["training"]["collider"]["density"])
PAIRS = (("fourcircles", "star"), ("checkerboard", "star"))
TOY_POINTS = {"train": 48_000, "validation": 20_000}
LEAST_VALIDATION = 400


def trained(job: DensityJob, splits: Splits, other: Splits, share: float) -> tuple[Flow, float]:
    """A trained density, and its lowest validation loss."""
    setup.start(1, job.seed, "cpu")
    recipe = replace(RECIPE, both_share=share)
    problem = density.problem(
        job.data.name, splits, job.network, recipe, job.seed, other=other if share else None
    )
    history = running.train(problem, graphs=problem.prepare("auto"), progress=Quiet())
    return problem.flow, min(row["validation_loss"] for row in history)


def with_few(splits: Splits, rows: int, seed: int) -> Splits:
    """Some of the points to train on, and a quarter as many of those to validate with."""
    generator = torch.Generator().manual_seed(seed)

    def some(given: Points, number: int, end: int) -> Points:
        chosen = torch.randperm(end, generator=generator)[:number]
        return Points(given.x[chosen], given.c[chosen])

    half = len(splits.validation.x) // 2
    held = some(splits.validation, max(LEAST_VALIDATION, rows // 4), half)
    return replace(splits, train=some(splits.train, rows, len(splits.train.x)), validation=held)


def collider(run: str, rows: list[int], shares: list[float], seeds: list[int]) -> Iterator[str]:
    """Rows of the table of collider densities."""
    jobs, cpu = Jobs(CONFIG, run), torch.device("cpu")
    target, reference = (
        points.load(jobs.data(dataset), cpu)
        for dataset in (tasks.COLLIDER.target, tasks.COLLIDER.reference)
    )
    half = len(target.validation.x) // 2
    gap = datasets.load(jobs.data(tasks.COLLIDER.target), tasks.COLLIDER.family.held_out)
    unseen = (
        (target.validation.x[half:], target.validation.c[half:]),
        setup.tensors(*gap, cpu),
    )
    yield "| target events | both_share | sidebands | signal region |\n|---|---|---|---|"
    for number in rows:
        for share in shares:
            found = []
            for seed in seeds:
                few = with_few(target, number, seed)
                job = jobs.density(tasks.COLLIDER.target.name, seed)
                flow, _ = trained(job, few, reference, share)
                found.append([-setup.in_chunks(flow.log_prob, *p).mean().item() for p in unseen])
            cells = " | ".join(f"{m:.4f} ± {s:.4f}" for m, s in zip(*spread(found), strict=True))
            yield f"| {number:,} | {share:g} | {cells} |"


def toys(shares: list[float], seeds: list[int]) -> Iterator[str]:
    """Rows of the table of toys."""
    jobs = Jobs(CONFIG | {"toys": CONFIG["toys"] | {"points": TOY_POINTS}}, "none")
    cpu = torch.device("cpu")
    yield "| toy | other sample | both_share | above the exact density |\n|---|---|---|---|"
    for name, other in PAIRS:
        for share in shares:
            found = []
            for seed in seeds:
                job = jobs.density(name, seed)
                splits, others = (points.load(jobs.density(n, 1).data, cpu) for n in (name, other))
                _, best = trained(job, splits, others, share)
                found.append([best - splits.floor])
            (mean,), (deviation,) = spread(found)
            yield f"| {name} | {other} | {share:g} | {mean:.4f} ± {deviation:.4f} |"


def spread(found: list[list[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over seeds; no deviation of a single one."""
    values = np.array(found)
    deviation = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
    return values.mean(axis=0), deviation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", default="results/default", help="with prepared collider samples")
    parser.add_argument("--rows", type=int, nargs="+", default=[2000, 5000, 15_000, 48_000])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, RECIPE.both_share])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--toys", action="store_true", help="toys in place of collider events")
    args = parser.parse_args()

    if args.toys:
        lines = toys(args.shares, args.seeds)
    else:
        lines = collider(args.run, args.rows, args.shares, args.seeds)
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()
