"""Writing HDF5 in chunks: plain datasets, pandas' table format, and its fixed one."""

from __future__ import annotations

import numpy as np
import pandas
import tables

from flowmorph.data.formats.base import Chunk, ChunkWriter, writing
from flowmorph.data.formats.matrix import joined
from flowmorph.errors import InputError


class Writer(ChunkWriter):
    """Write what the sample is: a pandas table, pandas' fixed format, or datasets."""

    def _start(self, chunk: Chunk) -> None:
        self.layout = self.like.facts[0].layout
        self.file = None
        start = {
            "table": self._start_table,
            "fixed": self._start_fixed,
            "compound": self._start_records,
            "datasets": self._start_datasets,
        }[self.layout.kind]
        with writing(self.path, "HDF5", chunk):
            start(chunk)

    def _append(self, chunk: Chunk, rows: int) -> None:
        append = {
            "table": self._append_table,
            "fixed": self._append_fixed,
            "compound": self._append_records,
            "datasets": self._append_datasets,
        }[self.layout.kind]
        with writing(self.path, "HDF5", chunk):
            append(chunk)

    def _finish(self) -> None:
        if self.layout.kind == "table" and not self.rows:
            raise InputError(f"{self.path}: pandas' table format has no empty tables: no rows came")
        self.file.close()

    def _abandon(self) -> None:
        if getattr(self, "file", None) is not None:
            self.file.close()

    def _array(self, name: str, values) -> np.ndarray:
        if not isinstance(values, np.ndarray) or values.dtype.hasobject:
            raise InputError(f"{self.path}: column {name!r} is no array of numbers")
        return values

    # Plain datasets

    def _start_datasets(self, chunk: Chunk) -> None:
        self.file = tables.open_file(str(self.part), "w", pytables_sys_attrs=False)
        tree, stored = self.like.tree.rstrip("/"), self.layout.stored
        if len(stored) == 1 and next(iter(stored.values())).node == tree:
            tree = tree.rpartition("/")[0]
        self.arrays = {}
        for name, values in joined(chunk, stored).items():
            values = self._array(name, values)
            group, _, leaf = f"{tree}/{name}".rpartition("/")
            known = stored.get(name)
            atom = known.atom if known else tables.Atom.from_dtype(values.dtype)
            self.arrays[name] = self.file.create_earray(
                group or "/", leaf, atom, (0, *values.shape[1:]), filters=self.layout.filters,
                expectedrows=max(self.like.rows, 1), createparents=True, track_times=False,
            )  # fmt: skip

    def _append_datasets(self, chunk: Chunk) -> None:
        for name, values in joined(chunk, self.layout.stored).items():
            self.arrays[name].append(values)

    # One dataset of records

    def _start_records(self, chunk: Chunk) -> None:
        columns = joined(chunk, self.layout.stored)
        self.dtype = np.dtype(
            [(name, self._array(name, v).dtype, v.shape[1:]) for name, v in columns.items()]
        )
        node = next(iter(self.layout.stored.values())).node
        group, _, leaf = node.rpartition("/")
        self.file = tables.open_file(str(self.part), "w", pytables_sys_attrs=False)
        self.table = self.file.create_table(
            group or "/", leaf, self.dtype, filters=self.layout.filters,
            expectedrows=max(self.like.rows, 1), createparents=True, track_times=False,
        )  # fmt: skip

    def _append_records(self, chunk: Chunk) -> None:
        columns = joined(chunk, self.layout.stored)
        records = np.empty(len(next(iter(columns.values()))), self.dtype)
        for name, values in columns.items():
            records[name] = values
        self.table.append(records)

    # Pandas

    def _frame(self, chunk: Chunk) -> pandas.DataFrame:
        columns = {name: values for name, values in chunk.items() if name != self.layout.index}
        if all(name in self.layout.labels for name in columns):
            columns = {self.layout.labels[name]: values for name, values in columns.items()}
        if self.layout.index in chunk:
            index = pandas.Index(chunk[self.layout.index], name=self.layout.index)
        else:
            rows = len(next(iter(chunk.values())))
            index = pandas.RangeIndex(self.rows, self.rows + rows)
        return pandas.DataFrame(columns, index=index)

    def _start_table(self, chunk: Chunk) -> None:
        filters = self.layout.filters
        self.file = pandas.HDFStore(
            self.part, "w", complib=filters.complib, complevel=filters.complevel
        )

    def _append_table(self, chunk: Chunk) -> None:
        texts = {}
        for name, values in chunk.items():
            if values.dtype.kind in "OU":
                place = self.layout.places.get(name)
                known = self.layout.stored[place[0]].dtype.itemsize if place else 0
                texts[name] = max(known, *(len(str(text).encode()) for text in values), 1)
        self.file.put(
            self.like.tree, self._frame(chunk), format="table", append=True, index=False,
            data_columns=[name for name in self.layout.data_columns if name in chunk] or None,
            min_itemsize=texts if self.rows == 0 and texts else None, track_times=False,
        )  # fmt: skip

    def _start_fixed(self, chunk: Chunk) -> None:
        """Lay out the file as pandas does for one row, with arrays that can grow."""
        for name, values in chunk.items():
            self._array(name, values)
        row = {name: np.zeros(1, values.dtype) for name, values in chunk.items()}
        memory = {"driver": "H5FD_CORE", "driver_core_backing_store": 0}
        self.file = tables.open_file(str(self.part), "w")
        with pandas.HDFStore("layout in memory", "w", **memory) as pattern:
            pattern.put("frame", self._frame(row), format="fixed", track_times=False)
            source = pattern.root.frame
            parent, _, leaf = self.like.tree.rpartition("/")
            group = self.file.create_group(parent or "/", leaf, createparents=True)
            source._v_attrs._f_copy(group)
            self.axis, self.blocks = None, []
            for name in sorted(source._v_children):
                node = source._f_get_child(name)
                if not name.endswith("_values") and name != "axis1":
                    made = self.file.create_array(group, name, node.read(), track_times=False)
                else:
                    made = self.file.create_earray(
                        group, name, node.atom, (0, *node.shape[1:]), track_times=False,
                        filters=self.layout.filters, expectedrows=max(self.like.rows, 1),
                    )  # fmt: skip
                    if name == "axis1":
                        self.axis = made
                    else:
                        items = source._f_get_child(name.replace("values", "items")).read()
                        texts = items.dtype.kind == "S"
                        keys = [k.decode() if texts else str(k) for k in items.tolist()]
                        self.blocks.append((made, keys))
                for key in node._v_attrs._f_list("user"):
                    made._v_attrs[key] = node._v_attrs[key]

    def _append_fixed(self, chunk: Chunk) -> None:
        self.axis.append(np.asarray(self._frame(chunk).index))
        for array, names in self.blocks:
            array.append(np.stack([chunk[name] for name in names], axis=1))
