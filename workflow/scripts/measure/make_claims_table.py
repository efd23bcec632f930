"""Test each claim of the paper with a number of this run, and say why where it does not hold."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.metrics import measures
from flowmorph.plan import tasks
from flowmorph.tables import causes, claims
from flowmorph.tables import table as tables


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", required=True, help="YAML")
    parser.add_argument("--paper", required=True, help="the paper's numbers, YAML")
    parser.add_argument("--measures", nargs="+", required=True, help="CSV files of measures")
    parser.add_argument(
        "--as-paper", nargs="*", default=[], help="families whose flows are trained as the paper's"
    )
    parser.add_argument("--needing", help="only the claims that need this")
    parser.add_argument("--output", nargs="+", required=True, help=".csv, .md and .html files")
    args = parser.parse_args(argv)

    tested, limits = claims.load(args.claims)
    if args.needing:
        tested = [claim for claim in tested if claim.needs == args.needing]
    evidence = causes.Evidence(
        **limits, paper=tables.paper_numbers(args.paper), as_paper=args.as_paper
    )
    numbers = measures.read(args.measures)
    groups = {name: tasks.names(group) for name, group in tasks.GROUPS.items()}
    claims.claims_table(tested, numbers, groups, evidence).save(args.output)


if __name__ == "__main__":
    cli(main)
