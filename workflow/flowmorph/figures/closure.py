"""The signal region, which no flow was trained on, beside the sidebands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flowmorph.errors import InputError
from flowmorph.figures import style
from flowmorph.metrics.measures import CEILING, FLOOR, Measure
from flowmorph.plan.labels import label
from flowmorph.plan.methods import PUBLISHED

ROWS = (FLOOR, CEILING, *PUBLISHED)
#: What trainings scatter by: a bar without caps, which would lengthen it.
BAND = {"color": "0.75", "lw": 5, "solid_capstyle": "butt", "zorder": 1}
# Hollow and filled, so that the regions differ without colour.
REGIONS = {"sidebands": "white", "signal region": "black"}


@style.styled
def closure_figure(regions: Mapping[str, Sequence[Measure]], further: Sequence[str] = ()) -> Figure:
    """Draw each method's two-sample numbers in both regions, floor and ceiling above.

    ``regions`` maps the names in `REGIONS` to the measures of a task, of all its trainings: numbers
    and intervals are means over trainings, pale bars the spread (standard deviation) over
    trainings. ``further`` names methods that are drawn below the paper's. Raises InputError for a
    measure that is missing.
    """
    rows = (*ROWS, *further)
    fig = style.figure(style.DOUBLE_WIDTH, 0.8 + 0.2 * len(rows))
    area, sliced, distance = fig.subplots(1, 3, sharey=True)
    for offset, (region, fill) in zip((0.17, -0.17), REGIONS.items(), strict=True):
        numbers: dict[tuple[str, str], dict[str, float]] = {}
        for m in regions[region]:
            if not m.feature:
                numbers.setdefault((m.method, m.metric), {})[m.training] = m.value
        for i, name in enumerate(rows):
            y = len(rows) - 1 - i + offset
            marker = {"fmt": "o", "color": "black", "mfc": fill, "ms": 3.5, "mew": 0.7, "lw": 0.8}
            auc, low, high = (_get(numbers, name, key)[0] for key in ("auc", "auc_low", "auc_high"))
            # The interval of a noisy estimate may lie to one side of it.
            spread = ([max(auc - low, 0.0)], [max(high - auc, 0.0)])
            area.errorbar(auc, y, xerr=spread, **marker)
            drawn = {"auc": area, "sliced_wasserstein": sliced}
            if name not in (FLOOR, CEILING):
                drawn["distance_mean"] = distance
            for metric, ax in drawn.items():
                value, spread = _get(numbers, name, metric)
                if ax is not area:
                    ax.errorbar(value, y, **marker)
                if spread:
                    ax.plot((value - spread, value + spread), (y, y), **BAND)
    area.axvline(0.5, color="0.6", lw=0.6, zorder=0)
    if further:
        for ax in (area, sliced, distance):
            ax.axhline(len(further) - 0.5, color="0.6", lw=0.4, ls=(0, (2, 2)), zorder=0)
    labels = ["target against itself", "reference", *map(label, rows[2:])]
    area.set_yticks(range(len(rows)), reversed(labels))
    area.set_ylim(-0.6, len(rows) - 0.4)
    for ax in (sliced, distance):
        ax.set_xlim(left=0)
    area.set_xlabel("two-sample AUC (95 % interval)")
    sliced.set_xlabel("sliced Wasserstein distance (scaled)")
    distance.set_xlabel("mean distance travelled (scaled)")
    handles = [
        Line2D([], [], ls="", marker="o", color="black", mfc=fill, ms=3.5, mew=0.7, label=region)
        for region, fill in REGIONS.items()
    ]
    fig.legend(handles=handles, loc="outside upper center", ncols=2)
    return fig


def _get(
    numbers: Mapping[tuple[str, str], Mapping[str, float]], method: str, metric: str
) -> tuple[float, float | None]:
    """Give the mean over trainings and, if there are several, the standard deviation."""
    try:
        values = list(numbers[method, metric].values())
    except KeyError:
        raise InputError(f"no measure '{metric}' of {method} to draw") from None
    return style.mean_and_spread(values)
