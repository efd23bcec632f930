"""Train the transport flow of one task by one method between two frozen densities."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.training import TransportJob
from flowmorph.transfer import transport
from flowmorph.transfer.running import Files, checkpoint_of, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, help="TransportJob (JSON)")
    parser.add_argument("--reference-density", required=True, help="flow (safetensors)")
    parser.add_argument("--target-density", required=True, help="flow (safetensors)")
    for sample in ("reference", "target"):
        parser.add_argument(
            f"--smoothed-{sample}", nargs="*", default=[], help="flows (safetensors), widest first"
        )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpoint", required=True, help="file to go on from (safetensors)")
    parser.add_argument("--output", required=True, help="flow (safetensors)")
    parser.add_argument("--history", required=True, help="loss history (CSV)")
    args = parser.parse_args(argv)

    job = form.read(TransportJob, args.job)
    densities = args.reference_density, args.target_density
    smoothed = list(zip(args.smoothed_reference, args.smoothed_target, strict=True))
    problem = transport.of_job(job, densities, smoothed, args.threads)
    reads = [*densities, *args.smoothed_reference, *args.smoothed_target]
    reads += [*job.reference.files, *job.target.files]
    checkpoint = checkpoint_of(problem, job, args.checkpoint, __file__, reads, args.threads)
    run(problem, job, Files(args.output, args.history), checkpoint)


if __name__ == "__main__":
    cli(main)
