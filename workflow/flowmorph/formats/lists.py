"""Columns of lists, such as the jets of each event: their elements as one column, and back."""

from __future__ import annotations

from itertools import pairwise

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute as pc

from flowmorph.formats.columns import Column

#: What a list is where a column holds Python objects.
CELLS = (list, tuple, np.ndarray)


def unlisted(column: Column) -> tuple[Column, np.ndarray | None]:
    """Elements of all rows' lists as one column, and how many each of the N rows has (N,).

    A row without a list has none. Arrays (N, K) are lists of K. A column of anything else is given
    as it is, with None.
    """
    if isinstance(column, pyarrow.Array):
        if not _arrow_lists(column.type):
            return column, None
        counts = pc.fill_null(pc.list_value_length(column), 0)
        return column.flatten(), counts.to_numpy(zero_copy_only=False).astype(np.int64)
    if isinstance(column, ak.Array):
        return _awkward_unlisted(column)
    if column.ndim == 2:
        return column.reshape(-1), np.full(len(column), column.shape[1], np.int64)
    if column.ndim == 1 and column.dtype.kind == "O":
        return _cells_unlisted(column)
    return column, None


def relisted(elements: Column, like: Column) -> Column:
    """Put elements, as many as ``like`` has, into lists of the same lengths and kind.

    Rows without a list stay so; a column ``like`` that has no lists gives the elements back.
    """
    _, counts = unlisted(like)
    if counts is None:
        return elements
    if isinstance(like, pyarrow.Array):
        return _arrow_relisted(elements, counts, like)
    if isinstance(like, ak.Array):
        lists = ak.unflatten(elements, counts)
        missing = ak.is_none(like)
        return ak.mask(lists, ~missing) if _optional(like) else lists
    if like.ndim == 2:
        return elements.reshape(like.shape)
    return _cells_relisted(elements, counts, like)


def _arrow_lists(kind: pyarrow.DataType) -> bool:
    kinds = pyarrow.types
    return kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)


def _arrow_relisted(elements, counts: np.ndarray, like: pyarrow.Array) -> pyarrow.Array:
    if isinstance(elements, np.ndarray):
        elements = pyarrow.array(elements)
    kinds, kind, null = pyarrow.types, like.type, like.is_null()
    field = kind.value_field.with_type(elements.type)
    if kinds.is_fixed_size_list(kind):
        # A row without a list has places for its elements all the same.
        there = np.repeat(~null.to_numpy(zero_copy_only=False), kind.list_size)
        places = pyarrow.array(np.cumsum(there) - 1, mask=~there)
        made = pyarrow.list_(field, kind.list_size)
        lists = pyarrow.FixedSizeListArray
        return lists.from_arrays(elements.take(places), type=made, mask=null)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    if kinds.is_large_list(kind):
        made, lists = pyarrow.large_list(field), pyarrow.LargeListArray
        offsets = pyarrow.array(offsets, pyarrow.int64())
    else:
        made, lists = pyarrow.list_(field), pyarrow.ListArray
        offsets = pyarrow.array(offsets, pyarrow.int32())
    return lists.from_arrays(offsets, elements, type=made, mask=null)


def _optional(column: ak.Array) -> bool:
    return isinstance(column.type.content, ak.types.OptionType)


def _awkward_unlisted(column: ak.Array) -> tuple[Column, np.ndarray | None]:
    kind = column.type.content
    if _optional(column):
        kind = kind.content
    if not isinstance(kind, ak.types.ListType) or kind.parameters:
        return column, None
    counts = ak.to_numpy(ak.fill_none(ak.num(column), 0))
    elements, plain = ak.flatten(column), kind.content
    while isinstance(plain, ak.types.RegularType) and not plain.parameters:
        plain = plain.content
    if isinstance(plain, ak.types.NumpyType) and not plain.parameters:
        elements = ak.to_numpy(elements)
    return elements, counts


def _cells_unlisted(column: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Lists that are Python objects, as in pandas and h5py, which marks their column by `vlen`."""
    base = (column.dtype.metadata or {}).get("vlen")
    lists = [cell for cell in column if isinstance(cell, CELLS)]
    missing = [cell for cell in column if not isinstance(cell, CELLS)]
    if not (lists or isinstance(base, np.dtype)) or not all(map(_missing, missing)):
        return column, None
    try:
        parts = [np.asarray(cell) for cell in lists]
        # An empty list has no type of its own.
        filled = [part for part in parts if part.size] or parts[:1]
        elements = np.concatenate(filled) if filled else np.empty(0, base)
    except ValueError:
        return column, None
    counts = [len(cell) if isinstance(cell, CELLS) else 0 for cell in column]
    return elements, np.array(counts, np.int64)


def _missing(cell: object) -> bool:
    return pd.api.types.is_scalar(cell) and bool(pd.isna(cell))


def _cells_relisted(elements: np.ndarray, counts: np.ndarray, like: np.ndarray) -> np.ndarray:
    base = (like.dtype.metadata or {}).get("vlen")
    kind = np.dtype(object, metadata={"vlen": elements.dtype}) if base else np.dtype(object)
    lists = np.empty(len(like), kind)
    ends = np.concatenate([[0], np.cumsum(counts)])
    for row, (cell, (low, high)) in enumerate(zip(like, pairwise(ends), strict=True)):
        if isinstance(cell, np.ndarray):
            lists[row] = elements[low:high]
        elif isinstance(cell, CELLS):
            lists[row] = type(cell)(elements[low:high].tolist())
        else:
            lists[row] = cell
    return lists
