"""Show accuracy against distance over the strengths of the movement penalty, and tabulate both."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.figures import pareto, style
from flowmorph.metrics import measures
from flowmorph.tables import table as tables
from flowmorph.tables.measures import penalty_table


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measures", nargs="+", required=True, help="of the collider task, CSV")
    parser.add_argument("--strengths", nargs="+", type=float, required=True)
    parser.add_argument("--methods", nargs="+", required=True, help="names, same order")
    parser.add_argument("--configured", type=float, required=True, help="strength of the run")
    parser.add_argument("--paper", required=True, help="the paper's numbers, YAML")
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    parser.add_argument("--table", nargs="+", required=True, help=".csv, .md and .html files")
    args = parser.parse_args(argv)

    numbers = measures.read(args.measures)
    methods = dict(zip(args.strengths, args.methods, strict=True))
    facts = tables.paper_numbers(args.paper)["science_preparation"]
    marks = {"configured": args.configured, "paper": facts["movement_penalty_weight"]["science"]}
    style.save(pareto.penalty_figure(numbers, methods, **marks), args.output)
    penalty_table(numbers, methods, **marks).save(args.table)


if __name__ == "__main__":
    cli(main)
