"""Writing pandas' fixed format: the sample's blocks, and a block for each new column."""

from __future__ import annotations

import h5py
import numpy as np
import pandas
import tables

from flowmorph.formats.columns import Chunk
from flowmorph.formats.hdf5.coding import Coded, Text
from flowmorph.formats.hdf5.copy import Copier
from flowmorph.formats.hdf5.frame_write import FrameWriter


class FixedWriter(FrameWriter):
    """Write the fixed format, in arrays that grow."""

    def _lay_out(self, chunk: Chunk, source: tables.File, group: tables.Group) -> None:
        self.labels = self._labels(chunk)
        self.origin: dict[str, str] = {}
        self.blocks: list[tuple[tables.EArray, list[str]]] = []
        taken = self._by_source(chunk)
        attributes = self.group._v_attrs
        self._index(taken, source, group)
        self._names("axis0", list(self.labels.values()), group)
        blocks = [(name, taken[name]) for name in taken if name.startswith("block")]
        blocks += [(None, [name]) for name in self.labels if name not in self.layout.places]
        for number, (old, names) in enumerate(blocks):
            dtype = self._dtype(names[0]) if old else chunk[names[0]].dtype
            array = self._array(f"block{number}_values", dtype, len(names))
            self.blocks.append((array, names))
            self._names(f"block{number}_items", [self.labels[name] for name in names], group)
            array.attrs.transposed = True
            if old:
                self.origin[f"block{number}_values"] = f"{old}_values"
        attributes.nblocks = len(blocks)
        attributes.ndim = 2

    def _array(self, name: str, dtype: np.dtype, width: int | None = None) -> tables.EArray:
        return self.file.create_earray(
            self.group, name, tables.Atom.from_dtype(np.dtype(dtype)),
            (0,) if width is None else (0, width), filters=self.layout.filters,
            expectedrows=max(self.like.rows, 1), track_times=False,
        )  # fmt: skip

    def _index(self, taken: dict, source: tables.File, group: tables.Group) -> None:
        """Lay out the index, or its levels; row numbers if it is no column, or not kept."""
        attributes = self.group._v_attrs
        kept = [name for name in self.layout.index if name in self.codings]
        self.indices: list[tuple[tables.EArray, str | None]] = []
        if not kept or "index" in taken:
            attributes.axis1_variety = "regular"
            name = kept[0] if kept else None
            dtype = self._dtype(name) if name else np.dtype(np.int64)
            array = self._array("axis1", dtype)
            self.indices.append((array, name))
            if name or self.layout.first is not None:
                self.origin["axis1"] = "axis1"
            else:
                array.attrs.kind, array.attrs.name, array.attrs.transposed = "integer", None, True
            coding = self.codings.get(name)
            if isinstance(coding, Text) and coding.missing is not None:
                array.attrs.nan_rep = coding.missing
            if isinstance(coding, Coded):
                self._copy_nodes(group, "axis1_categories", "axis1_categories")
                attributes.axis1_categories_variety = "regular"
            return
        attributes.axis1_variety, attributes.axis1_nlevels = "multi", len(kept)
        for number, name in enumerate(kept):
            old = self.layout.index.index(name)
            codings = [layout.places[name].coding for layout in self.layouts]
            values = pandas.Index(codings[0].values)
            for coding in codings[1:]:
                values = values.append(pandas.Index(coding.values)).unique()
            self.codings[name] = Coded(codings[0].kind, values.to_numpy())
            dtype = np.int64 if len(self.layouts) > 1 else self._dtype(name)
            self.indices.append((self._array(f"axis1_label{number}", dtype), name))
            self.origin[f"axis1_label{number}"] = f"axis1_label{old}"
            self.origin[f"axis1_level{number}"] = f"axis1_level{old}"
            if len(self.layouts) == 1:
                self._copy_nodes(group, f"axis1_level{old}", f"axis1_level{number}")
            else:
                raw = codings[0].inner.encode(self.codings[name].values, name)
                self.file.create_array(
                    self.group, f"axis1_level{number}", obj=raw, track_times=False
                )

    def _copy_nodes(self, group: tables.Group, old: str, new: str) -> None:
        node = group._f_get_child(old)
        made = self.file.create_array(self.group, new, obj=node.read(), track_times=False)
        for name in node._v_attrs._f_list("user"):
            made._v_attrs[name] = node._v_attrs[name]

    def _names(self, axis: str, labels: list, group: tables.Group) -> None:
        """Write names of columns as pandas does: of one type in an array, of several pickled."""
        attributes = self.group._v_attrs
        if labels and all(isinstance(label, tuple) for label in labels):
            attributes[f"{axis}_variety"] = "multi"
            index = pandas.MultiIndex.from_tuples(labels)
            attributes[f"{axis}_nlevels"] = index.nlevels
            for number in range(index.nlevels):
                self._names_array(f"{axis}_level{number}", index.levels[number].tolist())
                codes = np.asarray(index.codes[number])
                self._labels_array(f"{axis}_label{number}", codes)
                old = f"axis0_level{number}"
                if old in group:
                    self._title(f"{axis}_level{number}", group._f_get_child(old))
            return
        attributes[f"{axis}_variety"] = "regular"
        self._names_array(axis, labels)
        if "axis0" in group:
            self._title(axis, group.axis0)

    def _title(self, name: str, old: tables.Node) -> None:
        if "name" in old._v_attrs:
            self.group._f_get_child(name)._v_attrs.name = old._v_attrs.name

    def _labels_array(self, name: str, values: np.ndarray) -> tables.Array:
        made = self.file.create_array(self.group, name, obj=values, track_times=False)
        made.attrs.transposed = True
        return made

    def _names_array(self, name: str, labels: list) -> None:
        if all(isinstance(label, str) for label in labels):
            texts = [label.encode(self.layout.encoding, self.layout.errors) for label in labels]
            made = self._labels_array(name, np.array(texts or [b""], dtype=bytes))
            made.attrs.kind, made.attrs.nan_rep = "string", ""
            if not texts:
                made.attrs.shape, made.attrs.value_type = (0,), "object"
        elif all(isinstance(label, int | float) for label in labels):
            values = np.array(labels)
            made = self._labels_array(name, values)
            made.attrs.kind = {"i": "integer", "f": "float", "b": "bool"}[values.dtype.kind]
        else:
            made = self.file.create_vlarray(
                self.group, name, tables.ObjectAtom(), track_times=False
            )
            made.append(np.array(labels, dtype=object))
            made.attrs.kind, made.attrs.transposed = "object", True
        made.attrs.name = None

    def _append_rows(self, chunk: Chunk, rows: int) -> None:
        for array, name in self.indices:
            if name is None:
                array.append(np.arange(self.rows, self.rows + rows))
            else:
                array.append(self._stored(name, chunk[name]).astype(array.dtype, copy=False))
        for array, names in self.blocks:
            values = [self._stored(name, chunk[name]) for name in names]
            array.append(np.stack(values, axis=1))

    def _attributes(self, copier: Copier, target: h5py.File) -> None:
        key, several = self.layout.key, len(self.like.files) > 1
        for new, old in self.origin.items():
            node = target[f"{key}/{new}"]
            skip = {"shape", "CLASS", "EXTDIM", "VERSION", "TITLE"}
            attributes = copier.first[f"{key}/{old}"].attrs
            if several and "freq" in attributes and "index_class" in attributes:
                # The steps from row to row are only one file's.
                if attributes["index_class"] != "period":
                    skip.add("freq")
            copier.attributes(f"{key}/{old}", node, skip, first=True)
        gone = {name for name in copier.first[key].attrs
                if name.endswith(("_variety", "_nlevels"))}  # fmt: skip
        copier.attributes(key, target[key], gone, first=True)
