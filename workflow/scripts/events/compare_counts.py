"""Hold the numbers of background events by dijet mass against those that were published."""

from __future__ import annotations

import argparse
import sys

import numpy as np
import yaml

from flowmorph.errors import InputError, cli
from flowmorph.formats.flat_root import read_table
from flowmorph.tables.table import Column, Table

#: The entry of `event_counts` that each sample is held against.
PUBLISHED = {"reference": "herwig", "target": "pythia_v2_qcd"}

#: Largest relative difference that goes without a warning: three standard deviations of a range of
#: 120,000 events; the same events clustered by another program agree far better.
TOLERANCE = 0.01

COLUMNS = (
    Column("sample", "sample"),
    Column("range", "M [GeV]"),
    Column("events", "events"),
    Column("published", "published"),
    Column("difference", "difference [%]", 2),
    Column("verdict", "verdict"),
)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for sample in PUBLISHED:
        parser.add_argument(f"--{sample}", required=True, help="ROOT file, tree 'features'")
    parser.add_argument("--published", required=True, help="YAML file with event_counts")
    parser.add_argument("--output", nargs="+", required=True, help=".csv, .md and .html files")
    args = parser.parse_args(argv)

    with open(args.published) as file:
        published = (yaml.safe_load(file) or {}).get("event_counts", {})
    rows = []
    for sample, key in PUBLISHED.items():
        if key not in published:
            raise InputError(f"{args.published}: event_counts has no {key}")
        table = read_table(getattr(args, sample), "features", ["m_jj", "label"])
        mass = table["m_jj"][table["label"] == 0]
        for bounds, number in published[key].items():
            events = len(mass) if bounds == "total" else inside(mass, bounds)
            row = compared(sample, bounds, events, number)
            rows.append(row)
            print(
                f"{row['verdict']}: {sample}, M {bounds}: {events} events, {number} published",
                file=sys.stderr,
                flush=True,
            )
    Table(COLUMNS, rows).save(args.output)


def inside(mass: np.ndarray, bounds: str) -> int:
    """Count the masses in a range written LOW-HIGH (low <= mass < high), all in GeV."""
    low, high = map(float, bounds.split("-"))
    return int(((mass >= low) & (mass < high)).sum())


def compared(sample: str, bounds: str, events: int, number: int) -> dict:
    """Put a count next to the published one, with a verdict."""
    difference = events / number - 1
    return {
        "sample": sample,
        "range": bounds,
        "events": events,
        "published": number,
        "difference": 100 * difference,
        "verdict": "agrees" if abs(difference) <= TOLERANCE else "WARNING: MISMATCH",
    }


if __name__ == "__main__":
    cli(main)
