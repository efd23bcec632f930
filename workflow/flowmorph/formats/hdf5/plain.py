"""Plain HDF5 by h5py: one dataset a column, or one dataset of records, in their exact types."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from flowmorph.errors import InputError
from flowmorph.formats.checks import check_unique, listed, reading
from flowmorph.formats.columns import Chunk, Column, native
from flowmorph.formats.hdf5.opening import check_size, no_code, opened, opened_plain
from flowmorph.formats.hdf5.tree import pandas_type, walk
from flowmorph.formats.matrix import sources, split_columns
from flowmorph.formats.sample_files import FileFacts

#: Filters that PyTables brings and h5py lacks: a dataset that has one is read with PyTables.
TABLES_FILTERS = {305: "lzo", 307: "bzip2", 32001: "blosc", 32026: "blosc2"}


@dataclass(frozen=True)
class Stored:
    """A dataset, or a ``field`` of one that is of records.

    ``bits`` tells that it is of PyTables' booleans, bit fields that h5py takes for numbers.
    """

    node: str
    dtype: np.dtype
    shape: tuple[int, ...]
    field: str | None = None
    bits: bool = False


@dataclass
class Layout:
    """Where columns are.

    ``kind`` is datasets or records; ``stored`` are the arrays by name, and ``places`` the array of
    each column and its place in the rows. ``taken`` are the nodes that columns come from,
    ``foreign`` those of them that PyTables has to read; ``single`` says that it is one array.
    """

    kind: str
    place: str
    stored: dict[str, Stored] = field(default_factory=dict)
    places: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    single: bool = False


def inspect(
    path: Path, place: h5py.Group | h5py.Dataset, only: Collection[str] | None = None
) -> FileFacts:
    """Find the columns of a dataset of records, of a single array, or of all arrays of a group.

    ``only`` names those of the group's arrays that are looked at.
    """
    layout, nodes = Layout("datasets", place.name), []
    if isinstance(place, h5py.Dataset):
        layout.single = not _is_records(place)
        found = {place.name.rpartition("/")[2]: place}
    else:
        prefix = place.name.rstrip("/") + "/"
        nodes = list(walk(place))
        found = {name.removeprefix(prefix): node for name, node in nodes if _is_column(node)}
        found = {name: node for name, node in found.items() if only is None or name in only}
    unreadable, rows = {}, {}
    records = [node for node in found.values() if _is_records(node)]
    if records and len(found) > 1:
        names = [f"{place.name.rstrip('/')}/{name}" for name in found]
        raise InputError(f"{path}: has several datasets ({listed(names)}): name one")
    for name, node in found.items():
        if _is_records(node):
            _add_records(path, layout, node, unreadable)
            rows[name] = node.shape[0]
        else:
            problem = node if isinstance(node, str) else _add(path, layout, name, node)
            if isinstance(node, h5py.Dataset):
                rows[name] = node.shape[0]
            if problem:
                unreadable[name] = problem
                layout.taken.add(f"{place.name.rstrip('/')}/{name}")
    if not rows:
        keys = [name for name, node in nodes if pandas_type(node)] if nodes else []
        which = f"{place.name} has no datasets but keys ({listed(keys)}): name one"
        which = which if keys else f"no datasets in {place.name}: name the group"
        for name, problem in unreadable.items():
            which = f"{name!r} ({problem}) cannot be read, and there are no other datasets"
        raise InputError(f"{path}: {which}")
    (first, count), *others = rows.items()
    for name, length in others:
        if length != count:
            raise InputError(
                f"{path}: dataset {name!r} has {length} rows, {first!r} has {count}: name a group "
                "whose datasets are columns of one table"
            )
    columns = split_columns(layout.stored)
    layout.places = sources(list(columns), layout.stored)
    for name, (source, _) in layout.places.items():
        columns[name] = described(layout.stored[source].dtype, columns[name])
    columns |= unreadable
    check_unique(path, list(columns))
    return FileFacts(path, "hdf5-datasets", place.name, columns, count, layout, unreadable)


def described(dtype: np.dtype, name: str) -> str:
    """The name of a column's type; h5py's own types are objects to numpy."""
    if h5py.check_enum_dtype(dtype):
        return f"{name} {h5py.check_enum_dtype(dtype)}"
    if h5py.check_string_dtype(dtype):
        return name.replace("object", "text", 1)
    lists = h5py.check_vlen_dtype(dtype)
    return name.replace("object", f"lists of {lists}", 1) if lists else name


def _is_column(node: object) -> bool:
    """Whether it is a dataset with rows, or a link (told by a text) that might lead to one."""
    return isinstance(node, str) or (isinstance(node, h5py.Dataset) and bool(node.shape))


def _is_records(node: object) -> bool:
    if not isinstance(node, h5py.Dataset) or len(node.shape) != 1:
        return False
    kind = node.id.get_type()
    return kind.get_class() == h5py.h5t.COMPOUND and not _is_complex(kind)


def _is_complex(kind: h5py.h5t.TypeID) -> bool:
    """Whether h5py takes a compound for a complex number."""
    return kind.get_nmembers() == 2 and type_problem(kind) is None and kind.dtype.kind == "c"


def type_problem(kind: h5py.h5t.TypeID) -> str | None:
    """Why values of an HDF5 type cannot be read or written again, if so."""
    family = kind.get_class()
    if family == h5py.h5t.REFERENCE:
        return "HDF5 references to other objects"
    if family == h5py.h5t.TIME:
        return "an HDF5 time (PyTables' Time32 or Time64)"
    if family == h5py.h5t.BITFIELD and kind.get_size() > 1:
        return f"an HDF5 bit field of {kind.get_size()} bytes"
    if family == h5py.h5t.COMPOUND:
        for number in range(kind.get_nmembers()):
            problem = type_problem(kind.get_member_type(number))
            if problem:
                return f"a record with {problem}"
    elif family == h5py.h5t.ARRAY:
        return type_problem(kind.get_super())
    elif family == h5py.h5t.VLEN:
        base = kind.get_super()
        problem = type_problem(base)
        if problem or base.dtype.hasobject or base.dtype.fields:
            return f"HDF5 lists of {problem or 'lists, texts or records'}"
    try:
        kind.dtype  # noqa: B018
    except (TypeError, ValueError):
        return "an HDF5 type that h5py does not know"
    return None


def dataset_problem(node: h5py.Dataset) -> str | None:
    """Why a dataset's values are not read, wherever they are used, if so."""
    if node.is_virtual:
        return "a virtual dataset, whose values are in other files"
    if node.external:
        return "a dataset whose values are in another file"
    for code in filters(node):
        if not h5py.h5z.filter_avail(code) and code not in TABLES_FILTERS:
            return f"compressed by HDF5 filter {code}, which is not installed"
    return None


