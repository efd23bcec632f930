"""Show which cuts at generation leave the dijet mass window as it is.

Events are generated with cuts far looser than those in use; for the selected ones (trigger, mass
in a bin of the window) the table says which part a tighter cut would have lost. Usage:

    python benchmarks/phase_space.py --shower simple
"""

from __future__ import annotations

import argparse
import sys
import time

import awkward as ak
import numpy as np

from flowmorph.collider import detector, events, jets, pythia
from flowmorph.errors import cli

BATCH = 500
TRIGGER_PT = 1200.0
MASS_EDGES = np.array([2900, 3000, 3100, 3300, 3700, 3900, 4100.0])
LOOSE = pythia.PhaseSpace(650.0, 1700.0, -1.0, jet_pt_min=950.0, mass_min=2350.0, mass_max=4800.0)
IN_USE = pythia.PhaseSpace(
    700.0, 1800.0, 6000.0, jet_pt_min=1080.0, mass_min=2600.0, mass_max=4400.0
)
PTHAT_MIN = (700, 750, 800, 900, 1000, 1100, 1150)
MHAT_MIN = (1800, 1900, 2000, 2200, 2400, 2600)
MHAT_MAX = (6000, 5500, 5000, 4500)
EARLY_PT = (1000, 1050, 1080, 1100, 1150)
EARLY_MASS_MIN = (2500, 2600, 2650, 2700, 2800)
EARLY_MASS_MAX = (4500, 4400, 4300, 4200)


def generate(
    shower: str, settings: tuple[str, ...], count: int, seed: int
) -> tuple[dict[str, np.ndarray], int, float]:
    """Generate events; return their columns [GeV], the trials they took, and CPU seconds."""
    generator = pythia.Generator(shower, LOOSE, seed, settings)
    rng = np.random.default_rng(seed)
    seen: dict[float, tuple[float, float]] = {}
    look = generator.early.look

    def remember(event) -> tuple[float, float]:
        # The mass of the hard process tells which event this becomes.
        key = round((event[3].p() + event[4].p()).mCalc(), 3)
        seen[key] = look(event)
        return seen[key]

    generator.early.look = remember
    parts, start = [], time.process_time()
    for record in generator.records(count, BATCH):
        chunk = events.make_events(detector.simulate(pythia.visible(record), rng))
        pair = ak.pad_none(jets.cluster(chunk), 2)
        total = {name: pair[name][:, 0] + pair[name][:, 1] for name in ("px", "py", "pz", "e")}
        mass2 = total["e"] ** 2 - total["px"] ** 2 - total["py"] ** 2 - total["pz"] ** 2
        mhat = ak.to_numpy(record.info.mHat)
        early = np.array([seen[round(float(value), 3)] for value in mhat])
        part = {
            "mhat": mhat,
            "pthat": np.sqrt(ak.to_numpy(record.info.pT2Hat)),
            "jet_pt": ak.to_numpy(ak.fill_none(np.hypot(pair.px, pair.py)[:, 0], 0.0)),
            "mass": ak.to_numpy(ak.fill_none(np.sqrt(mass2), 0.0)),
            "early_pt": early[:, 0],
            "early_mass": early[:, 1],
        }
        parts.append(part)
        seen.clear()
        print(f"{BATCH * len(parts)}/{count}", end="\r", file=sys.stderr, flush=True)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return columns, generator.early.trials, time.process_time() - start


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shower", choices=sorted(pythia.SHOWERS), required=True)
    parser.add_argument("--setting", action="append", default=[], help="'name = value' of Pythia's")
    parser.add_argument("--events", type=int, default=25_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)

    x, trials, seconds = generate(args.shower, tuple(args.setting), args.events, args.seed)
    print(f"{args.shower}: {len(x['mass'])} of {trials} trials, {seconds:.0f} CPU seconds, {LOOSE}")
    removed = {"none": np.zeros(len(x["mass"]), dtype=bool)}
    removed |= {f"pTHat > {cut}": x["pthat"] < cut for cut in PTHAT_MIN}
    removed |= {f"mHat > {cut}": x["mhat"] < cut for cut in MHAT_MIN}
    removed |= {f"mHat < {cut}": x["mhat"] > cut for cut in MHAT_MAX}
    removed |= {f"early jet pT > {cut}": x["early_pt"] < cut for cut in EARLY_PT}
    removed |= {f"early mass > {cut}": x["early_mass"] < cut for cut in EARLY_MASS_MIN}
    removed |= {f"early mass < {cut}": x["early_mass"] > cut for cut in EARLY_MASS_MAX}
    removed["all in use"] = (
        (x["pthat"] < IN_USE.pthat_min)
        | (x["mhat"] < IN_USE.mhat_min)
        | (x["mhat"] > IN_USE.mhat_max)
        | (x["early_pt"] < IN_USE.jet_pt_min)
        | (x["early_mass"] < IN_USE.mass_min)
        | (x["early_mass"] > IN_USE.mass_max)
    )
    bins = np.where(x["jet_pt"] > TRIGGER_PT, np.digitize(x["mass"], MASS_EDGES) - 1, -1)
    count = len(MASS_EDGES) - 1
    inside = (bins >= 0) & (bins < count)
    names = [f"{low:g}-{high:g}" for low, high in zip(MASS_EDGES, MASS_EDGES[1:], strict=False)]
    print("| lost by the cut, % |", " | ".join(names), "| all | kept of generated, % |")
    print("|---" * (count + 3) + "|")
    sizes = [int((bins == i).sum()) for i in range(count)]
    print("| selected events |", " | ".join(map(str, sizes)), f"| {inside.sum()} | |")
    for name, cut in removed.items():
        lost = [f"{100 * cut[bins == i].mean():.2f}" for i in range(count)]
        overall, kept = 100 * cut[inside].mean(), 100 * (~cut).mean()
        print(f"| {name} |", " | ".join(lost), f"| {overall:.2f} | {kept:.0f} |", flush=True)


if __name__ == "__main__":
    cli(main)
