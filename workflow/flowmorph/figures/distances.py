"""How far the methods move the points (paper figures 6, A.2, 9 and 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from flowmorph.errors import InputError
from flowmorph.figures import looks, style
from flowmorph.figures.features import SYMBOLS, shares
from flowmorph.metrics.distances import euclidean, per_feature, summarise
from flowmorph.plan.methods import PUBLISHED
from flowmorph.samples import moved

COLUMNS = ("baseline", *PUBLISHED)
_LOWEST_QUANTILE = 0.002  # of all distances drawn: where the logarithmic axis begins
_LOWEST_SHARE = 1e-5  # of the largest distance: the axis begins here at the lowest
_NUMBERS_WIDTH = 0.4  # of a panel: what its numbers take at most
_LONG_LABEL = 8  # characters, beyond which the narrow panels have no place for one line


@style.styled
def distance_figure(
    samples: Sequence[moved.MovedSample],
    *,
    further_trainings: Sequence[Sequence[moved.MovedSample]] = (),
    names: Sequence[str] = COLUMNS,
    units: str = "",
    note: str = "",
    linear: float | None = None,
    known: Mapping[str, looks.Look] = looks.LOOKS,
) -> Figure:
    """Draw the distribution of the Euclidean distance travelled, all tasks of ``samples`` pooled.

    The legend states mean and standard deviation of the distance.

    Args:
        samples: one moved sample for each task; all or none have weights.
        further_trainings: the same tasks after each further training. With these, lines and
            numbers are means over trainings, and bands the spread (standard deviation) over
            trainings.
        names: what is drawn: methods of the samples, and ``baseline``.
        units: the space of the distance, such as "scaled features", for the axis; may be empty.
        note: text in the figure; may be empty.
        linear: where a linear axis from 0 ends, in a panel of its own beside the logarithmic one;
            None for no such panel.
        known: how each of the names is drawn.
    """
    pooled = {
        name: [
            np.concatenate([euclidean(task.points(name), task.reference) for task in training])
            for training in (samples, *further_trainings)
        ]
        for name in names
    }
    weights = {name: _pooled_weights(samples, name) for name in names}
    drawn = {name: looks.look(name, known) for name in names}
    if linear is None:
        fig = style.figure(style.SINGLE_WIDTH, 2.9 + 0.26 * max(0, (len(names) - 5) // 2))
        axes = [fig.subplots()]
    else:
        fig = style.figure(style.DOUBLE_WIDTH, 2.9)
        axes = list(fig.subplots(1, 2))
        _linear(axes[0], pooled, weights, drawn, linear)
    _logarithmic(axes[-1], pooled, weights, drawn)
    for ax in axes:
        ax.set_xlabel(f"distance travelled ({units})" if units else "distance travelled")
    axes[0].set_ylabel("share of points per bin")
    fig.legend(
        handles=_legend(pooled, weights, drawn),
        loc="outside upper center",
        ncols=2 if linear is None else 3,
        columnspacing=1.2,
        title=_title("mean ± standard deviation", further_trainings),
        title_fontsize=6.5,
    )
    if note:
        axes[0].text(0.97, 0.96, note, transform=axes[0].transAxes, ha="right", va="top")
    return fig


@style.styled
def feature_distance_figure(
    sample: moved.MovedSample,
    *,
    further_trainings: Sequence[moved.MovedSample] = (),
    names: Sequence[str] = COLUMNS,
    labels: Sequence[str] = SYMBOLS,
    note: str = "",
) -> Figure:
    """Draw the distribution of the distance travelled in each feature, a panel each.

    Each panel states the mean distances.

    Args:
        sample: a moved sample, in scaled units.
        further_trainings: the same task after further trainings, drawn as in `distance_figure`.
        names: what is drawn: methods of the sample, and ``baseline``.
        labels: symbols of the D features, in order.
        note: text in the title of the legend; may be empty.

    Raises:
        InputError: the number of labels is not that of the features.
    """
    shifts = {
        name: [
            per_feature(each.points(name), each.reference) for each in (sample, *further_trainings)
        ]
        for name in names
    }
    if sample.target.shape[1] != len(labels):
        raise InputError(f"{len(labels)} labels for {sample.target.shape[1]} features")
    weights = {name: sample.signed(name) for name in names}
    drawn = {name: looks.look(name) for name in names}
    cells = 1 + len(labels)  # the last one has the legend
    columns = {2: 2, 4: 2, 7: 4, 8: 4}.get(cells, 3 if cells < 10 else 4)
    rows = -(-cells // columns)
    fig = style.figure(style.DOUBLE_WIDTH, max(1.95 * rows, 2.3))
    axes = fig.subplots(rows, columns).ravel()
    for i, (ax, label) in enumerate(zip(axes, labels, strict=False)):
        pooled = {name: [each[:, i] for each in trainings] for name, trainings in shifts.items()}
        _logarithmic(ax, pooled, weights, drawn)
        between = "\n" if columns == 4 and len(label) > _LONG_LABEL else " "
        ax.set_xlabel(f"|shift of {label}|{between}(scaled)")
        _make_room(ax, 0.94 - 0.075 * len(pooled))
        for j, (name, trainings) in enumerate(pooled.items()):
            colour = "0.4" if name == "baseline" else drawn[name].colour
            ax.text(
                0.03,
                0.96 - 0.075 * j,
                _number([summarise(distance, weights[name]).mean for distance in trainings]),
                color=colour,
                transform=ax.transAxes,
                ha="left",
                va="top",
                fontsize=6,
            )
    for ax in axes[::columns]:
        ax.set_ylabel("share of points per bin")
    for ax in axes[len(labels) :]:
        ax.axis("off")
    title = _title("\n".join(filter(None, (note, "numbers: mean shift"))), further_trainings)
    axes[len(labels)].legend(
        handles=_legend(dict.fromkeys(names), weights, drawn),
        loc="center left",
        fontsize=7.5,
        title=title,
        title_fontsize=7.5,
        alignment="left",
    )
    return fig


def _pooled_weights(samples: Sequence[moved.MovedSample], name: str) -> np.ndarray | None:
    parts = [task.signed(name) for task in samples]
    return None if parts[0] is None else np.concatenate(parts)


def _linear(
    ax: Axes,
    pooled: dict[str, list[np.ndarray]],
    weights: dict[str, np.ndarray | None],
    drawn: Mapping[str, looks.Look],
    end: float,
) -> None:
    """Draw histograms in equal bins from 0 to ``end``, beyond which there may be more points."""
    _histograms(ax, pooled, weights, drawn, np.linspace(0.0, end, _bins(pooled) + 1))
    ax.minorticks_on()


def _logarithmic(
    ax: Axes,
    pooled: dict[str, list[np.ndarray]],
    weights: dict[str, np.ndarray | None],
    drawn: Mapping[str, looks.Look],
) -> None:
    """Draw histograms in equal logarithmic bins.

    A logarithmic axis, because the methods differ by factors: on a linear one the methods that
    move little fall into the first bins. Distances below the axis (also zero) enter the first bin.
    """
    every = np.concatenate([distance for trainings in pooled.values() for distance in trainings])
    every = every[every > 0]
    high = every.max(initial=1e-2)
    low = np.quantile(every, _LOWEST_QUANTILE) if every.size else 1e-3
    edges = np.geomspace(max(low, high * _LOWEST_SHARE), high, _bins(pooled) + 1)
    # The last edge may lose its last digit to rounding: keep the largest distance inside.
    inside = {
        name: [np.clip(distance, edges[0], edges[-1]) for distance in trainings]
        for name, trainings in pooled.items()
    }
    _histograms(ax, inside, weights, drawn, edges)
    ax.set_xscale("log")
    decades = np.log10(edges[-1] / edges[0])
    spacious = decades < (2.3 if ax.get_subplotspec().get_gridspec().ncols < 4 else 1.3)
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if spacious else (1.0,)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _make_room(ax: Axes, height: float) -> None:
    """Keep what is drawn in the left part of a panel with numbers below a part of its height."""
    low, high = np.log(ax.get_xlim())
    end = np.exp(low + _NUMBERS_WIDTH * (high - low))
    steps = [patch.get_data() for patch in ax.patches]
    left = max(values[edges[:-1] < end].max(initial=0.0) for values, edges, _ in steps)
    ax.set_ylim(top=max(ax.get_ylim()[1], left / height))


def _bins(pooled: dict[str, list[np.ndarray]]) -> int:
    return style.bins([len(trainings[0]) for trainings in pooled.values()], 40, 20, 60)


def _histograms(
    ax: Axes,
    pooled: dict[str, list[np.ndarray]],
    weights: dict[str, np.ndarray | None],
    drawn: Mapping[str, looks.Look],
    edges: np.ndarray,
) -> None:
    """Draw the share of all points in each bin, the baseline as a hatched area behind the rest."""
    for name, trainings in pooled.items():
        look = drawn[name]
        share, spread = style.mean_and_spread(
            [shares(distance, edges, weights[name]) for distance in trainings]
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
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(bottom=0.0)


def _legend(
    pooled: dict[str, list[np.ndarray] | None],
    weights: dict[str, np.ndarray | None],
    drawn: Mapping[str, looks.Look],
) -> list[Artist]:
    handles = []
    for name, trainings in pooled.items():
        label = drawn[name].label
        if trainings is not None:
            summaries = [summarise(distance, weights[name]) for distance in trainings]
            mean, std = (np.mean([getattr(s, key) for s in summaries]) for key in ("mean", "std"))
            label += f"\n{mean:.3f} ± {std:.3f}"
        make = style.area_handle if name == "baseline" else style.line_handle
        handles.append(make(drawn[name], label))
    return handles


def _number(values: Sequence[float]) -> str:
    mean, spread = style.mean_and_spread(values)
    return f"{mean:.3f} ± {spread:.3f}" if spread else f"{mean:.3f}"


def _title(text: str, further_trainings: Sequence) -> str:
    return (
        f"{text}\nbands: ± 1 σ of {1 + len(further_trainings)} trainings"
        if further_trainings
        else text
    )
