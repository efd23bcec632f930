"""Which rows of a table are moved, or which elements of its lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples.regions import inside

#: Farthest value in the flows' box, whose half-width is about 4, that is taken: the networks' sums
#: and the base density's squares of such values are still far from the end of float32 (3e38).
FARTHEST = 1e15

MOVED, ELSEWHERE, MISSING, BEYOND = 1, 0, -1, -2


def status_of(
    read: Mapping[str, np.ndarray],
    known: Preprocessor,
    event: Sequence[str],
    region: str | None,
    bands: Sequence[Sequence[float]],
    keep: bool = False,
) -> np.ndarray:
    """Say of each row (n,), int8, whether it is moved, or why not.

    Rows are ``MOVED``; ``ELSEWHERE``, outside of the regions to move; ``MISSING``, without a value
    that can be moved; or ``BEYOND``, beyond the range of the training.

    Args:
        read: columns (n,) by name, codes of categories.
        known: maps of features and conditions.
        event: names of columns that identify an event.
        region: name of the column of the regions to move; None for none.
        bands: these regions, as intervals of that column; empty for all rows.
        keep: whether rows beyond the range of the training are not moved.
    """
    status = np.where(known.usable(read, FARTHEST), MOVED, MISSING).astype(np.int8)
    if region is not None and len(bands):
        values = read[region]
        status[(status == MOVED) & ~inside(values, np.asarray(bands, dtype=float))] = ELSEWHERE
        status[~np.isfinite(values)] = MISSING
    for name in event:
        status[~np.isfinite(read[name])] = MISSING
    if keep:
        beyond = np.logical_or.reduce([*known.beyond(read).values()])
        status[(status == MOVED) & beyond] = BEYOND
    return status
