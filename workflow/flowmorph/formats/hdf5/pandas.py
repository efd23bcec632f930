"""Pandas' data frames in HDF5, table and fixed format, read with PyTables as they are stored.

What pandas keeps in attributes (names, kinds, time zones) is read here, never unpickled to objects
that act; a column's raw values are decoded to what they mean, and `Coding.encode` undoes that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas
import tables

from flowmorph.errors import InputError
from flowmorph.formats.base import FileFacts, check_unique, reading
from flowmorph.formats.columns import Chunk, Column
from flowmorph.formats.hdf5.coding import Coded, Coding, Text, Times
from flowmorph.formats.hdf5.opening import Inert, check_size, no_code, opened

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
        layout.encoding = str(_get(attributes, "encoding") or "utf-8")
        layout.errors = str(_get(attributes, "errors") or "strict")
        look = _fixed if kind == "frame" else _table
        columns, unreadable, rows = look(path, group, layout)
    return FileFacts(path, "hdf5-pandas", key, columns, rows, layout, unreadable)


def _get(attributes: tables.attributeset.AttributeSet, name: str) -> object:
    return attributes[name] if name in attributes else None


def _text(value: object) -> str | None:
    """An attribute that should be a text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if value is None else str(value)


def _is_label(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_label, value))
    return value is None or isinstance(value, str | bool | int | float | np.generic)


def _column_name(label: object) -> str:
    """Name of a column; of several levels, the first is enough if the others are empty."""
    if isinstance(label, tuple) and not any(label[1:]):
        return str(label[0])
    return str(label)


def _check_labels(path: Path, labels: object, what: str) -> list:
    if not isinstance(labels, list):
        raise InputError(f"{path}: its list of {what} is no plain list: write it again")
    for label in labels:
        if not _is_label(label):
            kind = label.kind if isinstance(label, Inert) else type(label).__name__
            raise InputError(
                f"{path}: its list of {what} has a {kind}: name columns by texts or numbers"
            )
    return labels


def _index_name(name: object, taken: Sequence[str], level: int | None = None) -> str:
    """Name of the column that an index, or a level of it, is; as pandas' reset_index chooses it."""
    wanted = [] if name is None else [str(name)]
    wanted += ["index"] if level is None else []
    wanted += [f"level_{number}" for number in range(level or 0, len(taken) + 2)]
    return next(name for name in wanted if name not in taken)


# Table format


def _table(path: Path, group: tables.Group, layout: Layout) -> tuple[dict, dict, int]:
    if "table" not in group or not isinstance(group.table, tables.Table):
        raise InputError(f"{path}: key {group._v_pathname!r} has no table: damaged? make it again")
    table, attributes = group.table, group._v_attrs
    kind = _text(_get(attributes, "table_type"))
    if kind not in ("appendable_frame", "appendable_multiframe"):
        raise InputError(f"{path}: key {group._v_pathname!r} is a pandas {kind}, no data frame")
    axes, info = _get(attributes, "non_index_axes"), _get(attributes, "info") or {}
    if not isinstance(axes, list) or len(axes) != 1 or not isinstance(info, dict):
        raise InputError(f"{path}: its list of columns is no plain list: write it again")
    labels = _check_labels(path, list(axes[0][1]), "columns")
    layout.filters, rows = table.filters, int(table.nrows)
    layout.data_columns = [str(name) for name in _get(attributes, "data_columns") or []]
    chunk = table.chunkshape[0]
    check_size(path, table._v_pathname, rows, table.rowsize, chunk, table.size_on_disk)
    levels = _get(attributes, "levels")
    layout.levels = isinstance(levels, list)
    types, unreadable = {}, {}
    for field_name in table.colnames:
        dtype = table.dtype[field_name]
        width = dtype.shape[0] if dtype.shape else None
        source = Source(table._v_pathname, dtype.base, width, field_name)
        layout.sources[field_name] = source
        if field_name == "index":
            continue
        labelled = _get(table.attrs, f"{field_name}_kind")
        members = _check_labels(path, labelled, f"{field_name}'s columns")
        coding, problem = _field_coding(group, field_name, source, layout, info)
        for place, label in enumerate(members):
            name = _column_name(label)
            position = None if width is None else place
            if problem:
                unreadable[name] = types[name] = problem
            else:
                types[name] = coding.kind
                layout.places[name] = Place(field_name, position, coding, label)
    names = [_column_name(label) for label in labels]
    check_unique(path, names)
    missing = [name for name in names if name not in types]
    if missing:
        raise InputError(f"{path}: no values of column {missing[0]!r}: damaged? make it again")
    columns = {name: types[name] for name in names}
    if layout.levels:
        layout.index = [str(name) for name in levels]
        return columns, unreadable, rows
    name = _index_name(info.get("index", {}).get("index_name"), names)
    source = layout.sources["index"]
    coding, problem = _field_coding(group, "index", source, layout, info)
    layout.index = [name]
    if problem:
        unreadable[name] = problem
    else:
        layout.places[name] = Place("index", None, coding, None)
        if name != str(info.get("index", {}).get("index_name")):
            layout.first = _first_number(table, source, rows)
    return {name: problem or coding.kind} | columns, unreadable, rows


