"""Draw the pictures of the docs from the tables on their pages, so that each number stands once.

PYTHONPATH=workflow python benchmarks/pictures.py           # all
PYTHONPATH=workflow python benchmarks/pictures.py engine    # one: docs/engine.png
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter

from flowmorph.errors import InputError, cli
from flowmorph.figures import style

DOCS = Path(__file__).parents[1] / "docs"
GREYS = ("black", "0.35", "0.55", "0.75")

Rows = list[list[str]]


def table(page: str, heading: str) -> tuple[list[str], Rows]:
    """Read the table of a page of docs whose line of headings begins with some words.

    Returns:
        The headings, and the cells of each row, without emphasis.
    """
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.strip().startswith(f"| {heading}"):
            found = []
            for each in lines[number:]:
                if not each.strip().startswith("|"):
                    break
                cells = each.strip().strip("|").split("|")
                found.append([cell.replace("*", "").strip() for cell in cells])
            return found[0], found[2:]
    raise InputError(f"docs/{page}: no table that begins with '| {heading}'")


def numbers(text: str) -> list[float]:
    """Give the numbers of a cell."""
    return [float(each) for each in re.findall(r"\d+\.?\d*", text.replace(",", ", "))]


def plain(axis: Axis, ticks: Sequence[float]) -> None:
    """Give a logarithmic axis these ticks, written as they are."""
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


@style.styled
def engine() -> Figure:
    """Training steps and moved points of this package and its peers, in units of the limit."""
    _, rows = table("engine.md", "features, batch | |")
    groups: dict[str, dict[str, list[float]]] = {}
    group = ""
    for name, package, *times in rows:
        group = name or group
        groups.setdefault(group, {})[package] = [float(time) for time in times]
    titles = ("training step", "density of a point", "moving in the other direction")
    packages = ("ours", "flowjax", "zuko", "nflows")
    fig = style.figure(style.DOUBLE_WIDTH, 2.6)
    for column, (ax, title) in enumerate(zip(fig.subplots(1, 3, sharey=True), titles, strict=True)):
        for place, (package, grey) in enumerate(zip(packages, GREYS, strict=True)):
            shown = [y for y, group in enumerate(groups) if package in groups[group]]
            lengths = [
                groups[group][package][column] / groups[group]["limit"][column]
                for group in groups
                if package in groups[group]
            ]
            ax.barh(np.array(shown) + 0.2 * place - 0.3, lengths, 0.18, color=grey, label=package)
        ax.axvline(1, color="black", lw=0.6, ls=(0, (2, 2)))
        ax.set(xscale="log", title=title, xlabel="time / that of the matrix products")
        plain(ax.xaxis, [1, 2, 5, 10, 20, 50])
        ax.set_yticks(range(len(groups)), list(groups))
        ax.tick_params(axis="y", length=0, which="both")
    fig.axes[0].invert_yaxis()
    fig.axes[0].set_ylabel("features, batch")
    handles, labels = fig.axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=len(packages))
    return fig


@style.styled
def cluster() -> Figure:
    """Hours of copies of the paper's run against nodes, for each rate of submission."""
    headings, rows = table("cluster.md", "nodes of 32 cores")
    fig = style.figure(0.75 * style.DOUBLE_WIDTH, 2.5)
    ax = fig.subplots()
    lines = ("-", (0, (4, 1.5)), (0, (1, 1)))
    marks = {"1": "o", "10": "s", "100": "^"}
    for copies, mark in marks.items():
        chosen = [row for row in rows if row[1] == copies]
        nodes = [numbers(row[0].replace(",", ""))[0] for row in chosen]
        for column, line in enumerate(lines, start=2):
            hours = [numbers(row[column])[0] for row in chosen]
            rate = headings[column].removesuffix(" submissions a second").removesuffix(" a second")
            label = f"{copies} cop{'y' if copies == '1' else 'ies'}, {rate} a second"
            grey = str(0.6 * list(marks).index(copies) / len(marks))
            ax.plot(nodes, hours, marker=mark, ls=line, color=grey, ms=3.5, lw=0.9, label=label)
    ax.set(xscale="log", yscale="log", xlabel="nodes of 32 cores", ylabel="hours")
    plain(ax.xaxis, [1, 10, 100, 1000])
    plain(ax.yaxis, [3, 5, 10, 20, 50])
    fig.legend(loc="outside right center", handlelength=3.2)
    return fig


