"""Where the columns of a pandas data frame are in HDF5, and what both of its formats share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tables

from flowmorph.errors import InputError
from flowmorph.formats.hdf5.coding import Coding, Times
from flowmorph.formats.hdf5.opening import Inert

#: Rows at each end of a file whose index is looked at: is it more than the rows' numbers?
LOOKED = 100_000


@dataclass(frozen=True)
class Source:
    """An array, or a ``field`` of a table: ``width`` values of a type a row, None for one.

    ``empty`` tells that it stands for no rows, as pandas' fixed format writes them.
    """

    node: str
    dtype: np.dtype
    width: int | None
    field: str | None = None
    empty: bool = False


@dataclass(frozen=True)
class Place:
    """A column: its array, its place in the rows, its coding, and what pandas calls it."""

    source: str
    position: int | None
    coding: Coding
    label: object


@dataclass
class Layout:
    """Where columns are.

    ``kind`` is fixed or table; ``index`` are the columns that are pandas' index, or its levels.
    If it has no column, ``first`` is the number of the first row. ``levels`` tells that the index
    is several data columns of a table.
    """

    kind: str
    key: str
    sources: dict[str, Source] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    index: list[str] = field(default_factory=list)
    levels: bool = False
    first: int | None = None
    data_columns: list[str] = field(default_factory=list)
    filters: tables.Filters | None = None
    encoding: str = "utf-8"
    errors: str = "strict"


def attribute(attributes: tables.attributeset.AttributeSet, name: str) -> object:
    """An attribute; None if it is not there."""
    return attributes[name] if name in attributes else None


def text(value: object) -> str | None:
    """An attribute that should be a text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if value is None else str(value)


def _is_label(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_label, value))
    return value is None or isinstance(value, str | bool | int | float | np.generic)


def column_name(label: object) -> str:
    """Name of a column; of several levels, the first is enough if the others are empty."""
    if isinstance(label, tuple) and not any(label[1:]):
        return str(label[0])
    return str(label)


def check_labels(path: Path, labels: object, what: str) -> list:
    """Labels of ``what``; raises `InputError` for others than texts and numbers."""
    if not isinstance(labels, list):
        raise InputError(f"{path}: its list of {what} is no plain list: write it again")
    for label in labels:
        if not _is_label(label):
            kind = label.kind if isinstance(label, Inert) else type(label).__name__
            raise InputError(
                f"{path}: its list of {what} has a {kind}: name columns by texts or numbers"
            )
    return labels


def index_name(name: object, taken: Sequence[str], level: int | None = None) -> str:
    """Name of the column that an index, or a level of it, is; as pandas' reset_index chooses it."""
    wanted = [] if name is None else [str(name)]
    wanted += ["index"] if level is None else []
    wanted += [f"level_{number}" for number in range(level or 0, len(taken) + 2)]
    return next(name for name in wanted if name not in taken)


def number_coding(kind: str, zone: object, dtype: np.dtype) -> Coding:
    """Coding of what is stored as numbers, by pandas' name of its kind."""
    if kind.startswith(("datetime64", "timedelta64")):
        # Old files do not tell the unit.
        return Times(kind if "[" in kind else f"{kind}[ns]", zone)
    return Coding(kind if kind.startswith(("period", "date")) else str(dtype))


def first_number(node: tables.Leaf, source: Source, rows: int) -> int | None:
    """The first of an index's numbers, if they seem to count the rows one by one."""
    if source.dtype != np.int64 or source.empty:
        return 0 if source.dtype == np.int64 else None
    first = None
    for low, high in ((0, min(rows, LOOKED)), (max(rows - LOOKED, 0), rows)):
        numbers = node.read(low, high, **({"field": source.field} if source.field else {}))
        if len(numbers):
            first = int(numbers[0]) if first is None else first
            if (numbers != np.arange(first + low, first + high)).any():
                return None
    return first or 0
