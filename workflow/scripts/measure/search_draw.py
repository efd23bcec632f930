"""Look for a signal in one draw of data of the signal region, with every template."""

from __future__ import annotations

import argparse
import sys

import numpy as np

from flowmorph.errors import InputError, cli
from flowmorph.files import atomic
from flowmorph.metrics import measures, search
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.searching import SearchJob
from flowmorph.samples import datasets
from flowmorph.samples.moved import MovedSample


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, help="SearchJob (JSON)")
    parser.add_argument("--moved", required=True, help="moved points of the region (npz)")
    parser.add_argument("--alternatives", nargs="*", default=[], help="npz, of job.alternatives")
    parser.add_argument("--sidebands", required=True, help="moved points of the sidebands (npz)")
    parser.add_argument(
        "--sideband-alternatives", nargs="*", default=[], help="npz, of job.alternatives"
    )
    parser.add_argument("--output", required=True, help="efficiencies (npz)")
    parser.add_argument("--measures", required=True, help="numbers (CSV)")
    args = parser.parse_args(argv)

    job = form.read(SearchJob, args.job)
    sample = MovedSample.load(args.moved, job.methods)
    sample = sample.with_alternatives(job.alternatives, args.alternatives, job.split)
    beside = MovedSample.load(args.sidebands, job.methods)
    beside = beside.with_alternatives(
        job.alternatives, args.sideband_alternatives, job.sideband_split
    )
    signal, _ = datasets.load(job.signal, job.split)
    rng = np.random.default_rng(job.seed)
    # Draws of one number share background and order of the signal, whatever its fraction.
    background, others = np.split(rng.permutation(len(sample.target)), [job.background_events])
    injected, labelled, judged = parts(signal, job, rng)
    if len(others) == 0:
        raise InputError(
            f"{args.moved}: {len(sample.target)} target events, of which "
            f"{job.background_events} are data: lower search.background_events"
        )
    data = search.Data(sample.target[background], injected, judged)
    seed = int(rng.integers(2**32))
    rows = rng.permutation(len(sample))[: len(others)]  # as large as the idealised template
    curves, found = {}, []

    def add(
        name: str,
        scores: search.Scores,
        weights: np.ndarray | None = None,
        sideband_weights: np.ndarray | None = None,
        pools: search.Pools | None = None,
    ) -> None:
        curves[name] = search.background_efficiency(scores)
        numbers = search.numbers(scores, weights, sideband_weights, pools)
        found.extend(
            measures.Measure(job.task, job.split, str(job.draw), name, "", *number)
            for number in numbers.items()
        )
        print(f"{name}: largest improvement {numbers['sic_max']:.2f}", file=sys.stderr, flush=True)

    ideal = sample.target[others]
    pools = search.Pools(len(sample.target), len(sample))
    add(search.SUPERVISED, search.supervised(ideal, labelled, data, job.classifier, seed))
    add(search.IDEALISED, search.weakly_supervised(ideal, data, job.classifier, seed))
    for name in ("reference", *job.methods, *job.alternatives):
        weights = sample.weights(name)
        weights = None if weights is None else weights[rows]
        template = sample.points(name)[rows]
        sidebands = search.Sidebands(beside.target, beside.points(name), beside.weights(name))
        scores = search.weakly_supervised(template, data, job.classifier, seed, weights, sidebands)
        add(name, scores, weights, sidebands.weights, pools)
    with atomic(args.output) as part:
        np.savez(part, **{name: np.ascontiguousarray(a) for name, a in sorted(curves.items())})
    measures.write(found, args.measures)


def parts(
    signal: np.ndarray, job: SearchJob, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signal events in the data, to train the supervised classifier on, and to judge by."""
    count = round(job.fraction * job.background_events)
    rows = rng.permutation(len(signal))
    rest = len(signal) - count
    if rest < 2:
        raise InputError(
            f"{len(signal)} signal events in the region, {count} of them in the data: "
            "raise search.pythia.events.signal, or lower search.fractions"
        )
    # From the end, so that those to judge by are nearly the same for each fraction.
    injected, labelled, judged = np.split(rows, [count, count + rest // 2])
    return signal[injected], signal[labelled], signal[judged]


if __name__ == "__main__":
    cli(main)
