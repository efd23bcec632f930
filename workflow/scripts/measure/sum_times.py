"""Add up what a run's time went into, by stage, rule and method, and print it.

    PYTHONPATH=workflow python workflow/scripts/measure/sum_times.py \\
        --benchmarks results/default/benchmarks

Times are wall times of single jobs, each on one core; they depend on the machine, and on what else
ran on it.
"""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.files import atomic
from flowmorph.tables import times


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmarks", required=True, help="folder of a run's benchmark files")
    parser.add_argument("--output", help=".md file, besides printing")
    args = parser.parse_args(argv)

    jobs = times.read(args.benchmarks)
    made = (times.stage_table(jobs), times.rule_table(jobs), times.training_table(jobs))
    text = "\n".join(table.markdown() for table in made)
    print(text, end="", flush=True)
    if args.output:
        with atomic(args.output) as part:
            part.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    cli(main)
