"""Tables as users hold them in Python: pandas, pyarrow, awkward, numpy, or a dict of arrays.

A column is what its table has: a numpy array, which may be masked, a pandas Series or array, a
pyarrow or an awkward array. Masks, None, NA and NaN all say that a row has no value there. It may
have lists, too: arrow's or awkward's, lists or arrays as objects, or an array (N, K).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow as pa

from flowmorph.errors import InputError, RowError
from flowmorph.formats.allowed import Allowed
from flowmorph.formats.columns import fitting
from flowmorph.formats.labels import Label, distinct, factorized, labels
from flowmorph.formats.lists import CELLS, relisted, unlisted
from flowmorph.preprocess.categories import Categories
from flowmorph.user.elements import Elements, Values, located, place

#: Types for objects that are all numbers, or missing, by what pandas' `infer_dtype` says of them.
OBJECTS = {
    "integer": np.dtype(np.int64),
    "boolean": np.dtype(bool),
    **dict.fromkeys(("floating", "mixed-integer-float", "decimal", "empty"), np.dtype(np.float64)),
}


def read(
    table: Any,
    names: Sequence[str] | Mapping[str, str],
    columns: Sequence[str] | None = None,
    repeated: Collection[str] = (),
    categories: Mapping[str, Categories] | None = None,
    partial: bool = False,
) -> Elements:
    """Give columns as float64 (n,), all finite, with one value a row, or an element of its lists.

    ``names`` are those of the columns, or have the table's by other names; ``columns`` names those
    of a matrix; ``repeated`` may have one number a row where others have lists; columns with
    ``categories``, by the names, become codes. Raises `InputError`, naming column and row, for what
    is no such table, for lists of different lengths in a row, for a missing value, and for a
    category that is not known. Of a ``partial`` table the last two are NaN and codes below zero,
    and values may be infinite.
    """
    names = names if isinstance(names, Mapping) else {name: name for name in names}
    categories = categories or {}
    found = {
        name: _values(table, column, columns, categories.get(name))
        for name, column in names.items()
    }
    rows = {values.column: values.rows for values in found.values()}
    if len(set(rows.values())) > 1:
        raise InputError(f"columns of different lengths {rows}: all need one value a row")
    for values in () if partial else found.values():
        bad = np.flatnonzero(~np.isfinite(values.numbers))
        if len(bad):
            what = "missing" if np.isnan(values.numbers[bad[0]]) else "infinite"
            row, more = place(bad[0], values.counts)
            raise InputError(
                f"column {values.column!r}: the value of row {row}{more} is {what} ({len(bad)} "
                "rows without a number): leave these rows out"
            )
    read = Elements(found, repeated)
    if not partial:
        read.check_known(categories)
    return read


def _values(
    table: Any, name: str, columns: Sequence[str] | None, categories: Categories | None
) -> Values:
    elements, counts, _ = _opened(column_of(table, name, columns))
    if categories is None:
        return Values(name, "of lists", numbers(elements, name), counts)
    codes, unknown = categories.codes(*labels_of(elements, name))
    return Values(name, "of lists", codes, counts, unknown)


def labels_of(column: Any, name: str) -> tuple[np.ndarray, list[Label]]:
    """Categories of a column, as `flowmorph.formats.labels.labels` gives them."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.Array | ak.Array | np.ndarray):
        return labels(column, name)
    if not isinstance(column, pd.Series | pd.api.extensions.ExtensionArray):
        # numpy would make texts of numbers beside them.
        column = pd.Series(list(column), dtype=object)
    return distinct(*factorized(column, name), name)


def _opened(column: Any) -> tuple[Any, np.ndarray | None, Callable[[Any], Any]]:
    """Elements of a column of lists, how many each row has (N,), and what puts others in its lists.

    A column without lists is given as it is, with None.
    """
    bare, wrap = _bare(column)
    elements, counts = (column, None) if bare is None else unlisted(bare)
    if counts is None:
        return column, None, lambda new: new
    return elements, counts, lambda new: wrap(relisted(new, bare))


