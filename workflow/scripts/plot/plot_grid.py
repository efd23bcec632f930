"""Show toy distributions before and after each method: figures 5, A.1, B.2, B.4 and B.5."""

from __future__ import annotations

import argparse

from flowmorph.errors import InputError, cli
from flowmorph.figures import grids, style
from flowmorph.plan.methods import PUBLISHED
from flowmorph.samples import geometry, moved


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moved", nargs="+", required=True, help="moved samples, .npz, one a task")
    parser.add_argument("--tasks", nargs="+", required=True, help="names of the tasks, same order")
    parser.add_argument(
        "--angles",
        nargs="+",
        type=geometry.angle_pair,
        metavar="FROM:TO",
        help="rotated toys: angles of reference and target in degrees; one for all rows, "
        "one a task, or several for a single task, which make a row each",
    )
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)

    paths, tasks, angles = args.moved, args.tasks, args.angles
    if len(paths) != len(tasks):
        raise InputError(f"{len(paths)} files (--moved) for {len(tasks)} names (--tasks)")
    if angles:
        count = max(len(tasks), len(angles))
        paths, tasks, angles = (
            values * count if len(values) == 1 else values for values in (paths, tasks, angles)
        )
        if not len(tasks) == len(angles) == count:
            raise InputError(f"{len(angles)} pairs of angles (--angles) for {len(tasks)} tasks")

    rows = []
    for i, (path, task) in enumerate(zip(paths, tasks, strict=True)):
        sample = moved.MovedSample.load(path, PUBLISHED)
        if angles:
            sample = sample.select_angles(*angles[i])
        rows.append((grids.task_title(task), sample))
    style.save(grids.density_grid(rows, angles=angles), args.output)


if __name__ == "__main__":
    cli(main)
