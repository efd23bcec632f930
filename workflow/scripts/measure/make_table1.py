"""Make table 1, the five methods: as a figure and as a table."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.figures import schematics, style
from flowmorph.tables import table as tables


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", nargs="+", required=True, help=".pdf and .png files")
    parser.add_argument("--table", nargs="+", required=True, help=".csv, .md and .html files")
    args = parser.parse_args(argv)
    style.save(schematics.method_table(), args.figure)
    tables.method_table().save(args.table)


if __name__ == "__main__":
    cli(main)
