"""The collider features before and after morphing (paper figures 7 and 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flowmorph.errors import InputError
from flowmorph.figures import style


@dataclass(frozen=True)
class Feature:
    """A column of the feature table: its symbol, its unit as drawn, and the range of figure 7."""

    column: str
    symbol: str
    unit: str
    low: float
    high: float
    scale: float = 1.0  # drawn value = stored value * scale


FEATURES: tuple[Feature, ...] = (
    Feature("m_j1", r"$m_{J_1}$", "GeV", 0, 500),
    Feature("delta_m_jj", r"$\Delta m_{JJ}$", "GeV", 0, 800),
    Feature("tau21_j1", r"$\tau^{21}_{J_1}$", "", 0, 1),
    Feature("tau21_j2", r"$\tau^{21}_{J_2}$", "", 0, 1),
    Feature("delta_r_jj", r"$\Delta R_{JJ}$", "", 2.2, 4.2),
)
MASS = Feature("m_jj", r"$M$", "TeV", 2.9, 4.1, scale=1e-3)


@style.styled
def feature_distributions(
    reference: dict[str, np.ndarray],
    target: dict[str, np.ndarray],
    *,
    signal: tuple[float, float] = (3.3, 3.7),
    sidebands: Sequence[tuple[float, float]] = ((2.9, 3.3), (3.7, 4.1)),
) -> Figure:
    """Draw the distributions of M and the five features of both samples, in GeV and TeV.

    The samples map column names to values (GeV). All are shown for the events of sidebands and
    signal region (bounds in TeV), which is marked.
    """
    fig = style.figure(style.DOUBLE_WIDTH, 3.9)
    axes = fig.subplots(2, 3).ravel()
    bounds = [edge for region in (signal, *sidebands) for edge in region]
    window = (min(bounds), max(bounds))
    counts = (len(reference[MASS.column]), len(target[MASS.column]))
    for ax, feature in zip(axes, (MASS, *FEATURES), strict=True):
        # Events are generated for the regions: outside of them the spectrum of M is not physics.
        low, high = window if feature is MASS else (feature.low, feature.high)
        edges = np.linspace(low, high, style.bins(counts, 60, 15, 50) + 1)
        for name, table in (("target", target), ("reference", reference)):
            values = np.asarray(table[feature.column], dtype=np.float64) * feature.scale
            if feature is not MASS:
                mass = np.asarray(table[MASS.column], dtype=np.float64) * MASS.scale
                values = values[(mass >= window[0]) & (mass < window[1])]
            _distribution(ax, [values], edges, name)
        unit = f" [{feature.unit}]" if feature.unit else ""
        ax.set_xlabel(f"{feature.symbol}{unit}")
        ax.set_xlim(low, high)
        ax.minorticks_on()
    for ax in axes[::3]:
        ax.set_ylabel("share of events per bin")
    axes[0].axvspan(*signal, facecolor="0.93", edgecolor="0.55", hatch="\\\\\\\\", lw=0.4, zorder=0)
    axes[0].text(
        sum(signal) / 2,
        0.96,
        "signal\nregion",
        ha="center",
        va="top",
        fontsize=6.5,
        transform=axes[0].get_xaxis_transform(),
        bbox=style.PATCH,
    )
    axes[1].legend(handles=[style.line_handle("reference"), style.area_handle("target")])
    return fig


@style.styled
def feature_ratios(
    arrays: dict[str, np.ndarray],
    *,
    repeats: Sequence[dict[str, np.ndarray]] = (),
    names: Sequence[str] = ("reference", *style.METHODS),
    note: str = "",
    weights: Mapping[str, np.ndarray] | None = None,
) -> Figure:
    """Draw each scaled feature's distributions and, below, the ratio of every sample to the target.

    ``arrays`` maps names to (N, 5) in scaled units [-3, 3]. Error bars are the Poisson errors of
    both counts; each ratio panel states chi2 per bin of the sample against the target. ``weights``
    maps names of weighted samples to (N,). ``repeats`` are further trainings: markers, numbers and
    lines are then means over trainings, error bars those of a single one, and bands the standard
    deviation of a single one.
    """
    weights, trainings = weights or {}, (arrays, *repeats)
    fig = style.figure(style.DOUBLE_WIDTH, 1.55 + 0.62 * len(names))
    rows = 1 + len(names)
    axes = fig.subplots(
        rows,
        len(FEATURES),
        sharex="col",
        squeeze=False,
        gridspec_kw={"height_ratios": [2.3] + [1.0] * len(names)},
    )
    counts = [len(arrays[name]) for name in ("target", *names)]
    edges = np.linspace(-3.0, 3.0, style.bins(counts, 80, 8, 24) + 1)
    for j, feature in enumerate(FEATURES):
        top = axes[0, j]
        for name in ("target", *names):
            values = [each[name][:, j] for each in trainings]
            _distribution(top, values, edges, name, weights.get(name))
        top.set_xlim(-3, 3)
        top.set_yticklabels([])
        for i, name in enumerate(names):
            values = [each[name][:, j] for each in trainings], arrays["target"][:, j]
            _ratio_panel(axes[i + 1, j], *values, edges, name, weights.get(name))
            axes[i + 1, j].tick_params(labelleft=j == 0)
        axes[-1, j].set_xlabel(f"{feature.symbol} (scaled)")
        axes[-1, j].set_xticks((-2, 0, 2))
    axes[0, 0].set_ylabel("share of events\nper bin")
    for i, name in enumerate(names):
        label = style.look(name).label.replace(" ", "\n", 1).replace("uni", "uni-\n")
        axes[i + 1, 0].set_ylabel(label, fontsize=6)
    fig.align_ylabels(axes[:, 0])
    fig.get_layout_engine().set(h_pad=0.01, w_pad=0.015, hspace=0.0, wspace=0.01)
    handles = [style.area_handle("target"), *(style.line_handle(name) for name in names)]
    fig.legend(
        handles=handles,
        loc="outside upper center",
        ncols=4,
        columnspacing=1.4,
        title=_title(note, repeats),
        title_fontsize=7,
    )
    return fig


def ratio_to_target(
    values: np.ndarray,
    target: np.ndarray,
    edges: np.ndarray,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Give the ratio of two normalised histograms and its Poisson error, per bin.

    Counts n and m of samples of sizes N and M give r = (n / N) / (m / M) with the error
    r sqrt(1/n + 1/m); both are NaN where a count is zero. With ``weights`` of the values, n is
    their sum W, N the sum of all, and 1/n becomes sum w^2 / W^2.
    """
    if len(values) == 0 or len(target) == 0:
        raise InputError("a ratio needs events in both samples")
    n, squares, total = _counts(values, edges, weights)
    m = np.histogram(target, edges)[0].astype(np.float64)
    n[(n == 0) | (m == 0)] = np.nan
    m[m == 0] = np.nan
    ratio = (n / total) / (m / len(target))
    return ratio, ratio * np.sqrt(squares / n**2 + 1 / m)


