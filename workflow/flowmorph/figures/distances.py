"""How far the methods move the points (paper figures 6, A.2, 9 and 10)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from flowmorph.figures import style
from flowmorph.figures.features import FEATURES
from flowmorph.metrics.distances import distances, feature_distances, summarise

COLUMNS = ("baseline", *style.METHODS)
_LOWEST_QUANTILE = 0.002  # of all distances drawn: where the axis begins


@style.styled
def distance_figure(
    samples: Sequence[dict[str, np.ndarray]],
    *,
    repeats: Sequence[Sequence[dict[str, np.ndarray]]] = (),
    names: Sequence[str] = COLUMNS,
    units: str = "",
    note: str = "",
) -> Figure:
    """Draw the distribution of the Euclidean distance travelled, all tasks of ``samples`` pooled.

    Each of ``samples`` holds `reference`, `target` and one array per method, of shape (N, D). The
    legend states mean and standard deviation. ``units`` names the space ("scaled features"),
    ``note`` is printed in the figure. ``repeats`` are the same tasks after further trainings: lines
    and numbers are then means over trainings, bands the standard deviation of one.
    """
    pooled = {
        name: [
            np.concatenate([distances(task, name) for task in training])
            for training in (samples, *repeats)
        ]
        for name in names
    }
    fig = style.figure(style.SINGLE_WIDTH, 2.9 + 0.26 * max(0, (len(names) - 5) // 2))
    ax = fig.subplots()
    _histograms(ax, pooled)
    ax.set_xlabel(f"distance travelled ({units})" if units else "distance travelled")
    ax.set_ylabel("share of points per bin")
    fig.legend(
        handles=_legend(pooled),
        loc="outside upper center",
        ncols=2,
        columnspacing=1.2,
        title=_title("mean ± standard deviation", repeats),
        title_fontsize=6.5,
    )
    if note:
        ax.text(0.97, 0.96, note, transform=ax.transAxes, ha="right", va="top")
    return fig


@style.styled
def feature_distance_figure(
    sample: dict[str, np.ndarray],
    *,
    repeats: Sequence[dict[str, np.ndarray]] = (),
    names: Sequence[str] = COLUMNS,
    note: str = "",
) -> Figure:
    """Draw the distribution of the distance travelled in each of the five features.

    ``sample`` holds arrays of shape (N, 5) in scaled units. Each panel states the means.
    ``repeats`` are further trainings, drawn as in `distance_figure`.
    """
    moved = {
        name: [feature_distances(training, name) for training in (sample, *repeats)]
        for name in names
    }
    fig = style.figure(style.DOUBLE_WIDTH, 3.9)
    axes = fig.subplots(2, 3).ravel()
    for i, (ax, feature) in enumerate(zip(axes, FEATURES, strict=False)):
        pooled = {name: [each[:, i] for each in trainings] for name, trainings in moved.items()}
        _histograms(ax, pooled)
        ax.set_xlabel(f"|shift of {feature.symbol}| (scaled)")
        for j, (name, trainings) in enumerate(pooled.items()):
            colour = "0.4" if name == "baseline" else style.look(name).colour
            ax.text(
                0.03,
                0.96 - 0.075 * j,
                _number([summarise(distance).mean for distance in trainings]),
                color=colour,
                transform=ax.transAxes,
                ha="left",
                va="top",
                fontsize=6,
            )
    for ax in axes[::3]:
        ax.set_ylabel("share of points per bin")
    axes[-1].axis("off")
    title = _title("\n".join(filter(None, (note, "numbers: mean shift"))), repeats)
    axes[-1].legend(
        handles=_legend(dict.fromkeys(names)),
        loc="center left",
        fontsize=7.5,
        title=title,
        title_fontsize=7.5,
        alignment="left",
    )
    return fig


def _histograms(ax: Axes, pooled: dict[str, list[np.ndarray]]) -> None:
    """Draw histograms in equal logarithmic bins, the baseline as a hatched area behind the rest.

    A logarithmic axis, because the methods differ by factors: on a linear one the methods that
    move little fall into the first bins. Distances below the axis (also zero) enter the first bin.
    """
    drawn = np.concatenate([distance for trainings in pooled.values() for distance in trainings])
    drawn = drawn[drawn > 0]
    high = drawn.max(initial=1e-2)
    low = np.quantile(drawn, _LOWEST_QUANTILE) if drawn.size else 1e-3
    bins = style.bins([len(trainings[0]) for trainings in pooled.values()], 40, 20, 60)
    edges = np.geomspace(max(low, high * 1e-4), high, bins + 1)
    for name, trainings in pooled.items():
        look = style.look(name)
        # The last edge may lose its last digit to rounding: keep the largest distance inside.
        inside = [np.clip(distance, edges[0], edges[-1]) for distance in trainings]
        share, spread = style.mean_and_spread(
            [np.histogram(distance, edges)[0] / len(distance) for distance in inside]
        )
        if spread is not None and spread.any():
            style.band(ax, share, spread, edges, look.colour)
        area = name == "baseline"
        ax.stairs(
            share,
            edges,
            fill=area,
            hatch=look.hatch or None,
            facecolor=look.fill if area else "none",
            edgecolor=look.colour,
            linestyle=look.line,
            linewidth=look.width,
            zorder=1 if area else 2,
        )
    ax.set_xscale("log")
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(bottom=0.0)
    decades = np.log10(edges[-1] / edges[0])
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.3 else (1.0,)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _legend(pooled: dict[str, list[np.ndarray] | None]) -> list[Artist]:
    handles = []
    for name, trainings in pooled.items():
        label = style.look(name).label
        if trainings is not None:
            summaries = [summarise(distance) for distance in trainings]
            mean, std = (np.mean([getattr(s, key) for s in summaries]) for key in ("mean", "std"))
            label += f"\n{mean:.3f} ± {std:.3f}"
        make = style.area_handle if name == "baseline" else style.line_handle
        handles.append(make(name, label))
    return handles


def _number(values: Sequence[float]) -> str:
    mean, spread = style.mean_and_spread(values)
    return f"{mean:.3f} ± {spread:.3f}" if spread else f"{mean:.3f}"


def _title(text: str, repeats: Sequence) -> str:
    return f"{text}\nbands: ± 1 σ of {1 + len(repeats)} trainings" if repeats else text
