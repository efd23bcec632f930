"""Columns of categories: each is a whole number, whatever its type, or a text.

1, 1.0, true and the text "1" are one category, because files that say the same differ in this; "01"
is another. An empty text is a missing value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow

from flowmorph.errors import InputError
from flowmorph.formats.columns import Column, describe

#: A category.
Label = int | str

#: Longest text that is looked at for a whole number.
DIGITS = 20


def labels(column: Column, name: str) -> tuple[np.ndarray, list[Label]]:
    """Categories of a column, and which of them each row has, (N,), -1 for a missing value.

    Raises `InputError` if it holds anything but texts, whole numbers or booleans, one a row.
    """
    if isinstance(column, ak.Array):
        column = ak.to_arrow(column, extensionarray=False)
    if isinstance(column, pyarrow.Array):
        return distinct(*_arrow_factorized(column, name), name)
    if column.ndim != 1:
        raise _no_categories(name, describe(column))
    mask, values = np.ma.getmaskarray(column), np.ma.getdata(column)
    if values.dtype.kind in "fiu":
        # pandas takes numbers of this machine's order and usual widths only.
        wide = np.float64 if values.dtype.kind == "f" else values.dtype.newbyteorder("=")
        values = values.astype(wide)
    places, found = factorized(values, name)
    return distinct(np.where(mask, -1, places), found, name)


def factorized(values: Any, name: str) -> tuple[np.ndarray, Sequence]:
    """The distinct values of an array or a pandas column, and which of them each row has, (N,)."""
    try:
        return pd.factorize(values)
    except TypeError as error:
        raise _no_categories(name, f"no single value a row ({error})") from error


def distinct(
    places: np.ndarray,
    values: Sequence,
    name: str,
    label: Callable[[Any, str], Label | None] | None = None,
) -> tuple[np.ndarray, list[Label]]:
    """Make categories of the distinct values of a column.

    ``places`` (N,) say which of the ``values`` each row has, -1 for none; ``label`` makes a
    category of a value, or None of one that is missing, as `category` does.
    """
    found: dict[Label, int] = {}
    numbers = np.full(len(values) + 1, -1, np.int64)  # the last one is that of place -1
    for i, value in enumerate(values):
        one = (label or category)(value, name)
        if one is not None:
            numbers[i] = found.setdefault(one, len(found))
    return numbers[places], list(found)


def category(value: Any, name: str) -> Label | None:
    """The category that a value is; None if it is missing."""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError as error:
            raise _no_categories(name, f"bytes that are no text (such as {value!r})") from error
    if isinstance(value, str):
        return _of_text(str(value)) if value else None
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, Integral | np.bool_):
        return int(value)
    if isinstance(value, Real | Decimal):
        return whole(value, name)
    raise _no_categories(name, f"of type {type(value).__name__} (such as {value!r})")


def _of_text(text: str) -> Label:
    """The whole number that a text is, written as Python does, or the text."""
    if len(text) <= DIGITS and text.removeprefix("-").isdecimal() and str(int(text)) == text:
        return int(text)
    return text


def whole(value: float | Decimal, name: str) -> int | None:
    """A whole number; None for one that is not finite."""
    if not math.isfinite(value):
        return None
    if value != int(value):
        raise _no_categories(name, f"{value}, which is no whole number")
    return int(value)


def _arrow_factorized(column: pyarrow.Array, name: str) -> tuple[np.ndarray, list]:
    if isinstance(column, pyarrow.ExtensionArray):
        column = column.storage
    if pyarrow.types.is_null(column.type):
        return np.full(len(column), -1), []
    if pyarrow.types.is_nested(column.type):
        raise _no_categories(name, str(column.type))
    if not pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    places = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return places.astype(np.int64), column.dictionary.to_pylist()


def _no_categories(name: str, what: str) -> InputError:
    return InputError(
        f"column {name!r} has {what}: categories are texts, whole numbers or booleans, one a row: "
        "convert it, or take out categorical"
    )