def _bare(column: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The array of a column that may have lists, or None, and what makes a column of another."""
    if isinstance(column, pd.Series):
        bare, wrap = _bare(column.array)
        return bare, lambda new: pd.Series(wrap(new), index=column.index).__finalize__(column)
    if isinstance(column, pd.arrays.ArrowExtensionArray):
        bare, _ = _bare(pa.chunked_array(column.__arrow_array__()))
        return bare, pd.arrays.ArrowExtensionArray
    if isinstance(column, pd.arrays.NumpyExtensionArray):
        return column.to_numpy(), lambda new: new
    if isinstance(column, pa.ChunkedArray):
        return column.combine_chunks(), lambda new: pa.chunked_array([new])
    if isinstance(column, list | tuple) and any(isinstance(cell, CELLS) for cell in column):
        bare = np.empty(len(column), object)
        for row, cell in enumerate(column):
            bare[row] = cell
        return bare, type(column)
    return column if isinstance(column, pa.Array | ak.Array | np.ndarray) else None, lambda new: new


def replace(
    table: Any,
    moved: Mapping[str, np.ndarray],
    columns: Sequence[str] | None = None,
    allowed: Mapping[str, Allowed] | None = None,
) -> Any:
    """Give a table of the same kind in which some columns have other values; the rest is kept.

    ``moved`` has the new values, float64, one a row (N,), or one an element of its lists (n,). A
    column keeps its container, and its type if that is floating point or what is ``allowed`` in it
    are whole numbers, which are clipped to their type's limits; others become float64. Raises
    `InputError`, naming column and row, for a value that a column's type does not hold. ``table``
    itself is not changed.
    """
    allowed = allowed or {}
    new = {
        name: _like(column_of(table, name, columns), values, allowed.get(name, Allowed()), name)
        for name, values in moved.items()
    }
    if isinstance(table, pd.DataFrame):
        return table.assign(**new)
    if isinstance(table, ak.Array):
        for name, values in new.items():
            table = ak.with_field(table, values, name)
        return table
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    if isinstance(table, pa.Table):
        for name, values in new.items():
            place = table.column_names.index(name)
            field = table.schema.field(place).with_type(values.type)
            table = table.set_column(place, field, values)
        return table
    if isinstance(table, Mapping):
        return {**table, **new}
    if table.dtype.names:
        result = table.copy()
        if any(values.dtype != table.dtype[name].base for name, values in new.items()):
            kinds = [
                (n, new[n].dtype, new[n].shape[1:]) if n in new else (n, table.dtype[n])
                for n in table.dtype.names
            ]
            result = table.astype(kinds)
        for name, values in new.items():
            result[name] = values
        return result
    result = table.astype(np.result_type(table.dtype, *(v.dtype for v in new.values())))
    for name, values in new.items():
        result[:, list(columns or ()).index(name)] = values
    return result


def numbers(column: Any, name: str) -> np.ndarray:
    """A column as float64 (N,), NaN where a value is missing.

    Raises `InputError` unless it has at most one number a row.
    """
    values = _plain(column, name)
    mask, data = np.ma.getmaskarray(values), np.ma.getdata(values)
    if values.ndim == 1 and values.dtype.kind == "O" and _kind(values).kind != "O":
        mask = mask | pd.isna(data)
        data = np.where(mask, 0, data)
    elif values.ndim != 1 or values.dtype.kind not in "iufb":
        raise InputError(f"column {name!r} is not one number a row ({values.dtype})")
    # A long double beyond float64 becomes infinite.
    with np.errstate(over="ignore"):
        return np.where(mask, np.nan, data.astype(np.float64))


def _kind(values: np.ndarray) -> np.dtype:
    """The type of an array's values; that of objects if these are all numbers, or missing."""
    if values.dtype.kind != "O":
        return values.dtype
    return OBJECTS.get(pd.api.types.infer_dtype(np.ma.getdata(values)), values.dtype)


def _plain(column: Any, name: str) -> np.ndarray:
    """A column as numpy array of its own type, masked where a mask or null has no value."""
    if isinstance(column, pa.Array | pa.ChunkedArray):
        return _from_arrow(column, name)
    if isinstance(column, pd.api.extensions.ExtensionArray):
        column = pd.Series(column)
    if isinstance(column, pd.Series):
        kind = getattr(column.dtype, "numpy_dtype", getattr(column.dtype, "subtype", None))
        if kind is None or column.dtype.kind not in "iufb":
            return column.to_numpy()
        return np.ma.array(
            column.to_numpy(dtype=kind, na_value=kind.type(0)), mask=column.isna().to_numpy()
        )
    if isinstance(column, ak.Array):
        try:
            return ak.to_numpy(column)
        except (ValueError, TypeError) as error:
            kind = column.type.content
            raise InputError(f"column {name!r} is {kind}, not one number a row") from error
    try:
        return np.asanyarray(column)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"column {name!r} is not one number a row ({error})") from error


