"""Read the user's two samples, cut and split them, and bring them to the flows' box."""

from __future__ import annotations

import argparse
import json
import sys

from flowmorph.errors import cli
from flowmorph.plan import objects
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.events import OwnJob
from flowmorph.samples import own_job
from flowmorph.samples.own_objects import check_categories
from flowmorph.samples.own_samples import check_moved, prepare
from flowmorph.user.output import Output


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, help="OwnJob (JSON)")
    parser.add_argument("--columns", choices=("append", "replace"), default="append")
    parser.add_argument("--suffix", default="_moved", help="of new columns of the moved reference")
    parser.add_argument("--drop", nargs="+", default=(), help="columns that it does not have")
    parser.add_argument("--outside", choices=("move", "keep"), default="move",
                        help="what it does with rows beyond the range of the training")  # fmt: skip
    parser.add_argument("--object", nargs="+", action="append", default=[],
                        help="an object that is moved there, and its columns")  # fmt: skip
    parser.add_argument("--variations", default="each", help="which of them it has")
    parser.add_argument("--support", action="store_true", help="whether it says where to trust it")
    parser.add_argument(
        "--apply", type=json.loads, default=[], help="intervals that it is moved in"
    )
    parser.add_argument("--varied", type=int, default=0, help="number of variations")
    parser.add_argument("--output-reference", required=True, help="npz")
    parser.add_argument("--output-target", required=True, help="npz")
    parser.add_argument("--output-preprocessing", required=True, help="JSON")
    parser.add_argument("--output-rows", nargs="+", required=True, help=".csv, .md and .html files")
    args = parser.parse_args(argv)

    job = form.read(OwnJob, args.job)
    settings = own_job.settings(job)
    samples = own_job.files(job)
    region = [job.regions["column"]] if job.regions["column"] else []
    weighed = [job.reference.weights] if job.balance and job.reference.weights else []
    known = [*settings.features, *settings.condition, *settings.event, *region, *weighed]
    output = Output(
        args.columns,
        args.suffix,
        args.drop,
        args.outside,
        objects=objects.typed([], args.object, known),
        variations=args.variations,
        varied=args.varied,
        support=args.support,
        weighted=job.balance,
    )
    check_moved(samples["reference"], settings, output, args.apply)
    prepared, preprocessing, rows = prepare(samples, settings, args.apply)
    check_categories(samples["reference"], settings, output, preprocessing, args.apply)
    outputs = {"reference": args.output_reference, "target": args.output_target}
    own_job.save(prepared, preprocessing, outputs, args.output_preprocessing)
    rows.save(args.output_rows)
    for note in rows.notes:
        print(note, file=sys.stderr)


if __name__ == "__main__":
    cli(main)
