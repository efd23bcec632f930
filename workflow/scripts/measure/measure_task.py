"""Measure how well and how far each method moves the points of one task."""

from __future__ import annotations

import argparse
import sys
from itertools import chain

import numpy as np

from flowmorph.errors import InputError, cli
from flowmorph.metrics import measures, mixing, task
from flowmorph.samples import morphed, moved_samples, unweighting


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True)
    parser.add_argument("--moved", required=True, help="moved samples, .npz")
    parser.add_argument("--methods", nargs="+", required=True, help="names")
    morphed.add_options(parser)
    parser.add_argument("--features", nargs="+", required=True, help="names, in order")
    parser.add_argument("--condition", choices=("shared", "difference", "concat"))
    parser.add_argument("--discrete", action="store_true", help="conditions take few values")
    parser.add_argument("--half-width", type=float, required=True, help="of the splines' box")
    parser.add_argument("--two-sample-points", type=int, required=True, help="at most")
    parser.add_argument("--assignment-points", type=int, required=True, help="at most")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--output", required=True, help="CSV")
    args = parser.parse_args(argv)

    names = ("reference", "target", *moved_samples.CONDITIONS, *args.methods)
    given = moved_samples.load_weighted(args.moved, names)
    arrays, reference_weights = given, None
    if set(moved_samples.WEIGHTS) & set(given):
        rng = np.random.default_rng(args.seed)
        arrays, reference_weights = unweighting.target_unweighted(given, rng)
    compared = len(arrays["target"]) >= task.FEWEST_POINTS
    if reference_weights is not None:
        compared = compared and reference_weights.any()
    if not compared:
        print(
            f"{args.task}: {len(arrays['target'])} points cannot be compared with the target: "
            f"fewer than {task.FEWEST_POINTS} are left after splitting, and unweighting the target",
            file=sys.stderr,
        )
        arrays = {name: given[name] for name in names}
        reference_weights = given.get("weight_reference")
    weights = morphed.add(arrays, args)
    if arrays["target"].shape[1] != len(args.features):
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
    toys = mixing.measure(arrays, args.task, setting.methods, args.condition)
    found = task.measure(arrays, setting, weights, reference_weights, compared)
    measures.write(chain(found, toys), args.output)


if __name__ == "__main__":
    cli(main)
