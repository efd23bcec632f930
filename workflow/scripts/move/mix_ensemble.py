"""Send each reference point through one of several trainings' flows, and compare the trainings.

Each point's training is chosen at random. The result is a sample of the average of the trainings'
densities, with one image for each point, so that its points are independent. The images of one
point are not averaged: between two parts of the target, their mean lies where there is nothing.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from flowmorph.errors import InputError, cli
from flowmorph.metrics import distances, measures
from flowmorph.plan.tasks import ENSEMBLE
from flowmorph.samples import moved


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--moved", nargs="+", required=True, help="moved samples, .npz, a training each"
    )
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--task", required=True, help="whose points they are, for the measures")
    parser.add_argument("--split", required=True, help="likewise")
    parser.add_argument("--output", required=True, help="moved samples, .npz")
    parser.add_argument("--measures", required=True, help="distances between trainings, CSV")
    args = parser.parse_args(argv)

    first = moved.MovedSample.load(args.moved[0])
    names = list(first.methods)
    trainings = [first, *(moved.MovedSample.load(path, names) for path in args.moved[1:])]
    for path, training in zip(args.moved, trainings, strict=True):
        if not training.same_points(first):
            raise InputError(
                f"{path}: its points are not those of {args.moved[0]}; move them again"
            )
    rows = np.arange(len(first))
    chosen = np.random.default_rng(args.seed).integers(len(trainings), size=len(rows))
    mixed, found = {}, []
    for name in names:
        images = [training.methods[name] for training in trainings]
        mixed[name] = np.stack(images)[chosen, rows]
        spread = distances.between_trainings(images, first.signed("reference"))
        number = (name, "", "training_spread", spread)
        found.append(measures.Measure(args.task, args.split, ENSEMBLE, *number))
    replace(first, methods=mixed).save(args.output)
    measures.write(found, args.measures)


if __name__ == "__main__":
    cli(main)
