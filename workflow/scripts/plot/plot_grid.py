"""Show toy distributions before and after each method: figures 5, A.1, B.2, B.4 and B.5."""

from __future__ import annotations

import argparse

from flowmorph.errors import InputError, cli
from flowmorph.figures import grids, style
from flowmorph.plan.methods import PUBLISHED
from flowmorph.samples import moved


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moved", nargs="+", required=True, help="moved samples, .npz, one a task")
    parser.add_argument("--titles", nargs="+", required=True, help="of the rows, same order")
    parser.add_argument(
        "--angles",
        nargs="+",
        action="extend",
        type=moved.angle_pair,
        metavar="FROM:TO",
        help="rotated toys: angles of reference and target in degrees; one for all rows, "
        "one a task, or several for a single task, which make a row each",
    )
    parser.add_argument(
        "--shared", action="store_true", help="points end at the angle where they begin"
    )
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)

    paths, titles, angles = args.moved, args.titles, args.angles
    if len(paths) != len(titles):
        raise InputError(f"{len(paths)} files (--moved) for {len(titles)} names (--titles)")
    if angles:
        count = max(len(titles), len(angles))
        paths, titles, angles = (
            values * count if len(values) == 1 else values for values in (paths, titles, angles)
        )
        if not len(titles) == len(angles) == count:
            raise InputError(f"{len(angles)} pairs of angles (--angles) for {len(titles)} titles")

    rows = []
    for i, (path, title) in enumerate(zip(paths, titles, strict=True)):
        sample = moved.MovedSample.load(path, PUBLISHED)
        if angles:
            sample = sample.select(*sample.rows_at_angles(*angles[i], args.shared))
        rows.append((title, sample))
    style.save(grids.density_grid(rows, angles=angles), args.output)


if __name__ == "__main__":
    cli(main)
