"""Show the correlations of the target's features, and how those of moved samples differ."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.figures import correlations, style
from flowmorph.figures.features import MASS, SYMBOLS
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
    parser.add_argument("--labels", nargs="+", default=SYMBOLS, help="of the features")
    parser.add_argument("--conditions", nargs="*", default=[MASS.symbol], help="labels of these")
    parser.add_argument("--categories", nargs="*", default=[], help="labels of further conditions")
    parser.add_argument("--methods", nargs="+", default=PUBLISHED, help="names, in order")
    parser.add_argument("--note", default="", help="text in the figure, such as the region")
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)
    first, *further_trainings = (moved.MovedSample.load(path, args.methods) for path in args.moved)
    sample = spectra.balanced(first)
    fig = correlations.correlation_figure(
        [sample, *further_trainings],
        names=("reference", *args.methods),
        labels=args.labels,
        conditions=args.conditions,
        categories=args.categories,
        note=args.note,
        balanced=sample is not first,
    )
    style.save(fig, args.output)


if __name__ == "__main__":
    cli(main)
