"""Numbers that follow from what a row holds, not from its place: folds, resampling, noise.

A row has the same ones in every file, whatever the order of rows and however files are split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from flowmorph.errors import InputError

#: Rows that are equal in all columns, as a part of all, from which on columns identify no row.
EQUAL_ROWS = 0.01


def hashes(table: Mapping[str, np.ndarray], columns: Sequence[str]) -> np.ndarray:
    """Hash each row, (N,) uint64, by the values of these columns, (N,) each."""
    from pandas import DataFrame
    from pandas.util import hash_pandas_object

    # Adding zero makes -0.0 a 0.0, to which it is equal.
    values = {str(i): np.asarray(table[name], np.float64) + 0.0 for i, name in enumerate(columns)}
    return hash_pandas_object(DataFrame(values), index=False).to_numpy(np.uint64)


def identify(found: np.ndarray) -> bool:
    """Whether hashes, (N,), tell rows from each other, but for a few equal ones."""
    return len(found) - len(np.unique(found)) <= EQUAL_ROWS * len(found)


def check_events(sample: str, found: np.ndarray, event: Sequence[str], number: int | None) -> None:
    """Raise `InputError` for hashes (N,) of a ``sample``'s rows to train on that deal them badly.

    Where ``event`` names columns that are the same in all rows, and where one of a ``number`` of
    folds would have no row.
    """
    columns = ", ".join(map(repr, event))
    if event and (found == found[0]).all():
        raise InputError(
            f"{sample}: own.event: {columns}: the same in all {len(found)} rows to train on: name "
            "columns that identify an event"
        )
    filled = len(np.unique(folds(found, number))) if number else 0
    if number and filled < number:
        more = f"in own.event other columns than {columns}" if event else "own.event"
        raise InputError(
            f"{sample}: own.folds: the {len(found)} rows to train on fill {filled} of {number} "
            f"folds: name fewer folds, or {more}"
        )


def folds(found: np.ndarray, number: int) -> np.ndarray:
    """Deal rows of these hashes, (N,), to folds 0 to ``number`` - 1."""
    return (found % np.uint64(number)).astype(np.int64)


def uniform(found: np.ndarray, stream: int) -> np.ndarray:
    """Numbers (N,) evenly spread over [0, 1); each ``stream`` has others."""
    from pandas.util import hash_array

    mixed = hash_array(hash_array(found) ^ hash_array(np.array([stream], np.uint64)))
    return (mixed >> np.uint64(11)) * 2.0**-53


def bootstrap(found: np.ndarray, number: int) -> np.ndarray:
    """How often each row, (N,), is in a resampling of the events: Poisson with mean 1.

    For many rows this is drawing as many with replacement (Oza and Russell, 2001); each ``number``
    is another resampling.
    """
    from scipy.stats import poisson

    return poisson.ppf(uniform(found, number), 1.0)


class RowNoise:
    """Noise that follows the rows, with the methods of a random generator that `spread` calls."""

    def __init__(self, found: np.ndarray, stream: int) -> None:
        """``found`` are hashes of the rows, (N,), and ``stream`` is that of `uniform`."""
        self.values = uniform(found, stream)

    def random(self, size: int) -> np.ndarray:
        """Numbers in [0, 1), one a row; ``size`` is the number of rows."""
        return self.values[:size]

    def uniform(self, low: float, high: float, size: int) -> np.ndarray:
        """Numbers in [low, high), likewise."""
        return low + (high - low) * self.random(size)
