"""The course of one training: losses and learning rate against the step."""

from __future__ import annotations

import csv
import os
import textwrap
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from flowmorph.errors import InputError
from flowmorph.figures import style

COLUMNS = (
    "step", "epoch", "start", "phase", "train_loss", "validation_loss", "learning_rate", "returns",
)  # fmt: skip
# How far the validation loss is from the lowest possible one; not there where that is not known.
ABOVE = "above_lowest"
_TITLE_WIDTH = 50  # characters that fit above the panel


def read_losses(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read a loss table into one float array per column, NaN where a cell is empty.

    Raises InputError for a missing file, a missing column or a cell that is not a number.
    """
    path = Path(path)
    with path.open(newline="") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{path}: no column '{missing[0]}' in this loss table")
        rows = list(reader)
    if not rows:
        raise InputError(f"{path}: the loss table has no rows")
    try:
        return {
            name: np.array([float(row[name]) if row[name] else np.nan for row in rows])
            for name in (*COLUMNS, *[ABOVE] * (ABOVE in rows[0]))
        }
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: a cell is not a number ({error})") from error


def _by_start(
    losses: dict[str, np.ndarray],
) -> tuple[list[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """The rows of each start whose parameters were not kept, and those of the one that was."""
    start, validation = losses["start"], losses["validation_loss"]
    parts = {n: {name: cells[start == n] for name, cells in losses.items()} for n in set(start)}
    kept = start[np.nanargmin(validation)] if np.isfinite(validation).any() else start[-1]
    went_on = parts.pop(kept)
    return list(parts.values()), went_on


@style.styled
def loss_curve(losses: dict[str, np.ndarray], *, title: str = "") -> Figure:
    """Draw training and validation loss (nats) and, below, the learning rate.

    Starts whose parameters were not kept are grey.
    A ring marks the lowest validation loss, whose parameters are kept, a cross one at which the
    training went back to the lowest until then, and a dotted line the end of a phase. A dashed line
    is the lowest possible validation loss, where it is known.
    The loss axis covers the second half of the training with some margin, so that the first steps
    do not flatten the rest; points above it are not seen.
    """
    fig = style.figure(style.SINGLE_WIDTH, 2.6)
    axes = fig.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    others, losses = _by_start(losses)
    for i, other in enumerate(others):
        label = None if i else "other starts"
        axes[0].plot(other["step"], other["train_loss"], color="0.7", lw=0.7, label=label)
    step, train = losses["step"], losses["train_loss"]
    validation = losses["validation_loss"]
    checked = np.isfinite(validation)
    axes[0].plot(step, train, color="#0072B2", lw=0.7, alpha=0.75, label="training")
    for last in np.flatnonzero(np.diff(losses["phase"]) > 0):
        axes[0].axvline(step[last], color="0.7", lw=0.6, ls=":", zorder=0)
    if checked.any():
        axes[0].plot(
            step[checked],
            validation[checked],
            color="#9E1B32",
            marker="o",
            ms=2.4,
            lw=0.9,
            label="validation",
        )
        kept = np.nanargmin(validation)
        mark = {"color": "black", "ls": "", "mfc": "none"}
        axes[0].plot(
            step[kept],
            validation[kept],
            marker="o",
            ms=6.0,
            label=f"kept, {validation[kept]:.4f}",
            **mark,
        )
        given_up = np.flatnonzero(np.diff(losses["returns"]))
        if given_up.size:
            axes[0].plot(
                step[given_up], validation[given_up], marker="x", ms=5.0, label="went back", **mark
            )
    late = np.concatenate([train[len(train) // 2 :], validation[checked][-1:]])
    if ABOVE in losses and checked.any():
        lowest = np.nanmean(validation - losses[ABOVE])
        axes[0].axhline(lowest, color="0.3", lw=0.8, ls="--", zorder=0, label="lowest possible")
        late = np.append(late, lowest)
    late = late[np.isfinite(late)]
    if late.size:
        low, high = late.min(), np.quantile(late, 0.98)
        span = max(high - low, 1e-3)
        axes[0].set_ylim(low - 0.3 * span, high + 1.5 * span)
    axes[0].set_ylabel("loss [nats]")
    axes[0].legend(loc="upper right")
    axes[0].set_title("\n".join(textwrap.wrap(title, _TITLE_WIDTH)))
    axes[1].plot(step, losses["learning_rate"], color="0.3", lw=1.0)
    axes[1].set_ylim(bottom=0.0)
    axes[1].set_ylabel("learning rate")
    axes[1].set_xlabel("step")
    axes[1].xaxis.set_major_formatter(EngFormatter(sep=""))
    axes[1].ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    fig.align_ylabels(axes)
    return fig
