"""Send each reference point through one of several trainings' flows, chosen at random.

The result is a sample of the average of the trainings' densities, with one image for each point, so
that its points are independent. The images of one point are not averaged: between two parts of the
target, their mean lies where there is nothing.
"""

from __future__ import annotations

import argparse

import numpy as np

from flowmorph.errors import InputError, cli
from flowmorph.files import atomic
from flowmorph.samples import moved_samples

GIVEN = ("reference", "target", *moved_samples.CONDITIONS)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--moved", nargs="+", required=True, help="moved samples, .npz, a training each"
    )
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--output", required=True, help="moved samples, .npz")
    args = parser.parse_args(argv)

    with np.load(args.moved[0]) as first:
        names = [name for name in first if name not in moved_samples.WEIGHTS]
    trainings = [moved_samples.load_weighted(path, names) for path in args.moved]
    given = [name for name in trainings[0] if name in (*GIVEN, *moved_samples.WEIGHTS)]
    mixed = {name: trainings[0][name] for name in given}
    for path, training in zip(args.moved, trainings, strict=True):
        if not all(np.array_equal(training.get(name), mixed[name]) for name in given):
            raise InputError(
                f"{path}: its points are not those of {args.moved[0]}; move them again"
            )
    rows = np.arange(len(mixed["reference"]))
    chosen = np.random.default_rng(args.seed).integers(len(trainings), size=len(rows))
    for name in set(names) - set(given):
        mixed[name] = np.stack([training[name] for training in trainings])[chosen, rows]
    with atomic(args.output) as part:
        np.savez(part, **dict(sorted(mixed.items())))


if __name__ == "__main__":
    cli(main)
