"""What morphing does, in one picture: shapes of a toy, and accuracy against distance travelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flowmorph.errors import InputError
from flowmorph.figures import grids, looks, style
from flowmorph.metrics.measures import CEILING
from flowmorph.plan.labels import label
from flowmorph.plan.methods import PUBLISHED
from flowmorph.samples import moved

Row = Mapping[str, str]

# The untouched reference is drawn if it is at most this many times as far from equality as the
# worst method: farther, it would leave the methods no room.
FARTHEST = 3.0
EQUAL = 0.5  # AUC of a classifier between samples of one density


@style.styled
def overview_figure(
    title: str, sample: moved.MovedSample, planes: Mapping[str, Sequence[Row]]
) -> Figure:
    """Draw a toy before and after each method, and below it each method's accuracy and distance.

    Args:
        title: of the toy task.
        sample: its points, (N, 2).
        planes: by heading, rows of the table of fidelity (`flowmorph.tables.fidelity`): mean
            distance against the classifier's AUC, error bars for the scatter of one training.

    Raises:
        InputError: a method without a row.
    """
    fig = style.figure(style.DOUBLE_WIDTH, 4.1)
    shapes, below = fig.subfigures(2, 1, height_ratios=(1.35, 2.7))
    shapes.suptitle(title, fontsize=7.5, x=0.01, ha="left")
    grids.shapes(shapes, sample)
    (axes,) = below.subplots(1, len(planes), squeeze=False)
    for ax, (heading, rows) in zip(axes, planes.items(), strict=True):
        _plane(ax, {row["method"]: row for row in rows}, heading)
    axes[0].set_ylabel("AUC of a classifier,\nmoved reference against target")
    handles = [
        Line2D([], [], ls="", marker=look.marker, color=look.colour, ms=4, label=look.label)
        for look in map(looks.look, PUBLISHED)
    ]
    below.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return fig


def _plane(ax: Axes, rows: Mapping[str, Row], heading: str) -> None:
    for name in PUBLISHED:
        look = looks.look(name)
        x, dx = (_number(rows, look.label, key) for key in ("mean", "mean_spread"))
        y, dy = (_number(rows, look.label, key) for key in ("auc", "auc_spread"))
        ax.errorbar(x, y, dy, dx, fmt=look.marker, color=look.colour, ms=4.5, mew=0, lw=0.8)
    ceiling = _number(rows, label(CEILING), "auc")
    ax.margins(x=0.08, y=0.12)
    # The measured floor scatters about it, by more than some methods are above it.
    _mark(ax, EQUAL, "equal samples", "-")
    if ceiling < EQUAL + FARTHEST * (ax.dataLim.y1 - EQUAL):
        _mark(ax, ceiling, "reference, as it is", (0, (1, 1)))
    else:
        ax.annotate(
            f"reference, as it is: {ceiling:.2f} ↑", (1, 1), (-3, -3), "axes fraction",
            "offset points", ha="right", va="top", fontsize=6, color="0.35",
        )  # fmt: skip
    ax.set(title=heading, xlabel="mean distance travelled", xlim=(0, None))
    ax.minorticks_on()


def _mark(ax: Axes, y: float, words: str, line: str | tuple) -> None:
    ax.axhline(y, color="0.6", lw=0.6, ls=line, zorder=0)
    ax.annotate(
        words, (1, y), (-3, 2), ("axes fraction", "data"), "offset points", ha="right",
        fontsize=6, color="0.35",
    )  # fmt: skip


def _number(rows: Mapping[str, Row], method: str, key: str) -> float:
    try:
        return float(rows[method][key])
    except (KeyError, ValueError):
        raise InputError(f"the table of fidelity has no {key} of {method}") from None
