"""Draw the default run's rules in docs/workflow.md, all figures as one box and all tables as one.

PYTHONPATH=workflow python benchmarks/rule_graph.py
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from flowmorph.errors import InputError, cli
from flowmorph.files import atomic
from flowmorph.plan import figures, tables

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/workflow.md"
BEGIN, END = "```mermaid\n", "```\n"
#: Rules of tables that are not called as their tables.
TABLE_RULES = ("compare_medians",)


def edges(graph: str) -> list[tuple[str, str]]:
    """Pairs of rules, the second of which needs the first, from Snakemake's graph (Mermaid)."""
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", graph))
    found = {
        (box(names[first]), box(names[second]))
        for first, second in re.findall(r"(id\d+) --> (id\d+)", graph)
        if names[second] != "all"
    }
    return shortened({pair for pair in found if pair[0] != pair[1]})


def shortened(pairs: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out the pairs that follow from others: the first is needed on the way already."""

    def beyond(rule: str) -> set[str]:
        following = {second for first, second in pairs if first == rule}
        return following.union(*map(beyond, following))

    later = {first: beyond(first) for first, _ in pairs}
    return sorted(
        (first, second)
        for first, second in pairs
        if not any(second in later.get(other, ()) for start, other in pairs if start == first)
    )


def box(rule: str) -> str:
    """The box that stands for a rule: its own, or that of all figures or tables."""
    if rule in figures.FIGURES or rule.startswith("plot_"):
        return "figures"
    named = rule in (*tables.PAPER, *tables.SEARCH, *tables.PUBLISHED)
    return "tables" if named or rule in TABLE_RULES else rule


def drawing() -> str:
    """The graph of the default run, as Mermaid."""
    command = [sys.executable, "-m", "snakemake", "--rulegraph", "mermaid-js"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"snakemake --rulegraph: {done.stderr.strip().splitlines()[-1]}")
    lines = [f"    {first} --> {second}" for first, second in edges(done.stdout)]
    return "\n".join(["flowchart LR", *lines]) + "\n"


def main(argv: list[str] | None = None) -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(argv)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    with atomic(PAGE) as part:
        part.write_text(before + BEGIN + drawing() + END + after, encoding="utf-8")


if __name__ == "__main__":
    cli(main)
