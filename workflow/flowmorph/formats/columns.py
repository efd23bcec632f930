"""Columns as files hold them, and what is done with them: numbers out, moved values in, equality.

An untouched column stays what its library read. Only a column that is used becomes numbers: float64
with NaN for a missing value.
"""

from __future__ import annotations

from collections.abc import Mapping

import awkward as ak
import numpy as np
import pyarrow

from flowmorph.errors import InputError, RowError
from flowmorph.formats.allowed import Allowed

#: A column of a chunk: numpy for one number or text a row, arrow in parquet and CSV, awkward else.
Column = np.ndarray | ak.Array | pyarrow.Array
Chunk = Mapping[str, Column]

#: What to do about a column of lists where one number a row is needed.
ONE_NUMBER = (
    "make one column of each number, or train on files with one object a row and move lists then "
    "(docs/own-data.md)"
)


def describe(column: Column) -> str:
    """Type of a column's values, for a message."""
    if isinstance(column, ak.Array):
        return str(column.type.content)
    if isinstance(column, np.ndarray) and column.ndim > 1:
        return f"{column.shape[1:]} {column.dtype}"
    return str(column.type if isinstance(column, pyarrow.Array) else column.dtype)


def numbers(column: Column, name: str) -> np.ndarray:
    """A column as float64 (N,), NaN where a value is missing; `InputError` if it has no numbers."""
    if isinstance(column, pyarrow.Array):
        return _arrow_numbers(column, name)
    if isinstance(column, ak.Array):
        return _awkward_numbers(column, name)
    if column.ndim != 1:
        raise InputError(
            f"column {name!r} has {column.shape[1:]} numbers a row, not one: {ONE_NUMBER}"
        )
    if column.dtype.kind not in "iufb":
        raise _no_number(name, column, column[0] if len(column) else None)
    return column.astype(np.float64)


def _no_number(name: str, column: Column, example: object) -> InputError:
    such = "" if example is None else f" (such as {example!r})"
    return InputError(
        f"column {name!r} is of type {describe(column)}{such}, not a number: convert it or leave "
        "it out"
    )


def _no_single_number(name: str, column: Column) -> InputError:
    return InputError(f"column {name!r} is {describe(column)}, not one number a row: {ONE_NUMBER}")


def _awkward_numbers(column: ak.Array, name: str) -> np.ndarray:
    """One number a row, some of which may be missing."""
    content = column.type.content
    if isinstance(content, ak.types.OptionType):
        content = content.content
    if not isinstance(content, ak.types.NumpyType):
        raise _no_single_number(name, column)
    kind = np.dtype(content.primitive)
    if kind.kind not in "iufb":
        raise _no_number(name, column, None)
    return ak.to_numpy(ak.fill_none(ak.values_astype(column, np.float64), np.nan))


def _arrow_numbers(column: pyarrow.Array, name: str) -> np.ndarray:
    kinds, original = pyarrow.types, column
    if isinstance(column, pyarrow.ExtensionArray):
        column = column.storage
    if kinds.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if kinds.is_nested(kind):
        raise _no_single_number(name, original)
    number = kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind)
    if not (number or kinds.is_decimal(kind) or kinds.is_null(kind)):
        example = next((value for value in column[:100].to_pylist() if value is not None), None)
        raise _no_number(name, original, example)
    if kinds.is_boolean(kind):
        column = column.cast(pyarrow.int8())
    # Whole numbers above 2^53 are rounded: a flow sees float32.
    values = column.cast(pyarrow.float64(), safe=False)
    return values.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)


def moved(
    column: Column, values: np.ndarray, where: np.ndarray, name: str, allowed: Allowed,
    replace: bool,
) -> tuple[Column, int]:  # fmt: skip
    """A column with ``values`` (n,), float64, in the rows ``where`` (N, bool), its own in others.

    The values are such as are ``allowed``, in the type of the column too. With ``replace`` it keeps
    this type, which has to hold them: whole numbers are clipped to its range, and their count is
    given. Without, a column that is not floating point becomes float64. Raises `InputError` for a
    type that does not hold them.
    """
    if isinstance(column, pyarrow.Array):
        return _arrow_moved(column, values, where, name, allowed, replace)
    if isinstance(column, ak.Array):
        return _awkward_moved(column, values, where, name, allowed, replace)
    kind = column.dtype if replace or column.dtype.kind == "f" else np.dtype(np.float64)
    result = column.astype(kind)
    result[where], clipped = fitting(values, kind, name, allowed)
    return result, clipped