def chi2_per_bin(
    values: np.ndarray,
    target: np.ndarray,
    edges: np.ndarray,
    weights: np.ndarray | None = None,
) -> float:
    """Compare two histograms: chi2 of the normalised counts, divided by the number of bins used.

    Bins with fewer than five entries in either sample are left out; NaN if none remains.
    """
    n, squares, total = _counts(values, edges, weights)
    m = np.histogram(target, edges)[0].astype(np.float64)
    used = (np.histogram(values, edges)[0] >= 5) & (m >= 5)
    if not used.any():
        return float("nan")
    difference = n / total - m / len(target)
    variance = squares / total**2 + m / len(target) ** 2
    return float(np.mean(difference[used] ** 2 / variance[used]))


def _counts(
    values: np.ndarray, edges: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Sum of weights and of their squares in each bin, and the sum of all weights."""
    if weights is None:
        weights = np.ones(len(values))
    sums, squares = (np.histogram(values, edges, weights=w)[0] for w in (weights, weights**2))
    return sums, squares, float(weights.sum())


def _distribution(
    ax: Axes,
    trainings: Sequence[np.ndarray],
    edges: np.ndarray,
    name: str,
    weights: np.ndarray | None = None,
) -> None:
    if len(trainings[0]) == 0:
        raise InputError(f"sample '{name}' has no events to draw")
    counts = [_counts(values, edges, weights) for values in trainings]
    share, spread = style.mean_and_spread([sums / total for sums, _, total in counts])
    look = style.look(name)
    if spread is not None and spread.any():
        style.band(ax, share, spread, edges, look.colour)
    if name == "target":
        ax.stairs(
            share, edges, fill=True, facecolor=look.fill, edgecolor=look.colour, lw=look.width
        )
    else:
        ax.stairs(share, edges, color=look.colour, linestyle=look.line, linewidth=look.width)


def _ratio_panel(
    ax: Axes,
    trainings: Sequence[np.ndarray],
    target: np.ndarray,
    edges: np.ndarray,
    name: str,
    weights: np.ndarray | None = None,
) -> None:
    look = style.look(name)
    ratios = [ratio_to_target(values, target, edges, weights) for values in trainings]
    ratio, spread = style.mean_and_spread([each for each, _ in ratios])
    error = np.mean([each for _, each in ratios], axis=0)
    if spread is not None and np.any(spread > 0):
        style.band(ax, ratio, spread, edges, look.colour)
    ax.axhline(1.0, color="black", lw=0.5, zorder=1)
    ax.errorbar(
        0.5 * (edges[1:] + edges[:-1]),
        ratio,
        error,
        fmt=look.marker,
        color=look.colour,
        ms=2.0,
        mew=0,
        elinewidth=0.6,
        zorder=2,
    )
    ax.set_ylim(0.4, 1.8)  # the headroom holds chi2
    ax.set_yticks((0.5, 1.0, 1.5))
    ax.text(
        0.96,
        0.93,
        f"χ²/bin {np.mean([chi2_per_bin(v, target, edges, weights) for v in trainings]):.1f}",
        va="top",
        ha="right",
        transform=ax.transAxes,
        fontsize=5.5,
    )


def _title(note: str, repeats: Sequence) -> str | None:
    bands = f"bands: ± 1 σ of {1 + len(repeats)} trainings" if repeats else ""
    return ", ".join(filter(None, (note, bands))) or None
