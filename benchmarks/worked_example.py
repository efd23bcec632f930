"""The data of docs/worked-example.md, whose truth is known, and its figure.

    PYTHONPATH=workflow python benchmarks/worked_example.py make data --events 20000
    PYTHONPATH=workflow python benchmarks/worked_example.py draw data moved.parquet example.png

Photons of events with two of them: an isolation that is 0 for many, a shower width, a transverse
momentum, and the part of the detector. Simulated events have signed weights; their photons are
softer and more central than those of the data, and for the same momentum and part less isolated
and narrower.

``make`` writes photons_mc.parquet and photons_data.parquet, one photon a row, to train on;
events.parquet, further simulated events, two photons a row, to move; and truth.parquet, further
photons of the data, which nothing else sees. ``draw`` holds the photons of the moved events against
these, before and after, and prints the largest differences.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from flowmorph.figures import style
from flowmorph.metrics.two_sample import classifier_auc
from flowmorph.samples.unweighting import effective_points

PARTS = ("barrel", "endcap")
FEATURES = ("iso", "width")
#: What is drawn: a column, its bins and its label.
SHOWN = {
    "iso": (np.linspace(0, 4, 17), "isolation [GeV], 0 apart"),
    "width": (np.linspace(0.4, 2.4, 17), "shower width"),
    "pt": (np.geomspace(25, 150, 13), "transverse momentum [GeV]"),
}
NEGATIVE = 0.15  # about the part of simulated weights that are -1
AUC_ROWS = 10_000
#: Least part of the data's photons in a bin that is drawn.
LEAST = 0.002


def photons(number: int, data: bool, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Photons of the simulation or of the data, one an entry."""
    endcap = rng.random(number) < (0.4 if data else 0.25)
    pt = 25 + rng.gamma(1.5, np.where(endcap, 14, 18) * (1.25 if data else 1.0))
    slope = np.log(pt / 25)
    share = 0.55 - 0.1 * endcap + (0.1 if data else 0.0) - 0.08 * slope
    scale = 0.6 * (1 + 0.4 * endcap) * (1 + 0.3 * slope) * (0.8 if data else 1.0)
    iso = np.where(rng.random(number) < share, 0.0, rng.exponential(scale))
    mean = 1.0 + 0.35 * endcap - 0.1 * slope + (0.08 + 0.07 * endcap) * data
    width = rng.normal(mean, 0.12 * (1 + 0.5 * endcap) * (1.15 if data else 1.0))
    return {"iso": iso, "width": width, "pt": pt, "part": np.where(endcap, *PARTS[::-1])}


