"""Compare the distances that the methods move the points with the paper's."""

from __future__ import annotations

import argparse

import numpy as np

from flowmorph.errors import cli
from flowmorph.metrics.distances import Summary, euclidean, summarise
from flowmorph.metrics.measures import BASELINE
from flowmorph.plan import tasks
from flowmorph.plan.methods import PUBLISHED
from flowmorph.samples import moved, toys
from flowmorph.tables import table as tables

PART_POINTS, ORDER_SEED = 100_000, 2309  # of each circle or arm


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for block, (heading, _) in tables.DISTANCE_BLOCKS.items():
        parser.add_argument(
            f"--{block}", nargs="+", required=True, help=f"moved samples, .npz: {heading}"
        )
    parser.add_argument(
        "--trainings", nargs="+", type=int, default=[1] * len(tables.DISTANCE_BLOCKS),
        help="of which each block's files are, in turn",
    )  # fmt: skip
    parser.add_argument("--paper", required=True, help="the paper's numbers, YAML")
    parser.add_argument("--spreads", required=True, help="distance table of several trainings, CSV")
    parser.add_argument("--output", nargs="+", required=True, help=".csv, .md and .html files")
    args = parser.parse_args(argv)

    ours = {}
    for block, count in zip(tables.DISTANCE_BLOCKS, args.trainings, strict=True):
        trainings = moved.load_trainings(getattr(args, block), count, PUBLISHED)
        ours[block] = {
            method: [
                summarise(np.concatenate([euclidean(x.points(method), x.reference) for x in tasks]))
                for tasks in trainings
            ]
            for method in (BASELINE, *PUBLISHED)
        }
    for block in ("different", "identical"):
        ours[block] = {BASELINE: ours[block][BASELINE], **_in_order(block), **ours[block]}
    paper, known = tables.paper_numbers(args.paper), tables.known_spreads(args.spreads)
    tables.distance_table(ours, paper, known).save(args.output)


def _in_order(block: str) -> dict[str, list[Summary]]:
    """The baseline as the paper's figures have it: points of the authors' code, in its order."""
    rng = np.random.default_rng(ORDER_SEED)
    pairs = [
        [toys.sample_part_by_part(data.toy, PART_POINTS, rng) for data in task.datasets]
        for task in tasks.GROUPS[block]
    ]
    distances = np.concatenate([euclidean(y, x) for x, y in pairs])
    return {tables.BASELINE_IN_ORDER: [summarise(distances)]}


if __name__ == "__main__":
    cli(main)
