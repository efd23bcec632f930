"""Count what each training took, steps, points, returns and restarts, and how near it ended.

Times are in the benchmarks.
"""

from __future__ import annotations

import argparse
import csv
import json

from safetensors import safe_open

from flowmorph.errors import InputError, cli
from flowmorph.metrics import measures
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.measuring import CostsJob
from flowmorph.plan.jobs.training import Recipe

COUNTED = {"steps": "steps_taken", "returns": "returns", "restarts": "restarts"}
ABOVE = "above_lowest"


def counts_of(path: str) -> dict[str, float]:
    """Steps, those that were given up included, returns and restarts of a loss history.

    With them, where the lowest possible loss is known, how far above it, in nats, the parameters
    are that were kept: those of the lowest validation loss.
    """
    with open(path, newline="") as stream:
        rows = list(csv.DictReader(stream))
    try:
        counts = {metric: float(rows[-1][column]) for metric, column in COUNTED.items()}
        if ABOVE in rows[-1]:
            counts[ABOVE] = min(float(row[ABOVE]) for row in rows if row[ABOVE] != "nan")
        return counts
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a loss history") from error


def recipe_of(path: str) -> Recipe:
    """Settings of the training that made this flow."""
    with safe_open(path, framework="numpy") as file:
        return Recipe(**json.loads(file.metadata()["flowmorph"])["config"]["recipe"])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--job", required=True, help="CostsJob (JSON)")
    parser.add_argument("--flows", nargs="+", required=True, help="safetensors, job's order")
    parser.add_argument("--histories", nargs="+", required=True, help="losses, CSV, same order")
    parser.add_argument("--output", required=True, help="CSV")
    args = parser.parse_args(argv)

    counted = []
    trainings = form.read(CostsJob, args.job).trainings
    for one, flow, history in zip(trainings, args.flows, args.histories, strict=True):
        counts, recipe = counts_of(history), recipe_of(flow)
        counts["points_shown"] = counts["steps"] * recipe.batch
        if ABOVE in counts and counts[ABOVE] > recipe.far_nats:
            counts[measures.TOO_FAR] = counts[ABOVE]
        for metric, number in counts.items():
            row = (one.name, "", str(one.training), one.method, "", metric, number)
            counted.append(measures.Measure(*row))
    measures.write(counted, args.output)


if __name__ == "__main__":
    cli(main)
