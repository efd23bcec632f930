"""Generate one chunk of collider events: Pythia 8, then the parametrised detector."""

from __future__ import annotations

import argparse
import sys

import awkward as ak
import numpy as np

from flowmorph.collider import detector, events, pythia
from flowmorph.errors import InputError, cli
from flowmorph.files import atomic


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shower", required=True, choices=sorted(pythia.SHOWERS))
    parser.add_argument("--events", type=int, required=True, help="events to generate")
    parser.add_argument("--seed", type=int, required=True, help="non-negative integer")
    parser.add_argument("--pthat-min", type=float, required=True, help="GeV")
    parser.add_argument("--mhat-min", type=float, required=True, help="GeV")
    parser.add_argument("--mhat-max", type=float, default=-1.0, help="GeV; -1: none (default)")
    parser.add_argument(
        "--early-jet-pt", type=float, default=0.0, help="early look: hardest jet, GeV (0: any)"
    )
    parser.add_argument(
        "--early-mass",
        type=float,
        nargs=2,
        default=(0.0, float("inf")),
        metavar=("MIN", "MAX"),
        help="early look: mass of the two hardest jets, GeV (any)",
    )
    parser.add_argument(
        "--setting", action="append", default=[], help="extra Pythia setting 'name = value'"
    )
    parser.add_argument("--output", required=True, help="chunk of events, parquet")
    args = parser.parse_args(argv)
    if args.events < 1:
        raise InputError(f"--events {args.events}: give a positive number")

    hard = (args.pthat_min, args.mhat_min, args.mhat_max)
    cuts = pythia.PhaseSpace(*hard, args.early_jet_pt, *args.early_mass)
    generator = pythia.Generator(args.shower, cuts, args.seed, tuple(args.setting))
    rng = np.random.default_rng(args.seed)
    done, chunks = 0, []
    for record in generator.records(args.events):
        particles = detector.simulate(pythia.visible(record), rng)
        chunks.append(events.make_events(particles))
        done += len(record)
        print(f"generated {done}/{args.events} events ({args.shower})", file=sys.stderr, flush=True)
    with atomic(args.output) as part:
        events.write_events(part, ak.concatenate(chunks))


if __name__ == "__main__":
    cli(main)
