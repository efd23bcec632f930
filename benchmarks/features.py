"""Events per second of the feature extraction, next to a loop over events with pyjet.

    PYTHONPATH=workflow:tests python benchmarks/features.py --events events_anomalydetection_v2.h5

One core, the same events, in turn (A B A B ...), medians. The loop (tests/pyjet_loop.py) clusters
with pyjet, which has no N-subjettiness, and computes the rest with numpy; `clustering only` leaves
the rest away on both sides. Then our time against the number of events, and of particles in one.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import awkward as ak
import numpy as np
import pyjet_loop
import tables
from threadpoolctl import threadpool_limits

from flowmorph.collider import events, jets, lhco
from flowmorph.collider.features import build_features


def seconds(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each call, run in turn."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.process_time()
            call()
            times[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def side_by_side(array: ak.Array, rows: np.ndarray, repeats: int) -> None:
    """Print events per second of ours and of the loop, for all features and for jets alone."""
    table, _ = build_features(array)
    theirs = np.array([pyjet_loop.features(row) for row in rows])
    worst = np.max(np.abs(table["m_jj"] / theirs[:, 5] - 1))
    print(f"{len(rows)} events, M agrees to {worst:.0e}")
    calls = {
        "features": lambda: build_features(array),
        "features, pyjet": lambda: [pyjet_loop.features(row) for row in rows],
        "clustering only": lambda: jets.cluster(array),
        "clustering only, pyjet": lambda: [
            pyjet_loop.leading_jets(*pyjet_loop.particles(row), 1.0) for row in rows
        ],
    }
    found = seconds(calls, repeats)
    for name in ("features", "clustering only"):
        ours, loop = len(rows) / found[name], len(rows) / found[f"{name}, pyjet"]
        print(f"{name}: {ours:,.0f} events/s, pyjet loop {loop:,.0f}: {ours / loop:.1f} times")


def growth(array: ak.Array, repeats: int) -> None:
    """Print our time against the number of events and of particles in an event."""
    print("events  ms/event  peak memory [MB]")
    for copies in (1, 2, 5, 10, 20):
        many = ak.concatenate([array] * copies)
        found = seconds({"one": lambda many=many: build_features(many)}, repeats)["one"]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{len(many):6d}  {1000 * found / len(many):8.3f}  {peak:8.0f}")
    print("particles/event  ms/event  clustering only")
    for keep in (0.25, 0.5, 1, 2, 4):
        thick = thicker(array, keep)
        calls = {"all": lambda t=thick: build_features(t), "jets": lambda t=thick: jets.cluster(t)}
        found = seconds(calls, repeats)
        per_event = {name: 1000 * value / len(thick) for name, value in found.items()}
        mean = ak.mean(ak.num(thick.pt))
        print(f"{mean:15.0f}  {per_event['all']:8.3f}  {per_event['jets']:8.3f}")


def thicker(array: ak.Array, factor: float) -> ak.Array:
    """Give events of ``factor`` times the particles and the same total pT."""
    rng = np.random.default_rng(1)
    if factor < 1:
        particles = array[list(events.FIELDS)]
        counts = ak.num(particles.pt)
        chosen = ak.unflatten(rng.random(int(ak.sum(counts))) < factor, counts)
        kept = ak.zip({name: particles[name][chosen] for name in events.FIELDS})
        return events.make_events(ak.with_field(kept, kept.pt / factor, "pt"))
    copies = []
    for _ in range(int(factor)):
        shifted = {"pt": array.pt / factor}
        for name in ("eta", "phi"):
            noise = rng.normal(0, 0.02, int(ak.sum(ak.num(array.pt))))
            shifted[name] = array[name] + ak.unflatten(noise, ak.num(array.pt))
        copies.append(ak.zip(shifted))
    return events.make_events(ak.concatenate(copies, axis=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", required=True, help="LHC Olympics particle file")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    array = lhco.read_lhco(args.events, 0, args.rows)
    with tables.open_file(args.events) as file:
        rows = file.root.df.block0_values[: args.rows]
    with threadpool_limits(1):
        side_by_side(array, rows, args.repeats)
        growth(array, args.repeats)


if __name__ == "__main__":
    main()
