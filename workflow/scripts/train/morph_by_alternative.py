"""Morph a task's reference points by a method that is no flow."""

from __future__ import annotations

import argparse

import numpy as np
from threadpoolctl import threadpool_limits

from flowmorph.alternatives import interface
from flowmorph.errors import InputError, cli
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.training import AlternativeJob
from flowmorph.samples import alternative_points, datasets


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, help="AlternativeJob (JSON)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", required=True, help="morphed points (npz)")
    args = parser.parse_args(argv)

    job = form.read(AlternativeJob, args.job)

    def load(split: str) -> list[interface.Points]:
        return [datasets.load(data, split) for data in (job.reference, job.target)]

    fit = interface.find(job.method, job.settings)
    results = {}
    with threadpool_limits(args.threads):
        morph = fit(*load("train"), job.seed)
        for split in job.splits:
            (x, c), (y, _) = load(split)
            size = min(len(x), len(y))  # as many as the flows move
            result = morph(x[:size], c[:size])
            if not np.isfinite(result.points).all():
                raise InputError(f"{job.method}: a morphed point of {split} is not finite")
            results[split] = x[:size], result
    alternative_points.save(args.output, results)


if __name__ == "__main__":
    cli(main)
