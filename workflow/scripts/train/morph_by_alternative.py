"""Morph a task's reference points by a method that is no flow."""

from __future__ import annotations

import argparse
import json

import numpy as np
from threadpoolctl import threadpool_limits

from flowmorph.alternatives import interface as morphing
from flowmorph.errors import InputError, cli
from flowmorph.samples import datasets, morphed


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", required=True, help="module of flowmorph.alternatives")
    parser.add_argument("--settings", type=json.loads, required=True, help="the method's (JSON)")
    parser.add_argument("--reference", required=True, help="data set")
    parser.add_argument("--target", required=True, help="data set")
    parser.add_argument("--reference-data", type=json.loads, required=True, help="JSON")
    parser.add_argument("--target-data", type=json.loads, required=True, help="JSON")
    parser.add_argument("--splits", nargs="+", required=True, help="that are morphed")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", required=True, help="morphed points (npz)")
    args = parser.parse_args(argv)

    def load(split: str) -> list[morphing.Points]:
        return [
            datasets.load(args.reference, split, args.reference_data),
            datasets.load(args.target, split, args.target_data),
        ]

    fit = morphing.find(args.method, args.settings)
    results = {}
    with threadpool_limits(args.threads):
        morph = fit(*load("train"), args.seed)
        for split in args.splits:
            (x, c), (y, _) = load(split)
            size = min(len(x), len(y))  # as many as the flows move
            result = morph(x[:size], c[:size])
            if not np.isfinite(result.points).all():
                raise InputError(f"{args.method}: a morphed point of {split} is not finite")
            results[split] = x[:size], result
    morphed.save(args.output, results)


if __name__ == "__main__":
    cli(main)
