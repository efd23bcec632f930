"""Show and tabulate what a search finds with each template."""

from __future__ import annotations

import argparse

import numpy as np

from flowmorph.errors import InputError, cli
from flowmorph.figures import search, style
from flowmorph.metrics import measures
from flowmorph.metrics.measures import Measure
from flowmorph.tables.search import search_table


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--curves", nargs="+", required=True, help="efficiencies, npz, a draw each")
    parser.add_argument("--measures", nargs="+", required=True, help="numbers, CSV, a draw each")
    parser.add_argument(
        "--fractions", nargs="+", type=float, required=True, help="of signal, a draw each"
    )
    parser.add_argument(
        "--shown", type=float, required=True, help="fraction whose curves are drawn"
    )
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    parser.add_argument("--table", nargs="+", required=True, help=".csv, .md and .html files")
    args = parser.parse_args(argv)

    numbers: dict[float, list[Measure]] = {}
    for fraction, path in zip(args.fractions, args.measures, strict=True):
        numbers.setdefault(fraction, []).extend(measures.read([path]))
    curves: dict[str, list[np.ndarray]] = {}
    for fraction, path in zip(args.fractions, args.curves, strict=True):
        if fraction == args.shown:
            with np.load(path) as stored:
                for name in stored:
                    curves.setdefault(name, []).append(stored[name])
    if not curves:
        raise InputError(f"--shown {args.shown:g} is none of the fractions")
    order = list(dict.fromkeys(m.method for m in numbers[args.shown]))
    ordered = {name: curves[name] for name in order}
    style.save(search.search_figure(ordered, numbers, args.shown), args.output)
    search_table(numbers).save(args.table)


if __name__ == "__main__":
    cli(main)
