"""Show the six collider observables of reference and target: figure 7."""

from __future__ import annotations

import argparse

from flowmorph.errors import InputError, cli
from flowmorph.figures import features, style
from flowmorph.formats.flat_root import read_table


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", required=True, help="feature table, ROOT, tree 'features'")
    parser.add_argument("--target", required=True, help="feature table, ROOT, tree 'features'")
    parser.add_argument(
        "--signal", nargs=2, type=float, default=(3.3, 3.7), metavar=("LOW", "HIGH"), help="TeV"
    )
    parser.add_argument(
        "--sidebands", nargs="+", type=float, default=(2.9, 3.3, 3.7, 4.1), help="bounds, TeV"
    )
    parser.add_argument(
        "--all-masses", action="store_true", help="features of events outside of the regions, too"
    )
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)
    if len(args.sidebands) % 2:
        raise InputError("--sidebands takes a lower and an upper bound for each sideband")

    columns = [feature.column for feature in (features.MASS, *features.FEATURES)]
    fig = features.feature_distributions(
        read_table(args.reference, "features", columns),
        read_table(args.target, "features", columns),
        signal=tuple(args.signal),
        sidebands=list(zip(args.sidebands[::2], args.sidebands[1::2], strict=True)),
        all_masses=args.all_masses,
    )
    style.save(fig, args.output)


if __name__ == "__main__":
    cli(main)
