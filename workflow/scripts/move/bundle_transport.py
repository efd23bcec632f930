"""Put flows, preprocessing and column names of a trained transport in one file."""

from __future__ import annotations

import argparse
import json

from flowmorph.errors import cli
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.user import bundle


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", required=True)
    parser.add_argument("--transport", nargs="*", default=[], help="weights, if it is trained")
    parser.add_argument("--reference-density", required=True, help="weights (safetensors)")
    parser.add_argument("--target-density", required=True, help="weights (safetensors)")
    parser.add_argument("--preprocessing", required=True, help="JSON")
    parser.add_argument("--features", nargs="+", required=True, help="columns, in order")
    parser.add_argument("--condition", nargs="*", default=[], help="columns, in order")
    parser.add_argument("--regions", type=json.loads, required=True, help="JSON")
    parser.add_argument("--output", required=True, help="safetensors")
    args = parser.parse_args(argv)

    files = {"reference": args.reference_density, "target": args.target_density}
    if args.transport:
        (files["transport"],) = args.transport
    note = {
        "method": args.method,
        "features": args.features,
        "condition": args.condition,
        "regions": args.regions,
        "preprocessing": Preprocessor.load(args.preprocessing).to_json(),
    }
    bundle.write(files, note, args.output)


if __name__ == "__main__":
    cli(main)
