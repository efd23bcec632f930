"""Data frames in pandas' fixed format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tables

from flowmorph.errors import InputError
from flowmorph.formats.checks import check_unique
from flowmorph.formats.hdf5.coding import Coded, Coding, Text
from flowmorph.formats.hdf5.frame import (
    Layout,
    Place,
    Source,
    attribute,
    check_labels,
    column_name,
    first_number,
    index_name,
    number_coding,
    text,
)
from flowmorph.formats.hdf5.opening import Inert, check_size


def look(path: Path, group: tables.Group, layout: Layout) -> tuple[dict, dict, int]:
    """Find a data frame in pandas' fixed format, as `table_read.look` does one in the other."""
    attributes = group._v_attrs
    labels = _axis_labels(path, group, "axis0", layout)
    names = [column_name(label) for label in labels]
    types, unreadable = {}, {}
    index, rows = _fixed_index(path, group, layout, names, unreadable)
    for number in range(int(attributes.nblocks)):
        members = _axis_labels(path, group, f"block{number}_items", layout)
        node = group._f_get_child(f"block{number}_values")
        problem = _fixed_problem(node)
        if problem:
            unreadable |= {column_name(label): problem for label in members}
            types |= {column_name(label): problem for label in members}
            continue
        source = _fixed_source(path, node, len(members))
        turned = bool(attribute(node._v_attrs, "transposed"))
        if not source.empty and (node.shape != (rows, len(members)) or not turned):
            raise InputError(
                f"{path}: block {number} has the shape {tuple(node.shape)}, not "
                f"{(rows, len(members))}: damaged, or of a very old pandas: write it again"
            )
        layout.sources[f"block{number}"] = source
        kind = text(attribute(node._v_attrs, "value_type")) or ""
        coding = number_coding(kind, attribute(node._v_attrs, "tz"), source.dtype)
        for place, label in enumerate(members):
            name = column_name(label)
            layout.places[name] = Place(f"block{number}", place, coding, label)
            types[name] = coding.kind
        layout.filters = layout.filters or node.filters
    check_unique(path, names)
    missing = [name for name in names if name not in types]
    if missing:
        raise InputError(f"{path}: no values of column {missing[0]!r}: damaged? make it again")
    return index | {name: types[name] for name in names}, unreadable, rows


def _fixed_problem(node: tables.Node) -> str | None:
    """Why an array of pandas' fixed format cannot be read, if so."""
    kind = text(attribute(node._v_attrs, "value_type"))
    if not isinstance(node, tables.Array) or kind in ("object", "str", "string"):
        return "pickled Python objects, which are never loaded (write format='table')"
    return None


def _fixed_source(path: Path, node: tables.Array, width: int | None) -> Source:
    """An array of the fixed format."""
    dtype, empty = node.dtype, "shape" in node._v_attrs or 0 in node.shape
    if "shape" in node._v_attrs:
        kind = text(attribute(node._v_attrs, "value_type")) or "float64"
        dtype = np.dtype(kind if kind[:4] not in ("date", "time", "peri") else np.int64)
    elif not empty:
        chunk = node.chunkshape[0] if node.chunkshape else None
        row_bytes = node.atom.size * int(np.prod(node.shape[1:], dtype=object))
        check_size(path, node._v_pathname, int(node.shape[0]), row_bytes, chunk, node.size_on_disk)
    return Source(node._v_pathname, dtype, width, empty=empty)


def _axis_labels(path: Path, group: tables.Group, axis: str, layout: Layout) -> list:
    """Names in pandas' fixed format."""
    if text(attribute(group._v_attrs, f"{axis}_variety")) == "multi":
        parts = []
        for number in range(int(group._v_attrs[f"{axis}_nlevels"])):
            level = _node_labels(path, group._f_get_child(f"{axis}_level{number}"), layout)
            codes = group._f_get_child(f"{axis}_label{number}").read()
            parts.append([level[code] if code >= 0 else None for code in codes])
        return list(zip(*parts, strict=True))
    return _node_labels(path, group._f_get_child(axis), layout)


