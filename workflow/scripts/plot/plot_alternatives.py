"""Show what other methods make of the collider features beside some of the flows."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.figures import distances, features, looks, style
from flowmorph.metrics import spectra
from flowmorph.samples import moved


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drawing", choices=("ratios", "distances"), required=True)
    parser.add_argument("--moved", required=True, help="moved samples of the collider task, .npz")
    parser.add_argument("--methods", nargs="+", required=True, help="of these, those to show")
    parser.add_argument("--alternatives", nargs="*", default=[], help="further methods")
    parser.add_argument("--alternative-files", nargs="*", default=[], help="npz, same order")
    parser.add_argument("--split", help="points of these files: evaluation, validation or signal")
    parser.add_argument(
        "--limits", nargs=2, type=float, default=(-3.0, 3.0), help="of the scaled features"
    )
    parser.add_argument("--note", default="", help="text in the figure, such as the region")
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)

    sample = moved.MovedSample.load(args.moved, args.methods)
    sample = sample.with_alternatives(args.alternatives, args.alternative_files, args.split)
    names = [*args.methods, *args.alternatives]
    known = looks.with_spares(names)
    if args.drawing == "ratios":
        balanced = spectra.balanced(sample)
        fig = features.feature_ratios(
            balanced,
            names=("reference", *names),
            limits=tuple(args.limits),
            note=args.note,
            balanced=balanced is not sample,
            known=known,
        )
    else:  # weighted points stay where they are
        moving = [name for name in names if name not in sample.method_weights]
        fig = distances.distance_figure(
            [sample],
            names=("baseline", *moving),
            units="scaled features",
            note=args.note,
            known=known,
        )
    style.save(fig, args.output)


if __name__ == "__main__":
    cli(main)
