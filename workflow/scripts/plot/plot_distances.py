"""Show how far the methods move the points of one or more tasks: figures 6, A.2 and 9."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.figures import distances, style
from flowmorph.plan.methods import PUBLISHED
from flowmorph.samples import moved


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moved", nargs="+", required=True, help="moved samples, .npz; pooled")
    parser.add_argument("--trainings", type=int, default=1, help="of which the files are, in turn")
    parser.add_argument("--units", default="", help="units of the distance, for the axis")
    parser.add_argument("--methods", nargs="+", default=PUBLISHED, help="names, in order")
    parser.add_argument(
        "--linear", type=float, help="where a linear axis ends, in a panel of its own"
    )
    parser.add_argument("--note", default="", help="text in the figure, such as the region")
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)
    first, *further_trainings = moved.load_trainings(args.moved, args.trainings, args.methods)
    fig = distances.distance_figure(
        first,
        further_trainings=further_trainings,
        names=("baseline", *args.methods),
        units=args.units,
        note=args.note,
        linear=args.linear,
    )
    style.save(fig, args.output)


if __name__ == "__main__":
    cli(main)
