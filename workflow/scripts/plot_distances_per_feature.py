"""Show how far the methods move each collider feature: figure 10."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.figures import distances, samples, style


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moved", required=True, help="moved samples of the science task, .npz")
    parser.add_argument("--note", default="", help="text in the figure, such as the region")
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)
    sample = samples.load_moved(args.moved, samples.MOVED)
    style.save(distances.feature_distance_figure(sample, note=args.note), args.output)


if __name__ == "__main__":
    cli(main)
