"""Measure how well and how far each method moves the points of one task."""

from __future__ import annotations

import argparse
import sys

from flowmorph.errors import InputError, cli
from flowmorph.metrics import comparison, measures, mixing
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.measuring import MeasureJob
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import moved


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, help="MeasureJob (JSON)")
    parser.add_argument("--moved", required=True, help="moved samples, .npz")
    parser.add_argument("--alternatives", nargs="*", default=[], help="npz, of job.alternatives")
    parser.add_argument(
        "--preprocessing", nargs="*", default=[], help="JSON, where features have spikes"
    )
    parser.add_argument("--output", required=True, help="CSV")
    args = parser.parse_args(argv)

    job = form.read(MeasureJob, args.job)
    given = moved.MovedSample.load(args.moved, job.methods)
    sample, points = comparison.comparable(given, job.seed)
    compared = sample is not None
    if sample is None:
        print(
            f"{job.task}: {points} points cannot be compared with the target: "
            f"fewer than {comparison.FEWEST_POINTS} are left after splitting, and unweighting "
            "the target, or are what signed weights are worth",
            file=sys.stderr,
        )
        sample = given
    sample = sample.with_alternatives(job.alternatives, args.alternatives, job.split)
    if sample.target.shape[1] != len(job.features):
        raise InputError(f"{args.moved}: {len(job.features)} features were named, not as many")
    methods = [*job.methods, *job.alternatives]
    spikes = {}
    for path in args.preprocessing:
        spikes |= Preprocessor.load(path).spike_intervals()
    setting = comparison.Setting(
        methods=methods,
        features=job.features,
        mode=job.mode,
        discrete=job.discrete,
        half_width=job.half_width,
        seed=job.seed,
        two_sample_points=job.two_sample_points,
        assignment_points=job.assignment_points,
        spikes=spikes,
    )
    whole = None if given.signed_target is None else given
    found = [*comparison.measure(sample, setting, compared, whole)]
    if job.parts:
        found += mixing.measure(sample, job.parts, methods, job.mode)
    what = (job.task, job.split, job.training)
    measures.write((measures.Measure(*what, *number) for number in found), args.output)


if __name__ == "__main__":
    cli(main)