def _field_coding(
    group: tables.Group, name: str, source: Source, layout: Layout, info: dict
) -> tuple[Coding | None, str | None]:
    """How a field of a table is stored; or why it cannot be read."""
    attributes, table = group._v_attrs, group.table
    kind = _text(_get(table.attrs, "index_kind" if name == "index" else f"{name}_dtype"))
    kind = kind or str(source.dtype)
    if _text(_get(table.attrs, f"{name}_meta")) == "category":
        return _categories(group, name, layout)
    facts = info.get(name, {}) if isinstance(info.get(name, {}), dict) else {}
    if source.dtype.kind == "S":
        own = _get(attributes, "data_col_nan_rep") or (
            layout.levels and name in layout.index and _get(attributes, "mi_level_nan_rep")
        )
        mark = _get(table.attrs, f"{name}_nan_rep")
        if name == "index":
            missing = "nan" if mark is None else _text(mark) or None
        elif own:
            missing = _text(mark)
        else:
            whole = _get(attributes, "nan_rep")
            missing = "nan" if whole is None else _text(whole)
        return Text(layout.encoding, layout.errors, missing, own=bool(own) or name == "index"), None
    return _numbers(kind, facts.get("tz"), source.dtype), None


def _numbers(kind: str, zone: object, dtype: np.dtype) -> Coding:
    """Coding of what is stored as numbers, by pandas' name of its kind."""
    if kind.startswith(("datetime64", "timedelta64")):
        # Old files do not tell the unit.
        return Times(kind if "[" in kind else f"{kind}[ns]", zone)
    return Coding(kind if kind.startswith(("period", "date")) else str(dtype))


def _categories(group: tables.Group, name: str, layout: Layout) -> tuple[Coding | None, str | None]:
    """The categories of a field, which pandas keeps as a series of their own."""
    path = f"{group._v_pathname}/meta/{name}/meta"
    if path not in group._v_file:
        return Coded("category", np.empty(0, object)), None  # all are missing
    series = group._v_file.get_node(path)
    table = series.table
    field_name = next(each for each in table.colnames if each != "index")
    values = table.read(field=field_name)
    values = values.reshape(len(values))
    info = _get(series._v_attrs, "info")
    info = info if isinstance(info, dict) else {}
    source = Source(table._v_pathname, values.dtype, None, field_name)
    inner = Layout("table", path, encoding=layout.encoding, errors=layout.errors)
    coding, _ = _field_coding(series, field_name, source, inner, info)
    decoded = coding.decode(values)
    if pandas.isna(decoded).any() or len(set(decoded.tolist())) < len(decoded):
        return None, "categories, of which some are missing or alike"
    # As objects, no category is taken for a number.
    categories = np.empty(len(decoded), object)
    categories[:] = decoded.tolist() if decoded.dtype.kind != "M" else list(decoded)
    return Coded("category", categories), None


# Fixed format


def _fixed(path: Path, group: tables.Group, layout: Layout) -> tuple[dict, dict, int]:
    attributes = group._v_attrs
    labels = _axis_labels(path, group, "axis0", layout)
    names = [_column_name(label) for label in labels]
    types, unreadable = {}, {}
    index, rows = _fixed_index(path, group, layout, names, unreadable)
    for number in range(int(attributes.nblocks)):
        members = _axis_labels(path, group, f"block{number}_items", layout)
        node = group._f_get_child(f"block{number}_values")
        problem = _fixed_problem(node)
        if problem:
            unreadable |= {_column_name(label): problem for label in members}
            types |= {_column_name(label): problem for label in members}
            continue
        source = _fixed_source(path, node, len(members))
        turned = bool(_get(node._v_attrs, "transposed"))
        if not source.empty and (node.shape != (rows, len(members)) or not turned):
            raise InputError(
                f"{path}: block {number} has the shape {tuple(node.shape)}, not "
                f"{(rows, len(members))}: damaged, or of a very old pandas: write it again"
            )
        layout.sources[f"block{number}"] = source
        kind = _text(_get(node._v_attrs, "value_type")) or ""
        coding = _numbers(kind, _get(node._v_attrs, "tz"), source.dtype)
        for place, label in enumerate(members):
            name = _column_name(label)
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
    kind = _text(_get(node._v_attrs, "value_type"))
    if not isinstance(node, tables.Array) or kind in ("object", "str", "string"):
        return "pickled Python objects, which are never loaded (write format='table')"
    return None


