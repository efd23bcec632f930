"""Cut the sidebands and the signal region, split the sidebands, and scale both samples."""

from __future__ import annotations

import argparse
import sys

import numpy as np

from flowmorph.errors import InputError, cli
from flowmorph.files import atomic
from flowmorph.formats import flat_root
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.events import PrepareJob
from flowmorph.plan.seeds import seed_for
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import regions


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", required=True, help="ROOT file, tree 'features'")
    parser.add_argument("--target", required=True, help="ROOT file, tree 'features'")
    parser.add_argument("--signal", help="signal events that leak into the target, likewise")
    parser.add_argument("--job", required=True, help="PrepareJob (JSON)")
    parser.add_argument("--output-reference", required=True, help="ROOT")
    parser.add_argument("--output-target", required=True, help="ROOT")
    parser.add_argument("--output-scaling", required=True, help="JSON")
    args = parser.parse_args(argv)

    job = form.read(PrepareJob, args.job)
    bands, signal = (
        regions.in_gev(intervals) for intervals in (job.sidebands_tev, [job.signal_tev])
    )
    samples = {}
    for name, path in (("reference", args.reference), ("target", args.target)):
        table = flat_root.read_table(path, "features", list(regions.COLUMNS))
        rng = np.random.default_rng(seed_for(job.seed, "split", name))
        side = regions.select(table, regions.CONDITION, bands)
        if name == "target" and args.signal:
            background = regions.inside(table[regions.CONDITION], signal).sum()
            leaking = leak(args.signal, round(job.leak * background), signal, bands)
            side = flat_root.concatenate([side, leaking])
        train, validation = regions.split(side, job.validation_fraction, rng)
        trees = {
            "train": train,
            "validation": validation,
            "signal": regions.select(table, regions.CONDITION, signal),
        }
        for tree, rows in trees.items():
            if len(rows[regions.CONDITION]) == 0:
                raise InputError(
                    f"{path}: no event for {tree!r} in {name}: generate more events or widen "
                    f"the regions of {regions.CONDITION}"
                )
        sizes = ", ".join(f"{len(rows[regions.CONDITION])} {key}" for key, rows in trees.items())
        print(f"{name}: {sizes}", file=sys.stderr, flush=True)
        samples[name] = trees

    training = [trees["train"] for trees in samples.values()]
    scaling = Preprocessor.fit(training, dict.fromkeys(regions.COLUMNS, {}), job.low, job.high)
    outputs = {"reference": args.output_reference, "target": args.output_target}
    for name, trees in samples.items():
        with atomic(outputs[name]) as part:
            flat_root.write_tables(
                part, {tree: scaling.forward(rows) for tree, rows in trees.items()}
            )
    with atomic(args.output_scaling) as part:
        scaling.save(part)


def leak(path: str, count: int, signal: np.ndarray, bands: np.ndarray) -> dict[str, np.ndarray]:
    """Signal events in the bands, of a file's first ones with ``count`` in the signal region."""
    table = flat_root.read_table(path, "features", list(regions.COLUMNS))
    before = np.cumsum(regions.inside(table[regions.CONDITION], signal))
    if count > before[-1]:
        raise InputError(
            f"{path}: {before[-1]} signal events in the signal region, {count} needed: "
            "lower search.leak, or raise chunk_events: those of the first chunk leak"
        )
    rows = int(np.searchsorted(before, count))
    leaking = regions.select(
        {name: column[:rows] for name, column in table.items()}, regions.CONDITION, bands
    )
    events = len(leaking[regions.CONDITION])
    print(f"signal: {count} beside {events} in the sidebands", file=sys.stderr, flush=True)
    return leaking


if __name__ == "__main__":
    cli(main)
