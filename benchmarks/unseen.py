"""Closure of a run's collider flows on many more events than it tests with itself.

    echo "{run: more, collider: {pythia: {events: {reference: 330000, target: 330000}}}}" > x.yaml
    snakemake results/more/features/{reference,target}.root --configfile x.yaml
    PYTHONPATH=workflow python benchmarks/unseen.py --run results/default --trainings 5 \\
        --features results/more/features --from-chunk 20

A chunk of events is the same in all runs of a base seed, so those beyond a run's own number of
chunks are events that its flows have not seen. The AUC of one test sample of 10,000 events has an
error of some 0.004 that all methods share, since all are held against the same target events: this
prints AUCs in blocks of ``--block`` events (moved reference against target, both at the same
spectrum of masses, mass included), mean and standard deviation over trainings of the blocks' means.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml
from signal_region import aucs

from flowmorph.flows import setup, storage
from flowmorph.formats import flat_root
from flowmorph.plan import paths, targets, tasks
from flowmorph.plan.methods import PUBLISHED, UNTRAINED
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import regions
from flowmorph.samples.moved import MovedSample
from flowmorph.transfer.morph import DensityPair, morph

TASK = tasks.COLLIDER
CONFIG = yaml.safe_load((Path(__file__).parents[1] / "config/config.yaml").read_text())
REGIONS = ("sidebands", "signal")


def unseen(run: str, features: Path, first: int, region: str) -> MovedSample:
    """Scaled events of a region in a folder's chunks from number ``first`` on, not moved."""
    intervals = CONFIG["collider"]["regions_tev"][region]
    bands = regions.in_gev(intervals)
    scaling = Preprocessor.load(paths.scaling(run))
    points, conditions = [], []
    for sample in tasks.SAMPLES:
        files = [path for path in sorted((features / sample).iterdir()) if int(path.stem) >= first]
        tables = [flat_root.read_table(path, "features", list(regions.COLUMNS)) for path in files]
        rows = regions.select(flat_root.concatenate(tables), regions.CONDITION, bands)
        rows = scaling.forward(rows)
        points.append(np.stack([rows[name] for name in regions.FEATURES], axis=1, dtype=np.float32))
        conditions.append(rows[regions.CONDITION][:, None].astype(np.float32))
    none = (None, None)
    return MovedSample.paired(points, conditions, none, none, [str(features)] * 2)


def moved(sample: MovedSample, run: str, training: int) -> MovedSample:
    """The sample with its reference moved by each method of a training."""
    ends = [
        storage.load(Path(paths.flow(paths.density(run, name, training)))).compile()
        for name in tasks.SAMPLES
    ]
    pair = DensityPair(*ends, targets.mode(TASK, CONFIG))
    x = setup.tensors(sample.reference, sample.condition_reference, "cpu")
    y = setup.tensors(sample.target, sample.condition_target, "cpu")
    images = {}
    for method in PUBLISHED:
        path = Path(paths.flow(paths.transport(run, TASK.name, method, training)))
        flow = None if method in UNTRAINED else storage.load(path).compile()
        one = morph(pair, flow)
        images[method] = setup.in_chunks(one.forward, *x, y[1]).T.numpy()
    return replace(sample, methods=images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", required=True, help="folder of the run whose flows move")
    parser.add_argument("--trainings", type=int, default=3)
    parser.add_argument("--features", type=Path, required=True, help="folder of chunks' features")
    parser.add_argument("--from-chunk", type=int, required=True, help="first that is not the run's")
    parser.add_argument("--block", type=int, default=11_000)
    args = parser.parse_args()

    for region in REGIONS:
        sample = unseen(args.run, args.features, args.from_chunk, region)
        block = min(args.block, len(sample))
        found = [
            aucs(moved(sample, args.run, number), block) for number in range(1, args.trainings + 1)
        ]
        print(f"\n{region}: {len(sample) // block} times {block:,} events\n")
        print("| | mean over trainings | standard deviation |\n|---|---|---|")
        for name in found[0]:
            values = [each[name] for each in found]
            spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
            print(f"| {name} | {np.mean(values):.4f} | {spread:.4f} |", flush=True)


if __name__ == "__main__":
    main()
