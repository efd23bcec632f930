"""Train the density flow of one data set by maximum likelihood (paper, eq. 1)."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.flows import setup
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.training import DensityJob
from flowmorph.transfer import density, points
from flowmorph.transfer.running import Files, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, help="DensityJob (JSON)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpoint", required=True, help="file to go on from (safetensors)")
    parser.add_argument("--output", required=True, help="flow (safetensors)")
    parser.add_argument("--history", required=True, help="loss history (CSV)")
    args = parser.parse_args(argv)

    job = form.read(DensityJob, args.job)
    device = setup.start(args.threads, job.seed, job.device)
    splits = points.load(job.data, device)
    name = f"density {job.data.name}" + (f" with noise {job.noise:g}" if job.noise else "")
    problem = density.problem(name, splits, job.network, job.recipe, job.seed, job.noise)
    files = Files(args.checkpoint, args.output, args.history)
    run(problem, job, files, __file__, job.data.files, args.threads)


if __name__ == "__main__":
    cli(main)
