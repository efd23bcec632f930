"""Read the rows and columns of the user's two samples in which transports are tested only."""

from __future__ import annotations

import argparse
import sys

from flowmorph.errors import cli
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.events import OwnClosureJob
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import own_balance, own_job
from flowmorph.samples.own_closure import prepare


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, help="OwnClosureJob (JSON)")
    parser.add_argument("--preprocessing", required=True, help="of the prepared samples, JSON")
    parser.add_argument("--balance", nargs="*", default=[], help="npz of a balanced reference")
    parser.add_argument("--output-reference", required=True, help="npz")
    parser.add_argument("--output-target", required=True, help="npz")
    parser.add_argument("--output-rows", nargs="*", help=".csv, .md and .html files")
    args = parser.parse_args(argv)

    job = form.read(OwnClosureJob, args.job)
    prepared, rows = prepare(
        own_job.files(job.own),
        own_job.settings(job.own),
        job.closure,
        Preprocessor.load(args.preprocessing),
        own_balance.kept(*args.balance),
    )
    own_job.save_arrays(
        prepared, {"reference": args.output_reference, "target": args.output_target}
    )
    if rows is not None:
        rows.save(args.output_rows)
        for note in rows.notes:
            print(note, file=sys.stderr)


if __name__ == "__main__":
    cli(main)
