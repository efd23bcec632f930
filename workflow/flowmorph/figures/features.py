"""The collider features before and after morphing (paper figures 7 and 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from flowmorph.errors import InputError
from flowmorph.figures import looks, style
from flowmorph.plan.methods import PUBLISHED
from flowmorph.plan.tasks import GEV_PER_TEV
from flowmorph.samples import moved, unweighting


@dataclass(frozen=True)
class Feature:
    """A column of the feature table, and how figure 7 draws it.

    Attributes:
        column: its name in the table.
        symbol: its symbol, as mathtext.
        unit: its unit, in the table and in the figure; empty for none.
        low: lower end of the axis, in that unit.
        high: upper end of the axis, in that unit.
    """

    column: str
    symbol: str
    unit: str
    low: float
    high: float


FEATURES: tuple[Feature, ...] = (
    Feature("m_j1", r"$m_{J_1}$", "GeV", 0, 500),
    Feature("delta_m_jj", r"$\Delta m_{JJ}$", "GeV", 0, 800),
    Feature("tau21_j1", r"$\tau^{21}_{J_1}$", "", 0, 1),
    Feature("tau21_j2", r"$\tau^{21}_{J_2}$", "", 0, 1),
    Feature("delta_r_jj", r"$\Delta R_{JJ}$", "", 2.2, 4.2),
)
SYMBOLS = tuple(feature.symbol for feature in FEATURES)
FEATURES_IN_A_ROW = 5
BALANCED = "weighted to the target's spectrum of the condition"
# Inches, by the number of panels in a row: panels of a few features are wider, up to a point.
WIDTHS = (style.SINGLE_WIDTH, 4.6, 5.8, style.DOUBLE_WIDTH, style.DOUBLE_WIDTH)
MASS = Feature("m_jj", r"$M$", "GeV", 2900, 4100)
MARGIN = 1 / 30  # of the scaled range, on either side of it: what is moved may leave it
RATIO_BINS = 39


@style.styled
def feature_distributions(
    reference: dict[str, np.ndarray],
    target: dict[str, np.ndarray],
    *,
    signal: tuple[float, float] = (3.3, 3.7),
    sidebands: Sequence[tuple[float, float]] = ((2.9, 3.3), (3.7, 4.1)),
    all_masses: bool = False,
) -> Figure:
    """Draw the distributions of M and the five features of both samples.

    Args:
        reference: column names to values; masses in GeV.
        target: likewise.
        signal: bounds of the signal region, which is marked, in TeV.
        sidebands: bounds of the sidebands, in TeV; the axis of M covers these and the signal
            region.
        all_masses: whether the features are those of events of all masses, not of these regions
            only.

    Raises:
        InputError: a sample has no events to draw.
    """
    fig = style.figure(style.DOUBLE_WIDTH, 3.9)
    axes = fig.subplots(2, 3).ravel()
    bounds = [GEV_PER_TEV * edge for region in (signal, *sidebands) for edge in region]
    window, (left, right) = (min(bounds), max(bounds)), bounds[:2]
    counts = (len(reference[MASS.column]), len(target[MASS.column]))
    for ax, feature in zip(axes, (MASS, *FEATURES), strict=True):
        low, high = window if feature is MASS else (feature.low, feature.high)
        edges = np.linspace(low, high, style.bins(counts, 60, 15, 50) + 1)
        for name, table in (("target", target), ("reference", reference)):
            values = np.asarray(table[feature.column], dtype=np.float64)
            if feature is not MASS and not all_masses:
                mass = np.asarray(table[MASS.column], dtype=np.float64)
                values = values[(mass >= window[0]) & (mass < window[1])]
            _distribution(ax, [values], edges, name, looks.look(name))
        unit = f" [{feature.unit}]" if feature.unit else ""
        ax.set_xlabel(f"{feature.symbol}{unit}")
        ax.set_xlim(low, high)
        ax.minorticks_on()
    for ax in axes[::3]:
        ax.set_ylabel("share of events per bin")
    axes[0].axvspan(
        left, right, facecolor="0.93", edgecolor="0.55", hatch="\\\\\\\\", lw=0.4, zorder=0
    )
    axes[0].text(
        (left + right) / 2,
        0.96,
        "signal\nregion",
        ha="center",
        va="top",
        fontsize=6.5,
        transform=axes[0].get_xaxis_transform(),
        bbox=style.PATCH,
    )
    handles = [style.line_handle(looks.look("reference")), style.area_handle(looks.look("target"))]
    axes[1].legend(handles=handles)
    return fig


@style.styled
def feature_ratios(
    sample: moved.MovedSample,
    *,
    further_trainings: Sequence[moved.MovedSample] = (),
    names: Sequence[str] = ("reference", *PUBLISHED),
    labels: Sequence[str] = SYMBOLS,
    limits: tuple[float, float] = (-3.0, 3.0),
    note: str = "",
    balanced: bool = False,
    known: Mapping[str, looks.Look] = looks.LOOKS,
    onto: SubFigure | None = None,
) -> Figure | SubFigure:
    """Draw each scaled feature's distributions and, below, the ratio of every sample to the target.

    Error bars are the Poisson errors of both counts; each ratio panel states chi2 per bin of the
    sample against the target.

    Args:
        sample: a moved sample, in scaled units; its weights are those of every training.
        further_trainings: the same task after further trainings. With these, markers, numbers and
            lines are means over trainings, error bars those of a single training, and bands the
            spread (standard deviation) over trainings.
        names: what is compared with the target: ``reference`` and methods of the sample.
        labels: symbols of the D features, in order, drawn five in a row.
        limits: range to which the features are scaled; axes go a little beyond it.
        note: title of the legend; may be empty.
        balanced: whether weights give the reference the target's spectrum of the condition; the
            title then says so.
        known: how the target and each of the names are drawn.
        onto: part of a figure to draw it in, of `ratio_size`; None for a figure of its own.

    Raises:
        InputError: the number of labels is not that of the features, or a sample is empty.
    """
    if sample.target.shape[1] != len(labels):
        raise InputError(f"{len(labels)} labels for {sample.target.shape[1]} features")
    trainings = (sample, *further_trainings)
    columns = min(len(labels), FEATURES_IN_A_ROW)
    blocks = -(-len(labels) // columns)
    rows = 1 + len(names)
    fig = style.figure(*ratio_size(len(labels), len(names))) if onto is None else onto
    axes = fig.subplots(
        rows * blocks,
        columns,
        sharex="col",
        squeeze=False,
        gridspec_kw={"height_ratios": ([2.3] + [1.0] * len(names)) * blocks},
    )
    weights = {name: sample.signed(name) for name in ("target", *names)}
    drawn = {name: looks.look(name, known) for name in ("target", *names)}
    counts = [unweighting.effective_number(len(sample), weight) for weight in weights.values()]
    low, high = limits
    margin = MARGIN * (high - low)
    edges = np.linspace(low - margin, high + margin, style.bins(counts, 80, 8, RATIO_BINS) + 1)
    for j, label in enumerate(labels):
        block = rows * (j // columns)
        panels = axes[block : block + rows, j % columns]
        for name in ("target", *names):
            values = [each.points(name)[:, j] for each in trainings]
            _distribution(panels[0], values, edges, name, drawn[name], weights[name])
        panels[0].set_xlim(edges[0], edges[-1])
        panels[0].set_yticklabels([])
        for ax, name in zip(panels[1:], names, strict=True):
            values = [each.points(name)[:, j] for each in trainings]
            compared = (sample.target[:, j], edges, weights[name], weights["target"])
            _ratio_panel(ax, values, compared, drawn[name])
            ax.tick_params(labelleft=j % columns == 0)
        panels[-1].tick_params(labelbottom=True)
        panels[-1].set_xlabel(f"{label} (scaled)")
        panels[-1].set_xticks([low + part * (high - low) / 6 for part in (1, 3, 5)])
    for ax in axes[rows * (blocks - 1) :, len(labels) - columns * (blocks - 1) :].ravel():
        ax.axis("off")
    for block in range(0, rows * blocks, rows):
        axes[block, 0].set_ylabel("share of events\nper bin")
        for ax, name in zip(axes[block + 1 : block + rows, 0], names, strict=True):
            label = drawn[name].label.replace(" ", "\n", 1).replace("uni", "uni-\n")
            ax.set_ylabel(label, fontsize=6)
    fig.align_ylabels(axes[:, 0])
    fig.get_layout_engine().set(h_pad=0.01, w_pad=0.015, hspace=0.0, wspace=0.01)
    lines = [style.line_handle(drawn[name]) for name in names]
    fig.legend(
        handles=[style.area_handle(drawn["target"]), *lines],
        loc="outside upper center",
        ncols=min(4, columns + 1),
        columnspacing=1.4,
        title=_title(note, further_trainings, balanced),
        title_fontsize=7,
    )
    fig.legends[0].get_title().set_multialignment("center")
    return fig


def ratio_size(features: int, names: int) -> tuple[float, float]:
    """Width and height, in inches, of `feature_ratios` of so many features and names."""
    columns = min(features, FEATURES_IN_A_ROW)
    return WIDTHS[columns - 1], (1.55 + 0.62 * names) * -(-features // columns)


def histogram(
    values: np.ndarray, edges: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Give the sum of weights in each bin, its variance (the sum of squares), and the whole sum.

    Without weights these are the counts, twice, and the number of values.
    """
    if weights is None:
        counts = np.histogram(values, edges)[0].astype(np.float64)
        return counts, counts.copy(), float(len(values))
    sums = np.histogram(values, edges, weights=weights)[0]
    return sums, np.histogram(values, edges, weights=weights**2)[0], float(weights.sum())


