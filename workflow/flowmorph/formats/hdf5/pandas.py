"""Pandas' data frames in HDF5, table and fixed format, read with PyTables as they are stored.

What pandas keeps in attributes (names, kinds, time zones) is read here, never unpickled to objects
that act; a column's raw values are decoded to what they mean, and `Coding.encode` undoes that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tables

from flowmorph.errors import InputError
from flowmorph.formats.checks import reading
from flowmorph.formats.columns import Chunk, Column
from flowmorph.formats.hdf5 import fixed_read, table_read
from flowmorph.formats.hdf5.frame import Layout, Place, Source, attribute
from flowmorph.formats.hdf5.opening import no_code, opened
from flowmorph.formats.sample_files import FileFacts


def inspect(path: Path, key: str, kind: str) -> FileFacts:
    """Find the columns of a data frame; its index is one of them unless `hide_index` says so."""
    if kind not in ("frame", "frame_table"):
        raise InputError(
            f"{path}: key {key!r} is a pandas {kind}, no data frame: save it as one (to_frame)"
        )
    with opened(path) as file, reading(path, "HDF5"), no_code():
        group = file.get_node(key)
        layout = Layout("fixed" if kind == "frame" else "table", key)
        attributes = group._v_attrs
        layout.encoding = str(attribute(attributes, "encoding") or "utf-8")
        layout.errors = str(attribute(attributes, "errors") or "strict")
        module = fixed_read if kind == "frame" else table_read
        columns, unreadable, rows = module.look(path, group, layout)
    return FileFacts(path, "hdf5-pandas", key, columns, rows, layout, unreadable)


def hide_index(facts: Sequence[FileFacts]) -> None:
    """Take an index that only counts the rows of files, or of the sample, out of the columns."""
    before = 0
    for found in facts:
        if found.layout.first not in (0, before):
            for each in facts:
                each.layout.first = None
            return
        before += found.rows
    for found in facts:
        for name in found.layout.index:
            found.columns.pop(name)
            found.layout.places.pop(name)
        found.layout.index = []


def iterate(found: FileFacts, columns: Sequence[str], size: int) -> Iterator[Chunk]:
    """Read the columns of one file in chunks of at most ``size`` rows."""
    if not columns:
        return
    layout: Layout = found.layout
    wanted = {layout.places[name].source: layout.sources[layout.places[name].source]
              for name in columns}  # fmt: skip
    if layout.first is not None:
        wanted["index"] = layout.sources["index"]
    with opened(found.path) as file, reading(found.path, "HDF5"):
        with no_code():
            nodes = {one.node: file.get_node(one.node) for one in wanted.values()}
        for low in range(0, max(found.rows, 1), size):
            high = min(low + size, found.rows)
            if layout.kind == "table":
                records = nodes[next(iter(nodes))].read(low, high)
                arrays = {name: records[one.field] for name, one in wanted.items()}
            else:
                arrays = {name: _rows(nodes[one.node], one, low, high)
                          for name, one in wanted.items()}  # fmt: skip
            if layout.first is not None:
                _check_numbers(found, arrays["index"], low, high)
            yield {name: _column(found.path, name, arrays, layout.places[name]) for name in columns}


def _rows(node: tables.Array, source: Source, low: int, high: int) -> np.ndarray:
    if source.empty:
        return np.empty((0,) if source.width is None else (0, source.width), source.dtype)
    return node[low:high]


def _check_numbers(found: FileFacts, numbers: np.ndarray, low: int, high: int) -> None:
    first = found.layout.first
    if (numbers != np.arange(first + low, first + high)).any():
        raise InputError(
            f"{found.path}: its index counts the rows at its ends, but not in rows {low} to "
            f"{high - 1}: give it a name (frame.index.name), so that it is kept"
        )


def _column(path: Path, name: str, arrays: dict[str, np.ndarray], place: Place) -> Column:
    raw = arrays[place.source]
    try:
        return place.coding.decode(raw if place.position is None else raw[:, place.position])
    except (InputError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: column {name!r}: {error}") from error
