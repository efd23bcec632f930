"""Write a run's tables on one page, with what made them: run, seeds, commit, date, processor."""

from __future__ import annotations

import argparse
import datetime
import platform
import re
import subprocess
import textwrap
from pathlib import Path

from flowmorph.errors import InputError, cli
from flowmorph.files import atomic

CPUINFO = Path("/proc/cpuinfo")
WIDTH = 120


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="name of the run")
    parser.add_argument("--seed", required=True, type=int, help="base seed")
    parser.add_argument("--trainings", nargs="+", required=True, help="FAMILY=NUMBER")
    parser.add_argument("--tables", nargs="+", required=True, help=".md files")
    parser.add_argument("--titles", nargs="+", required=True, help="of the tables, same order")
    parser.add_argument("--output", required=True, help=".md file")
    args = parser.parse_args(argv)

    if len(args.tables) != len(args.titles):
        raise InputError(f"{len(args.tables)} files (--tables) for {len(args.titles)} titles")
    trainings = ", ".join(" ".join(each.split("=")) for each in args.trainings)
    lines = [
        f"# Results of the run {args.run}",
        f"Base seed {args.seed}; trainings: {trainings}. Commit {_commit()}, "
        f"{datetime.date.today()}, {_processor()}.",
    ]
    for path, title in zip(args.tables, args.titles, strict=True):
        lines += [f"## {title}", _wrapped(Path(path).read_text(encoding="utf-8").strip())]
    with atomic(args.output) as part:
        part.write_text("\n\n".join(lines) + "\n", encoding="utf-8")


def _wrapped(text: str) -> str:
    """The text with its prose in lines of the width of the other pages; tables are left alone."""
    return "\n".join(
        line
        if line.startswith("|")
        else textwrap.fill(line, WIDTH, break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )


def _commit() -> str:
    """The commit of the working tree, and whether files differ from it."""
    try:
        words = ["git", "describe", "--always", "--dirty=, with changes", "--exclude=*"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown (no git)"


def _processor() -> str:
    """The processor's name."""
    if CPUINFO.exists():
        name = re.search(r"^model name\s*: (.+)$", CPUINFO.read_text(), re.MULTILINE)
        if name:
            return name[1]
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    cli(main)
