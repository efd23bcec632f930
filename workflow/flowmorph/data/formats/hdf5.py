"""HDF5 files, pandas' table and fixed formats and plain datasets, by PyTables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tables

from flowmorph.data.formats.base import (
    Chunk,
    Column,
    FileFacts,
    check_unique,
    listed,
    native,
    reading,
)
from flowmorph.data.formats.hdf5_open import check_size, check_survives, no_code, opened
from flowmorph.data.formats.hdf5_write import Writer
from flowmorph.data.formats.matrix import sources, split_columns
from flowmorph.errors import InputError

__all__ = ["Writer", "inspect", "iterate"]

#: Groups in groups, and nodes in all, that are looked at: groups may contain themselves.
DEPTH, NODES = 8, 20_000


@dataclass(frozen=True)
class Stored:
    """A dataset, or a ``field`` of one that is a table."""

    node: str
    dtype: np.dtype
    shape: tuple[int, ...]
    field: str | None = None
    atom: tables.Atom | None = None


@dataclass
class Layout:
    """Where columns are.

    ``kind`` is fixed, table, datasets, or compound (one dataset of records); ``stored`` are the
    arrays by name, ``places`` the array of each column and its place in the rows, ``labels`` are
    pandas' names that are no text, ``index`` is the column that is pandas' index, ``unreadable``
    tells why a column cannot be read.
    """

    kind: str
    stored: dict[str, Stored] = field(default_factory=dict)
    places: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    labels: dict[str, object] = field(default_factory=dict)
    data_columns: list[str] = field(default_factory=list)
    index: str | None = None
    unreadable: dict[str, str] = field(default_factory=dict)
    filters: tables.Filters | None = None


def inspect(paths: Sequence[Path], tree: str | None) -> list[FileFacts]:
    """Find columns and rows of each file."""
    for path in paths:
        check_survives(path, lambda path=path: _inspect(path, tree))
    return [_inspect(path, tree) for path in paths]


def _inspect(path: Path, tree: str | None) -> FileFacts:
    with opened(path) as file, reading(path, "HDF5"), no_code():
        place = _find(path, file, tree)
        attributes = place._v_attrs
        kind = attributes.pandas_type if "pandas_type" in attributes else None
        if kind is None:
            format, (columns, rows, layout) = "hdf5-datasets", _datasets(path, place)
        elif kind == "frame":
            format, (columns, rows, layout) = "hdf5-pandas", _fixed(path, place)
        elif kind == "frame_table":
            format, (columns, rows, layout) = "hdf5-pandas", _table(path, place)
        else:
            raise InputError(f"{path}: key {place._v_name!r} is a pandas {kind}, no data frame")
        return FileFacts(path, format, place._v_pathname, columns, rows, layout)


def _find(path: Path, file: tables.File, tree: str | None) -> tables.Node:
    keys = [node._v_pathname for node in _walk(file.root) if _is_frame(node)]
    if tree is None:
        if len(keys) > 1:
            raise InputError(f"{path}: has several keys ({listed(keys)}): name one")
        return file.get_node(keys[0]) if keys else file.root
    name = "/" + tree.strip("/")
    if name not in file:
        known = keys or [node._v_pathname for node in _walk(file.root)]
        raise InputError(f"{path}: no key {tree!r} (it has {listed(known)})")
    return file.get_node(name)


def _is_frame(node: tables.Node) -> bool:
    return isinstance(node, tables.Group) and "pandas_type" in node._v_attrs


def _walk(group: tables.Group) -> Iterator[tables.Node]:
    """All nodes below a group that are no links, and not those inside a data frame."""
    waiting, seen = [(group, 0)], 0
    while waiting:
        node, depth = waiting.pop(0)
        if seen:
            yield node
        seen += 1
        if seen > NODES or depth > DEPTH:
            raise InputError(
                f"{group._v_file.filename}: groups nest deeper than {DEPTH} or hold more than "
                f"{NODES} nodes: name the group"
            )
        if isinstance(node, tables.Group) and not _is_frame(node):
            children = (node._f_get_child(name) for name in sorted(node._v_children))
            waiting += [(child, depth + 1) for child in children]


def _datasets(path: Path, place: tables.Node) -> tuple[dict[str, str], int, Layout]:
    """A dataset of records, a single array, or all arrays of a group."""
    if isinstance(place, tables.Group):
        nodes = [node for node in _walk(place) if not isinstance(node, tables.Group)]
        prefix = place._v_pathname.rstrip("/") + "/"
    else:
        nodes, prefix = [place], place._v_parent._v_pathname.rstrip("/") + "/"
    records = [node for node in nodes if isinstance(node, tables.Table)]
    if records and len(nodes) > 1:
        names = [node._v_pathname for node in nodes]
        raise InputError(f"{path}: has several datasets ({listed(names)}): name one")
    layout = Layout("compound" if records else "datasets")
    for node in nodes:
        if isinstance(node, tables.Table):
            check_size(path, node, node.nrows, node.rowsize)
            layout.filters = node.filters
            for name in node.colnames:
                dtype = node.dtype[name]
                shape = (node.nrows, *dtype.shape)
                if dtype.fields:
                    layout.unreadable[name] = "a record in a record"
                layout.stored[name] = Stored(node._v_pathname, dtype.base, shape, name)
        else:
            name = node._v_pathname.removeprefix(prefix)
            _add_array(path, layout, name, node)
    if not layout.stored:
        raise InputError(f"{path}: no datasets in {place._v_pathname}: name the group")
    rows = {name: one.shape[0] for name, one in layout.stored.items()}
    (first, count), *others = rows.items()
    for name, length in others:
        if length != count:
            raise InputError(
                f"{path}: dataset {name!r} has {length} rows, {first!r} has {count}: name a group "
                "whose datasets are columns of one table"
            )
    columns = split_columns(layout.stored)
    layout.places = sources(list(columns), layout.stored)
    return columns, count, layout


def _add_array(path: Path, layout: Layout, name: str, node: tables.Node) -> None:
    if not isinstance(node, tables.Array) or not node.shape:
        if isinstance(node, tables.Array):
            return  # one number is not a column
        kind = type(node).__name__
        layout.unreadable[name] = f"{kind} (texts of any length, links or the like)"
        rows = getattr(node, "nrows", None)
        known = next(iter(layout.stored.values()), None)
        rows = rows if rows is not None else known.shape[0] if known else 0
        layout.stored[name] = Stored(node._v_pathname, np.dtype(object), (int(rows),))
        return
    check_size(
        path, node, int(node.shape[0]), int(node.atom.size * np.prod(node.shape[1:], dtype=object))
    )
    layout.filters = layout.filters or node.filters
    shape = tuple(int(size) for size in node.shape)
    layout.stored[name] = Stored(node._v_pathname, node.dtype, shape, atom=node.atom)


def _labels(path: Path, node: tables.Node) -> list[object]:
    """Names in pandas' fixed format; `InputError` for pickled ones."""
    if not isinstance(node, tables.Array):
        raise InputError(f"{path}: column names are pickled Python objects, which are never loaded")
    values = node.read()
    if values.dtype.kind == "S":
        return [name.decode("utf-8") for name in values.tolist()]
    return values.tolist()


