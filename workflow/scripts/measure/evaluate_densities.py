"""Measure each density's likelihood and, on toys, its divergence from the exact one (nats)."""

from __future__ import annotations

import argparse
import sys

from flowmorph.errors import cli
from flowmorph.flows import engine, setup, storage
from flowmorph.metrics import divergence, measures
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.measuring import DensitiesJob
from flowmorph.samples import datasets


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--job", required=True, help="DensitiesJob (JSON)")
    parser.add_argument("--densities", nargs="+", required=True, help="flows, in the job's order")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", required=True, help="CSV")
    args = parser.parse_args(argv)

    job = form.read(DensitiesJob, args.job)
    device = setup.start(args.threads, job.seed, job.device)
    compiled = engine.decide(job.engine, device) == engine.COMPILED
    measured = []
    each = ((one, number) for one in job.densities for number in one.trainings)
    for (density, number), path in zip(each, args.densities, strict=True):
        data, split, training = density.data, density.split, str(number)
        x, c = datasets.load(data, split)
        flow = storage.load(path).to(device)
        if compiled:
            flow.compile()
        log_q = setup.in_chunks(flow.log_prob, *setup.tensors(x, c, device))
        weights = datasets.signed_weights(data, split)
        numbers = divergence.likelihood_numbers(
            log_q.double().cpu().numpy(),
            datasets.exact_log_density(data, x, c),
            datasets.weights(data, split) if weights is None else weights,
        ) | {"parameters": sum(p.numel() for p in flow.parameters())}
        measured += [
            measures.Measure(data.name, split, training, measures.DENSITY, "", *counted)
            for counted in numbers.items()
        ]
        print(
            f"{data.name}, training {training}: {numbers['log_likelihood']:.4f} nats",
            file=sys.stderr, flush=True,
        )  # fmt: skip
    measures.write(measured, args.output)


if __name__ == "__main__":
    cli(main)
