"""How references differ from the target: the table of docs/collider.md.

    PYTHONPATH=workflow python benchmarks/references.py --events 20000
    PYTHONPATH=workflow python benchmarks/references.py --references "Vincia" --events 5000

Events of each reference are generated with the cuts in use, put through the detector, clustered and
selected in the sidebands. Shown are the medians of the features, their differences from the
target's with the published ones between Herwig++ and Pythia, and processor time an event.
"""

from __future__ import annotations

import argparse
import time

import awkward as ak
import numpy as np
from phase_space import IN_USE

from flowmorph.collider import detector, events, pythia
from flowmorph.collider.features import build_features
from flowmorph.errors import cli
from flowmorph.plan.tasks import COLLIDER_FEATURES
from flowmorph.samples import regions

TRIGGER_PT_GEV = 1200.0
SIDEBANDS_TEV = ((2.9, 3.3), (3.7, 4.1))
ALPHA = "TimeShower:alphaSvalue = {}"
CUTOFF = "TimeShower:pTmin = {}"
HARDNESS = "StringZ:bLund = {}"
REFERENCES = {
    "target": ("simple", ()),
    "in use": ("simple", (ALPHA.format(0.129), CUTOFF.format(2.0), HARDNESS.format(1.4))),
    "alphaS 0.115": ("simple", (ALPHA.format(0.115),)),
    "pTmin 2.0 GeV": ("simple", (CUTOFF.format(2.0),)),
    "bLund 1.6 GeV^-2": ("simple", (HARDNESS.format(1.6),)),
    "Vincia": ("vincia", ()),
    "multiparton interactions": ("simple", ("PartonLevel:MPI = on",)),
}


def sidebands(shower: str, settings: tuple[str, ...], count: int, seed: int):
    """Features of the selected events in the sidebands, and processor ms an event generated."""
    generator = pythia.Generator(shower, IN_USE, seed, settings)
    rng = np.random.default_rng(seed)
    start = time.process_time()
    chunks = []
    for record in generator.records(count):
        chunks.append(events.make_events(detector.simulate(pythia.visible(record), rng)))
    milliseconds = 1000 * (time.process_time() - start) / count
    table, _ = build_features(ak.concatenate(chunks), TRIGGER_PT_GEV)
    return regions.select(table, regions.CONDITION, regions.in_gev(SIDEBANDS_TEV)), milliseconds


def median(values: np.ndarray) -> tuple[float, float]:
    """Median and its statistical error."""
    half = 0.5 / np.sqrt(len(values))
    low, middle, high = np.quantile(values, [0.5 - half, 0.5, 0.5 + half])
    return middle, 0.5 * (high - low)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--events", type=int, default=20_000, help="generated of each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--references", nargs="+", default=list(REFERENCES))
    parser.add_argument("--setting", action="append", default=[], help="one more reference's")
    args = parser.parse_args()
    known = dict(REFERENCES)
    if args.setting:
        known[", ".join(args.setting)] = ("simple", tuple(args.setting))
        args.references.append(", ".join(args.setting))
    columns = (*COLLIDER_FEATURES, regions.CONDITION)
    print(f"| reference | events | ms | {' | '.join(columns)} |")
    print("|---" * (3 + len(columns)) + "|", flush=True)
    target, _ = sidebands(*known["target"], args.events, args.seed + 1000)
    at = {name: median(target[name]) for name in columns}
    spread = {name: np.std(target[name]) for name in columns}
    print_row(
        "target", len(target["m_jj"]), None, [f"{at[n][0]:.4g} ± {at[n][1]:.2g}" for n in columns]
    )
    for name in args.references:
        if name == "target":
            continue
        found, milliseconds = sidebands(*known[name], args.events, args.seed)
        cells = []
        for column in columns:
            value, error = median(found[column])
            shift, error = value - at[column][0], np.hypot(error, at[column][1])
            cells.append(f"{shift:+.3g} ± {error:.2g} ({shift / spread[column]:+.3f} σ)")
        print_row(name, len(found["m_jj"]), milliseconds, cells)


def print_row(name: str, rows: int, milliseconds: float | None, cells: list[str]) -> None:
    """One line of the table."""
    took = "" if milliseconds is None else f"{milliseconds:.1f}"
    print(f"| {name} | {rows} | {took} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    cli(main)