@style.styled
def phase_space() -> Figure:
    """Lost part of the selected events against M, for cuts in use and tighter ones."""
    headings, rows = table("phase-space.md", "cut [GeV]")
    edges = [numbers(heading) for heading in headings[1:-1]]
    middles = np.array([(low + high) / 2000 for low, high in (each[-2:] for each in edges)])
    cuts = [row for row in rows if not row[0].startswith("all")]
    used = {
        line.split("**")[1]
        for line in (DOCS / "phase-space.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| **")
    }
    fig = style.figure(style.DOUBLE_WIDTH, 2.5)
    axes = fig.subplots(1, 2, sharey=True)
    for sample, (ax, title) in enumerate(zip(axes, ("target", "reference"), strict=True)):
        for place, row in enumerate(cuts):
            losses = [numbers(cell)[sample] for cell in row[1:-1]]
            look = {"color": "black", "lw": 1.0} if row[0] in used else {"color": "0.6", "lw": 0.7}
            mark = "os^vDP*XdhpH8"[place]
            ax.plot(middles, losses, marker=mark, ms=3, label=row[0], **look)
        ax.set(title=title, xlabel="M [TeV]", ylim=(-0.2, 40))
        ax.set_yscale("symlog", linthresh=1)
        ax.set_yticks([0, 1, 10], ["0", "1", "10"])
    axes[0].set_ylabel("selected events lost [%]")
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside right center")
    return fig


@style.styled
def quality() -> Figure:
    """Seconds of a training against how far the density ends from the exact one."""
    headings, rows = table("recipe.md", "batch, steps, peak rate, beta2")
    fig = style.figure(style.DOUBLE_WIDTH, 2.9)
    axes = fig.subplots(1, 3, sharex=True)
    named = {
        "in use": "in use",
        "2 layers": "2 layers",
        "width 128": "width 128",
        "the same with 8 bins": "8 bins, 4,000 steps",
        "sharp, 2,000 steps": "sharp, 2,000 steps",
    }
    for ax, toy in zip(axes, headings[2:], strict=True):
        column = headings.index(toy)
        for row in rows:
            ends = numbers(row[column].split(";")[0])
            if not ends:
                continue
            seconds = float(row[1])
            look = {"color": "black", "zorder": 3} if "in use" in row[0] else {"color": "0.6"}
            ax.plot([seconds] * len(ends), ends, "o", ms=3, mew=0, **look)
            for key, words in named.items():
                if key in row[0]:
                    ax.annotate(words, (seconds, max(ends)), (0, 4), textcoords="offset points",
                                ha="center", fontsize=5.5)  # fmt: skip
        ax.set(title=toy, xlabel="seconds of one core", xscale="log", yscale="log")
        ax.margins(x=0.32, y=0.12)
        plain(ax.xaxis, [20, 50, 100])
        plain(ax.yaxis, [0.001, 0.002, 0.005, 0.01, 0.02, 0.05])
    axes[0].set_ylabel("KL(exact, density) [nats]")
    return fig


PICTURES: dict[str, Callable[[], Figure]] = {
    "engine": engine,
    "cluster": cluster,
    "phase_space": phase_space,
    "quality": quality,
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="*", help=", ".join(PICTURES))
    parser.add_argument("--output", type=Path, default=DOCS, help="folder")
    args = parser.parse_args(argv)
    for name in args.pictures or PICTURES:
        if name not in PICTURES:
            raise InputError(f"no picture '{name}': {', '.join(PICTURES)}")
        style.save(PICTURES[name](), [args.output / f"{name}.png"])


if __name__ == "__main__":
    cli(main)
