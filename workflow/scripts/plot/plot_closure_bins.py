"""Show ratios of the user's moved features to the target's in bins of columns."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.figures import chosen, closure_bins, style
from flowmorph.metrics import spectra
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.measuring import ClosureJob
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import binned
from flowmorph.samples.moved import MovedSample


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, help="ClosureJob (JSON)")
    parser.add_argument("--split", required=True, help="the split of the moved sample")
    parser.add_argument("--moved", required=True, help="moved samples, npz")
    parser.add_argument("--reference", nargs="*", help="columns of bins, npz, if there are any")
    parser.add_argument("--target", nargs="*", help="columns of bins, npz, if there are any")
    parser.add_argument("--preprocessing", required=True, help="JSON")
    parser.add_argument("--labels", nargs="+", required=True, help="of the features")
    parser.add_argument(
        "--limits", nargs=2, type=float, default=(-3.0, 3.0), help="of the scaled features"
    )
    parser.add_argument("--methods", nargs="+", required=True, help="names, in order")
    parser.add_argument("--note", default="", help="text in the figure, such as the region")
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)

    job = form.read(ClosureJob, args.job)
    sample = MovedSample.load(args.moved, job.methods)
    choice = chosen.largest_differences(sample, args.methods, args.labels)
    given = binned.values(job, args.split, args.reference, args.target, len(sample))
    bins: dict[str, dict[str, MovedSample]] = {}
    any_balanced = False
    for part in binned.binned(sample, job, Preprocessor.load(args.preprocessing), given):
        inside = part.of(sample)
        balanced = spectra.balanced(inside)
        any_balanced |= balanced is not inside
        here = bins.setdefault(f"{part.column}\n{part.label}".replace("$", r"\$"), {})
        shown = choice.of(balanced)
        here |= {name: shown for name in part.names if name in ("reference", *args.methods)}
    fig = closure_bins.closure_figure(
        bins,
        labels=choice.labels,
        limits=tuple(args.limits),
        note=choice.noted(args.note),
        balanced=any_balanced,
    )
    style.save(fig, args.output)


if __name__ == "__main__":
    cli(main)
