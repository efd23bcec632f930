"""Copy a range of rows of an LHC Olympics HDF5 file into a chunk of events."""

from __future__ import annotations

import argparse
import sys

from flowmorph.data import events
from flowmorph.errors import cli
from flowmorph.files import atomic


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True, help="pandas 'fixed' HDF5 file, key df")
    parser.add_argument("--start", type=int, required=True, help="first row")
    parser.add_argument(
        "--stop", type=int, required=True, help="row after the last; past the end: the end"
    )
    parser.add_argument("--background-only", action="store_true", help="leave out label 1")
    parser.add_argument("--output", required=True, help="chunk of events, parquet")
    args = parser.parse_args(argv)

    stop = min(args.stop, events.lhco_rows(args.input))
    chunk = events.read_lhco(args.input, args.start, stop, args.background_only)
    print(f"read {len(chunk)} events, rows {args.start} to {stop}", file=sys.stderr, flush=True)
    with atomic(args.output) as part:
        events.write_events(part, chunk)


if __name__ == "__main__":
    cli(main)