def _fixed(path: Path, group: tables.Group) -> tuple[dict[str, str], int, Layout]:
    attributes = group._v_attrs
    for axis, what in (("axis0", "column names"), ("axis1", "an index")):
        if getattr(attributes, f"{axis}_variety", "regular") != "regular":
            raise InputError(f"{path}: has {what} of several levels: flatten them (reset_index)")
    layout = Layout("fixed")
    labels = _labels(path, group.axis0)
    layout.labels = {str(label): label for label in labels if not isinstance(label, str)}
    rows, types = int(group.axis1.shape[0]), {}
    for number in range(int(attributes.nblocks)):
        names = list(map(str, _labels(path, group[f"block{number}_items"])))
        node = group[f"block{number}_values"]
        reason = _fixed_problem(node)
        if "shape" in node._v_attrs:  # how pandas writes an empty array
            shape, rows = (0, len(names)), 0
        else:
            shape = node.shape
        if reason:
            layout.unreadable |= dict.fromkeys(names, reason)
            types |= dict.fromkeys(names, reason)
            continue
        if tuple(shape) != (rows, len(names)):
            raise InputError(
                f"{path}: block {number} has the shape {tuple(shape)}, not {(rows, len(names))}: "
                "damaged, or of a very old pandas: write it again"
            )
        check_size(path, node, rows, node.atom.size * len(names))
        layout.filters = layout.filters or node.filters
        layout.stored[f"block{number}"] = Stored(node._v_pathname, node.dtype, tuple(shape))
        layout.places |= {name: (f"block{number}", place) for place, name in enumerate(names)}
        types |= dict.fromkeys(names, str(node.dtype))
    names = list(map(str, labels))
    index = group.axis1._v_attrs.name if "name" in group.axis1._v_attrs else None
    columns = {}
    if index is not None:
        _add_index(layout, columns, str(index), _fixed_problem(group.axis1), group.axis1, None)
    check_unique(path, [*columns, *names])
    missing = [name for name in names if name not in types]
    if missing:
        raise InputError(f"{path}: no values of column {missing[0]!r}: damaged? make it again")
    return columns | {name: types[name] for name in names}, rows, layout


