"""Closure in the signal region with the many events that the search generates there.

    snakemake search --configfile config/search.yaml
    PYTHONPATH=workflow python benchmarks/signal_region.py --run results/search --trainings 3

A single test sample of the signal region, 11,000 events in the default run, shifts the AUC of every
method together by as much as the methods differ from the floor. The search's samples are several
times as large, and no flow has seen them: this prints AUCs (moved reference against target, both at
the same masses' spectrum, mass included) in blocks of as many events as the default run has, and in
one block of all: mean and standard deviation over trainings, of blocks' means, and the same for
templates in which each event goes through one of the trainings, chosen at random.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from flowmorph.metrics import comparison
from flowmorph.metrics.measures import CEILING, FLOOR
from flowmorph.plan import paths
from flowmorph.plan.tasks import COLLIDER_FEATURES, ENSEMBLE
from flowmorph.samples.moved import MovedSample


def aucs(sample: MovedSample, block: int) -> dict[str, float]:
    """Mean AUC over blocks of ``block`` events, by method; floor and ceiling too."""
    found: dict[str, list[float]] = {}
    for number in range(len(sample) // block):
        part = sample.select(np.arange(number * block, (number + 1) * block))
        setting = comparison.Setting(
            tuple(sample.methods),
            COLLIDER_FEATURES,
            "shared",
            False,
            4.0,
            number,
            two_sample_points=block,
        )
        names = (FLOOR, CEILING, *sample.methods)
        for each in comparison.compare(part, setting, None, names):
            if each.metric == "auc":
                found.setdefault(each.method, []).append(each.value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of the run's results")
    parser.add_argument("--trainings", type=int, default=3)
    parser.add_argument("--block", type=int, default=11_000)
    args = parser.parse_args()

    out = str(args.run)
    samples = [
        MovedSample.load(paths.moved_for_search(out, number))
        for number in range(1, args.trainings + 1)
    ]
    mixed = MovedSample.load(paths.moved_for_search(out, ENSEMBLE))
    for block in (args.block, len(mixed)):
        single = [aucs(sample, block) for sample in samples]
        together = aucs(mixed, block)
        print(f"\n{len(mixed) // block} times {block:,} events\n")
        print("| | mean over trainings | standard deviation | trainings mixed |\n|---|---|---|---|")
        for name in together:
            values = [each[name] for each in single]
            spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
            print(f"| {name} | {np.mean(values):.4f} | {spread:.4f} | {together[name]:.4f} |")


if __name__ == "__main__":
    main()
