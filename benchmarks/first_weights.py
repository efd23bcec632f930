"""Where the paper's recipe ends from the first weights that the published code draws.

    PYTHONPATH=workflow python benchmarks/first_weights.py starts
    PYTHONPATH=workflow python benchmarks/first_weights.py densities results/published \
        --configfile config/paper.yaml short.yaml
    PYTHONPATH=workflow python benchmarks/first_weights.py transports results/published \
        --configfile config/paper.yaml short.yaml --methods base_transfer flows_for_flows

The published program sets torch's seed to 42, draws its samples, and then the first weights of a
reference's density, of a target's, and of the transport. All toys draw as many numbers, so all
references begin with the same weights, all targets do, and all transports do, whatever the method.

`starts` compares how far and by which angle the transport's first weights move the toys with those
of other seeds. `densities` trains each toy's density as a reference and, under the twin's name, as
a target; with `--of collider` those of the run's events, for which the program draws no samples.
`transports` trains between the toys', and prints the loss above that of a perfect transport, the
distance travelled (mean and standard deviation) and, for identical toys, the turn or mirror image
that the map is nearest to. Both go on from checkpoints. docs/fidelity.md has the results.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import yaml
from one_transport import prepare, travelled
from symmetries import nearest

from flowmorph.errors import cli
from flowmorph.flows import storage
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.plan import defaults, paths, tasks
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.jobs.training import DensityJob, TransportJob
from flowmorph.samples import toys
from flowmorph.transfer import density, running
from flowmorph.transfer.checkpoint import Checkpoint
from flowmorph.transfer.problem import Problem
from flowmorph.transfer.progress import Quiet

SEED = 42
DENSITY = Architecture(2, context=0, layers=4, blocks=2, width=128, bins=8, tail_bound=4.0)
TRANSPORT = Architecture(2, context=0, layers=8, blocks=3, width=128, bins=8, tail_bound=4.0)
# Three samples of a million points of both toys: to train and to validate with, and for a picture.
# Each point takes three numbers: an angle or a length and two of noise, or three of the board.
OF_SAMPLES = 3 * 2 * 3 * 1_000_000
OF_PICTURES = 2 * 2 * 100_000  # of both densities, drawn on the CPU if they were loaded
EPOCHS, OF_EPOCH = 60, 4  # of a density; an order and a seed of each of two loaders
POINTS, SEEDS = 4_000, 200
TWIN = "{}_twin"  # name of a toy's density as a target
COLLIDER = tasks.COLLIDER.name


def draw_samples(of: str) -> None:
    """Set torch's generator as it is where the published program makes its densities."""
    torch.manual_seed(SEED)
    if of != COLLIDER:
        torch.rand(OF_SAMPLES)


def draw_densities(weights: str) -> None:
    """Set torch's generator as it is before the first weights of a transport.

    Args:
        weights: those of the published program where it loads densities ("loaded") or trains them
            in the same run ("trained", as flows for flows of identical toys), or another seed.
    """
    if weights.isdigit():
        torch.manual_seed(int(weights))
        return
    draw_samples("toys")
    Flow(DENSITY), Flow(DENSITY)
    if weights == "loaded":
        torch.rand(OF_PICTURES)
    else:
        for _ in range(2 * EPOCHS * OF_EPOCH):
            torch.empty((), dtype=torch.int64).random_()


def moves(flow: Flow) -> tuple[float, float]:
    """Mean distance and turn [degrees] by which a flow moves the three toys."""
    lengths, angles = [], []
    for toy in toys.TOYS:
        x = toys.sample_toy(toy, POINTS, np.random.default_rng(0)).astype(np.float32)
        with torch.no_grad():
            image = flow.forward(torch.from_numpy(x).T.contiguous())[0].T.numpy()
        lengths.append(np.linalg.norm(image - x, axis=1).mean())
        before, after = (points[:, 0] + 1j * points[:, 1] for points in (x, image))
        angles.append(np.angle((before.conj() * after).mean(), deg=True))
    return float(np.mean(lengths)), float(np.mean(angles))


def starts() -> None:
    """Print how the published first weights move the toys beside those of other seeds."""
    torch.set_num_threads(1)
    others = []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        others.append(moves(Flow(TRANSPORT)))
    length, angle = np.abs(others).T
    print("| first weights | distance | of other seeds go farther | turn | of them turn more |")
    print("|---|---|---|---|---|")
    print(f"| {SEEDS} seeds, median | {np.median(length):.2f} | | {np.median(angle):.0f} | |")
    for weights in ("loaded", "trained"):
        draw_densities(weights)
        far, turn = moves(Flow(TRANSPORT))
        more = (length > far).mean(), (angle > abs(turn)).mean()
        name = f"published, densities {weights}"
        print(f"| {name} | {far:.2f} | {more[0]:.1%} | {turn:.0f} | {more[1]:.1%} |")


