"""Cut the signal region out of feature tables and scale it, for the search."""

from __future__ import annotations

import argparse
import sys

from flowmorph.errors import InputError, cli
from flowmorph.files import atomic
from flowmorph.formats import flat_root
from flowmorph.plan.tasks import SEARCH
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import regions


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", nargs="+", required=True, help="ROOT, tree 'features'")
    parser.add_argument("--prepared", help="ROOT, whose tree 'train' is handed on")
    parser.add_argument("--scaling", required=True, help="JSON")
    parser.add_argument("--signal", nargs=2, type=float, required=True, help="region, TeV")
    parser.add_argument("--output", required=True, help="ROOT")
    args = parser.parse_args(argv)

    columns = list(regions.COLUMNS)
    band = regions.in_gev([args.signal])
    rows = flat_root.concatenate(
        [
            regions.select(flat_root.read_table(path, "features", columns), regions.CONDITION, band)
            for path in args.features
        ]
    )
    count = len(rows[regions.CONDITION])
    if count == 0:
        # Without a sample of the trainings beside them these are the signal's events.
        advice = "" if args.prepared else ", or set search.draws: 0 if files name no signal"
        raise InputError(
            f"{args.features[0]}: no event in the signal region: generate more events{advice}"
        )
    print(f"{count} events in the signal region", file=sys.stderr, flush=True)
    trees = {SEARCH: Preprocessor.load(args.scaling).forward(rows)}
    if args.prepared:
        trees["train"] = flat_root.read_table(args.prepared, "train", columns)
    with atomic(args.output) as part:
        flat_root.write_tables(part, trees)


if __name__ == "__main__":
    cli(main)
