"""Arrange the measures of all tasks in tables of accuracy, movement and single features."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.measure_tables import KINDS, measure_table
from flowmorph.metrics import measures


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measures", nargs="+", required=True, help="CSV files of measures")
    for kind in KINDS:
        option = f"--{kind.replace('_', '-')}"
        parser.add_argument(option, nargs="+", required=True, help=".csv and .md files")
    args = parser.parse_args(argv)

    numbers = measures.read(args.measures)
    for kind in KINDS:
        measure_table(kind, numbers).save(getattr(args, kind))


if __name__ == "__main__":
    cli(main)
