"""Columns of two-dimensional arrays: (row, k) array ``x`` has columns ``x[0]`` to ``x[k-1]``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from flowmorph.formats.columns import Chunk, Column


class Stored(Protocol):
    """An array in a file: its type, and its shape with the rows first."""

    dtype: np.dtype
    shape: tuple[int, ...]


def parts(name: str, members: Mapping[str, Stored]) -> list[str]:
    """Columns of an array of two dimensions; none if it is a column itself.

    That is also one without columns, or with one that another array has the name of.
    """
    member = members.get(name)
    if member is None or len(member.shape) != 2:
        return []
    columns = [f"{name}[{i}]" for i in range(member.shape[1])]
    return [] if any(column in members for column in columns) else columns


def split_columns(members: Mapping[str, Stored]) -> dict[str, str]:
    """Name the columns of arrays by ``shape`` and ``dtype``: (row, k) arrays have k of them."""
    columns = {}
    for name, member in members.items():
        inner = str(member.shape[1:]) if len(member.shape) > 1 else ""
        alone = {name: f"{member.dtype}{inner}"}
        columns |= dict.fromkeys(parts(name, members), str(member.dtype)) or alone
    return columns


def sources(
    columns: Sequence[str], members: Mapping[str, Stored]
) -> dict[str, tuple[str, int | None]]:
    """Array, and place in its rows, of each column."""
    found = {}
    for column in columns:
        name, _, place = column.rpartition("[")
        if column in members:
            found[column] = (column, None)
        else:
            found[column] = (name, int(place.removesuffix("]")))
    return found


def joined(chunk: Chunk, members: Mapping[str, Stored]) -> dict[str, Column]:
    """Put columns ``name[i]`` that came from one array, and are all there, together again."""
    result, whole = {}, {}
    for column, values in chunk.items():
        name = re.sub(r"\[\d+\]$", "", column)
        if name not in whole:
            columns = parts(name, members)
            whole[name] = columns if all(part in chunk for part in columns) else []
        if column in members or not whole[name]:
            result[column] = values
        elif name not in result:
            # Stacked, they would be in this machine's byte order.
            kind = chunk[whole[name][0]].dtype
            stacked = np.stack([chunk[part] for part in whole[name]], axis=1)
            result[name] = stacked.astype(kind, copy=False)
    return result
