"""Move a task's reference points by all five methods; measure the flows while at it."""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np

from flowmorph.errors import InputError, cli
from flowmorph.flows import engine, setup, storage
from flowmorph.flows.flow import Flow
from flowmorph.metrics import distances, divergence, measures
from flowmorph.plan import methods
from flowmorph.samples import datasets, moved, unweighting
from flowmorph.transfer.morph import Task, morph

CYCLE_POINTS = 8192  # are moved there and back


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True)
    parser.add_argument("--split", required=True, help="evaluation, validation, signal or apply")
    parser.add_argument("--condition", choices=("shared", "difference", "concat"))
    parser.add_argument("--reference", required=True, help="data set")
    parser.add_argument("--target", required=True, help="data set")
    parser.add_argument("--reference-data", type=json.loads, required=True, help="JSON")
    parser.add_argument("--target-data", type=json.loads, required=True, help="JSON")
    parser.add_argument("--reference-density", required=True, help="weights (safetensors)")
    parser.add_argument("--target-density", required=True, help="weights (safetensors)")
    parser.add_argument("--methods", nargs="*", required=True, help="names of the trained")
    parser.add_argument("--transports", nargs="*", required=True, help="weights, same order")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True, help="points moved at a time")
    parser.add_argument("--engine", default="auto", choices=engine.CHOICES)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", required=True, help="moved points (npz)")
    parser.add_argument(
        "--flow-measures", required=True, help="likelihoods, cycle errors, parameters (CSV)"
    )
    args = parser.parse_args(argv)

    device = setup.start(args.threads, args.seed, args.device)
    points, weights = [], []
    for name, data in ((args.reference, args.reference_data), (args.target, args.target_data)):
        points.append(datasets.load(name, args.split, data))
        weights.append(datasets.weights(args.split, data))
    # Rows of reference and target are independent draws: any pairing of them is a random one.
    size = min(len(x) for x, _ in points)
    (x, c_x), (y, c_y) = ((x[:size], c[:size]) for x, c in points)
    arrays = {"reference": x, "target": y, "condition_reference": c_x, "condition_target": c_y}
    if any(w is not None for w in weights):
        ones = np.ones(size)
        w_x, w_y = (ones if w is None else unweighting.relative(w[:size]) for w in weights)
        for name, w in ((args.reference, w_x), (args.target, w_y)):
            if not w.any():
                raise InputError(
                    f"{name}: the weights of the {size} {args.split} events that are compared are "
                    "all zero: give more events with weights above zero"
                )
        arrays |= {"weight_reference": w_x, "weight_target": w_y}
    t_x, t_cx = setup.tensors(x, c_x, device)
    t_y, t_cy = setup.tensors(y, c_y, device)

    calls = len(args.methods) * size // args.batch
    compiled = engine.decide(args.engine, calls, device) == engine.COMPILED

    def load(path: str) -> Flow:
        return storage.load(path).to(device).compile(args.batch if compiled else None)

    def apply(function, *arrays):
        return setup.in_chunks(function, *arrays, size=args.batch if compiled else setup.CHUNK)

    task = Task(load(args.reference_density), load(args.target_density), args.condition)
    exact = datasets.exact_log_density(args.target, y, c_y)
    measured = []
    trained = zip(args.methods, args.transports, strict=True)
    for method, path in (*((name, None) for name in methods.UNTRAINED), *trained):
        one = morph(task, None if path is None else load(path))
        images = apply(one.forward, t_x, t_cx, t_cy)
        arrays[method] = images.T.cpu().numpy()
        if not np.isfinite(arrays[method]).all():
            raise InputError(f"{args.task}: {method} moves some points to infinity; train it again")
        log_q = apply(one.log_prob, t_y, t_cx, t_cy).double().cpu().numpy()
        back = apply(one.inverse, *first(images.T, t_cx, t_cy)).T.cpu().numpy()
        cycle = distances.euclidean(back, x[:CYCLE_POINTS])
        numbers = divergence.likelihood_numbers(log_q, exact, arrays.get("weight_target")) | {
            "cycle_mean": cycle.mean(),
            "cycle_max": cycle.max(),
            "parameters": sum(p.numel() for flow in one.flows for p in flow.parameters()),
        }
        measured += [measures.Measure(args.task, method, "", *number) for number in numbers.items()]
        print(f"{args.task}: {method} moved {size} points", file=sys.stderr, flush=True)
    moved.MovedSample.from_arrays(arrays).save(args.output)
    measures.write(measured, args.flow_measures)


def first(*arrays):
    """The points that are moved there and back."""
    return (None if array is None else array[:CYCLE_POINTS] for array in arrays)


if __name__ == "__main__":
    cli(main)
