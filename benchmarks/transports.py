"""Quality of the transports that a run has by now, complete or not.

    PYTHONPATH=workflow python benchmarks/transports.py results/paper

For runs that take days, such as the paper's recipe, whose trainings are asked for one by one:
`snakemake results/paper/transports/star_to_star_twin/flows_for_flows/1/flow.safetensors
--configfile config/paper.yaml`. For toys and the collider's sidebands it prints the divergence of
the moved density from the exact target (nats; toys only), a classifier's AUC between moved
reference and target, and the distance travelled (mean and standard deviation). The base transfer
needs both densities only.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import yaml

from flowmorph.flows import setup, storage
from flowmorph.flows.flow import Flow
from flowmorph.metrics import distances, divergence
from flowmorph.metrics.two_sample import classifier_auc
from flowmorph.plan import paths, targets, tasks
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.methods import PUBLISHED, UNTRAINED
from flowmorph.samples import datasets, toys
from flowmorph.transfer.morph import DensityPair, morph

POINTS, COMPARED = 100_000, 20_000
CONFIG = yaml.safe_load((Path(__file__).parents[1] / "config/config.yaml").read_text())

Points = tuple[torch.Tensor, torch.Tensor | None]


def density(out: str, name: str, training: int) -> Flow | None:
    """A data set's density, if it is trained."""
    path = Path(paths.flow(paths.density(out, name, training)))
    return storage.load(path).compile() if path.exists() else None


def found(out: str, training: int) -> Iterator[tuple[tasks.Task, str, DensityPair, Flow | None]]:
    """Each task and method that can be judged."""
    for task in (*tasks.IDENTICAL, *tasks.DIFFERENT, tasks.COLLIDER):
        ends = [density(out, each.name, training) for each in task.datasets]
        if None in ends:
            continue
        pair = DensityPair(*ends, targets.mode(task, CONFIG))
        for method in PUBLISHED:
            path = Path(paths.flow(paths.transport(out, task.name, method, training)))
            if method in UNTRAINED:
                yield task, method, pair, None
            elif path.exists():
                yield task, method, pair, storage.load(path).compile()


def points_of(task: tasks.Task, out: str, seed: int) -> tuple[Points, Points]:
    """As many points, and their conditions, of reference and target; no training saw them."""
    if task.reference.toy:
        rng = np.random.default_rng(seed)
        given = [toys.sample_toy(each.toy, POINTS, rng) for each in task.datasets]
        drawn = [(x.astype(np.float32), np.empty((POINTS, 0))) for x in given]
    else:
        jobs = Jobs(CONFIG, out)
        drawn = [datasets.load(jobs.data(each), task.family.held_out) for each in task.datasets]
    count, device = min(len(x) for x, _ in drawn), torch.device("cpu")
    reference, target = (setup.tensors(x[:count], c[:count], device) for x, c in drawn)
    return reference, target


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", help="folder of the run")
    parser.add_argument("--training", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="of the points")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| task | method | divergence [nats] | AUC | distance | std |\n|---|---|---|---|---|---|")
    for task, method, pair, flow in found(args.run, args.training):
        (x, c_x), (y, c_y) = points_of(task, args.run, args.seed)
        one = morph(pair, flow)
        image = setup.in_chunks(one.forward, x, c_x, c_y).T.double().numpy()
        gap = "–"
        if task.target.toy:
            model = setup.in_chunks(one.log_prob, y, c_x, c_y).double().numpy()
            exact = toys.log_density(task.target.toy, y.double().numpy())
            gap = "{:.4f} ± {:.4f}".format(*divergence.mean(exact - model))
        auc = classifier_auc(image[:COMPARED], y.numpy()[:COMPARED], seed=args.seed)
        moved = distances.summarise(distances.euclidean(image, x.numpy()))
        print(
            f"| {task.title} | {method} | {gap} | {auc.value:.3f} | {moved.mean:.3f} | "
            f"{moved.std:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