def _from_arrow(column: pa.Array | pa.ChunkedArray, name: str) -> np.ndarray:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_decimal(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise InputError(f"column {name!r} is not one number a row ({kind})")
    missing = column.is_null().to_numpy(zero_copy_only=False)
    if missing.any():
        column = column.fill_null(pa.scalar(np.dtype(kind.to_pandas_dtype()).type(0), kind))
    return np.ma.array(column.to_numpy(zero_copy_only=False), mask=missing)


def _like(column: Any, values: np.ndarray, allowed: Allowed, name: str) -> Any:
    """Values (n,), float64, in a container like a column's, in its type if that holds them."""
    elements, counts, close = _opened(column)
    if counts is not None:
        try:
            return close(_like(elements, values, allowed, name))
        except RowError as error:
            raise located(error, counts) from error
    plain = _plain(column, name)
    new, kind = values, _kind(plain)
    if kind.kind == "f" or (allowed.whole and kind.kind in "iub"):
        new, _ = fitting(values, kind, name, allowed)
    same = new.dtype == plain.dtype
    if isinstance(column, pa.Array | pa.ChunkedArray):
        made = pa.array(new, type=column.type if same and _is_primitive(column) else None)
        return pa.chunked_array([made]) if isinstance(column, pa.ChunkedArray) else made
    if isinstance(column, pd.Series):
        return pd.Series(_pandas(column.dtype, new, same), index=column.index).__finalize__(column)
    if isinstance(column, pd.api.extensions.ExtensionArray):
        return _pandas(column.dtype, new, same)
    if plain.dtype.kind == "O":
        new = new.astype(object)
    if isinstance(plain, np.ma.MaskedArray):
        new = np.ma.array(new, mask=np.ma.getmaskarray(plain))
    return ak.Array(new) if isinstance(column, ak.Array) else new


def _pandas(kind: Any, new: np.ndarray, same: bool) -> Any:
    """New values as pandas holds a column of a type; ``same`` if they are of that type."""
    if kind == np.dtype(object):
        return new.astype(object)
    if isinstance(kind, np.dtype):
        return new
    if same and kind.kind in "iufb":
        return pd.array(new, dtype=kind)
    if isinstance(kind, pd.ArrowDtype):
        return pd.array(new, dtype=pd.ArrowDtype(pa.from_numpy_dtype(new.dtype)))
    # Other nullable types have numpy's name with a capital; categories and sparse columns end here.
    return pd.array(new, dtype="Float64") if hasattr(kind, "numpy_dtype") else new


def _is_primitive(column: pa.Array | pa.ChunkedArray) -> bool:
    return pa.types.is_primitive(column.type)


def column_of(table: Any, name: str, columns: Sequence[str] | None = None) -> Any:
    """A column as its table has it; ``columns`` names those of a matrix.

    Raises `InputError` for one that is not there, or twice, and for what is no table.
    """
    known = names_of(table, columns)
    if name not in known:
        raise InputError(
            f"no column {name!r}, which the transport needs (there are {known}): add it, or say "
            "which one it is (rename, objects)"
        )
    if known.count(name) > 1:
        raise InputError(f"column {name!r} is there twice: rename one")
    if isinstance(table, np.ndarray) and not table.dtype.names:
        return table[:, known.index(name)]
    return table[name]


def names_of(table: Any, columns: Sequence[str] | None = None) -> list[str]:
    """Names of a table's columns; ``columns`` are those of a matrix.

    Raises `InputError` for what is no table.
    """
    if isinstance(table, pd.DataFrame):
        return list(table.columns)
    if isinstance(table, ak.Array):
        return list(table.fields)
    if isinstance(table, pa.Table | pa.RecordBatch):
        return list(table.schema.names)
    if isinstance(table, Mapping):
        return list(table)
    if isinstance(table, np.ndarray):
        if table.dtype.names:
            return list(table.dtype.names)
        if columns is None:
            raise InputError("a plain array has no column names: give columns=[...]")
        if table.ndim != 2 or table.shape[1] != len(columns):
            raise InputError(f"{len(columns)} names for an array of shape {table.shape}")
        return list(columns)
    raise InputError(
        f"{type(table).__name__} is no table: give a pandas DataFrame, a pyarrow table, an awkward "
        "array of records, a structured numpy array or a dict of arrays"
    )
