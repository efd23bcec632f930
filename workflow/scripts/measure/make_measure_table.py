"""Arrange the measures of all tasks in one table."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.metrics import measures
from flowmorph.tables.measures import KINDS, measure_table, with_own_divergences


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--kind", required=True, choices=KINDS)
    parser.add_argument("--measures", nargs="+", required=True, help="CSV files of measures")
    parser.add_argument("--output", nargs="+", required=True, help=".csv, .md and .html files")
    args = parser.parse_args(argv)

    numbers = with_own_divergences(measures.read(args.measures))
    measure_table(args.kind, numbers).save(args.output)


if __name__ == "__main__":
    cli(main)
