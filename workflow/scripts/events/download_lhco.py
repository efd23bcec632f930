"""Download one LHC Olympics file, or verify the one that is there, and write what it is."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from flowmorph.collider import download, remote
from flowmorph.errors import InputError, cli
from flowmorph.files import atomic
from flowmorph.formats.hdf5.opening import check_survives, opened


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", required=True, help="YAML file with the published files")
    parser.add_argument("--name", required=True, help="one of them")
    parser.add_argument("--folder", required=True, help="where the file is, or goes")
    parser.add_argument(
        "--mirrors", nargs="*", default=[], help="further addresses, with {name} for the file's"
    )
    parser.add_argument("--output", required=True, help="name, size and SHA-256, JSON")
    args = parser.parse_args(argv)

    files = remote.published(args.facts, args.mirrors)
    if args.name not in files:
        raise InputError(f"{args.name} is none of the files of {args.facts}: {', '.join(files)}")
    found = download.fetch(files[args.name], args.folder, check_hdf5)
    facts = {"name": found.name, "bytes": found.bytes, "sha256": found.sha256}
    with atomic(args.output) as part:
        part.write_text(json.dumps(facts, indent=2) + "\n")


def check_hdf5(path: Path) -> None:
    """Raise InputError unless the file is a whole HDF5 file: its head tells where it ends."""

    def look() -> None:
        with opened(path):
            pass

    check_survives(path, look)
    look()


if __name__ == "__main__":
    cli(main)
