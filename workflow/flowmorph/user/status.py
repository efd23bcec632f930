"""Which rows of a table are moved, or which elements of its lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples.regions import inside
from flowmorph.user.box import FARTHEST

MOVED, ELSEWHERE, MISSING, BEYOND = 1, 0, -1, -2


def status_of(
    read: Mapping[str, np.ndarray],
    known: Preprocessor,
    event: Sequence[str],
    region: str | None,
    bands: Sequence[Sequence[float]],
) -> np.ndarray:
    """Say of each row (n,), int8, whether it can be moved, is elsewhere or has no value to move.

    Args:
        read: columns (n,) by name, codes of categories.
        known: maps of features and conditions.
        event: names of columns that identify an event.
        region: name of the column of the regions to move; None for none.
        bands: these regions, as intervals of that column; empty for all rows.
    """
    status = np.where(known.usable(read, FARTHEST), MOVED, MISSING).astype(np.int8)
    if region is not None and len(bands):
        values = read[region]
        status[(status == MOVED) & ~inside(values, np.asarray(bands, dtype=float))] = ELSEWHERE
        status[~np.isfinite(values)] = MISSING
    for name in event:
        status[~np.isfinite(read[name])] = MISSING
    return status
