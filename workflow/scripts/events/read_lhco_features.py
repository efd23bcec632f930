"""Compute the dijet observables from the jets of an LHC Olympics feature file."""

from __future__ import annotations

import argparse
import sys

from flowmorph.collider import lhco
from flowmorph.collider.features import features_of_jets
from flowmorph.errors import cli
from flowmorph.files import atomic
from flowmorph.formats import flat_root


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True, help="feature file, *.features.h5")
    parser.add_argument("--trigger-pt", type=float, default=1200.0, help="hardest jet, GeV")
    parser.add_argument(
        "--signal-fraction", type=float, default=0.0, help="part of the signal events that is kept"
    )
    parser.add_argument(
        "--no-background", action="store_true", help="keep signal events only, of a labelled file"
    )
    parser.add_argument("--output", required=True, help="ROOT file, tree 'features'")
    args = parser.parse_args(argv)

    columns = lhco.read_lhco_features(args.input, args.signal_fraction, not args.no_background)
    table, counts = features_of_jets(columns, args.trigger_pt)
    print(counts, file=sys.stderr, flush=True)
    with atomic(args.output) as part:
        flat_root.write_tables(part, {"features": table})


if __name__ == "__main__":
    cli(main)
