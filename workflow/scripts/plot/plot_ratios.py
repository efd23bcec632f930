"""Show the moved collider features and their ratio to the target: figure 8."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.figures import chosen, features, style
from flowmorph.metrics import spectra
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
    parser.add_argument(
        "--limits", nargs=2, type=float, default=(-3.0, 3.0), help="of the scaled features"
    )
    parser.add_argument("--methods", nargs="+", default=PUBLISHED, help="names, in order")
    parser.add_argument("--note", default="", help="text in the figure, such as the region")
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)
    first, *further_trainings = (moved.MovedSample.load(path, args.methods) for path in args.moved)
    sample = spectra.balanced(first)
    choice = chosen.largest_differences(sample, args.methods, args.labels)
    fig = features.feature_ratios(
        choice.of(sample),
        further_trainings=list(map(choice.of, further_trainings)),
        names=("reference", *args.methods),
        labels=choice.labels,
        limits=tuple(args.limits),
        note=choice.noted(args.note),
        balanced=sample is not first,
    )
    style.save(fig, args.output)


if __name__ == "__main__":
    cli(main)
