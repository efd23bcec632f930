"""Measure how well and how far each method moves the points of one task."""

from __future__ import annotations

import argparse
import sys
from itertools import chain

import numpy as np

from flowmorph.errors import InputError, cli
from flowmorph.metrics import measures, mixing, task
from flowmorph.samples import morphed, moved, unweighting


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True)
    parser.add_argument("--moved", required=True, help="moved samples, .npz")
    parser.add_argument("--methods", nargs="+", required=True, help="names")
    parser.add_argument("--alternatives", nargs="*", default=[], help="further methods")
    parser.add_argument("--alternative-files", nargs="*", default=[], help="npz, same order")
    parser.add_argument("--split", help="points of these files: evaluation, validation or signal")
    parser.add_argument("--features", nargs="+", required=True, help="names, in order")
    parser.add_argument("--condition", choices=("shared", "difference", "concat"))
    parser.add_argument("--discrete", action="store_true", help="conditions take few values")
    parser.add_argument("--half-width", type=float, required=True, help="of the splines' box")
    parser.add_argument("--two-sample-points", type=int, required=True, help="at most")
    parser.add_argument("--assignment-points", type=int, required=True, help="at most")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--output", required=True, help="CSV")
    args = parser.parse_args(argv)

    given = sample = moved.MovedSample.load(args.moved, args.methods)
    if given.weight_target is not None:
        sample = unweighting.target_unweighted(given, np.random.default_rng(args.seed))
    compared = len(sample) >= task.FEWEST_POINTS
    if sample.weight_reference is not None:
        compared = compared and sample.weight_reference.any()
    if not compared:
        print(
            f"{args.task}: {len(sample)} points cannot be compared with the target: "
            f"fewer than {task.FEWEST_POINTS} are left after splitting, and unweighting the target",
            file=sys.stderr,
        )
        sample = given
    sample = morphed.added(sample, args.alternatives, args.alternative_files, args.split)
    if sample.target.shape[1] != len(args.features):
        raise InputError(f"{args.moved}: {len(args.features)} features were named, not as many")
    setting = task.Setting(
        task=args.task,
        methods=[*args.methods, *args.alternatives],
        features=args.features,
        condition=args.condition,
        discrete=args.discrete,
        half_width=args.half_width,
        seed=args.seed,
        two_sample_points=args.two_sample_points,
        assignment_points=args.assignment_points,
    )
    toys = mixing.measure(sample, args.task, setting.methods, args.condition)
    found = task.measure(sample, setting, compared)
    measures.write(chain(found, toys), args.output)


if __name__ == "__main__":
    cli(main)
