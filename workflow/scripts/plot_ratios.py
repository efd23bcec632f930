"""Show the moved collider features and their ratio to the target: figure 8."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.figures import features, samples, style


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--moved",
        nargs="+",
        required=True,
        help="moved samples of the science task, .npz, a training each",
    )
    parser.add_argument("--note", default="", help="text in the figure, such as the region")
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)
    first, *repeats = (samples.load_moved(path, samples.MOVED) for path in args.moved)
    style.save(features.feature_ratios(first, repeats=repeats, note=args.note), args.output)


if __name__ == "__main__":
    cli(main)
