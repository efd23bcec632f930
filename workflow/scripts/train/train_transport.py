"""Train the transport flow of one task by one method between two frozen densities."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.flows import setup, storage
from flowmorph.plan import methods
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.training import TransportJob
from flowmorph.transfer import points, transport
from flowmorph.transfer.morph import DensityPair
from flowmorph.transfer.running import Files, run


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
    device = setup.start(args.threads, job.seed, job.device)

    def pair(*files: str) -> DensityPair:
        return DensityPair(*(storage.load(path).to(device) for path in files), job.mode)

    files = [args.reference_density, args.target_density]
    phases = zip(job.smoothing.widths, job.smoothing.shares, strict=True)
    smoothed = zip(args.smoothed_reference, args.smoothed_target, strict=True)
    problem = transport.problem(
        f"transport {job.task} {job.method}",
        methods.find(job.method),
        pair(*files),
        *(points.load(data, device) for data in (job.reference, job.target)),
        job.network,
        job.recipe,
        job.penalty,
        job.seed,
        [
            transport.Smoothed(*phase, pair(*each))
            for phase, each in zip(phases, smoothed, strict=True)
        ],
    )
    reads = [*files, *args.smoothed_reference, *args.smoothed_target]
    reads += [*job.reference.files, *job.target.files]
    outputs = Files(args.checkpoint, args.output, args.history)
    run(problem, job, outputs, __file__, reads, args.threads)


if __name__ == "__main__":
    cli(main)
