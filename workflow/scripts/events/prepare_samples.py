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
from flowmorph.preprocess.transforms import MinMax
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
        in_signal = job.reference_in_signal and name == "reference"
        trained = np.concatenate([bands, signal]) if in_signal else bands
        side = regions.select(table, regions.CONDITION, trained)
        if name == "target" and args.signal:
            background = regions.inside(table[regions.CONDITION], signal).sum()
            leaking = leak(args.signal, round(job.leak * background), signal, bands)
            side = flat_root.concatenate([side, leaking])
        train, validation = regions.split(side, job.validation_fraction, rng)
        trees = {
            "train": train,
            "validation": validation,
            # No flow is trained on an event that is measured.
            "signal": regions.select(validation if in_signal else table, regions.CONDITION, signal),
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

    scaling = fit({name: trees["train"] for name, trees in samples.items()}, job)
    outputs = {"reference": args.output_reference, "target": args.output_target}
    for name, trees in samples.items():
        with atomic(outputs[name]) as part:
            flat_root.write_tables(
                part, {tree: scaling.forward(rows) for tree, rows in trees.items()}
            )
    with atomic(args.output_scaling) as part:
        scaling.save(part)


def fit(training: dict[str, dict[str, np.ndarray]], job: PrepareJob) -> Preprocessor:
    """The linear maps of all columns (N,), from each sample's training events."""
    fitted = [rows for name, rows in training.items() if job.fit in ("both", name)]
    scaling = Preprocessor.fit(fitted, dict.fromkeys(regions.COLUMNS, {}), job.low, job.high)
    given = {name: MinMax(*ends, job.low, job.high) for name, ends in job.ranges.items()}
    scaling = Preprocessor(scaling.maps | given)
    for sample, rows in training.items():
        beyond = scaling.beyond(rows)
        for name, (low, high) in job.ranges.items():
            if beyond[name].all():
                raise InputError(
                    f"config: collider.scaling.ranges.{name}: no training event of the {sample} "
                    f"lies in [{low:g}, {high:g}]: give the range of its values, masses in GeV"
                )
        counts = ", ".join(f"{out.sum()} in {name}" for name, out in beyond.items() if out.any())
        if counts:
            print(f"{sample}: beyond the scaled range {counts}", file=sys.stderr, flush=True)
    return scaling


def leak(path: str, count: int, signal: np.ndarray, bands: np.ndarray) -> dict[str, np.ndarray]:
    """Signal events in the bands, of a file's first ones with ``count`` in the signal region."""
    table = flat_root.read_table(path, "features", list(regions.COLUMNS))
    before = np.cumsum(regions.inside(table[regions.CONDITION], signal))
    found = int(before[-1]) if len(before) else 0
    if count > found:
        raise InputError(
            f"{path}: {found} signal events in the signal region, {count} needed: "
            "lower search.leak, or raise chunk_events: those of the first chunk leak"
            + ("" if found else "; a file that names none needs search.draws: 0")
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
