"""What is moved of each row of a table: the row itself, or the elements of its lists."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flowmorph.errors import InputError, RowError
from flowmorph.formats.columns import Chunk, describe
from flowmorph.formats.labels import Label
from flowmorph.formats.tables import SampleFiles
from flowmorph.plan.objects import MovedObject
from flowmorph.preprocess.categories import Categories


@dataclass(frozen=True)
class Values:
    """The numbers of a table's column.

    Attributes:
        column: its name.
        kind: its type, for messages.
        numbers: one for each row, or for each element of its lists, (n,), float64.
        counts: elements of each row's list, (N,); None for a column without lists.
        unknown: categories that are not known, whose codes are -1, -2 ...
    """

    column: str
    kind: str
    numbers: np.ndarray
    counts: np.ndarray | None = None
    unknown: Sequence[Label] = ()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.numbers if self.counts is None else self.counts)


class Elements(Mapping[str, np.ndarray]):
    """Columns (n,), float64, by name, with one value for each row, or each element of its lists.

    Attributes:
        counts: elements of each row, (N,); None where every row is one.
    """

    def __init__(self, columns: Mapping[str, Values], repeated: Collection[str] = ()) -> None:
        """Bring columns of equally many rows to one value an element.

        Those of ``repeated`` may have one number a row beside others that have lists: it is that
        of all elements of the row. Raises `InputError`, naming column and row, for others that
        have, and for lists of different lengths in a row.
        """
        lists = [
            (values, values.counts) for values in columns.values() if values.counts is not None
        ]
        for name, values in columns.items():
            if lists and values.counts is None and name not in repeated:
                raise InputError(
                    f"column {lists[0][0].column!r} is {lists[0][0].kind}, not one number a row as "
                    f"{values.column!r} is: all features need one number a row, or all need lists"
                )
        self.counts = lists[0][1] if lists else None
        for values, counts in lists[1:]:
            bad = np.flatnonzero(counts != lists[0][1])
            if len(bad):
                row = int(bad[0])
                raise RowError(
                    row, values.column,
                    f" has {counts[row]} elements, but {lists[0][1][row]} in "
                    f"{lists[0][0].column!r}: lists that are moved together have the same length",
                )  # fmt: skip
        self.rows = next((values.rows for values in columns.values()), 0)
        self._unknown = {
            name: (values.column, values.unknown)
            for name, values in columns.items()
            if values.unknown
        }
        self._columns = {
            name: np.repeat(values.numbers, self.counts)
            if self.counts is not None and values.counts is None
            else values.numbers
            for name, values in columns.items()
        }

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def check_known(
        self, categories: Mapping[str, Categories], chosen: np.ndarray | None = None
    ) -> None:
        """Raise `InputError`, naming column and row, for a category that is not known.

        ``chosen`` (n, bool) are the elements that count; None for all.
        """
        for name, (column, labels) in self._unknown.items():
            bad = self[name] < 0
            rows = np.flatnonzero(bad if chosen is None else bad & chosen)
            if len(rows):
                label = labels[-1 - int(self[name][rows[0]])]
                raise located(categories[name].refuse(rows, column, label), self.counts)

    def windows(self, rows: int) -> Iterator[slice]:
        """Elements of so many rows after each other; at least one window, which may be empty."""
        ends = np.arange(self.rows + 1)
        if self.counts is not None:
            ends[1:] = np.cumsum(self.counts)
        for low in range(0, max(self.rows, 1), rows):
            yield slice(ends[low], ends[min(low + rows, self.rows)])


def of_chunk(
    files: SampleFiles,
    chunk: Chunk,
    each: MovedObject,
    features: Sequence[str],
    others: Sequence[str],
    categories: Mapping[str, Categories],
) -> Elements:
    """Columns of a chunk of files, by the transport's names for those of an object.

    Those with ``categories`` become codes. Raises `InputError` as `Elements` does, and for another
    column that has no numbers.
    """
    columns = {}
    for name in dict.fromkeys([*features, *others]):
        column = each.column(name)
        kind = describe(chunk[column])
        if name in categories:
            places, labels, counts = files.labels(chunk, column)
            codes, unknown = categories[name].codes(places, labels)
            columns[name] = Values(column, kind, codes, counts, unknown)
        else:
            columns[name] = Values(column, kind, *files.elements(chunk, column))
    return Elements(columns, set(others) - set(features))


def place(index: int, counts: np.ndarray | None) -> tuple[int, str]:
    """Row of an element, and what follows the row's number in a message: its place in the list."""
    if counts is None:
        return index, ""
    ends = np.cumsum(counts)
    row = int(np.searchsorted(ends, index, side="right"))
    return row, f", element {index - int(ends[row]) + int(counts[row])}"


def located(error: RowError, counts: np.ndarray | None) -> RowError:
    """An error about one of all elements as one about its row."""
    row, more = place(error.row, counts)
    return RowError(row, error.column, more + error.text)
