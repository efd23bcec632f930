"""Measure how far each toy's density flow is from the exact density (Kullback-Leibler, nats)."""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np

from flowmorph.data import datasets
from flowmorph.errors import cli
from flowmorph.flows import engine, setup, storage
from flowmorph.metrics import divergence
from flowmorph.tables import divergence_table


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", nargs="+", required=True, help="names")
    parser.add_argument("--densities", nargs="+", required=True, help="weights, same order")
    parser.add_argument("--toy-data", type=json.loads, required=True, help="recipe (JSON)")
    parser.add_argument("--rotated-data", type=json.loads, required=True, help="recipe (JSON)")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True, help="points evaluated at a time")
    parser.add_argument("--engine", default="auto", choices=engine.CHOICES)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", nargs="+", required=True, help=".csv and .md files")
    args = parser.parse_args(argv)

    device = setup.start(args.threads, args.seed, args.device)
    rows = []
    for name, path in zip(args.datasets, args.densities, strict=True):
        data = args.rotated_data if name.startswith(datasets.ROTATED) else args.toy_data
        x, c = datasets.load(name, "evaluation", data)
        log_p = datasets.exact_log_density(name, x, c)
        flow = storage.load(path).to(device)
        size = setup.CHUNK
        if engine.decide(args.engine, len(args.datasets) * len(x) // args.batch, device):
            flow.compile(size := args.batch)
        log_q = setup.in_chunks(flow.log_prob, *setup.tensors(x, c, device), size=size)
        estimate = divergence.kl_divergence(log_p, log_q.double().cpu().numpy())
        rows.append(
            {
                "dataset": name, "points": len(x), "divergence": estimate.value,
                "error": estimate.error, "entropy": -float(np.mean(log_p)),
            }
        )  # fmt: skip
        print(f"{name}: {estimate.value:.4f} nats", file=sys.stderr, flush=True)
    divergence_table(rows).save(args.output)


if __name__ == "__main__":
    cli(main)
