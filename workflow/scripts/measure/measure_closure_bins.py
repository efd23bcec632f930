"""Compare the user's moved samples with the target in bins of columns."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.metrics import comparison
from flowmorph.metrics.measures import CEILING, FLOOR, named
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.measuring import ClosureJob
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import binned
from flowmorph.samples.moved import MovedSample
from flowmorph.tables import closure_bins


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, help="ClosureJob (JSON)")
    parser.add_argument("--moved", nargs="+", required=True, help="moved samples, npz, by split")
    parser.add_argument("--reference", nargs="*", help="columns of bins, npz, if there are any")
    parser.add_argument("--target", nargs="*", help="columns of bins, npz, if there are any")
    parser.add_argument("--preprocessing", required=True, help="JSON")
    parser.add_argument("--output", nargs="+", required=True, help=".csv, .md and .html files")
    args = parser.parse_args(argv)

    job = form.read(ClosureJob, args.job)
    preprocessing = Preprocessor.load(args.preprocessing)
    rows = []
    for split, path in zip(job.splits, args.moved, strict=True):
        sample = MovedSample.load(path, job.methods)
        given = binned.values(job, split, args.reference, args.target, len(sample))
        task = named(job.task, split)
        for part in binned.binned(sample, job, preprocessing, given):
            rows += measured(part, sample, job, task)
    closure_bins.closure_table(rows, comparison.FEWEST_POINTS).save(args.output)


def measured(part: binned.Binned, sample: MovedSample, job: ClosureJob, task: str) -> list[dict]:
    """Rows of the table for one bin."""
    given = part.of(sample)
    methods = [name for name in part.names if name != "reference"]
    names = [*((FLOOR, CEILING) if "reference" in part.names else ()), *methods]
    inside, points = None, len(given)
    if points >= comparison.FEWEST_POINTS:
        inside, points = comparison.comparable(given, job.seed)
    if inside is None:
        return closure_bins.rows_of(task, part, names, (), points)
    setting = comparison.Setting(
        methods=methods,
        features=job.features,
        mode=job.mode,
        discrete=False,
        half_width=float("inf"),
        seed=job.seed,
        two_sample_points=job.two_sample_points,
    )
    whole = None if given.signed_target is None else given
    numbers = comparison.compare(inside, setting, whole, names)
    return closure_bins.rows_of(task, part, names, numbers, points)


if __name__ == "__main__":
    cli(main)
