"""Measure each density's likelihood and, on toys, its divergence from the exact one (nats)."""

from __future__ import annotations

import argparse
import json
import sys

from flowmorph.errors import cli
from flowmorph.flows import engine, setup, storage
from flowmorph.metrics import divergence, measures
from flowmorph.samples import datasets


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainings", nargs="+", required=True, help="names of the densities")
    parser.add_argument("--densities", nargs="+", required=True, help="weights, same order")
    parser.add_argument("--datasets", nargs="+", required=True, help="names, same order")
    parser.add_argument("--data", nargs="+", type=json.loads, required=True, help="JSON, likewise")
    parser.add_argument("--splits", nargs="+", required=True, help="points to take, likewise")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True, help="points evaluated at a time")
    parser.add_argument("--engine", default="auto", choices=engine.CHOICES)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", required=True, help="CSV")
    args = parser.parse_args(argv)

    device = setup.start(args.threads, args.seed, args.device)
    measured = []
    given = zip(args.trainings, args.densities, args.datasets, args.data, args.splits, strict=True)
    for training, weights, dataset, data, split in given:
        x, c = datasets.load(dataset, split, data)
        flow = storage.load(weights).to(device)
        size = setup.CHUNK
        calls = len(args.datasets) * len(x) // args.batch
        if engine.decide(args.engine, calls, device) == engine.COMPILED:
            flow.compile(size := args.batch)
        log_q = setup.in_chunks(flow.log_prob, *setup.tensors(x, c, device), size=size)
        numbers = divergence.likelihood_numbers(
            log_q.double().cpu().numpy(),
            datasets.exact_log_density(dataset, x, c),
            datasets.weights(split, data),
        ) | {"parameters": sum(p.numel() for p in flow.parameters())}
        measured += [
            measures.Measure(training, measures.DENSITY, "", *number) for number in numbers.items()
        ]
        print(f"{training}: {numbers['log_likelihood']:.4f} nats", file=sys.stderr, flush=True)
    measures.write(measured, args.output)


if __name__ == "__main__":
    cli(main)
