"""Whether a training has lost what it had learnt, told from its loss history.

While the learning rate is high, validation losses go up and down from one to the next, in
proportion to the rate. As it falls they settle. After a jump that is large for the rate at which it
happens, what is left of the rate no longer suffices. The training then goes back to the state of
the lowest validation loss and takes its points in another order from there.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

Row = dict[str, float]

RETURNS = 3  # of one training at most
# A rise that counts, in units of the usual change between two validations at the same rate. In 100
# trainings without a jump, the largest that the training loss shared was 4.0.
RISE = 5.0
CHANGES = 4  # changes between validations that tell what is usual


def lowest(history: Sequence[Row]) -> Row | None:
    """Row of the lowest validation loss, the first of several; None if no losses are finite."""
    return min(_finite(history), key=lambda row: row["validation_loss"], default=None)


def is_lost(history: Sequence[Row]) -> bool:
    """Whether the last row's losses have risen by more than the learning rate explains.

    Both losses must be above those of the lowest validation loss, since where only the validation
    loss rises the flow begins to learn its training points by heart, which another order of them
    does not change.
    """
    *before, last = _way(history)
    before = _finite(before)
    if len(before) <= CHANGES:
        return False
    usual = statistics.median(
        abs(after["validation_loss"] - row["validation_loss"]) / row["learning_rate"]
        for row, after in zip(before, before[1:], strict=False)
    )
    best = lowest(before)
    rise = last["validation_loss"] - best["validation_loss"]
    shared = last["train_loss"] > best["train_loss"]
    return shared and rise > RISE * usual * best["learning_rate"]


def _finite(history: Sequence[Row]) -> list[Row]:
    return [row for row in history if math.isfinite(row["train_loss"] + row["validation_loss"])]


def _way(history: Sequence[Row]) -> list[Row]:
    """The rows that led to the last one, without other starts and those that were given up."""
    rows: list[Row] = []
    for row in history:
        if row["start"] != history[-1]["start"]:
            continue
        while rows and rows[-1]["step"] >= row["step"]:
            rows.pop()
        rows.append(row)
    return rows