def shares(values: np.ndarray, edges: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Give the share of the sample in each bin."""
    sums, _, whole = histogram(values, edges, weights)
    return sums / whole


def ratio_to_target(
    values: np.ndarray,
    target: np.ndarray,
    edges: np.ndarray,
    weights: np.ndarray | None = None,
    target_weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Give the ratio of two normalised histograms and its Poisson error, per bin.

    Counts n and m of samples of sizes N and M give r = (n / N) / (m / M) with the error
    r sqrt(1/n + 1/m), or, of weighted events, |r| sqrt(sum w^2 / n^2 + ...).

    Args:
        values: one feature of the sample, (N,).
        target: the same feature of the target, (M,).
        edges: edges of the B bins, (B + 1,), in the feature's unit.
        weights: of the sample's events, (N,); None for equal ones.
        target_weights: of the target's events, (M,); None for equal ones.

    Returns:
        Ratios (B,) and errors (B,), NaN where a count is zero, or the target's negative.

    Raises:
        InputError: a sample is empty.
    """
    if len(values) == 0 or len(target) == 0:
        raise InputError("a ratio needs events in both samples")
    n, n_variance, n_all = histogram(values, edges, weights)
    m, m_variance, m_all = histogram(target, edges, target_weights)
    empty = (n == 0) | (m <= 0)
    n[empty] = m[empty] = np.nan
    ratio = (n / n_all) / (m / m_all)
    return ratio, np.abs(ratio) * np.sqrt(n_variance / n**2 + m_variance / m**2)


def chi2_per_bin(
    values: np.ndarray,
    target: np.ndarray,
    edges: np.ndarray,
    weights: np.ndarray | None = None,
    target_weights: np.ndarray | None = None,
) -> float:
    """Compare two histograms: chi2 of the normalised counts, divided by the number of bins used.

    Bins with fewer than five (effective) entries in either sample are left out.

    Args:
        values: one feature of the sample, (N,).
        target: the same feature of the target, (M,).
        edges: edges of the bins, (B + 1,), in the feature's unit.
        weights: of the sample's events, (N,); None for equal ones.
        target_weights: of the target's events, (M,); None for equal ones.

    Returns:
        chi2 per bin; NaN if no bin is left.
    """
    n, n_variance, n_all = histogram(values, edges, weights)
    m, m_variance, m_all = histogram(target, edges, target_weights)
    used = (n**2 >= 5 * n_variance) & (m**2 >= 5 * m_variance) & (n > 0) & (m > 0)
    if not used.any():
        return float("nan")
    difference = n / n_all - m / m_all
    variance = n_variance / n_all**2 + m_variance / m_all**2
    return float(np.mean(difference[used] ** 2 / variance[used]))


def _distribution(
    ax: Axes,
    trainings: Sequence[np.ndarray],
    edges: np.ndarray,
    name: str,
    look: looks.Look,
    weights: np.ndarray | None = None,
) -> None:
    if len(trainings[0]) == 0:
        raise InputError(f"sample '{name}' has no events to draw")
    share, spread = style.mean_and_spread([shares(each, edges, weights) for each in trainings])
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
    compared: tuple[np.ndarray | None, ...],
    look: looks.Look,
) -> None:
    """``compared`` are the arguments of `ratio_to_target` but the first."""
    edges = compared[1]
    ratios, errors = zip(*(ratio_to_target(each, *compared) for each in trainings), strict=True)
    ratio, spread = style.mean_and_spread(ratios)
    error = np.mean(errors, axis=0)
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
    chi2 = np.mean([chi2_per_bin(each, *compared) for each in trainings])
    ax.set_ylim(0.0, 3.0)  # the headroom holds chi2
    ax.set_yticks((0.0, 1.0, 2.0))
    ax.set_yticks((0.5, 1.5, 2.5), minor=True)
    ax.text(
        0.96,
        0.93,
        "too few events" if np.isnan(chi2) else f"χ²/bin {chi2:.1f}",
        va="top",
        ha="right",
        transform=ax.transAxes,
        fontsize=5.5,
        bbox=style.PATCH,
    )


def _title(note: str, further_trainings: Sequence, balanced: bool) -> str | None:
    bands = f"bands: ± 1 σ of {1 + len(further_trainings)} trainings" if further_trainings else ""
    lines = ", ".join(filter(None, (note, bands))), BALANCED if balanced else ""
    return "\n".join(filter(None, lines)) or None
