"""Cluster jets in one chunk of events and compute the dijet observables."""

from __future__ import annotations

import argparse
import sys

from flowmorph.collider import events, jets
from flowmorph.collider.features import build_features
from flowmorph.errors import cli
from flowmorph.files import atomic
from flowmorph.formats import flat_root


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True, help="chunk of events, parquet")
    parser.add_argument("--trigger-pt", type=float, default=1200.0, help="hardest jet, GeV")
    parser.add_argument("--radius", type=float, default=1.0)
    parser.add_argument("--engine", choices=jets.ENGINES, default="fastjet")
    parser.add_argument("--output", required=True, help="ROOT file, tree 'features'")
    args = parser.parse_args(argv)

    table, counts = build_features(
        events.read_events(args.input), args.trigger_pt, args.radius, args.engine
    )
    print(counts, file=sys.stderr, flush=True)
    with atomic(args.output) as part:
        flat_root.write_tables(part, {"features": table})


if __name__ == "__main__":
    cli(main)
