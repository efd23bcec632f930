"""Show how well the methods do in the signal region beside the sidebands."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.figures import closure, style
from flowmorph.metrics import measures


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sidebands", nargs="+", required=True, help="measures, CSV, a training each"
    )
    parser.add_argument("--signal", nargs="+", required=True, help="likewise of the signal region")
    parser.add_argument("--further", nargs="*", default=[], help="methods besides the paper's")
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)
    files = dict(zip(closure.REGIONS, (args.sidebands, args.signal), strict=True))
    regions = {name: measures.read(trainings) for name, trainings in files.items()}
    style.save(closure.closure_figure(regions, args.further), args.output)


if __name__ == "__main__":
    cli(main)
