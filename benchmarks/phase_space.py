"""Show which cuts on the hard process leave the dijet mass window as it is.

Events are generated with cuts far below those in use; for the selected ones (trigger, mass in a
bin of the window) the table says which fraction a tighter cut would have lost. Usage:

    python benchmarks/phase_space.py --shower simple --events 60000
"""

from __future__ import annotations

import argparse
import sys
import time

import awkward as ak
import numpy as np

from flowmorph import jets
from flowmorph.data import detector, events, pythia
from flowmorph.errors import cli

BATCH = 500
MASS_EDGES = np.array([2500, 2900, 3000, 3100, 3200, 3300, 3500, 3700, 3900, 4100, 4500.0])
TRIGGER_PT = 1200.0
PTHAT_MIN = (1000, 1050, 1100, 1150)
MHAT_MIN = (2400, 2500, 2600, 2700, 2800)
MHAT_MAX = (6000, 5500, 5000, 4500)


def generate(shower: str, cuts: pythia.PhaseSpace, count: int, seed: int):
    """Generate events; return mHat, pTHat, pT of the hardest jet and dijet mass, all in GeV."""
    generator = pythia.generator(shower, cuts, seed)
    rng = np.random.default_rng(seed)
    rows = []
    while sum(map(len, rows)) < count:
        record = generator.nextBatch(BATCH)
        chunk = events.make_events(detector.simulate(pythia.visible(record), rng))
        pair = ak.pad_none(jets.cluster(chunk), 2)
        total = {name: pair[name][:, 0] + pair[name][:, 1] for name in ("px", "py", "pz", "e")}
        mass2 = total["e"] ** 2 - total["px"] ** 2 - total["py"] ** 2 - total["pz"] ** 2
        columns = [
            record.info.mHat,
            np.sqrt(record.info.pT2Hat),
            np.hypot(pair.px, pair.py)[:, 0],
            np.sqrt(mass2),
        ]
        rows.append(np.stack([ak.to_numpy(ak.fill_none(column, 0.0)) for column in columns], 1))
        print(f"{sum(map(len, rows))}/{count}", end="\r", file=sys.stderr, flush=True)
    return np.concatenate(rows).T


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shower", choices=sorted(pythia.SHOWERS), required=True)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pthat-min", type=float, default=950.0)
    parser.add_argument("--mhat-min", type=float, default=2300.0)
    parser.add_argument("--save", help="keep the four columns as .npy")
    args = parser.parse_args(argv)

    cuts = pythia.PhaseSpace(args.pthat_min, args.mhat_min)
    start = time.process_time()
    mhat, pthat, jet_pt, mass = generate(args.shower, cuts, args.events, args.seed)
    seconds = time.process_time() - start
    if args.save:
        np.save(args.save, np.stack([mhat, pthat, jet_pt, mass]))
    triggered = jet_pt > TRIGGER_PT
    print(
        f"{args.shower}: {len(mhat)} events with pTHat > {args.pthat_min:g}, "
        f"mHat > {args.mhat_min:g} GeV, {1000 * seconds / len(mhat):.1f} CPU ms an event"
    )
    removed = {f"pTHat > {cut}": pthat < cut for cut in PTHAT_MIN}
    removed |= {f"mHat > {cut}": mhat < cut for cut in MHAT_MIN}
    removed |= {f"mHat < {cut}": mhat > cut for cut in MHAT_MAX}
    names = [f"{low:g}-{high:g}" for low, high in zip(MASS_EDGES, MASS_EDGES[1:], strict=False)]
    print("| lost by the cut, % |", " | ".join(names), "|")
    print("|---" * (len(names) + 1) + "|")
    bins = np.where(triggered, np.digitize(mass, MASS_EDGES) - 1, -1)
    inside = [(bins == i).sum() for i in range(len(names))]
    print("| events |", " | ".join(str(count) for count in inside), "|")
    for name, cut in removed.items():
        lost = [100 * cut[bins == i].mean() for i in range(len(names))]
        print(f"| {name} |", " | ".join(f"{percent:.2f}" for percent in lost), "|")


if __name__ == "__main__":
    cli(main)
