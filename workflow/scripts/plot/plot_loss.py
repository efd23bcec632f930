"""Show the course of one training, or of several in one go."""

from __future__ import annotations

import argparse

from flowmorph.errors import InputError, cli
from flowmorph.figures import losses, style


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--losses", nargs="+", required=True, help="loss.csv, one a training")
    parser.add_argument("--titles", nargs="+", required=True, help="what was trained, same order")
    parser.add_argument("--output", nargs="+", required=True, help=".png or .pdf, same order")
    args = parser.parse_args(argv)
    if not len(args.losses) == len(args.titles) == len(args.output):
        raise InputError("--losses, --titles and --output need one entry for each training")
    for path, title, output in zip(args.losses, args.titles, args.output, strict=True):
        style.save(losses.loss_curve(losses.read_losses(path), title=title), [output])


if __name__ == "__main__":
    cli(main)
