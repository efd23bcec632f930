"""Train the density flow of one data set by maximum likelihood (paper, eq. 1)."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.training import DensityJob
from flowmorph.transfer import density
from flowmorph.transfer.running import Files, checkpoint_of, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, help="DensityJob (JSON)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpoint", required=True, help="file to go on from (safetensors)")
    parser.add_argument("--output", required=True, help="flow (safetensors)")
    parser.add_argument("--history", required=True, help="loss history (CSV)")
    args = parser.parse_args(argv)

    job = form.read(DensityJob, args.job)
    problem = density.of_job(job, args.threads)
    checkpoint = checkpoint_of(problem, job, args.checkpoint, __file__, job.files, args.threads)
    run(problem, job, Files(args.output, args.history), checkpoint)


if __name__ == "__main__":
    cli(main)