def _node_labels(path: Path, node: tables.Node, layout: Layout) -> list:
    kind = text(attribute(node._v_attrs, "kind"))
    if not isinstance(node, tables.Array):
        # Labels of several types, which are pickled together in one numpy array.
        (pickled,) = node.read()
        state = pickled.state if isinstance(pickled, Inert) else None
        labels = state[-1] if isinstance(state, tuple) else None
        return check_labels(path, labels, "columns")
    if "shape" in node._v_attrs:
        return []
    values = node.read()
    if values.dtype.kind == "S":
        missing = text(attribute(node._v_attrs, "nan_rep")) or None
        return Text(layout.encoding, layout.errors, missing).decode(values).tolist()
    if kind not in ("integer", "float", "bool", None):
        raise InputError(f"{path}: names of columns are of type {kind}: name them by texts")
    return values.tolist()


def _fixed_index(
    path: Path, group: tables.Group, layout: Layout, taken: Sequence[str], unreadable: dict
) -> tuple[dict, int]:
    """The columns that the index is, and the number of rows."""
    if text(attribute(group._v_attrs, "axis1_variety")) == "multi":
        return _fixed_levels(path, group, layout, taken, unreadable)
    node = group.axis1
    title = attribute(node._v_attrs, "name")
    name = index_name(title, taken)
    layout.index = [name]
    kind = text(attribute(node._v_attrs, "kind")) or "integer"
    problem = None
    if "shape" in node._v_attrs and kind == "object":
        layout.sources["index"] = Source(node._v_pathname, np.dtype(np.int64), None, empty=True)
        layout.places[name] = Place("index", None, Coding("int64"), None)
        layout.first = 0 if title is None else None
        return {name: "int64"}, 0
    if not isinstance(node, tables.Array) or kind == "object":
        problem = "pickled Python objects, which are never loaded (as an index)"
        blocks = int(attribute(group._v_attrs, "nblocks") or 0)
        first = group._f_get_child("block0_values") if blocks else None
        rows = int(first.shape[0]) if isinstance(first, tables.Array) else 0
    else:
        source = _fixed_source(path, node, None)
        rows = 0 if source.empty else int(node.shape[0])
        layout.sources["index"] = source
        if kind == "category":
            categories = _node_labels(path, group.axis1_categories, layout)
            values = np.empty(len(categories), object)
            values[:] = categories
            coding = Coded("category", values)
        else:
            coding = _axis_coding(node, source, layout, kind)
        layout.places[name] = Place("index", None, coding, None)
        if title is None or name != str(title):
            layout.first = first_number(node, source, rows)
    if problem:
        unreadable[name] = problem
    return {name: problem or layout.places[name].coding.kind}, rows


def _axis_coding(node: tables.Array, source: Source, layout: Layout, kind: str) -> Coding:
    if source.dtype.kind == "S":
        missing = attribute(node._v_attrs, "nan_rep")
        missing = "nan" if missing is None else text(missing) or None
        return Text(layout.encoding, layout.errors, missing)
    period = text(attribute(node._v_attrs, "index_class")) == "period"
    return number_coding("period" if period else kind, attribute(node._v_attrs, "tz"), source.dtype)


def _fixed_levels(
    path: Path, group: tables.Group, layout: Layout, taken: Sequence[str], unreadable: dict
) -> tuple[dict, int]:
    columns, rows = {}, 0
    for number in range(int(group._v_attrs.axis1_nlevels)):
        level = group._f_get_child(f"axis1_level{number}")
        codes = group._f_get_child(f"axis1_label{number}")
        name = index_name(attribute(level._v_attrs, "name"), [*taken, *columns], number)
        layout.index.append(name)
        source = _fixed_source(path, codes, None)
        rows = 0 if source.empty else int(codes.shape[0])
        layout.sources[f"label{number}"] = source
        kind = text(attribute(level._v_attrs, "kind")) or "integer"
        if not isinstance(level, tables.Array):
            columns[name] = unreadable[name] = (
                "pickled Python objects, which are never loaded (as an index)"
            )
            continue
        inner = _fixed_source(path, level, None)
        raw = np.empty(0, inner.dtype) if inner.empty else level.read()
        coding = _axis_coding(level, inner, layout, kind)
        coded = Coded(coding.kind, coding.decode(raw), coding)
        layout.places[name] = Place(f"label{number}", None, coded, None)
        columns[name] = coding.kind
    return columns, rows
