"""Read the user's two samples, cut and split them, and bring them to the flows' box."""

from __future__ import annotations

import argparse
import json

import numpy as np

from flowmorph.errors import cli
from flowmorph.files import atomic
from flowmorph.samples.own_samples import Settings, check_moved, prepare
from flowmorph.user.output import Output


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", type=json.loads, required=True, help="own.reference (JSON)")
    parser.add_argument("--target", type=json.loads, required=True, help="own.target (JSON)")
    parser.add_argument("--features", type=json.loads, required=True, help="options by column")
    parser.add_argument("--condition", type=json.loads, required=True, help="options by column")
    parser.add_argument("--regions", type=json.loads, required=True, help="own.regions (JSON)")
    parser.add_argument("--missing", choices=("error", "drop"), required=True)
    parser.add_argument("--rows", nargs=2, type=int, required=True, help="TRAIN VALIDATION, most")
    parser.add_argument("--scaling", nargs=2, type=float, required=True, help="LOW HIGH")
    parser.add_argument("--validation-fraction", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True, help="of splits and spreading")
    parser.add_argument("--columns", choices=("append", "replace"), default="append")
    parser.add_argument("--suffix", default="_moved", help="of new columns of the moved reference")
    parser.add_argument("--drop", nargs="+", default=(), help="columns that it does not have")
    parser.add_argument("--output-reference", required=True, help="npz")
    parser.add_argument("--output-target", required=True, help="npz")
    parser.add_argument("--output-preprocessing", required=True, help="JSON")
    parser.add_argument("--output-rows", nargs="+", required=True, help=".csv and .md files")
    args = parser.parse_args(argv)

    settings = Settings(
        features=args.features,
        condition=args.condition,
        regions=args.regions,
        missing=args.missing,
        rows=tuple(args.rows),
        scaling=tuple(args.scaling),
        fraction=args.validation_fraction,
        seed=args.seed,
    )
    check_moved(args.reference, settings, Output(args.columns, args.suffix, args.drop))
    samples = {"reference": args.reference, "target": args.target}
    prepared, preprocessing, rows = prepare(samples, settings)
    outputs = {"reference": args.output_reference, "target": args.output_target}
    for name, arrays in prepared.items():
        with atomic(outputs[name]) as part:
            np.savez(part, **{key: arrays[key] for key in sorted(arrays)})
    with atomic(args.output_preprocessing) as part:
        preprocessing.save(part)
    rows.save(args.output_rows)


if __name__ == "__main__":
    cli(main)
