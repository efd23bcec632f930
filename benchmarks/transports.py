"""Quality of the toy transports that a run has by now, complete or not.

    PYTHONPATH=workflow python benchmarks/transports.py results/paper

For runs that take days, such as the paper's recipe, whose trainings are asked for one by one:
`snakemake results/paper/transports/star_to_star_twin/flows_for_flows/1/flow.safetensors
--configfile config/paper.yaml`. Divergence of the moved density from the exact target (nats), a
classifier's AUC between moved reference and target, and the distance travelled (mean and standard
deviation). The base transfer needs both densities only.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from flowmorph.flows import setup, storage
from flowmorph.flows.flow import Flow
from flowmorph.metrics import distances, divergence
from flowmorph.metrics.two_sample import classifier_auc
from flowmorph.plan import paths, tasks
from flowmorph.plan.methods import PUBLISHED, UNTRAINED
from flowmorph.samples import toys
from flowmorph.transfer.morph import DensityPair, morph

POINTS, COMPARED = 100_000, 20_000


def density(out: str, name: str, training: int) -> Flow | None:
    """A data set's density, if it is trained."""
    path = Path(paths.flow(paths.density(out, name, training)))
    return storage.load(path).compile() if path.exists() else None


def found(out: str, training: int) -> Iterator[tuple[tasks.Task, str, DensityPair, Flow | None]]:
    """Each toy task and method that can be judged."""
    for task in (*tasks.IDENTICAL, *tasks.DIFFERENT):
        ends = [density(out, each.name, training) for each in task.datasets]
        if None in ends:
            continue
        for method in PUBLISHED:
            path = Path(paths.flow(paths.transport(out, task.name, method, training)))
            if method in UNTRAINED:
                yield task, method, DensityPair(*ends, None), None
            elif path.exists():
                yield task, method, DensityPair(*ends, None), storage.load(path).compile()


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
        rng = np.random.default_rng(args.seed)
        start, end = (toys.sample_toy(each.toy, POINTS, rng) for each in task.datasets)
        x, y = (torch.from_numpy(points.astype(np.float32)) for points in (start, end))
        one = morph(pair, flow)
        image = setup.in_chunks(one.forward, x, None, None).T.double().numpy()
        model = setup.in_chunks(one.log_prob, y, None, None).double().numpy()
        gap = divergence.mean(toys.log_density(task.target.toy, end) - model)
        auc = classifier_auc(image[:COMPARED], end[:COMPARED], seed=args.seed)
        moved = distances.summarise(distances.euclidean(image, start))
        numbers = f"{gap.value:.4f} ± {gap.error:.4f} | {auc.value:.3f}"
        print(
            f"| {task.title} | {method} | {numbers} | {moved.mean:.3f} | {moved.std:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
