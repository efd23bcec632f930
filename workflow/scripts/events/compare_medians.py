"""Hold the target's medians in the signal region against those of the LHC Olympics sample."""

from __future__ import annotations

import argparse
import sys

import numpy as np
import yaml

from flowmorph.errors import InputError, cli
from flowmorph.formats import flat_root
from flowmorph.samples import regions
from flowmorph.tables.table import Column, Table

#: For each of our columns, its name in the published entry, the factor to the unit there, and what
#: it is.
PUBLISHED = {
    "m_jj": ("m_jj_tev", 1e-3, "dijet mass M [TeV]"),
    "m_j1": ("m_j1_gev", 1.0, "mass of the lighter jet [GeV]"),
    "delta_m_jj": ("delta_m_gev", 1.0, "difference of the jets' masses [GeV]"),
    "tau21_j1": ("tau21_j1", 1.0, "tau21 of the lighter jet"),
    "tau21_j2": ("tau21_j2", 1.0, "tau21 of the heavier jet"),
}
ENTRY = "pythia_v2_signal_region_medians"
COLUMNS = (
    Column("observable", "column"),
    Column("quantity", "median of"),
    Column("generated", "generated target", 4),
    Column("statistical_error", "statistical error", 4),
    Column("lhc_olympics", "LHC Olympics", 4),
    Column("ratio", "ratio", 3),
    Column("events", "events", 0),
)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True, help="ROOT file, tree 'features'")
    parser.add_argument("--reference", required=True, help=f"YAML file with {ENTRY}")
    parser.add_argument("--signal", nargs=2, type=float, required=True, help="LOW HIGH, TeV")
    parser.add_argument("--output", nargs="+", required=True, help=".csv, .md and .html files")
    args = parser.parse_args(argv)

    with open(args.reference) as file:
        published = (yaml.safe_load(file) or {}).get(ENTRY)
    if not isinstance(published, dict) or {key for key, *_ in PUBLISHED.values()} - set(published):
        raise InputError(f"{args.reference}: {ENTRY} is missing or incomplete")
    table = flat_root.read_table(args.target, "features", list(PUBLISHED))
    table = regions.select(table, regions.CONDITION, regions.in_gev([args.signal]))
    events = len(table["m_jj"])
    if events < 2:
        raise InputError(f"{args.target}: {events} events in the signal region, 2 needed")

    rows = []
    for name, (key, factor, quantity) in PUBLISHED.items():
        median, error = median_with_error(table[name] * factor)
        known = float(published[key])
        values = (key, quantity, median, error, known, median / known, events)
        rows.append(dict(zip((column.key for column in COLUMNS), values, strict=True)))
    print(f"medians of {events} signal-region events", file=sys.stderr, flush=True)
    Table(COLUMNS, rows).save(args.output)


def median_with_error(values: np.ndarray) -> tuple[float, float]:
    """Median and its statistical error: half the 68 % interval of the order statistics."""
    half = 0.5 / np.sqrt(len(values))
    low, median, high = np.quantile(values, [max(0.5 - half, 0), 0.5, min(0.5 + half, 1)])
    return float(median), float(0.5 * (high - low))


if __name__ == "__main__":
    cli(main)
