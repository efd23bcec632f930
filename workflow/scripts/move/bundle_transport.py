"""Put flows, preprocessing and column names of a trained transport in one file."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.moving import BundleJob
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import own_balance
from flowmorph.user import bundle


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--job", required=True, help="BundleJob (JSON)")
    parser.add_argument("--transports", nargs="*", default=[], help="flows, if they are trained")
    parser.add_argument("--reference-densities", nargs="+", required=True, help="safetensors")
    parser.add_argument("--target-densities", nargs="+", required=True, help="safetensors")
    parser.add_argument("--preprocessing", required=True, help="JSON")
    parser.add_argument("--balance", nargs="*", default=[], help="npz of a balanced reference")
    parser.add_argument("--output", required=True, help="safetensors")
    args = parser.parse_args(argv)

    job = form.read(BundleJob, args.job)
    files = {"reference": args.reference_densities, "target": args.target_densities}
    if args.transports:
        files["transport"] = args.transports
    trainings = [dict(zip(files, each, strict=True)) for each in zip(*files.values(), strict=True)]
    balance = own_balance.kept(*args.balance)
    preprocessing = Preprocessor.load(args.preprocessing)
    bundle.write(trainings, bundle.describe(job, preprocessing), args.output, balance)


if __name__ == "__main__":
    cli(main)
