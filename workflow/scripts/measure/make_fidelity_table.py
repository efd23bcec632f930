"""Put the means of several trainings, and how far one scatters, beside the paper's numbers."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.metrics import measures
from flowmorph.tables import fidelity


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--distances", required=True, help="distance table, CSV")
    parser.add_argument("--measures", nargs="+", required=True, help="CSV files of measures")
    parser.add_argument("--reasons", required=True, help="why numbers are not reproduced, YAML")
    parser.add_argument("--output", nargs="+", required=True, help=".csv, .md and .html files")
    args = parser.parse_args(argv)

    distances = fidelity.read_distances(args.distances)
    reasons = fidelity.read_reasons(args.reasons)
    numbers = measures.read(args.measures)
    fidelity.fidelity_table(distances, numbers, reasons).save(args.output)


if __name__ == "__main__":
    cli(main)
