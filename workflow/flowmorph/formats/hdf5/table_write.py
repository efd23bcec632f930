"""Writing pandas' table format: the sample's table with further fields, and its attributes."""

from __future__ import annotations

import re
from dataclasses import dataclass

import h5py
import numpy as np
import tables

from flowmorph.errors import InputError
from flowmorph.formats.columns import Chunk
from flowmorph.formats.hdf5.coding import Coded, Text
from flowmorph.formats.hdf5.copy import Copier
from flowmorph.formats.hdf5.frame_write import FrameWriter
from flowmorph.formats.hdf5.opening import Inert

#: Attributes of PyTables itself, which are about the fields that are written.
OWN = re.compile(r"NROWS|AUTO_INDEX|FIELD_\d+_.*")


@dataclass(frozen=True)
class Field:
    """A field of the table, its type and width (None: one value a row), and its columns."""

    dtype: np.dtype
    width: int | None
    columns: list[str]


class TableWriter(FrameWriter):
    """Write a table."""

    def _lay_out(self, chunk: Chunk, source: tables.File, group: tables.Group) -> None:
        self.labels, old = self._labels(chunk), group.table
        fields, taken = {}, self._by_source(chunk)
        fields["index"] = Field(np.dtype(np.int64), None, [])
        for name, columns in taken.items():
            width = self.layout.sources[name].width
            dtype = max((self._dtype(each) for each in columns), key=lambda kind: kind.itemsize)
            fields[name] = Field(dtype, None if width is None else len(columns), columns)
        number = 0
        for name, values in chunk.items():
            if name in self.layout.places:
                continue
            while f"values_block_{number}" in fields or f"values_block_{number}" in old.colnames:
                number += 1
            fields[f"values_block_{number}"] = Field(values.dtype, 1, [name])
        self.fields = fields
        self.dtype = np.dtype(
            [(name, one.dtype, () if one.width is None else (one.width,))
             for name, one in fields.items()]
        )  # fmt: skip
        self.table = self.file.create_table(
            self.group, "table", self.dtype, filters=self.layout.filters,
            expectedrows=max(self.like.rows, 1), byteorder=old.byteorder, track_times=False,
        )  # fmt: skip
        self._describe(group)

    def _describe(self, source: tables.Group) -> None:
        """Write those of pandas' attributes that are about the columns; the rest is copied."""
        attributes = self.table.attrs
        for name, one in self.fields.items():
            if name == "index":
                if not one.columns:
                    attributes.index_kind = "integer"
                continue
            known = [column for column in one.columns if column in self.layout.places]
            attributes[f"{name}_kind"] = [self.labels[column] for column in one.columns]
            if not known:
                attributes[f"{name}_meta"], attributes[f"{name}_dtype"] = None, one.dtype.name
            elif one.dtype.kind == "S":
                attributes[f"{name}_dtype"] = f"bytes{8 * one.dtype.itemsize}"
        for name, one in self.fields.items():
            coding = self.codings.get(one.columns[0]) if one.columns else None
            if isinstance(coding, Text) and coding.own and coding.missing is not None:
                attributes[f"{name}_nan_rep"] = coding.missing
        new = self.group._v_attrs
        new.values_cols = [name for name in self.fields if name != "index"]
        new.data_columns = [name for name in self.layout.data_columns if name in self.fields]
        new.non_index_axes = [(1, list(self.labels.values()))]
        if self.layout.levels:
            levels = [name for name in self.layout.index if name in self.labels]
            if levels != self.layout.index:
                new.levels = [self.labels[name] for name in levels] or 1
                if not levels:
                    new.table_type = "appendable_frame"
        elif not self.fields["index"].columns and self.layout.first is None:
            info = {name: facts for name, facts in source._v_attrs.info.items() if name != "index"}
            if any(isinstance(fact, Inert) for facts in info.values() for fact in facts.values()):
                raise InputError(
                    f"{self.path}: the index {self.layout.index[0]!r} cannot be left out of the "
                    "output, because a column has a time zone that is a Python object: keep it"
                )
            new.info = info

    def _append_rows(self, chunk: Chunk, rows: int) -> None:
        records = np.zeros(rows, self.dtype)
        for name, one in self.fields.items():
            if not one.columns:
                records[name] = np.arange(self.rows, self.rows + rows)
            for place, column in enumerate(one.columns):
                values = self._stored(column, chunk[column])
                self._check_length(column, values, one.dtype)
                if one.width is None:
                    records[name] = values
                else:
                    records[name][:, place] = values
        self.table.append(records)

    def _check_length(self, name: str, values: np.ndarray, dtype: np.dtype) -> None:
        if dtype.kind == "S" and values.dtype.itemsize > dtype.itemsize:
            raise InputError(
                f"{self.path}: column {name!r} has a text of {values.dtype.itemsize} bytes, and "
                f"room for {dtype.itemsize}"
            )

    def _attributes(self, copier: Copier, target: h5py.File) -> None:
        key = self.layout.key
        table = target[f"{key}/table"]
        gone = [name for name in self.layout.sources if name not in self.fields]
        if not self.fields["index"].columns and self.layout.first is None:
            gone.append("index")
        old = copier.first[f"{key}/table"].attrs
        skip = {name for name in old if OWN.fullmatch(name)}
        skip |= {f"{name}_{what}" for name in gone for what in ("kind", "meta", "dtype", "nan_rep")}
        copier.attributes(f"{key}/table", table, skip, first=True)
        copier.attributes(key, target[key], first=True)
        for name, one in self.fields.items():
            if one.columns and isinstance(self.codings.get(one.columns[0]), Coded):
                copier.tree(f"{self.layout.key}/meta/{name}", target)
