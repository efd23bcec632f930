"""Ratios of features to the target's in bins of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flowmorph.errors import InputError
from flowmorph.figures import looks, style
from flowmorph.figures.features import BALANCED, MARGIN, ratio_to_target
from flowmorph.samples import unweighting
from flowmorph.samples.moved import MovedSample

IN_A_ROW = 5
FEWEST = 20  # points of a bin, below which nothing is drawn
MOST_BINS = 15  # of a histogram


@style.styled
def closure_figure(
    bins: Mapping[str, Mapping[str, MovedSample]],
    *,
    labels: Sequence[str],
    limits: tuple[float, float] = (-3.0, 3.0),
    note: str = "",
    balanced: bool = False,
) -> Figure:
    """Draw a row of panels for each bin: the ratio of each scaled feature to the target's.

    Args:
        bins: by what a bin is called, the rows of each sample that is drawn: the reference and
            methods, by name. All bins have the same names.
        labels: symbols of the D features, in order.
        limits: range to which the features are scaled; axes go a little beyond it.
        note: title of the legend; may be empty.
        balanced: whether weights give the reference the target's spectrum of the condition; the
            title then says so.

    Raises:
        InputError: the number of labels is not that of the features.
    """
    names = list(next(iter(bins.values())))
    features = next(iter(bins.values()))[names[0]].target.shape[1]
    if features != len(labels):
        raise InputError(f"{len(labels)} labels for {features} features")
    columns = min(len(labels), IN_A_ROW)
    blocks = -(-len(labels) // columns)
    fig = style.figure(style.DOUBLE_WIDTH, 0.8 + (0.3 + 0.85 * len(bins)) * blocks)
    axes = fig.subplots(len(bins) * blocks, columns, sharex="col", sharey=True, squeeze=False)
    margin = MARGIN * (limits[1] - limits[0])
    ends = limits[0] - margin, limits[1] + margin
    for j, label in enumerate(labels):
        first = len(bins) * (j // columns)
        panels = axes[first : first + len(bins), j % columns]
        for ax, samples in zip(panels, bins.values(), strict=True):
            _panel(ax, samples, j, ends)
        panels[-1].set_xlabel(f"{label} (scaled)")
        panels[-1].tick_params(labelbottom=True)
    for ax in axes[len(bins) * (blocks - 1) :, len(labels) - columns * (blocks - 1) :].ravel():
        ax.axis("off")
    for place, ax in enumerate(axes[:, 0]):
        ax.set_ylabel(list(bins)[place % len(bins)], fontsize=6)
    fig.legend(
        handles=[style.line_handle(looks.look(name)) for name in names],
        loc="outside upper center",
        ncols=4,
        title="\n".join(filter(None, (f"ratio to the target{note and ', '}{note}",
                                      BALANCED if balanced else ""))),
        title_fontsize=7,
    )  # fmt: skip
    fig.legends[0].get_title().set_multialignment("center")
    return fig


def _panel(
    ax: Axes, samples: Mapping[str, MovedSample], feature: int, ends: tuple[float, float]
) -> None:
    """One feature in one bin."""
    drawn = False
    for name, sample in samples.items():
        weights, of_target = sample.signed(name), sample.signed("target")
        counts = [unweighting.effective_number(len(sample), w) for w in (weights, of_target)]
        if min(counts) < FEWEST or any(
            w is not None and w.sum() <= 0 for w in (weights, of_target)
        ):
            continue
        edges = np.linspace(*ends, style.bins(counts, 80, 4, MOST_BINS) + 1)
        ratio, error = ratio_to_target(
            sample.points(name)[:, feature], sample.target[:, feature], edges, weights, of_target
        )
        look = looks.look(name)
        ax.errorbar(
            0.5 * (edges[1:] + edges[:-1]), ratio, error, fmt=look.marker, color=look.colour,
            ls=look.line, lw=0.7, ms=2.0, mew=0, elinewidth=0.6,
        )  # fmt: skip
        drawn = True
    ax.axhline(1.0, color="black", lw=0.5, zorder=1)
    ax.set_xlim(*ends)
    ax.set_ylim(0.0, 2.0)
    ax.set_yticks((0.5, 1.0, 1.5))
    if not drawn:
        ax.text(0.5, 0.5, "too few events", ha="center", va="center", transform=ax.transAxes,
                fontsize=5.5, bbox=style.PATCH)  # fmt: skip
