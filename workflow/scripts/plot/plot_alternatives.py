"""Show what other methods make of the collider features beside some of the flows."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.figures import distances, features, looks, style
from flowmorph.samples import morphed, moved_samples


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drawing", choices=("ratios", "distances"), required=True)
    parser.add_argument("--moved", required=True, help="moved samples of the science task, .npz")
    parser.add_argument("--methods", nargs="+", required=True, help="of these, those to show")
    morphed.add_options(parser)
    parser.add_argument("--note", default="", help="text in the figure, such as the region")
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)

    arrays = moved_samples.load_moved(args.moved, ("reference", "target", *args.methods))
    weights = morphed.add(arrays, args)
    names = [*args.methods, *args.alternatives]
    known = looks.with_spares(names)
    if args.drawing == "ratios":
        fig = features.feature_ratios(
            arrays, names=("reference", *names), note=args.note, weights=weights, known=known
        )
    else:  # weighted points stay where they are
        moving = [name for name in names if name not in weights]
        fig = distances.distance_figure(
            [arrays],
            names=("baseline", *moving),
            units="scaled features",
            note=args.note,
            known=known,
        )
    style.save(fig, args.output)


if __name__ == "__main__":
    cli(main)
