"""Join the feature tables of all chunks of a sample, in the order given."""

from __future__ import annotations

import argparse
import sys

from flowmorph.errors import cli
from flowmorph.files import atomic
from flowmorph.formats import flat_root


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", nargs="+", required=True, help="ROOT files, tree 'features'")
    parser.add_argument("--output", required=True, help="ROOT file, tree 'features'")
    args = parser.parse_args(argv)

    joined = flat_root.concatenate([flat_root.read_table(path, "features") for path in args.input])
    rows = len(next(iter(joined.values())))
    print(f"merged {rows} events of {len(args.input)} chunks", file=sys.stderr, flush=True)
    with atomic(args.output) as part:
        flat_root.write_tables(part, {"features": joined})


if __name__ == "__main__":
    cli(main)
