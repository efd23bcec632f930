"""Collect the tasks' likelihoods in one table."""

from __future__ import annotations

import argparse
import csv

from flowmorph.errors import cli
from flowmorph.tables import likelihood_table


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--likelihoods", nargs="+", required=True, help="CSV, one a task")
    parser.add_argument("--output", nargs="+", required=True, help=".csv and .md files")
    args = parser.parse_args(argv)

    rows = []
    for path in args.likelihoods:
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                rows.append(
                    row
                    | {key: float(row[key]) for key in ("log_likelihood", "error")}
                    | {"points": int(row["points"])}
                )
    likelihood_table(rows).save(args.output)


if __name__ == "__main__":
    cli(main)