def signs(pt: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Weights of simulated events, +1 or -1, the latter more often at low momentum."""
    return np.where(rng.random(len(pt)) < (1 - mean_sign(pt)) / 2, -1.0, 1.0)


def mean_sign(pt: np.ndarray) -> np.ndarray:
    """Mean weight of simulated events, of whose photons the first, by chance, has this momentum."""
    return 1 - 4 * NEGATIVE / (1 + pt / 45)


def make(folder: Path, events: int, seed: int = 1) -> None:
    """Write the four files; ``events`` is the number of those to train on, of each sample."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data, first in (("photons_mc", False, 0), ("photons_data", True, 10**8)):
        table = photons(2 * events, data, rng)
        if not data:
            # One sign an event, for both of its photons.
            table["weight"] = np.repeat(signs(table["pt"][::2], rng), 2)
        table["id"] = first + np.arange(2 * events)
        pd.DataFrame(table).to_parquet(folder / f"{name}.parquet")
    both = photons(2 * events, False, rng)
    order = np.arange(2 * events).reshape(-1, 2)
    swap = both["pt"][order[:, 0]] < both["pt"][order[:, 1]]
    order[swap] = order[swap, ::-1]
    table = {"event": np.arange(events), "first_pt": both["pt"][::2]}
    table["weight"] = signs(table["first_pt"], rng)
    for i, name in enumerate(("lead", "sublead")):
        table |= {f"{name}_{column}": values[order[:, i]] for column, values in both.items()}
        table[f"{name}_id"] = 10**9 + order[:, i]
    pd.DataFrame(table).to_parquet(folder / "events.parquet")
    pd.DataFrame(photons(4 * events, True, rng)).to_parquet(folder / "truth.parquet")


def unstacked(events: pd.DataFrame) -> pd.DataFrame:
    """Both photons of moved events as rows, without the names of the objects."""
    parts = []
    events = events.assign(mean_sign=mean_sign(events["first_pt"]))
    for name in ("lead", "sublead"):
        other = {f"flowmorph_{name}_weight": "balanced"}
        other |= {c: c.removeprefix(f"{name}_") for c in events if c.startswith(f"{name}_")}
        parts.append(events[[*other, "weight", "mean_sign"]].rename(columns=other))
    return pd.concat(parts, ignore_index=True)


def fractions(
    values: np.ndarray, bins: np.ndarray, spike: bool, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Part of the sum of weights in each bin, and its error; a spike at 0 has a bin of its own."""
    weights = np.ones(len(values)) if weights is None else weights
    place = np.searchsorted(bins, values, side="right")
    if spike:
        place = np.where(values == 0, 0, np.maximum(place, 1))
    place = np.clip(place, 0 if spike else 1, len(bins) - 1) - (0 if spike else 1)
    count = len(bins) if spike else len(bins) - 1
    sums, squares = (np.bincount(place, weights**power, count) for power in (1, 2))
    return sums / weights.sum(), np.sqrt(squares) / weights.sum()


@style.styled
def draw(moved: pd.DataFrame, truth: pd.DataFrame) -> Figure:
    """Ratios to the truth, before and after, in each part of the detector."""
    fig = style.figure(style.DOUBLE_WIDTH, 3.6)
    axes = fig.subplots(len(PARTS), len(SHOWN), sharey=True, sharex="col")
    for row, part in zip(axes, PARTS, strict=True):
        here, there = moved[moved["part"] == part], truth[truth["part"] == part]
        for ax, (column, (bins, label)) in zip(row, SHOWN.items(), strict=True):
            spike = column == "iso"
            edges = np.concatenate([[bins[0] - (bins[1] - bins[0])], bins]) if spike else bins
            exact, error = fractions(there[column].to_numpy(), bins, spike)
            exact = np.where(exact < LEAST, np.nan, exact)
            middle = (edges[1:] + edges[:-1]) / 2
            ax.fill_between(
                edges, *(np.append(r, r[-1]) for r in (1 - error / exact, 1 + error / exact)),
                step="post", color="0.85", lw=0, label="data, statistics",
            )  # fmt: skip
            before = fractions(here[column].to_numpy(), bins, spike, here["weight"].to_numpy())
            after = column if column == "pt" else f"{column}_moved"
            weights = here["balanced"].to_numpy()
            found = fractions(here[after].to_numpy(), bins, spike, weights)
            ax.stairs(before[0] / exact, edges, color="C1", label="simulation as it is")
            ax.errorbar(
                middle, found[0] / exact, found[1] / exact, fmt="o", ms=2.5, lw=0.9, color="C0",
                label="moved and balanced",
            )  # fmt: skip
            if column != "pt":
                varied = [
                    fractions(here[name].to_numpy(), bins, spike, weights)[0]
                    for name in here
                    if re.fullmatch(rf"{column}_moved(_\d+)?", name)
                ]
                low, high = (f(varied, axis=0) / exact for f in (np.min, np.max))
                ax.bar(
                    middle, high - low, 0.9 * np.diff(edges), low, color="C0", alpha=0.3, lw=0,
                    label="range of the bootstrap",
                )  # fmt: skip
            ax.axhline(1, color="0.4", lw=0.6, zorder=0)
            ax.set_ylim(0.4, 1.6)
            if part == PARTS[-1]:
                ax.set_xlabel(label)
            if column == "pt":
                ax.set_xscale("log")
                ax.set_xticks([30, 50, 100], ["30", "50", "100"], minor=False)
                ax.xaxis.set_minor_formatter("")
        row[0].set_ylabel(f"ratio to data, {part}")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return fig


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Mean of values with weights, which may be negative, and its statistical error."""
    mean = np.average(values, weights=weights)
    return mean, np.sqrt(np.sum((weights * (values - mean)) ** 2)) / weights.sum()


def report(moved: pd.DataFrame, truth: pd.DataFrame) -> str:
    """Share of the spike, means with errors, and AUC, before and after, as Markdown."""
    after = moved.assign(**{name: moved[f"{name}_moved"] for name in FEATURES})
    lines = ["| part | sample | share of iso = 0 | mean width | mean pt [GeV] | share of photons |"]
    lines.append("| --- | --- | ---: | ---: | ---: | ---: |")
    samples = {
        "simulation": (moved, moved["weight"]),
        "moved and balanced": (after, after["balanced"]),
        "data": (truth, pd.Series(1.0, truth.index)),
    }
    for part in PARTS:
        for name, (table, weights) in samples.items():
            here = table["part"] == part
            mean = [
                weighted_mean(values.to_numpy(), (weights * here).to_numpy())
                for values in (table["iso"] == 0, table["width"], table["pt"])
            ]
            mean.append(weighted_mean(here.to_numpy(), weights.to_numpy()))
            numbers = [
                f"{m:.{d}f} ± {e:.{d}f}" for (m, e), d in zip(mean, (3, 3, 1, 3), strict=True)
            ]
            lines.append(f"| {part} | {name} | {' | '.join(numbers)} |")
    rng = np.random.default_rng(1)
    for name in ("simulation", "moved and balanced"):
        table, weights = samples[name]
        lines.append("")
        lines.append(
            f"{name}: {len(table):,} photons count as {effective_points(weights.to_numpy()):,.0f}"
        )
        chosen = rng.permutation(len(table))[:AUC_ROWS]
        # A classifier takes no negative weights: each sign's mean stands for the sign.
        unsigned = weights / table["weight"] * table["mean_sign"]
        some, own = table.iloc[chosen], unsigned.to_numpy()[chosen]
        lines.append(f"AUC against the data: {auc(some, truth.iloc[:AUC_ROWS], own)}")
    floor = auc(truth.iloc[AUC_ROWS : 2 * AUC_ROWS], truth.iloc[:AUC_ROWS])
    lines.append(f"\nAUC of other data against the data: {floor}")
    return "\n".join(lines)


def auc(some: pd.DataFrame, target: pd.DataFrame, weights: np.ndarray | None = None) -> str:
    """AUC of a classifier between photons with weights and those of the data, with its range."""
    values = [
        np.column_stack([each[[*FEATURES, "pt"]], each["part"] == PARTS[1]])
        for each in (some, target)
    ]
    found = classifier_auc(*values, weights=weights, seed=1)
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("folder", type=Path)
    making.add_argument("--events", type=int, default=20_000)
    drawing = commands.add_parser("draw")
    drawing.add_argument("folder", type=Path)
    drawing.add_argument("moved", type=Path, help="parquet")
    drawing.add_argument("picture", type=Path)
    args = parser.parse_args()
    if args.command == "make":
        make(args.folder, args.events)
        return
    truth = pd.read_parquet(args.folder / "truth.parquet")
    moved = unstacked(pd.read_parquet(args.moved))
    print(report(moved, truth))
    style.save(draw(moved, truth), [args.picture])


if __name__ == "__main__":
    main()