def filters(node: h5py.Dataset) -> list[int]:
    """Codes of the filters that a dataset's chunks go through."""
    properties = node.id.get_create_plist()
    return [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]


def check_dataset(path: Path, node: h5py.Dataset) -> None:
    """Raise `InputError` for a dataset that would unpack to what no data would."""
    row_bytes = node.id.get_type().get_size() * int(np.prod(node.shape[1:], dtype=object))
    chunk = node.chunks[0] if node.chunks else None
    check_size(
        path, node.name, node.shape[0], row_bytes, chunk, node.id.get_storage_size()
    )  # fmt: skip


def _add(path: Path, layout: Layout, name: str, node: h5py.Dataset) -> str | None:
    """Take a dataset as an array; or say why it cannot be read."""
    kind = node.id.get_type()
    problem = dataset_problem(node) or type_problem(kind)
    if node.attrs.get("PSEUDOATOM") is not None:
        problem = _pseudo(node)
    if problem:
        return problem
    foreign = any(not h5py.h5z.filter_avail(code) for code in filters(node))
    if foreign and kind.dtype.kind not in "iufcbS":
        return f"{kind.dtype} compressed by {TABLES_FILTERS[filters(node)[-1]]}"
    check_dataset(path, node)
    bits = kind.get_class() == h5py.h5t.BITFIELD
    dtype = np.dtype(bool) if bits else kind.dtype
    layout.stored[name] = Stored(node.name, dtype, node.shape, bits=bits)
    layout.taken.add(node.name)
    if foreign:
        layout.foreign.add(node.name)
    return None


def _pseudo(node: h5py.Dataset) -> str | None:
    """What PyTables means by lists of bytes."""
    kind = node.attrs["PSEUDOATOM"]
    kind = kind.decode(errors="replace") if isinstance(kind, bytes) else str(kind)
    return "pickled Python objects, which are never loaded" if kind == "object" else None


def _add_records(path: Path, layout: Layout, node: h5py.Dataset, unreadable: dict) -> None:
    """Take the fields of records as arrays."""
    layout.kind = "records"
    layout.taken.add(node.name)
    kind, whole = node.id.get_type(), dataset_problem(node)
    foreign = any(not h5py.h5z.filter_avail(code) for code in filters(node))
    if foreign:
        layout.foreign.add(node.name)
    if not whole:
        check_dataset(path, node)
    for name, (member, _) in members(kind).items():
        problem = whole or type_problem(member)
        if not problem and foreign and (member.dtype.fields or member.dtype.hasobject):
            problem = f"{member.dtype} compressed by {TABLES_FILTERS[filters(node)[-1]]}"
        if problem:
            unreadable[name] = problem
            continue
        inner = ()
        if member.get_class() == h5py.h5t.ARRAY:
            inner, member = member.get_array_dims(), member.get_super()
        bits = member.get_class() == h5py.h5t.BITFIELD
        dtype = np.dtype(bool) if bits else member.dtype
        shape = (node.shape[0], *inner)
        layout.stored[name] = Stored(node.name, dtype, shape, name, bits)


def memory(stored: Stored) -> np.dtype:
    """The type of an array's values in memory, for h5py."""
    if stored.bits:
        return np.dtype(np.uint8)
    # A type with metadata is one of h5py's own, such as texts or an enumeration.
    return stored.dtype if stored.dtype.metadata else stored.dtype.newbyteorder("=")


