"""Show a toy's shapes, and accuracy against distance for the toys and the collider task."""

from __future__ import annotations

import argparse
import csv

from flowmorph.errors import cli
from flowmorph.figures import overview, style
from flowmorph.plan.methods import PUBLISHED
from flowmorph.samples import moved
from flowmorph.tables.table import DISTANCE_BLOCKS

#: Blocks of the table of fidelity that are shown, with the units of their distances.
PLANES = {"different": "different toys (plane)", "collider": "collider, sidebands (scaled)"}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moved", required=True, help="moved samples of the toy, .npz")
    parser.add_argument("--title", required=True, help="of the toy")
    parser.add_argument("--fidelity", required=True, help="table of several trainings, CSV")
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)

    with open(args.fidelity, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    planes = {
        heading: [row for row in rows if row["sample"] == DISTANCE_BLOCKS[block][0]]
        for block, heading in PLANES.items()
    }
    sample = moved.MovedSample.load(args.moved, PUBLISHED)
    style.save(overview.overview_figure(args.title, sample, planes), args.output)


if __name__ == "__main__":
    cli(main)
