"""Linear correlations of features and conditions: the target's, and how others differ from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from flowmorph.errors import InputError
from flowmorph.figures import style
from flowmorph.figures.features import BALANCED, MASS, SYMBOLS
from flowmorph.plan.labels import label
from flowmorph.plan.methods import PUBLISHED
from flowmorph.samples import moved

NAMES = ("reference", *PUBLISHED)
IN_A_ROW = 4
MOST_PRINTED = 8  # variables: numbers of more are too small to read
MOST_NAMED = 20  # variables: names of more are too small, and their places are numbered
NAMES_HEIGHT = 90.0  # points of a panel along which the names share the place


@style.styled
def correlation_figure(
    trainings: Sequence[moved.MovedSample],
    *,
    names: Sequence[str] = NAMES,
    labels: Sequence[str] = SYMBOLS,
    conditions: Sequence[str] = (MASS.symbol,),
    categories: Sequence[str] = (),
    note: str = "",
    balanced: bool = False,
    onto: SubFigure | None = None,
) -> Figure | SubFigure:
    """Draw the target's correlation matrix, and the differences of others from it, in percent.

    Args:
        trainings: the moved sample of each training of a task whose points arrive at the condition
            of the reference, with the weights of the first; differences are means over them.
        names: what is compared with the target: ``reference`` and methods of the samples.
        labels: symbols of the D features, in order.
        conditions: symbols of the C conditions, in order.
        categories: symbols of conditions that are categories, whose columns come after these, one
            for each category at least: they have no correlations, and the figure says so.
        note: title of the first panel beside "target"; may be empty.
        balanced: whether weights give the reference the target's spectrum of the condition; the
            figure then says so.
        onto: part of a figure to draw it in, of `correlation_size`; None for a figure of its own.

    Raises:
        InputError: the number of labels or conditions is not that of the sample.
    """
    sample = trainings[0]
    sizes = sample.target.shape[1], sample.condition_target.shape[1]
    shown = len(conditions)
    enough = sizes[1] >= shown + 2 * len(categories) if categories else sizes[1] == shown
    if sizes[0] != len(labels) or not enough:
        raise InputError(
            f"{len(labels)} features and {shown + len(categories)} conditions were named, the "
            f"sample has {sizes[0]} and {sizes[1]}"
        )
    target = correlations(
        sample.target, sample.condition_target[:, :shown], sample.signed("target")
    )
    panels = {"target" + (f", {note}" if note else ""): (target, 100.0)}
    differences = {
        name: np.mean(
            [
                correlations(
                    each.points(name), each.condition_reference[:, :shown], sample.signed(name)
                )
                for each in trainings
            ],
            axis=0,
        )
        - target
        for name in names
    }
    largest = 100 * max(float(np.abs(each).max()) for each in differences.values())
    panels |= {label(name): (each, max(largest, 1.0)) for name, each in differences.items()}
    rows = -(-len(panels) // IN_A_ROW)
    columns = min(IN_A_ROW, len(panels))
    fig = style.figure(*correlation_size(len(names))) if onto is None else onto
    axes = fig.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for ax, (title, (matrix, end)) in zip(axes, panels.items(), strict=False):
        _panel(ax, 100 * matrix, end, (*labels, *conditions))
        ax.set_title(title, fontsize=7)
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    said = [f"reference and methods {BALANCED}"] if balanced else []
    said += [f"without the categories {', '.join(categories)}"] if categories else []
    if len(labels) + shown > MOST_NAMED:
        said.append(f"numbered as configured, {len(labels)} features, then the conditions")
    if said:
        fig.suptitle("; ".join(said), fontsize=7)
    return fig


def correlation_size(names: int) -> tuple[float, float]:
    """Width and height, in inches, of `correlation_figure` of so many names."""
    return style.DOUBLE_WIDTH, 0.35 + 1.75 * -(-(1 + names) // IN_A_ROW)


def correlations(
    points: np.ndarray, condition: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Pearson's correlations of features (N, D) and conditions (N, C), (D + C, D + C).

    ``weights``, (N,), are those of the rows; some may be negative. A column of equal values, or one
    whose variance such weights make negative, has none: 0.
    """
    columns = np.concatenate([points, condition], axis=1).astype(np.float64)
    if weights is None:
        covariance = np.atleast_2d(np.cov(columns.T))
    else:  # numpy's has no negative ones
        columns -= np.average(columns, axis=0, weights=weights)
        covariance = (weights * columns.T) @ columns / weights.sum()
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    scale = np.outer(deviation, deviation)
    return np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)


def _panel(ax: Axes, percent: np.ndarray, end: float, names: Sequence[str]) -> None:
    """One matrix, coloured from -end to end, with its numbers below the diagonal and above it."""
    ax.imshow(percent, cmap="RdBu_r", vmin=-end, vmax=end)
    size = len(names)
    if size > MOST_NAMED:
        step = 20 if size > 40 else 5
        places = range(step - 1, size, step)
        ax.set_xticks(places, [place + 1 for place in places], fontsize=6)
        ax.set_yticks(places, [place + 1 for place in places], fontsize=6)
    else:
        font = min(6.0, NAMES_HEIGHT / size)
        ax.set_xticks(range(size), names, fontsize=font, rotation=90 if size > 3 else 0)
        ax.set_yticks(range(size), names, fontsize=font)
    ax.tick_params(which="both", length=0)
    ax.minorticks_off()
    if size > MOST_PRINTED:
        return
    for i in range(size):
        for j in range(size):
            if i != j:
                dark = abs(percent[i, j]) > 0.6 * end
                text = f"{percent[i, j]:.0f}".replace("-0", "0")
                ax.text(
                    j, i, text, ha="center", va="center", fontsize=5.5,
                    color="white" if dark else "black",
                )  # fmt: skip