def memory_type(kind: h5py.h5t.TypeID, dtype: np.dtype) -> h5py.h5t.TypeID:
    """The HDF5 type of values of a ``dtype`` in memory that are of a ``kind`` in a file."""
    family = kind.get_class()
    if family == h5py.h5t.ARRAY:
        base = dtype.base if dtype.subdtype else dtype
        return h5py.h5t.array_create(memory_type(kind.get_super(), base), kind.get_array_dims())
    if family == h5py.h5t.COMPOUND and dtype.fields:
        made = h5py.h5t.create(h5py.h5t.COMPOUND, dtype.itemsize)
        for number in range(kind.get_nmembers()):
            name = kind.get_member_name(number)
            field_dtype, offset = dtype.fields[decoded(name)][:2]
            made.insert(name, offset, memory_type(kind.get_member_type(number), field_dtype))
        return made
    fixed = family == h5py.h5t.STRING and not kind.is_variable_str()
    if fixed or family in (h5py.h5t.OPAQUE, h5py.h5t.BITFIELD):
        # Between two ways to end a text, the HDF5 library would cut its last byte off.
        return kind.copy()
    return h5py.h5t.py_create(dtype)


def decoded(name: bytes) -> str:
    """Name of a field of records."""
    return name.decode("utf-8", "surrogateescape")


def encoded(name: str) -> bytes:
    """Undo `decoded`."""
    return name.encode("utf-8", "surrogateescape")


def members(kind: h5py.h5t.TypeID) -> dict[str, tuple[h5py.h5t.TypeID, int]]:
    """Type and place of each field of records."""
    return {
        decoded(kind.get_member_name(i)): (kind.get_member_type(i), kind.get_member_offset(i))
        for i in range(kind.get_nmembers())
    }


def iterate(found: FileFacts, columns: Sequence[str], size: int) -> Iterator[Chunk]:
    """Read the columns of one file in chunks of at most ``size`` rows."""
    if not columns:
        return
    layout: Layout = found.layout
    wanted = {layout.places[name][0]: layout.stored[layout.places[name][0]] for name in columns}
    with ExitStack() as stack:
        # Two libraries must not have a file open at a time, unless both only read it.
        plain = stack.enter_context(opened_plain(found.path))
        foreign = stack.enter_context(opened(found.path)) if layout.foreign else None
        stack.enter_context(reading(found.path, "HDF5"))
        for low in range(0, max(found.rows, 1), size):
            high = min(low + size, found.rows)
            if layout.kind == "records":
                (node,) = {one.node for one in wanted.values()}
                if node in layout.foreign:
                    records = _foreign(foreign, node, low, high)
                else:
                    records = _rows(plain[node], low, high, *_fields(plain[node], wanted))
                arrays = {name: records[one.field] for name, one in wanted.items()}
            else:
                arrays = {
                    name: _foreign(foreign, one.node, low, high)
                    if one.node in layout.foreign
                    else _rows(plain[one.node], low, high, memory(one))
                    for name, one in wanted.items()
                }
            arrays = {name: _true(found.path, name, arrays[name], wanted[name]) for name in arrays}
            yield {name: _column(arrays, *layout.places[name]) for name in columns}


def _foreign(file, node: str, low: int, high: int) -> np.ndarray:
    with no_code():
        return file.get_node(node)[low:high]


def _fields(node: h5py.Dataset, wanted: Mapping[str, Stored]) -> tuple[np.dtype, h5py.h5t.TypeID]:
    """The type of records of some fields, as numpy's and as HDF5's."""
    kinds = members(node.id.get_type())
    dtype = np.dtype([(one.field, memory(one), one.shape[1:]) for one in wanted.values()])
    made = h5py.h5t.create(h5py.h5t.COMPOUND, dtype.itemsize)
    for one in wanted.values():
        kind, offset = kinds[one.field][0], dtype.fields[one.field][1]
        made.insert(encoded(one.field), offset, memory_type(kind, memory(one)))
    return dtype, made


def _rows(
    node: h5py.Dataset,
    low: int,
    high: int,
    dtype: np.dtype,
    between: h5py.h5t.TypeID | None = None,
) -> np.ndarray:
    """Rows of a dataset, in a type that may have fewer fields than its."""
    between = between or memory_type(node.id.get_type(), dtype)
    shape = (high - low, *node.shape[1:])
    values = np.empty(shape, dtype)
    if values.size:
        space = node.id.get_space()
        space.select_hyperslab((low, *(0 for _ in shape[1:])), shape)
        node.id.read(h5py.h5s.create_simple(shape), space, values, between)
    return values


def _true(path: Path, name: str, values: np.ndarray, stored: Stored) -> np.ndarray:
    """Booleans of bit fields."""
    if not stored.bits or values.dtype == bool:
        return values
    if (values > 1).any():
        raise InputError(f"{path}: column {name!r} is of bit fields, and not of 0 and 1 only")
    return values.astype(bool)


def _column(arrays: dict[str, np.ndarray], name: str, place: int | None) -> Column:
    values = arrays[name] if place is None else arrays[name][:, place]
    if values.dtype.hasobject or values.dtype.fields:
        return values
    return np.ascontiguousarray(native(values))
