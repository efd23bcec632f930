"""Data frames in pandas' table format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
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
from flowmorph.formats.hdf5.opening import check_size


def look(path: Path, group: tables.Group, layout: Layout) -> tuple[dict, dict, int]:
    """Find a data frame in pandas' table format.

    Args:
        path: the file.
        group: the frame's.
        layout: gets where the columns are.

    Returns:
        Types of the columns by name, reasons why some cannot be read, and the number of rows.

    Raises:
        InputError: this is no data frame, or a damaged one.
    """
    if "table" not in group or not isinstance(group.table, tables.Table):
        raise InputError(f"{path}: key {group._v_pathname!r} has no table: damaged? make it again")
    table, attributes = group.table, group._v_attrs
    kind = text(attribute(attributes, "table_type"))
    if kind not in ("appendable_frame", "appendable_multiframe"):
        raise InputError(f"{path}: key {group._v_pathname!r} is a pandas {kind}, no data frame")
    axes, info = attribute(attributes, "non_index_axes"), attribute(attributes, "info") or {}
    if not isinstance(axes, list) or len(axes) != 1 or not isinstance(info, dict):
        raise InputError(f"{path}: its list of columns is no plain list: write it again")
    labels = check_labels(path, list(axes[0][1]), "columns")
    layout.filters, rows = table.filters, int(table.nrows)
    layout.data_columns = [str(name) for name in attribute(attributes, "data_columns") or []]
    chunk = table.chunkshape[0]
    check_size(path, table._v_pathname, rows, table.rowsize, chunk, table.size_on_disk)
    levels = attribute(attributes, "levels")
    layout.levels = isinstance(levels, list)
    types, unreadable = {}, {}
    for field_name in table.colnames:
        dtype = table.dtype[field_name]
        width = dtype.shape[0] if dtype.shape else None
        source = Source(table._v_pathname, dtype.base, width, field_name)
        layout.sources[field_name] = source
        if field_name == "index":
            continue
        labelled = attribute(table.attrs, f"{field_name}_kind")
        members = check_labels(path, labelled, f"{field_name}'s columns")
        coding, problem = _field_coding(group, field_name, source, layout, info)
        for place, label in enumerate(members):
            name = column_name(label)
            position = None if width is None else place
            if problem:
                unreadable[name] = types[name] = problem
            else:
                types[name] = coding.kind
                layout.places[name] = Place(field_name, position, coding, label)
    names = [column_name(label) for label in labels]
    check_unique(path, names)
    missing = [name for name in names if name not in types]
    if missing:
        raise InputError(f"{path}: no values of column {missing[0]!r}: damaged? make it again")
    columns = {name: types[name] for name in names}
    if layout.levels:
        layout.index = [str(name) for name in levels]
        return columns, unreadable, rows
    name = index_name(info.get("index", {}).get("index_name"), names)
    source = layout.sources["index"]
    coding, problem = _field_coding(group, "index", source, layout, info)
    layout.index = [name]
    if problem:
        unreadable[name] = problem
    else:
        layout.places[name] = Place("index", None, coding, None)
        if name != str(info.get("index", {}).get("index_name")):
            layout.first = first_number(table, source, rows)
    return {name: problem or coding.kind} | columns, unreadable, rows


def _field_coding(
    group: tables.Group, name: str, source: Source, layout: Layout, info: dict
) -> tuple[Coding | None, str | None]:
    """How a field of a table is stored; or why it cannot be read."""
    attributes, table = group._v_attrs, group.table
    kind = text(attribute(table.attrs, "index_kind" if name == "index" else f"{name}_dtype"))
    kind = kind or str(source.dtype)
    if text(attribute(table.attrs, f"{name}_meta")) == "category":
        return _categories(group, name, layout)
    facts = info.get(name, {}) if isinstance(info.get(name, {}), dict) else {}
    if source.dtype.kind == "S":
        own = attribute(attributes, "data_col_nan_rep") or (
            layout.levels and name in layout.index and attribute(attributes, "mi_level_nan_rep")
        )
        mark = attribute(table.attrs, f"{name}_nan_rep")
        if name == "index":
            missing = "nan" if mark is None else text(mark) or None
        elif own:
            missing = text(mark)
        else:
            whole = attribute(attributes, "nan_rep")
            missing = "nan" if whole is None else text(whole)
        return Text(layout.encoding, layout.errors, missing, own=bool(own) or name == "index"), None
    return number_coding(kind, facts.get("tz"), source.dtype), None


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
    info = attribute(series._v_attrs, "info")
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
