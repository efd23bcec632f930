"""Columns of two-dimensional arrays: (row, k) array ``x`` has columns ``x[0]`` to ``x[k-1]``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from flowmorph.data.formats.base import Chunk, Column


class Stored(Protocol):
    """An array in a file: its type, and its shape with the rows first."""

    dtype: np.dtype
    shape: tuple[int, ...]


def split_columns(members: Mapping[str, Stored]) -> dict[str, str]:
    """Name the columns of arrays by ``shape`` and ``dtype``: (row, k) arrays have k of them."""
    columns = {}
    for name, member in members.items():
        if len(member.shape) == 2:
            columns |= {f"{name}[{i}]": str(member.dtype) for i in range(member.shape[1])}
        else:
            columns[name] = str(member.dtype)
            if len(member.shape) > 2:
                columns[name] += str(member.shape[1:])
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
    result = {}
    for column, values in chunk.items():
        name = re.sub(r"\[\d+\]$", "", column)
        member = members.get(name)
        parts = []
        if column not in members and member is not None and len(member.shape) == 2:
            parts = [f"{name}[{i}]" for i in range(member.shape[1])]
        if not parts or any(part not in chunk for part in parts):
            result[column] = values
        elif name not in result:
            result[name] = np.stack([chunk[part] for part in parts], axis=1)
    return result
