"""Copy a range of events of Delphes' ROOT files into a chunk of events."""

from __future__ import annotations

import argparse
import sys

from flowmorph.collider import delphes, events
from flowmorph.errors import InputError, cli
from flowmorph.files import atomic


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", nargs="+", required=True, help="files or patterns, tree Delphes")
    parser.add_argument("--start", type=int, required=True, help="first event of all files")
    parser.add_argument(
        "--stop", type=int, required=True, help="event after the last; past the end: the end"
    )
    parser.add_argument("--output", required=True, help="chunk of events, parquet")
    args = parser.parse_args(argv)

    files = delphes.count_events(args.input)
    total = sum(count for _, count in files)
    if args.start >= total:
        raise InputError(
            f"{', '.join(args.input)}: only {total} events: lower collider.delphes.events"
        )
    stop = min(args.stop, total)
    chunk, objects = delphes.read_delphes(files, args.start, stop)
    print(f"read events {args.start} to {stop}: {objects}", file=sys.stderr, flush=True)
    with atomic(args.output) as part:
        events.write_events(part, chunk)


if __name__ == "__main__":
    cli(main)
