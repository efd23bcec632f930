"""Show where each point of the four circles is moved: figures 3, 4, B.1 and B.3."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.figures import scatter, style
from flowmorph.samples import moved


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moved", required=True, help="moved samples, .npz")
    parser.add_argument(
        "--angles",
        type=moved.angle_pair,
        metavar="FROM:TO",
        help="rotated toys: angles of reference and target in degrees",
    )
    parser.add_argument("--points", type=int, default=4000, help="points drawn in each panel")
    parser.add_argument(
        "--same-circle", action="store_true", help="print the share of points that stay on a circle"
    )
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)

    sample = moved.MovedSample.load(args.moved, scatter.METHODS)
    if args.angles:
        sample = sample.select_angles(*args.angles)
    fig = scatter.transport_scatter(
        sample, points=args.points, angles=args.angles, same_circle=args.same_circle
    )
    style.save(fig, args.output)


if __name__ == "__main__":
    cli(main)
