"""Cut the sidebands and the signal region, split the sidebands, and scale both samples."""

from __future__ import annotations

import argparse
import sys

import numpy as np

from flowmorph.errors import InputError, cli
from flowmorph.files import atomic
from flowmorph.formats import flat_root
from flowmorph.plan.seeds import seed_for
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import regions as selection


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", required=True, help="ROOT file, tree 'features'")
    parser.add_argument("--target", required=True, help="ROOT file, tree 'features'")
    parser.add_argument("--features", nargs="+", default=list(selection.FEATURES))
    parser.add_argument("--condition", default=selection.CONDITION)
    parser.add_argument(
        "--sidebands", nargs="+", type=float, required=True, help="LOW HIGH [LOW HIGH ...]"
    )
    parser.add_argument("--signal", nargs=2, type=float, required=True, help="LOW HIGH")
    parser.add_argument(
        "--unit", type=float, default=1.0, help="regions' unit in the table's: 1000 for TeV in GeV"
    )
    parser.add_argument("--validation-fraction", type=float, default=0.2)
    parser.add_argument("--low", type=float, default=-3.0, help="scaled range")
    parser.add_argument("--high", type=float, default=3.0, help="scaled range")
    parser.add_argument("--seed", type=int, required=True, help="of the split")
    parser.add_argument("--output-reference", required=True)
    parser.add_argument("--output-target", required=True)
    parser.add_argument("--output-scaling", required=True)
    args = parser.parse_args(argv)
    if len(args.sidebands) % 2:
        raise InputError("--sidebands takes pairs of numbers")
    if not 0 < args.validation_fraction < 1:
        raise InputError(f"--validation-fraction {args.validation_fraction}: give one in (0, 1)")

    bands = np.reshape(args.sidebands, (-1, 2)) * args.unit
    signal = np.reshape(args.signal, (1, 2)) * args.unit
    columns = [*args.features, args.condition]
    samples = {}
    for name, path in (("reference", args.reference), ("target", args.target)):
        table = flat_root.read_table(path, "features", columns)
        rng = np.random.default_rng(seed_for(args.seed, "split", name))
        side = selection.select(table, args.condition, bands)
        train, validation = selection.split(side, args.validation_fraction, rng)
        trees = {
            "train": train,
            "validation": validation,
            "signal": selection.select(table, args.condition, signal),
        }
        for tree, rows in trees.items():
            if len(rows[args.condition]) == 0:
                raise InputError(
                    f"{path}: no event for {tree!r} in {name}: generate more events or widen "
                    f"the regions of {args.condition}"
                )
        sizes = ", ".join(f"{len(rows[args.condition])} {key}" for key, rows in trees.items())
        print(f"{name}: {sizes}", file=sys.stderr, flush=True)
        samples[name] = trees

    training = [trees["train"] for trees in samples.values()]
    scaling = Preprocessor.fit(training, dict.fromkeys(columns, {}), args.low, args.high)
    outputs = {"reference": args.output_reference, "target": args.output_target}
    for name, trees in samples.items():
        with atomic(outputs[name]) as part:
            flat_root.write_tables(
                part, {tree: scaling.forward(rows) for tree, rows in trees.items()}
            )
    with atomic(args.output_scaling) as part:
        scaling.save(part)


if __name__ == "__main__":
    cli(main)
