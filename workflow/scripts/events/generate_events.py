"""Generate one chunk of collider events: Pythia 8, then the parametrised detector."""

from __future__ import annotations

import argparse
import sys

import awkward as ak
import numpy as np

from flowmorph.collider import detector, events, pythia
from flowmorph.errors import cli
from flowmorph.files import atomic
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.events import GenerateJob


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, help="GenerateJob (JSON)")
    parser.add_argument("--output", required=True, help="chunk of events, parquet")
    args = parser.parse_args(argv)

    job = form.read(GenerateJob, args.job)
    cuts = pythia.PhaseSpace(
        job.pthat_min_gev,
        job.mhat_min_gev,
        job.mhat_max_gev,
        job.early_jet_pt_gev,
        *job.early_mass_gev,
    )
    generator = pythia.Generator(job.shower, cuts, job.seed, job.settings)
    rng = np.random.default_rng(job.seed)
    done, chunks = 0, []
    for record in generator.records(job.events):
        particles = detector.simulate(pythia.visible(record), rng)
        chunks.append(events.make_events(particles))
        done += len(record)
        print(f"generated {done}/{job.events} events ({job.shower})", file=sys.stderr, flush=True)
    with atomic(args.output) as part:
        events.write_events(part, ak.concatenate(chunks))


if __name__ == "__main__":
    cli(main)