def _fixed_source(path: Path, node: tables.Array, width: int | None) -> Source:
    """An array of the fixed format."""
    dtype, empty = node.dtype, "shape" in node._v_attrs or 0 in node.shape
    if "shape" in node._v_attrs:
        kind = _text(_get(node._v_attrs, "value_type")) or "float64"
        dtype = np.dtype(kind if kind[:4] not in ("date", "time", "peri") else np.int64)
    elif not empty:
        chunk = node.chunkshape[0] if node.chunkshape else None
        row_bytes = node.atom.size * int(np.prod(node.shape[1:], dtype=object))
        check_size(path, node._v_pathname, int(node.shape[0]), row_bytes, chunk, node.size_on_disk)
    return Source(node._v_pathname, dtype, width, empty=empty)


def _axis_labels(path: Path, group: tables.Group, axis: str, layout: Layout) -> list:
    """Names in pandas' fixed format."""
    if _text(_get(group._v_attrs, f"{axis}_variety")) == "multi":
        parts = []
        for number in range(int(group._v_attrs[f"{axis}_nlevels"])):
            level = _node_labels(path, group._f_get_child(f"{axis}_level{number}"), layout)
            codes = group._f_get_child(f"{axis}_label{number}").read()
            parts.append([level[code] if code >= 0 else None for code in codes])
        return list(zip(*parts, strict=True))
    return _node_labels(path, group._f_get_child(axis), layout)


def _node_labels(path: Path, node: tables.Node, layout: Layout) -> list:
    kind = _text(_get(node._v_attrs, "kind"))
    if not isinstance(node, tables.Array):
        # Labels of several types, which are pickled together in one numpy array.
        (pickled,) = node.read()
        state = pickled.state if isinstance(pickled, Inert) else None
        labels = state[-1] if isinstance(state, tuple) else None
        return _check_labels(path, labels, "columns")
    if "shape" in node._v_attrs:
        return []
    values = node.read()
    if values.dtype.kind == "S":
        missing = _text(_get(node._v_attrs, "nan_rep")) or None
        return Text(layout.encoding, layout.errors, missing).decode(values).tolist()
    if kind not in ("integer", "float", "bool", None):
        raise InputError(f"{path}: names of columns are of type {kind}: name them by texts")
    return values.tolist()


def _fixed_index(
    path: Path, group: tables.Group, layout: Layout, taken: Sequence[str], unreadable: dict
) -> tuple[dict, int]:
    """The columns that the index is, and the number of rows."""
    if _text(_get(group._v_attrs, "axis1_variety")) == "multi":
        return _fixed_levels(path, group, layout, taken, unreadable)
    node = group.axis1
    title = _get(node._v_attrs, "name")
    name = _index_name(title, taken)
    layout.index = [name]
    kind = _text(_get(node._v_attrs, "kind")) or "integer"
    problem = None
    if "shape" in node._v_attrs and kind == "object":
        layout.sources["index"] = Source(node._v_pathname, np.dtype(np.int64), None, empty=True)
        layout.places[name] = Place("index", None, Coding("int64"), None)
        layout.first = 0 if title is None else None
        return {name: "int64"}, 0
    if not isinstance(node, tables.Array) or kind == "object":
        problem = "pickled Python objects, which are never loaded (as an index)"
        blocks = int(_get(group._v_attrs, "nblocks") or 0)
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
            layout.first = _first_number(node, source, rows)
    if problem:
        unreadable[name] = problem
    return {name: problem or layout.places[name].coding.kind}, rows


def _axis_coding(node: tables.Array, source: Source, layout: Layout, kind: str) -> Coding:
    if source.dtype.kind == "S":
        missing = _get(node._v_attrs, "nan_rep")
        missing = "nan" if missing is None else _text(missing) or None
        return Text(layout.encoding, layout.errors, missing)
    period = _text(_get(node._v_attrs, "index_class")) == "period"
    return _numbers("period" if period else kind, _get(node._v_attrs, "tz"), source.dtype)


def _fixed_levels(
    path: Path, group: tables.Group, layout: Layout, taken: Sequence[str], unreadable: dict
) -> tuple[dict, int]:
    columns, rows = {}, 0
    for number in range(int(group._v_attrs.axis1_nlevels)):
        level = group._f_get_child(f"axis1_level{number}")
        codes = group._f_get_child(f"axis1_label{number}")
        name = _index_name(_get(level._v_attrs, "name"), [*taken, *columns], number)
        layout.index.append(name)
        source = _fixed_source(path, codes, None)
        rows = 0 if source.empty else int(codes.shape[0])
        layout.sources[f"label{number}"] = source
        kind = _text(_get(level._v_attrs, "kind")) or "integer"
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


# Row numbers


def _first_number(node: tables.Leaf, source: Source, rows: int) -> int | None:
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
