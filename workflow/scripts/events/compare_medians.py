"""Hold the target's medians in the signal region against those of the LHC Olympics sample."""

from __future__ import annotations

import argparse
import csv
import sys

import numpy as np
import yaml

from flowmorph.errors import InputError, cli
from flowmorph.files import atomic
from flowmorph.formats import flat_root
from flowmorph.samples import regions

#: For each of our columns, its name in the published entry, and the factor to the unit there.
PUBLISHED = {
    "m_jj": ("m_jj_tev", 1e-3),
    "m_j1": ("m_j1_gev", 1.0),
    "delta_m_jj": ("delta_m_gev", 1.0),
    "tau21_j1": ("tau21_j1", 1.0),
    "tau21_j2": ("tau21_j2", 1.0),
}
ENTRY = "pythia_v2_signal_region_medians"
HEADER = ("observable", "generated", "statistical_error", "lhc_olympics", "ratio", "events")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True, help="ROOT file, tree 'features'")
    parser.add_argument("--reference", required=True, help=f"YAML file with {ENTRY}")
    parser.add_argument("--signal", nargs=2, type=float, required=True, help="LOW HIGH, TeV")
    parser.add_argument("--output", nargs=2, required=True, help="CSV and Markdown table")
    args = parser.parse_args(argv)

    with open(args.reference) as file:
        published = (yaml.safe_load(file) or {}).get(ENTRY)
    if not isinstance(published, dict) or {key for key, _ in PUBLISHED.values()} - set(published):
        raise InputError(f"{args.reference}: {ENTRY} is missing or incomplete")
    table = flat_root.read_table(args.target, "features", list(PUBLISHED))
    table = regions.select(table, regions.CONDITION, regions.in_gev([args.signal]))
    events = len(table["m_jj"])
    if events < 2:
        raise InputError(f"{args.target}: {events} events in the signal region, 2 needed")

    rows = []
    for name, (key, factor) in PUBLISHED.items():
        median, error = median_with_error(table[name] * factor)
        rows.append((key, median, error, published[key], median / published[key], events))
    print(f"medians of {events} signal-region events", file=sys.stderr, flush=True)
    with atomic(args.output[0]) as part, open(part, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows((key, *(f"{value:.6g}" for value in values)) for key, *values in rows)
    with atomic(args.output[1]) as part:
        part.write_text(markdown(rows))


def median_with_error(values: np.ndarray) -> tuple[float, float]:
    """Median and its statistical error: half the 68 % interval of the order statistics."""
    half = 0.5 / np.sqrt(len(values))
    low, median, high = np.quantile(values, [max(0.5 - half, 0), 0.5, min(0.5 + half, 1)])
    return float(median), float(0.5 * (high - low))


def markdown(rows: list[tuple]) -> str:
    """Format the comparison as a Markdown table."""
    lines = [
        "| median in the signal region | generated target | LHC Olympics | ratio |",
        "|---|---|---|---|",
    ]
    for key, median, error, published, ratio, _ in rows:
        lines.append(f"| {key} | {median:.4g} ± {error:.1g} | {published:.4g} | {ratio:.3f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    cli(main)
