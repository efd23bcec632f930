"""Show where each point of the four circles is moved: figures 3, 4, B.1 and B.3."""

from __future__ import annotations

import argparse

import numpy as np

from flowmorph.errors import InputError, cli
from flowmorph.figures import scatter, style
from flowmorph.plan.methods import POINTWISE
from flowmorph.samples import moved, toy_parts


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moved", required=True, help="moved samples, .npz")
    parser.add_argument(
        "--seed", type=int, required=True, help="with which the reference's points were drawn"
    )
    parser.add_argument(
        "--angles",
        type=moved.angle_pair,
        metavar="FROM:TO",
        help="rotated toys: angles of reference and target in degrees",
    )
    parser.add_argument(
        "--shared", action="store_true", help="points end at the angle where they begin"
    )
    parser.add_argument(
        "--points", type=int, default=scatter.POINTS, help="points drawn in each panel, at most"
    )
    parser.add_argument(
        "--same-circle", action="store_true", help="print the share of points that stay on a circle"
    )
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)

    sample = moved.MovedSample.load(args.moved, POINTWISE)
    circle = toy_parts.drawn_circles(len(sample), np.random.default_rng(args.seed))
    if args.angles:
        rows, target_rows = sample.rows_at_angles(*args.angles, args.shared)
        sample, circle = sample.select(rows, target_rows), circle[rows]
    try:
        fig = scatter.transport_scatter(
            sample, circle, points=args.points, angles=args.angles, same_circle=args.same_circle
        )
    except InputError as error:
        raise InputError(f"{args.moved}, --seed {args.seed}: {error}") from None
    style.save(fig, args.output)


if __name__ == "__main__":
    cli(main)
