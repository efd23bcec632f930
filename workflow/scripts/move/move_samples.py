"""Move a task's reference points by every method, and measure the flows on its target points."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np
from torch import Tensor

from flowmorph.errors import InputError, cli
from flowmorph.flows import engine, setup, storage
from flowmorph.flows.flow import Flow
from flowmorph.metrics import distances, divergence, measures, support
from flowmorph.plan import methods
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.moving import MoveJob
from flowmorph.samples import datasets
from flowmorph.samples.moved import MovedSample
from flowmorph.transfer.morph import DensityPair, Morph, morph

CYCLE_POINTS = 8192  # points that are moved there and back, for the cycle error
SUPPORT_POINTS = 20_000  # points of each sample whose densities are compared

Points = tuple[Tensor, Tensor | None]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, help="MoveJob (JSON)")
    parser.add_argument("--reference-density", required=True, help="flow (safetensors)")
    parser.add_argument("--target-density", required=True, help="flow (safetensors)")
    parser.add_argument("--transports", nargs="*", required=True, help="flows, of job.methods")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", required=True, help="moved points (npz)")
    parser.add_argument(
        "--flow-measures", required=True, help="likelihoods, cycle errors, parameters (CSV)"
    )
    args = parser.parse_args(argv)

    job = form.read(MoveJob, args.job)
    device = setup.start(args.threads, job.seed, job.device)
    sample = compared(job)
    compiled = engine.decide(job.engine, device) == engine.COMPILED

    def load(path: str) -> Flow:
        flow = storage.load(path).to(device)
        return flow.compile() if compiled else flow

    x = setup.tensors(sample.reference, sample.condition_reference, device)
    y = setup.tensors(sample.target, sample.condition_target, device)
    exact = datasets.exact_log_density(job.target, sample.target, sample.condition_target)
    pair = DensityPair(load(args.reference_density), load(args.target_density), job.mode)
    trained = zip(job.methods, args.transports, strict=True)
    images = {}
    found = [
        measures.Measure(job.task, job.split, job.training, measures.CEILING, "", *number)
        for number in lacking(pair, x, y, sample).items()
    ]
    for method, path in (*((name, None) for name in methods.UNTRAINED), *trained):
        one = morph(pair, None if path is None else load(path))
        image = move(one, x, y)
        images[method] = image.cpu().numpy()
        if not np.isfinite(images[method]).all():
            raise InputError(f"{job.task}: {method} moves some points to infinity; train it again")
        numbers = measure(one, x, y, image, sample.signed("target"), exact)
        found += [
            measures.Measure(job.task, job.split, job.training, method, "", *number)
            for number in numbers.items()
        ]
        print(
            f"{job.task}: {method} moved {len(sample.reference)} points",
            file=sys.stderr,
            flush=True,
        )
    replace(sample, methods=images).save(args.output)
    measures.write(found, args.flow_measures)


def compared(job: MoveJob) -> MovedSample:
    """Reference and target points of a job's split, as many of each, before any method."""
    both = job.reference, job.target
    points, conditions = zip(*(datasets.load(data, job.split) for data in both), strict=True)
    weights = [datasets.weights(data, job.split) for data in both]
    signed = [datasets.signed_weights(data, job.split) for data in both]
    places = [f"{data.name}, {job.split}" for data in both]
    return MovedSample.paired(points, conditions, weights, signed, places)


def move(one: Morph, x: Points, y: Points) -> Tensor:
    """Reference points after a method, (N, D)."""
    return setup.in_chunks(one.forward, *x, y[1]).T


def lacking(pair: DensityPair, x: Points, y: Points, sample: MovedSample) -> dict[str, float]:
    """Share of the reference where the target has almost no events, and the reverse.

    ``x`` and ``y`` are points (N, D) and conditions (N, C) of reference and target.
    """
    start, end, c_x, c_y = _first(SUPPORT_POINTS, x[0], y[0], x[1], y[1])
    reference, target = setup.in_chunks(pair.log_probs, start, c_x, c_y, c_x).cpu().numpy()
    found = {"without_target": support.lacking(target, reference)}
    reference, target = setup.in_chunks(pair.log_probs, end, c_x, c_y, c_y).cpu().numpy()
    found["without_reference"] = support.lacking(reference, target)
    weights = sample.signed("reference"), sample.signed("target")
    return {
        name: support.share(rows, None if each is None else each[:SUPPORT_POINTS])
        for (name, rows), each in zip(found.items(), weights, strict=True)
    }


def measure(
    one: Morph,
    x: Points,
    y: Points,
    image: Tensor,
    weights: np.ndarray | None,
    exact: np.ndarray | None,
) -> dict[str, float]:
    """What is measured with a method's flows: likelihood, cycle error and number of parameters.

    ``x`` and ``y`` are points (N, D) and conditions (N, C) of reference and target, ``image`` the
    reference after the method; ``weights`` (N,) and ``exact``, the log-density (N,), are those of
    the target where they are known.
    """
    log_q = setup.in_chunks(one.log_prob, y[0], x[1], y[1]).double().cpu().numpy()
    back = setup.in_chunks(one.inverse, *_first(CYCLE_POINTS, image, x[1], y[1])).T
    start, end = (points.cpu().numpy() for points in _first(CYCLE_POINTS, x[0], back))
    cycle = distances.euclidean(end, start)
    return divergence.likelihood_numbers(log_q, exact, weights) | {
        "cycle_mean": cycle.mean(),
        "cycle_max": cycle.max(),
        "parameters": sum(p.numel() for flow in one.flows for p in flow.parameters()),
    }


def _first(count: int, *arrays: Tensor | None) -> list[Tensor | None]:
    """The first rows of arrays, which are in random order."""
    return [None if array is None else array[:count] for array in arrays]


if __name__ == "__main__":
    cli(main)
