"""Count what each training took: optimizer steps, points shown, and returns to an earlier state.

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


def counts_of(path: str) -> tuple[int, int]:
    """Optimizer steps, those that were given up included, and returns of a loss history."""
    with open(path, newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows or not {"steps_taken", "returns"} <= set(rows[-1]):
        raise InputError(f"{path}: not a loss history")
    return int(float(rows[-1]["steps_taken"])), int(rows[-1]["returns"])


def batch_of(path: str) -> int:
    """Points in one step of the training that made this flow."""
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["flowmorph"])["config"]["recipe"]["batch"]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, help="CostsJob (JSON)")
    parser.add_argument("--flows", nargs="+", required=True, help="safetensors, job's order")
    parser.add_argument("--histories", nargs="+", required=True, help="losses, CSV, same order")
    parser.add_argument("--output", required=True, help="CSV")
    args = parser.parse_args(argv)

    counted = []
    trainings = form.read(CostsJob, args.job).trainings
    for one, flow, history in zip(trainings, args.flows, args.histories, strict=True):
        steps, returns = counts_of(history)
        shown = steps * batch_of(flow)
        for metric, number in (("steps", steps), ("points_shown", shown), ("returns", returns)):
            row = (one.name, "", str(one.training), one.method, "", metric, number)
            counted.append(measures.Measure(*row))
    measures.write(counted, args.output)


if __name__ == "__main__":
    cli(main)
