"""Copy a range of rows of an LHC Olympics HDF5 file into a chunk of events."""

from __future__ import annotations

import argparse
import sys

from flowmorph.collider import events, lhco
from flowmorph.errors import InputError, cli
from flowmorph.files import atomic


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True, help="pandas 'fixed' HDF5 file, key df")
    parser.add_argument("--start", type=int, required=True, help="first row")
    parser.add_argument(
        "--stop", type=int, required=True, help="row after the last; past the end: the end"
    )
    parser.add_argument(
        "--signal-fraction", type=float, default=0.0, help="part of the signal events that is kept"
    )
    parser.add_argument(
        "--no-background", action="store_true", help="keep signal events only, of a labelled file"
    )
    parser.add_argument("--output", required=True, help="chunk of events, parquet")
    args = parser.parse_args(argv)

    rows = lhco.lhco_rows(args.input)
    if args.start >= rows:
        raise InputError(f"{args.input}: only {rows} events: lower collider.lhco.events")
    stop = min(args.stop, rows)
    chunk = lhco.read_lhco(
        args.input, args.start, stop, args.signal_fraction, not args.no_background
    )
    print(f"read {len(chunk)} events, rows {args.start} to {stop}", file=sys.stderr, flush=True)
    with atomic(args.output) as part:
        events.write_events(part, chunk)


if __name__ == "__main__":
    cli(main)