def _add_index(layout, columns, name, problem, node, field_name) -> None:
    """Make a named index a column; one without a name is only a row number."""
    layout.index = name
    dtype = node.dtype if field_name is None else node.dtype[field_name]
    columns[name] = problem or str(dtype)
    if problem:
        layout.unreadable[name] = problem
    else:
        layout.stored["index"] = Stored(node._v_pathname, dtype, (node.nrows,), field_name)
        layout.places[name] = ("index", None)


def _fixed_problem(node: tables.Node) -> str | None:
    """Why an array of pandas' fixed format cannot be read, if so."""
    if not isinstance(node, tables.Array):
        return "pickled Python objects, which are never loaded"
    kind = str(getattr(node._v_attrs, "value_type", ""))
    kind = kind or str(getattr(node._v_attrs, "kind", ""))
    return _time_problem(kind)


def _time_problem(kind: str) -> str | None:
    if any(word in kind for word in ("date", "time")):
        return f"{kind}, a time"
    return None


def _table(path: Path, group: tables.Group) -> tuple[dict[str, str], int, Layout]:
    if "table" not in group or not isinstance(group.table, tables.Table):
        raise InputError(f"{path}: key {group._v_name!r} has no table: damaged? make it again")
    table, attributes = group.table, group._v_attrs
    if int(getattr(attributes, "levels", 1)) > 1:
        raise InputError(f"{path}: has an index of several levels: flatten it (reset_index)")
    axes, info = getattr(attributes, "non_index_axes", None), getattr(attributes, "info", {})
    if not isinstance(axes, list) or not isinstance(info, dict):
        raise InputError(f"{path}: its list of columns is no plain list: write it again")
    names = list(axes[0][1])
    layout, types = Layout("table", filters=table.filters), {}
    layout.labels = {str(label): label for label in names if not isinstance(label, str)}
    layout.data_columns = list(map(str, getattr(attributes, "data_columns", []) or []))
    check_size(path, table, table.nrows, table.rowsize)
    for field_name in table.colnames:
        if field_name == "index":
            continue
        members = getattr(table.attrs, f"{field_name}_kind", None)
        if not isinstance(members, list):
            raise InputError(f"{path}: names of {field_name!r} are no plain list: write it again")
        members = list(map(str, members))
        dtype = table.dtype[field_name]
        kind = str(getattr(table.attrs, f"{field_name}_dtype", dtype.base))
        meta = getattr(table.attrs, f"{field_name}_meta", None)
        problem = _time_problem(kind) or ("categories" if str(meta) == "category" else None)
        if problem:
            layout.unreadable |= dict.fromkeys(members, problem)
        shape = (int(table.nrows), *dtype.shape)
        layout.stored[field_name] = Stored(table._v_pathname, dtype.base, shape, field_name)
        for place, name in enumerate(members):
            layout.places[name] = (field_name, place if dtype.shape else None)
            types[name] = problem or str(dtype.base)
    index = info.get("index", {}).get("index_name")
    columns = {}
    if index is not None:
        problem = _time_problem(str(getattr(table.attrs, "index_kind", "")))
        _add_index(layout, columns, str(index), problem, table, "index")
    names = list(map(str, names))
    check_unique(path, [*columns, *names])
    missing = [name for name in names if name not in types]
    if missing:
        raise InputError(f"{path}: no values of column {missing[0]!r}: damaged? make it again")
    return columns | {name: types[name] for name in names}, int(table.nrows), layout


def iterate(found: FileFacts, columns: Sequence[str], size: int) -> Iterator[Chunk]:
    """Read the columns of one file in chunks of at most ``size`` rows."""
    layout: Layout = found.layout
    for name in columns:
        if name in layout.unreadable:
            raise InputError(
                f"{found.path}: column {name!r} cannot be read ({layout.unreadable[name]}): "
                "name the columns to read, without it"
            )
    if not columns:
        return
    wanted = {layout.places[name][0]: layout.stored[layout.places[name][0]] for name in columns}
    with opened(found.path) as file, reading(found.path, "HDF5"):
        with no_code():
            nodes = {name: file.get_node(one.node) for name, one in wanted.items()}
        for low in range(0, found.rows, size):
            high = min(low + size, found.rows)
            arrays = {}
            for name, one in wanted.items():
                if one.field is None:
                    arrays[name] = nodes[name][low:high]
                else:
                    arrays[name] = nodes[name].read(low, high, field=one.field)
            yield {name: _column(arrays, *layout.places[name], layout.kind) for name in columns}


def _column(arrays: dict[str, np.ndarray], name: str, place: int | None, kind: str) -> Column:
    values = native(arrays[name] if place is None else arrays[name][:, place])
    if kind in ("fixed", "table") and values.dtype.kind == "S":
        return np.char.decode(values, "utf-8").astype(object)
    return values
