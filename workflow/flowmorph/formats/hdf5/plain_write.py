"""Writing plain HDF5 by h5py: datasets and records in the sample's types, filters and order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np

from flowmorph.errors import InputError
from flowmorph.formats.checks import reading
from flowmorph.formats.columns import Chunk, Column
from flowmorph.formats.hdf5.copy import Copier, new_group
from flowmorph.formats.hdf5.opening import opened_plain
from flowmorph.formats.hdf5.plain import (
    Layout,
    Stored,
    encoded,
    filters,
    inspect,
    iterate,
    members,
    memory,
    memory_type,
)
from flowmorph.formats.matrix import joined
from flowmorph.formats.sample_files import FileFacts, SampleFiles
from flowmorph.formats.writer import ChunkWriter, writing

#: Bytes of a chunk where the sample's datasets have none, and the most that are taken over.
CHUNK, MOST = 256 << 10, 4 << 20

#: Filters that give every number back, whatever the rows of a chunk.
EXACT = (
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_NBIT,
    h5py.h5z.FILTER_LZF,
)

#: Attributes of PyTables about the fields and rows of a table, which are others here.
TABLE = re.compile(r"NROWS|AUTO_INDEX|FIELD_\d+_.*")


class PlainWriter(ChunkWriter):
    """Write datasets, or one dataset of records."""

    def _start(self, chunk: Chunk) -> None:
        layout: Layout = self.like.facts[0].layout
        self.layout = layout
        taken = set().union(*(found.layout.taken for found in self.like.facts))
        self.copier = Copier(self.like.files, taken, self.notes, self.open, self.trial)
        source = self.copier.first
        with writing(self.path, "HDF5", chunk):
            order = source.id.get_create_plist().get_link_creation_order()
            file = h5py.File(self.part, "w", track_order=bool(order))
            self.file = self.open.enter_context(file)
            columns = joined(chunk, layout.stored)
            for name, values in columns.items():
                if name not in layout.stored and not _holds(values):
                    raise InputError(f"{self.path}: column {name!r} is no array of numbers")
            self.written = 0
            if layout.kind == "records":
                self._start_records(source, columns)
            else:
                self._start_datasets(source, columns)

    def _start_datasets(self, source: h5py.File, columns: dict[str, Column]) -> None:
        stored, place = self.layout.stored, self.layout.place
        if self.layout.single:
            place = place.rpartition("/")[0] or "/"
        example = next((source[one.node] for one in stored.values()), None)
        self.made = {}
        for name, values in columns.items():
            known = self._known(name)
            # A column of an array that is not whole is a dataset of its own.
            alike = source[known.node] if known else None
            if known:
                kind = alike.id.get_type().copy()
            else:
                kind = h5py.h5t.py_create(values.dtype, logical=True)
            full = f"{place.rstrip('/')}/{name}"
            whole = known is not None and name in stored
            group = self._groups(source, full)
            model = example
            if values.dtype.hasobject and name in self.beside:
                # Not every filter takes lists.
                model = source[self._known(self.beside[name]).node]
            self.made[name] = self._create(
                group, full, kind, values.shape[1:], alike if whole else None, model
            )
            if whole:
                self.copier.attributes(known.node, self.made[name], {"NROWS"})

    def _known(self, column: str) -> Stored | None:
        """The array of the sample that a column is, or is from."""
        stored = self.layout.stored
        if column in stored:
            return stored[column]
        place = self.layout.places.get(column)
        return stored[place[0]] if place else None

    def _groups(self, source: h5py.File, full: str) -> h5py.Group:
        """Make the groups above a dataset, as they are in the sample."""
        group, path = self.file, ""
        for name in full.strip("/").split("/")[:-1]:
            path += f"/{name}"
            if name not in group:
                like = source.get(path)
                if isinstance(like, h5py.Group):
                    new_group(like, group, name)
                else:
                    group.create_group(name)
            group = group[name]
        return group

    def _create(
        self,
        group: h5py.Group,
        full: str,
        kind: h5py.h5t.TypeID,
        inner: tuple[int, ...],
        alike: h5py.Dataset | None,
        example: h5py.Dataset | None,
    ) -> h5py.Dataset:
        """Make a dataset that can grow, filtered as one ``alike``, or as an ``example``."""
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_obj_track_times(False)
        row_bytes = max(kind.get_size() * int(np.prod(inner)), 1)
        chunk = alike.chunks if alike is not None else None
        if not chunk or row_bytes * chunk[0] > MOST:
            rows = min(max(CHUNK // row_bytes, 1), max(self.like.rows, 1))
            chunk = (rows, *(max(size, 1) for size in inner))
        properties.set_chunk(chunk)
        model = alike if alike is not None else example
        if model is not None:
            self._filter(properties, model, full, note=alike is not None)
        space = h5py.h5s.create_simple((0, *inner), (h5py.h5s.UNLIMITED, *inner))
        access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
        access.set_chunk_cache(521, MOST, 1.0)
        name = full.rpartition("/")[2].encode()
        return h5py.Dataset(h5py.h5d.create(group.id, name, kind, space, properties, dapl=access))

    def _filter(self, properties, model: h5py.Dataset, full: str, note: bool) -> None:
        """Take filters over that are there and exact; gzip in place of others."""
        old = model.id.get_create_plist()
        for number, code in enumerate(filters(model)):
            if code in EXACT:
                code, flags, values, _ = old.get_filter(number)
                properties.set_filter(code, flags, values)
        left = [code for code in filters(model) if code not in EXACT]
        if left:
            properties.set_deflate(4)
            if note:
                self.notes.append(
                    f"{full} is compressed by gzip: HDF5 filter {left[0]}, which its input has, "
                    "is not there or loses digits"
                )

    def _start_records(self, source: h5py.File, columns: dict[str, Column]) -> None:
        stored = self.layout.stored
        node = source[next(iter(stored.values())).node]
        kind, fields = node.id.get_type(), []
        whole = members(kind)
        same = all(name in columns for name in whole)
        end = kind.get_size() if same else 0
        self.fields = []
        for name, values in columns.items():
            known = self._known(name)
            if name in whole:
                member, offset = whole[name]
            elif known:
                member, offset = whole[known.field][0].get_super(), None
            else:
                base = h5py.h5t.py_create(values.dtype, logical=True)
                inner = values.shape[1:]
                member, offset = h5py.h5t.array_create(base, inner) if inner else base, None
            if not same or offset is None:
                offset, end = end, end + member.get_size()
            fields.append((name, offset, member))
            inner = values.shape[1:]
            dtype = memory(known) if known else values.dtype
            self.fields.append((name, dtype, inner))
        made = h5py.h5t.create(h5py.h5t.COMPOUND, end)
        for name, offset, member in fields:
            made.insert(encoded(name), offset, member)
        self.dtype = np.dtype(self.fields)
        self.between = h5py.h5t.create(h5py.h5t.COMPOUND, self.dtype.itemsize)
        for name, _, member in fields:
            dtype, offset = self.dtype.fields[name][:2]
            self.between.insert(encoded(name), offset, memory_type(member, dtype))
        group = self._groups(source, node.name)
        self.table = self._create(group, node.name, made, (), node, None)
        skip = {name for name in node.attrs if TABLE.fullmatch(name)}
        self.copier.attributes(node.name, self.table, skip)
        if "NROWS" in node.attrs:
            self._describe(fields)

    def _describe(self, fields: list) -> None:
        """Write what PyTables keeps about the fields of its tables."""
        for number, (name, _, _) in enumerate(fields):
            self.table.attrs.create(f"FIELD_{number}_NAME", np.bytes_(name.encode()))

    def _append(self, chunk: Chunk, rows: int) -> None:
        columns = joined(chunk, self.layout.stored)
        with writing(self.path, "HDF5", chunk):
            if self.layout.kind == "records":
                records = np.zeros(rows, self.dtype)
                for name, values in columns.items():
                    records[name] = values
                _write(self.table, self.written, records, self.between)
            else:
                for name, values in columns.items():
                    known = self._known(name)
                    dtype = memory(known) if known else values.dtype
                    made, values = self.made[name], values.astype(dtype, copy=False)
                    _write(made, self.written, values, memory_type(made.id.get_type(), dtype))
            self.written += rows

    def _finish(self) -> None:
        if self.layout.kind == "records" and "FIELD_0_NAME" in self.table.attrs:
            self.table.attrs["NROWS"] = np.int64(self.rows)
        if not self.trial:
            self.copier.others(self.file)

    def check(self) -> None:
        """Read the first rows again; with a single array, from the datasets beside it as well."""
        if self.layout.single:
            module = SimpleNamespace(inspect=self._inspect, iterate=iterate)
            self.like = SampleFiles(module, self.like.facts)
        super().check()

    def _inspect(self, paths: Sequence[Path], tree: str) -> list[FileFacts]:
        (path,) = paths
        with opened_plain(path) as file, reading(path, "HDF5"):
            place = file[tree.rpartition("/")[0] or "/"]
            return [inspect(path, place, joined(self.first, self.layout.stored))]


def _holds(values: Column) -> bool:
    """Whether a new column can be a dataset: one of numbers, or of lists of numbers."""
    if not isinstance(values, np.ndarray):
        return False
    return not values.dtype.hasobject or isinstance(h5py.check_vlen_dtype(values.dtype), np.dtype)


def _write(node: h5py.Dataset, low: int, values: np.ndarray, between: h5py.h5t.TypeID) -> None:
    """Append rows to a dataset."""
    values = np.ascontiguousarray(values)
    node.resize(low + len(values), axis=0)
    if values.size:
        space = node.id.get_space()
        space.select_hyperslab((low, *(0 for _ in values.shape[1:])), values.shape)
        node.id.write(h5py.h5s.create_simple(values.shape), space, values, between)
