"""Show how far the methods move each collider feature: figure 10."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.figures import chosen, distances, features, style
from flowmorph.plan.methods import PUBLISHED
from flowmorph.samples import moved


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--moved",
        nargs="+",
        required=True,
        help="moved samples of a task, .npz, a training each",
    )
    parser.add_argument("--labels", nargs="+", default=features.SYMBOLS, help="of the features")
    parser.add_argument("--methods", nargs="+", default=PUBLISHED, help="names, in order")
    parser.add_argument("--note", default="", help="text in the figure, such as the region")
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)
    first, *further_trainings = (moved.MovedSample.load(path, args.methods) for path in args.moved)
    choice = chosen.largest_differences(first, args.methods, args.labels)
    fig = distances.feature_distance_figure(
        choice.of(first),
        further_trainings=list(map(choice.of, further_trainings)),
        names=("baseline", *args.methods),
        labels=choice.labels,
        note=choice.noted(args.note),
    )
    style.save(fig, args.output)


if __name__ == "__main__":
    cli(main)
