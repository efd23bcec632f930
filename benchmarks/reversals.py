"""Where transports of identical toys end that begin between sharp densities, by their reversals.

    PYTHONPATH=workflow python benchmarks/reversals.py results/default

Layers of a flow keep the orientation of the plane, and each reversal of the features mirrors it:
with an even number of reversals a transport can become the identity or a rotation, with an odd
number a mirror image only. The toys are symmetric under the swap of their axes, so both can be
perfect. From random starts, flows for flows without phases, between the densities of a run: the
loss above that of a perfect transport, the distance travelled (mean and standard deviation), and
the turn or mirror image that the map is nearest to, with its mean distance from it.
docs/fidelity.md has the table.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import yaml

from flowmorph.flows import setup, storage
from flowmorph.flows.flow import Architecture
from flowmorph.metrics import distances
from flowmorph.plan import paths, tasks
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.methods import find
from flowmorph.samples import toys
from flowmorph.transfer import points, running, transport
from flowmorph.transfer.morph import DensityPair, morph
from flowmorph.transfer.progress import Quiet

CONFIG = yaml.safe_load((Path(__file__).parents[1] / "config/config.yaml").read_text())
METHOD = "flows_for_flows"
POINTS = 20_000
SYMMETRIES = {
    "identity": np.array([[1, 0], [0, 1]]),
    "half turn": np.array([[-1, 0], [0, -1]]),
    "quarter turn": np.array([[0, -1], [1, 0]]),
    "quarter turn back": np.array([[0, 1], [-1, 0]]),
    "swap": np.array([[0, 1], [1, 0]]),
    "swap and half turn": np.array([[0, -1], [-1, 0]]),
    "mirror of x": np.array([[-1, 0], [0, 1]]),
    "mirror of y": np.array([[1, 0], [0, -1]]),
}


@dataclass(frozen=True)
class Odd(Architecture):
    """An architecture of an even number of layers without the last reversal."""

    @property
    def flips(self) -> tuple[bool, ...]:
        return (*super().flips[:-1], False)


def trained(jobs: Jobs, task: tasks.Task, odd: bool, seed: int, training: int) -> tuple:
    """A task's pair of densities and its transport, with its loss above a perfect one's."""
    job = jobs.transport(task.name, METHOD, training)
    setup.start(1, seed, "cpu")
    files = (paths.flow(paths.density(jobs.out, each.name, training)) for each in task.datasets)
    pair = DensityPair(*(storage.load(file) for file in files), job.mode)
    splits = [points.load(data, torch.device("cpu")) for data in (job.reference, job.target)]
    problem = transport.problem(
        task.name,
        find(METHOD),
        pair,
        *splits,
        job.network,
        replace(job.recipe, restarts=0),
        penalty=0.0,
        seed=seed,
    )
    if odd:
        problem.flow.arch = Odd(**vars(problem.flow.arch))
    history = running.train(problem, graphs=problem.prepare("auto"), progress=Quiet())
    return pair, problem.flow, min(row["above_lowest"] for row in history)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", help="folder of the run that has the densities")
    parser.add_argument("--toys", nargs="+", default=list(toys.TOYS), choices=list(toys.TOYS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--training", type=int, default=1, help="that the densities are of")
    args = parser.parse_args()
    jobs = Jobs(CONFIG, args.run)
    print("| toy | reversals | seed | loss above the lowest | distance | nearest symmetry |")
    print("|---|---|---|---|---|---|")
    for task in (each for each in tasks.IDENTICAL if each.reference.toy in args.toys):
        for odd in (False, True):
            for seed in args.seeds:
                pair, flow, loss = trained(jobs, task, odd, seed, args.training)
                x = toys.sample_toy(task.reference.toy, POINTS, np.random.default_rng(0))
                start = torch.from_numpy(x.astype(np.float32))
                image = setup.in_chunks(morph(pair, flow).forward, start, None, None).T.numpy()
                moved = distances.summarise(distances.euclidean(image, x))
                off = {
                    name: distances.euclidean(image, x @ matrix.T).mean()
                    for name, matrix in SYMMETRIES.items()
                }
                nearest = min(off, key=off.get)
                reversals = flow.arch.layers - odd
                print(
                    f"| {tasks.TOYS[task.reference.toy]} | {reversals} | {seed} | {loss:.3f} | "
                    f"{moved.mean:.3f} ± {moved.std:.3f} | {nearest}, {off[nearest]:.3f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