def checkpoint(
    folder: Path, problem: Problem, job: DensityJob | TransportJob, reads: Sequence[str] = ()
) -> Checkpoint:
    """Where a training keeps its state: the paper's steps take hours."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "checkpoint.safetensors"
    return running.checkpoint_of(problem, job, str(path), __file__, list(reads), threads=1)


def train_densities(jobs: Jobs, names: list[str], training: int) -> None:
    """Train the densities that are not there, from first weights of a reference and a target."""
    print("| of | as | loss above the lowest | loss |")
    print("|---|---|---|---|")
    for of in names:
        ends = tasks.SAMPLES if of == COLLIDER else (of, TWIN.format(of))
        for name, side in zip(ends, tasks.SAMPLES, strict=True):
            path = Path(paths.flow(paths.density(jobs.out, name, training)))
            if path.exists():
                continue
            job = jobs.density(name, training)
            problem = density.of_job(job, 1)
            draw_samples(of)
            if side == "target":
                Flow(problem.flow.arch)
            problem.flow.initialise()
            state = checkpoint(path.parent, problem, job)
            history = running.train(problem, state, problem.prepare("auto"), Quiet())
            state.remove()
            storage.save(problem.flow, path, {"seed": SEED})
            last = history[-1]
            above = last.get("above_lowest", np.nan)
            print(f"| {of} | {side} | {above:.3f} | {last['validation_loss']:.3f} |", flush=True)


def train_transports(
    jobs: Jobs, names: list[str], methods: list[str], training: int, weights: str
) -> None:
    """Train between these densities from the first weights of a transport."""
    print("| task | method | loss above the lowest | distance | nearest symmetry |")
    print("|---|---|---|---|---|")
    for task in (tasks.TASKS[name] for name in names):
        ends = [task.reference.toy, TWIN.format(task.target.toy)]
        for method in methods:
            one = prepare(jobs, task, method, training, training, ends)
            loss = np.nan
            if one.problem:
                draw_densities(weights)
                one.problem.flow.initialise()
                folder = Path(jobs.out, "first_weights", task.name, method, weights, str(training))
                job = jobs.transport(task.name, method, training)
                reads = [paths.flow(paths.density(jobs.out, name, training)) for name in ends]
                state = checkpoint(folder, one.problem, job, reads)
                loss = one.train(state)
                state.remove()
                storage.save(one.problem.flow, folder / "flow.safetensors", {"weights": weights})
            x, image = one.moved()
            near = "{}, {:.3f}".format(*nearest(x, image)) if task in tasks.IDENTICAL else ""
            far = travelled(x, image)
            print(f"| {task.name} | {method} | {loss:.3f} | {far} | {near} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("starts")
    run = argparse.ArgumentParser(add_help=False)
    run.add_argument("run", help="folder of the run")
    run.add_argument("--configfile", nargs="+", default=[], help="of the run")
    run.add_argument("--training", type=int, default=1, help="decides the order of the points")
    given = what.add_parser("densities", parents=[run])
    given.add_argument("--of", nargs="+", default=list(toys.TOYS), choices=[*toys.TOYS, COLLIDER])
    pairs = what.add_parser("transports", parents=[run])
    every = [each.name for each in (*tasks.IDENTICAL, *tasks.DIFFERENT)]
    pairs.add_argument("--tasks", nargs="+", default=every, choices=every, metavar="TASK")
    pairs.add_argument("--methods", nargs="+", default=["base_transfer", "flows_for_flows"])
    pairs.add_argument(
        "--weights",
        default="loaded",
        help="loaded: the published program's where it loads its densities; trained: where it\n"
        "trains them in the same run; or a number: those of another seed",
    )
    args = parser.parse_args()
    if args.what == "starts":
        starts()
        return
    config = defaults.config()
    for file in args.configfile:
        config = defaults.changed(config, yaml.safe_load(Path(file).read_text()))
    jobs = Jobs(config, args.run)
    if args.what == "densities":
        train_densities(jobs, args.of, args.training)
    else:
        train_transports(jobs, args.tasks, args.methods, args.training, args.weights)


if __name__ == "__main__":
    cli(main)
