"""How many events it takes: the signal region's closure against events in the sidebands.

    snakemake results/five/measures/collider/{1,2,3}/{validation,signal}.csv --configfile five.yaml
    PYTHONPATH=workflow python benchmarks/closure_events.py results/five results/ten ... \
        --output docs/closure_events.png

Each folder is a run of the collider task with another number of events, for instance with five.yaml

    {run: five, seeds: {collider: 3}, alternatives: {tasks: []}, search: {draws: 0},
     collider: {pythia: {events: {reference: 20000, target: 20000}}}}

Printed and drawn are a classifier's AUC against the target by method, mean and standard deviation
over trainings, in sidebands and signal region. docs/recipe.md holds table and figure.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from flowmorph.figures import looks, style
from flowmorph.formats import flat_root
from flowmorph.metrics import measures
from flowmorph.metrics.measures import CEILING, FLOOR
from flowmorph.plan import paths, tasks
from flowmorph.plan.methods import PUBLISHED

ROWS = (FLOOR, CEILING, *PUBLISHED)
SPLITS = {"validation": "sidebands", "signal": "signal region"}
Areas = dict[tuple[str, str], tuple[float, float]]


def events(run: Path) -> int:
    """Sideband events of the reference that flows are trained and validated on."""
    path = paths.prepared(str(run), tasks.COLLIDER.reference.name)
    return sum(
        len(flat_root.read_table(path, tree, [tasks.COLLIDER_CONDITION])[tasks.COLLIDER_CONDITION])
        for tree in ("train", "validation")
    )


def areas(run: Path) -> Areas:
    """Mean and spread of the AUC over trainings, by split and row."""
    files = sorted(run.glob("measures/collider/[0-9]*/*.csv"))
    found: dict[tuple[str, str], list[float]] = {}
    for m in measures.read(path for path in files if path.stem in SPLITS):
        if m.metric == "auc" and m.training.isdigit():
            found.setdefault((m.split, m.method), []).append(m.value)
    return {key: (np.mean(each), np.std(each, ddof=1)) for key, each in found.items()}


def table(runs: dict[int, Areas]) -> str:
    """All numbers as Markdown."""
    lines = [
        "| sideband events | region | floor | reference | five methods |",
        "|---|---|---|---|---|",
    ]
    for count, found in sorted(runs.items()):
        for split, region in SPLITS.items():
            both = [f"{found[split, row][0]:.3f}" for row in (FLOOR, CEILING)]
            five = [f"{found[split, m][0]:.3f} ± {found[split, m][1]:.3f}" for m in PUBLISHED]
            lines.append(f"| {count:,} | {region} | {' | '.join(both)} | {', '.join(five)} |")
    return "\n".join(lines)


@style.styled
def draw(runs: dict[int, Areas]) -> Figure:
    """AUC in both regions against events."""
    fig = style.figure(style.DOUBLE_WIDTH, 2.8)
    counts = sorted(runs)
    for ax, (split, region) in zip(fig.subplots(1, 2, sharey=True), SPLITS.items(), strict=True):
        for i, row in enumerate(ROWS):
            look = looks.look({FLOOR: "target", CEILING: "reference"}.get(row, row))
            value, spread = zip(*(runs[count][split, row] for count in counts), strict=True)
            at = np.array(counts) * 1.03 ** (i - len(ROWS) / 2)
            ax.errorbar(
                at, value, spread if row in PUBLISHED else None,
                color=look.colour, ls=look.line, lw=look.width, marker=look.marker, ms=3,
                label="target against itself" if row == FLOOR else look.label,
            )  # fmt: skip
        ax.set_xscale("log")
        ax.set_xlabel("events in the sidebands, each sample")
        ax.set_title(region, fontsize=7)
        ax.axhline(0.5, color="0.6", lw=0.6, zorder=0)
    fig.axes[0].set_ylabel("AUC against the target")
    handles = fig.axes[0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside upper center", ncols=4)
    return fig


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    parser.add_argument("--output", help="picture")
    args = parser.parse_args()
    runs = {events(run): areas(run) for run in args.runs}
    print(table(runs))
    if args.output:
        style.save(draw(runs), [args.output])


if __name__ == "__main__":
    main()
