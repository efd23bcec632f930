"""Draw the architecture: figure 1, or figure 2 with conditions."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.figures import schematics, style

DRAWINGS = {
    "architecture": schematics.architecture,
    "conditional": schematics.conditional_architecture,
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drawing", choices=DRAWINGS, required=True)
    parser.add_argument("--output", nargs="+", required=True, help=".pdf and .png files")
    args = parser.parse_args(argv)
    style.save(DRAWINGS[args.drawing](), args.output)


if __name__ == "__main__":
    cli(main)
