"""Tables as users hold them in Python: pandas, awkward, numpy with names, or a dict of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
import pandas as pd

from flowmorph.errors import InputError


def read(
    table: Any, names: Sequence[str], columns: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Give the named columns as float64 (N,), all finite; ``columns`` names those of a matrix.

    Raises `InputError`, naming column and row, for what is no such table.
    """
    result = {name: numbers(_column(table, name, columns), name) for name in names}
    rows = {name: len(values) for name, values in result.items()}
    if len(set(rows.values())) > 1:
        raise InputError(f"columns of different lengths {rows}: all need one value a row")
    for name, values in result.items():
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise InputError(
                f"column {name!r}: the value of row {bad[0]} is not finite ({len(bad)} such rows): "
                "leave these rows out"
            )
    return result


def replace(
    table: Any, moved: Mapping[str, np.ndarray], columns: Sequence[str] | None = None
) -> Any:
    """Give a table of the same kind in which some columns have other values; the rest is kept.

    A column keeps its type where that holds the new values; otherwise it becomes int64 or float64.
    """
    new = {
        name: cast(values, _column(table, name, columns).dtype) for name, values in moved.items()
    }
    if isinstance(table, pd.DataFrame):
        return table.assign(**new)
    if isinstance(table, ak.Array):
        for name, values in new.items():
            table = ak.with_field(table, values, name)
        return table
    if isinstance(table, Mapping):
        return {**table, **new}
    if table.dtype.names:
        kinds = [(n, new[n].dtype if n in new else table.dtype[n]) for n in table.dtype.names]
        result = np.empty(len(table), kinds)
        for name in table.dtype.names:
            result[name] = new.get(name, table[name])
        return result
    result = table.astype(np.result_type(table.dtype, *(v.dtype for v in new.values())))
    for name, values in new.items():
        result[:, list(columns).index(name)] = values
    return result


def numbers(values: Any, name: str) -> np.ndarray:
    """A column as float64 (N,); raises `InputError` unless it has one number a row."""
    if isinstance(values, ak.Array):
        raise InputError(f"column {name!r} is {values.type.content}, not one number a row")
    if values.ndim != 1 or values.dtype.kind not in "iufb":
        raise InputError(f"column {name!r} is not one number a row ({values.dtype})")
    return values.astype(np.float64)


def cast(values: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Give values (float64) the type ``kind`` if it holds them, else int64 or float64."""
    if kind.kind == "f":
        return values.astype(kind)
    if kind.kind in "iu" and np.isfinite(values).all() and (values == np.floor(values)).all():
        limits = np.iinfo(kind)
        fits = (values >= limits.min).all() and (values <= limits.max).all()
        return values.astype(kind if fits else np.int64)
    return values


def _column(table: Any, name: str, columns: Sequence[str] | None) -> np.ndarray | ak.Array:
    known = _names(table, columns)
    if name not in known:
        raise InputError(f"no column {name!r}, which the transport needs (there are {known})")
    if isinstance(table, pd.DataFrame):
        series = table[name]
        if series.ndim != 1:
            raise InputError(f"column {name!r} is there twice: rename one")
        if pd.api.types.is_numeric_dtype(series.dtype) and not isinstance(series.dtype, np.dtype):
            return series.to_numpy(dtype=np.float64, na_value=np.nan)
        return series.to_numpy()
    if isinstance(table, ak.Array):
        values = table[name]
        try:
            return ak.to_numpy(values, allow_missing=False)
        except ValueError:
            return values
    if isinstance(table, Mapping) or table.dtype.names:
        return np.asarray(table[name])
    return table[:, list(columns).index(name)]


def _names(table: Any, columns: Sequence[str] | None) -> list[str]:
    if isinstance(table, pd.DataFrame):
        return list(table.columns)
    if isinstance(table, ak.Array):
        return list(table.fields)
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
        f"{type(table).__name__} is no table: give a pandas DataFrame, an awkward array of "
        "records, a structured numpy array or a dict of arrays"
    )
