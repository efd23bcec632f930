"""Accuracy against distance travelled over the strengths of the movement penalty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flowmorph.errors import InputError
from flowmorph.figures import looks, style
from flowmorph.metrics.measures import CEILING, FLOOR, Measure
from flowmorph.plan.methods import PUBLISHED, SCANNED

METRICS = {
    "auc": "two-sample AUC (95 % interval)",
    "sliced_wasserstein": "sliced Wasserstein distance (scaled)",
}
_MARKS = {"configured": ("o", 8.0), "paper": ("s", 11.5)}


@style.styled
def penalty_figure(
    measures: Sequence[Measure], methods: Mapping[float, str], *, configured: float, paper: float
) -> Figure:
    """Draw accuracy against mean distance for each strength, and for the other methods.

    ``methods`` maps a strength to the name of the method in ``measures``, which hold those, the
    other methods, floor and ceiling. The strengths of this run and of the paper are marked. Raises
    InputError for a measure that is missing.
    """
    numbers = {(m.method, m.metric): m.value for m in measures if not m.feature}
    fig = style.figure(style.DOUBLE_WIDTH, 2.9)
    for ax, (metric, words) in zip(fig.subplots(1, 2), METRICS.items(), strict=True):
        _points(ax, numbers, methods, metric)
        for strength, (marker, size) in zip((configured, paper), _MARKS.values(), strict=True):
            if strength in methods:
                x, y = (_get(numbers, methods[strength], m) for m in ("distance_mean", metric))
                ax.plot(x, y, marker, mfc="none", mec="black", ms=size, mew=0.8, zorder=4)
        ax.set_xlabel("mean distance travelled (scaled)")
        ax.set_ylabel(words)
        ax.set_xlim(left=0)
        ax.margins(y=0.15)
        ax.minorticks_on()
    fig.legend(handles=_legend(configured, paper), loc="outside upper center", ncols=4)
    return fig


def _points(
    ax: Axes, numbers: Mapping[tuple[str, str], float], methods: Mapping[float, str], metric: str
) -> None:
    ordered = [methods[strength] for strength in sorted(methods)]
    look = looks.look(SCANNED)
    line = [[_get(numbers, name, key) for name in ordered] for key in ("distance_mean", metric)]
    ax.plot(*line, color=look.colour, lw=0.8, zorder=2)
    others = [name for name in PUBLISHED if name != SCANNED]
    for name in (*ordered, *others):
        drawn = look if name in ordered else looks.look(name)
        x, y = _get(numbers, name, "distance_mean"), _get(numbers, name, metric)
        interval = None
        if metric == "auc":
            low, high = _get(numbers, name, "auc_low"), _get(numbers, name, "auc_high")
            # The interval of a noisy estimate may lie to one side of it.
            interval = ([max(y - low, 0.0)], [max(high - y, 0.0)])
        ax.errorbar(
            x, y, interval, fmt=drawn.marker, color=drawn.colour, ms=3.5, mew=0, lw=0.7, zorder=3
        )
    for strength, name in methods.items():
        # Upright and below the marker: neighbours are nearer to each other than a number is wide.
        x = _get(numbers, name, "distance_mean")
        y = _get(numbers, name, "auc_low" if metric == "auc" else metric)
        ax.annotate(
            f"{strength:g}", (x, y), (0, -3 if metric == "auc" else -9),
            textcoords="offset points", ha="center", va="top", rotation=90, fontsize=6,
            color=look.colour, bbox=style.PATCH, zorder=5,
        )  # fmt: skip
    for name, words in ((FLOOR, "target against itself"), (CEILING, "reference")):
        y = _get(numbers, name, metric)
        ax.axhline(y, color="0.6", lw=0.6, ls="-" if name == FLOOR else (0, (1, 1)), zorder=1)
        ax.annotate(
            words, (1, y), (-2, 2), ("axes fraction", "data"), "offset points", ha="right",
            fontsize=6, color="0.4",
        )  # fmt: skip


def _legend(configured: float, paper: float) -> list[Line2D]:
    handles = []
    for name in PUBLISHED:
        look = looks.look(name)
        words = f"{look.label}, by strength" if name == SCANNED else look.label
        line = "-" if name == SCANNED else ""
        handles.append(
            Line2D([], [], color=look.colour, marker=look.marker, ls=line, ms=3.5, label=words)
        )
    texts = (f"strength of this run ({configured:g})", f"the paper's strength ({paper:g})")
    for (marker, size), text in zip(_MARKS.values(), texts, strict=True):
        handles.append(
            Line2D([], [], ls="", marker=marker, mfc="none", mec="black", ms=size * 0.7, label=text)
        )
    return handles


def _get(numbers: Mapping[tuple[str, str], float], method: str, metric: str) -> float:
    try:
        return numbers[method, metric]
    except KeyError:
        raise InputError(f"no measure '{metric}' of {method} to draw") from None
