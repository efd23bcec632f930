"""Cost and accuracy of flows against the number of features, on samples of known truth.

    PYTHONPATH=workflow python benchmarks/many_features.py --features 5 20 50 100

The reference is a Gaussian whose neighbouring features are correlated; the target is the same one
with each feature scaled and shifted and each pair of them turned. Both are brought to the flows'
box, two densities and a transport (flows for flows) are trained by the settings of own samples in
config.yaml, with a given number of steps and a network of a given width, and held-out points are
moved. Each number of features has a process of its own, on one thread. Printed are processor
seconds of starting (imports, kernels, first step), of a step and of moving, peak memory (resident,
libraries included), the round trip, and AUCs, before and after, of boosted trees and of a quadratic
discriminant, which sees all that differs between Gaussians.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time

START = time.process_time()

import numpy as np  # noqa: E402
import torch  # noqa: E402
import yaml  # noqa: E402
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402

from flowmorph.flows import setup  # noqa: E402
from flowmorph.metrics import two_sample  # noqa: E402
from flowmorph.plan.jobs.training import Network, Recipe  # noqa: E402
from flowmorph.plan.methods import find  # noqa: E402
from flowmorph.transfer import density, morph, transport  # noqa: E402
from flowmorph.transfer.batches import Points  # noqa: E402
from flowmorph.transfer.points import Splits  # noqa: E402
from flowmorph.transfer.problem import Problem  # noqa: E402
from flowmorph.transfer.training import Training  # noqa: E402

BOX = 3.0
CORRELATION = 0.6  # of neighbours
SHIFT, SCALE, ANGLE = 0.4, 0.15, 0.3  # at most, in standard deviations and radians
VALIDATION = 4000
COLUMNS = (
    "features", "width", "start [s]", "density step [ms]", "transport step [ms]", "move a row [µs]",
    "back [µs]", "memory [MB]", "parameters", "rows back within 1e-4", "reference, trees",
    "reference, discriminant", "base transfer, trees", "base transfer, discriminant",
    "flows for flows, trees", "flows for flows, discriminant",
)  # fmt: skip


def samples(features: int, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, D) of reference and target, in the flows' box."""
    rng = np.random.default_rng(seed)
    place = np.arange(features)
    root = np.linalg.cholesky(CORRELATION ** np.abs(place[:, None] - place))
    x, y = rng.normal(size=(2, rows, features)) @ root.T
    y = y * (1 + SCALE * np.cos(place)) + SHIFT * np.sin(place)
    first, second = y[:, : features - 1 : 2], y[:, 1::2]
    turned = np.cos(ANGLE) * first - np.sin(ANGLE) * second
    second[:] = np.sin(ANGLE) * first + np.cos(ANGLE) * second
    first[:] = turned
    unit = np.abs([x, y]).max(axis=(0, 1)) / BOX
    return tuple((points / unit).astype(np.float32) for points in (x, y))


def recipe(settings: dict, rows: int, steps: int) -> Recipe:
    """The settings of a training of own samples, with this number of steps."""
    return Recipe(**settings | {"epochs": steps * settings["batch"] / rows})


def trained(problem: Problem) -> tuple[float, float]:
    """Train; gives processor seconds of the first step and of each one behind it."""
    start = time.process_time()
    problem.prepare("auto")
    training = Training(problem)
    training.step()
    first = time.process_time()
    while training.done < problem.steps:
        training.step()
        if training.due():
            training.record()
    training.finish()
    problem.flow.requires_grad_(False)
    return first - start, (time.process_time() - first) / max(1, problem.steps - 1)


def discriminant_auc(sample: np.ndarray, target: np.ndarray) -> float:
    """AUC on the second halves of a quadratic discriminant fitted to the first ones."""
    half, parts = len(sample) // 2, (slice(None, len(sample) // 2), slice(len(sample) // 2, None))
    train, test = (np.concatenate([sample[part], target[part]]) for part in parts)
    model = QuadraticDiscriminantAnalysis().fit(train, np.repeat([0, 1], half))
    labels = np.repeat([0, 1], len(sample) - half)
    return roc_auc_score(labels, model.decision_function(test))


def measure(features: int, width: int, rows: int, steps: tuple[int, int], results) -> None:
    """Train and move samples of this many features, and give the row of the table."""
    config = yaml.safe_load(open("config/config.yaml"))
    device = setup.start(1, 7, "cpu")
    imports = time.process_time() - START
    own = config["training"]["own"]
    points = [torch.from_numpy(part) for part in samples(features, rows + 3 * VALIDATION, 1)]
    ends = rows, rows + VALIDATION
    splits = [
        Splits(*(Points(p, None) for p in (x[: ends[0]], x[ends[0] : ends[1]]))) for x in points
    ]
    network = Network(**config["flows"]["density"] | {"width": width})
    problems = [
        density.problem(name, split, network, recipe(own["density"], rows, steps[0]), seed)
        for seed, (name, split) in enumerate(zip(("reference", "target"), splits, strict=True))
    ]
    (first, step), (_, _) = (trained(problem) for problem in problems)
    pair = morph.DensityPair(*(problem.flow for problem in problems), None)
    network = Network(**config["flows"]["transport"] | {"width": width})
    problem = transport.problem(
        "transport", find("flows_for_flows"), pair, *splits, network,
        recipe(own["transport"], rows, steps[1]), 0.0, 5,
    )  # fmt: skip
    _, transport_step = trained(problem)
    x, y = (part[ends[1] :].to(device) for part in points)
    start = time.process_time()
    moved = setup.in_chunks(lambda part: problem.flow(part)[0], x).T.contiguous()
    forward = time.process_time()
    back = setup.in_chunks(lambda part: problem.flow.inverse(part)[0], moved).T
    inverse = time.process_time()
    error = (back - x).abs().amax(dim=1)
    base = setup.in_chunks(lambda part: morph.BaseTransfer(pair).forward(part, None, None), x).T
    aucs = [
        auc
        for sample in (x, base, moved)
        for auc in (
            two_sample.classifier_auc(sample.numpy(), y.numpy(), seed=1).value,
            discriminant_auc(sample.numpy(), y.numpy()),
        )
    ]
    results.put(
        f"| {features} | {width} | {imports + first:.1f} | {1e3 * step:.0f} "
        f"| {1e3 * transport_step:.0f} | {1e6 * (forward - start) / len(x):.0f} "
        f"| {1e6 * (inverse - forward) / len(x):.0f} "
        f"| {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} "
        f"| {problem.flow.flat.numel():,} | {(error < 1e-4).double().mean():.4f} | "
        + " | ".join(f"{auc:.3f}" for auc in aucs)
        + " |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=int, nargs="+", default=[5, 20, 50, 100])
    parser.add_argument("--width", type=int, help="of the networks; by default 64, or 2 a feature")
    parser.add_argument("--rows", type=int, default=40_000, help="training rows of each sample")
    parser.add_argument("--steps", type=int, nargs=2, default=(2000, 1000), help="of a density and "
                        "of the transport")  # fmt: skip
    args = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|", flush=True)
    context = multiprocessing.get_context("spawn")
    for features in args.features:
        results = context.Queue()
        width = args.width or max(64, 2 * features)
        how = (features, width, args.rows, tuple(args.steps), results)
        process = context.Process(target=measure, args=how)
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"{features} features: the process ended with {process.exitcode}")
        print(results.get(), flush=True)


if __name__ == "__main__":
    main()