def _arrow_moved(column, values, where, name, allowed, replace) -> tuple[pyarrow.Array, int]:
    kinds, kind = pyarrow.types, column.type
    floating = kinds.is_floating(kind)
    if replace and not (floating or kinds.is_integer(kind) or kinds.is_boolean(kind)):
        raise _cannot_hold(name, describe(column))
    if not replace and not floating:
        kind = pyarrow.float64()
    dtype = np.dtype(kind.to_pandas_dtype())
    if floating or not replace:
        plain = _arrow_numbers(column, name).astype(dtype)
    else:
        filled = column.fill_null(False) if kinds.is_boolean(kind) else column.fill_null(0)
        plain = filled.to_numpy(zero_copy_only=False).astype(dtype)
    plain[where], clipped = fitting(values, dtype, name, allowed)
    null = column.is_null().to_numpy(zero_copy_only=False) & ~where
    return pyarrow.array(plain, type=kind, mask=null), clipped


def _awkward_moved(column, values, where, name, allowed, replace) -> tuple[ak.Array, int]:
    """Like numpy's, but None stays None."""
    content = column.type.content
    kind = np.dtype(content.content.primitive)
    if not replace and kind.kind != "f":
        kind = np.dtype(np.float64)
    plain = ak.to_numpy(ak.fill_none(column, 0)).astype(kind)
    plain[where], clipped = fitting(values, kind, name, allowed)
    null = ak.to_numpy(ak.is_none(column)) & ~where
    return ak.Array(ak.contents.ByteMaskedArray(
        ak.index.Index8(null.astype(np.int8)), ak.contents.NumpyArray(plain), valid_when=False
    )), clipped  # fmt: skip


def fitting(
    values: np.ndarray, kind: np.dtype, name: str, allowed: Allowed
) -> tuple[np.ndarray, int]:
    """Values (N,), float64, in the type ``kind``, and how many had to be clipped to its range.

    Only whole numbers are, and only they fit a type of whole numbers. In a floating type they are
    what is ``allowed``. Raises `InputError`, naming the column and, for a floating type that is too
    short, the row.
    """
    if kind.kind == "f":
        cast = allowed.cast(values, kind)
        bad = np.flatnonzero(np.isfinite(values) & ~np.isfinite(cast))
        if len(bad):
            raise RowError.first(
                bad, name, f": {values[bad[0]]:g} does not fit {kind}", "take a wider type"
            )
        return cast, 0
    if not allowed.whole:
        raise _cannot_hold(name, str(kind))
    low, high = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
    beyond = (values < low) | (values > high)
    cast = np.where(values <= low, kind.type(low), kind.type(high)).astype(kind)
    # As floats, the largest numbers of 64 bits are one too many for their type.
    inside = (values > float(low)) & (values < float(high))
    cast[inside] = values[inside].astype(kind)
    return cast, int(beyond.sum())


def _cannot_hold(name: str, kind: str) -> InputError:
    return InputError(
        f"column {name!r} is {kind}, which does not hold its moved values: append columns "
        "(columns: append), or declare the feature integer"
    )


def equal(first: Column, second: Column) -> bool:
    """Whether two columns are of one type and hold the same values, NaN and null included."""
    if isinstance(first, pyarrow.Array):
        return first.type == second.type and repr(first.to_pylist()) == repr(second.to_pylist())
    if isinstance(first, np.ndarray) != isinstance(second, np.ndarray):
        return False
    if isinstance(first, ak.Array):
        # Missing values can be stored in several ways, which are no difference.
        return str(first.type.content) == str(second.type.content) and ak.array_equal(
            first, second, equal_nan=True, same_content_types=False
        )
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    return first.tobytes() == second.tobytes() or repr(first.tolist()) == repr(second.tolist())


def head(column: Column, rows: int) -> Column:
    """The first rows of a column, apart from the rest."""
    return column[:rows].copy() if isinstance(column, np.ndarray) else column[:rows]


def joined(parts: list[Column]) -> Column:
    """Columns of one type, end to end."""
    if isinstance(parts[0], pyarrow.Array):
        return pyarrow.concat_arrays(parts)
    return (ak if isinstance(parts[0], ak.Array) else np).concatenate(parts)


def native(values: np.ndarray) -> np.ndarray:
    """The same numbers in this machine's byte order."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)
