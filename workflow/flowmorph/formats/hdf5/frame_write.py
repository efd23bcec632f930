"""What the writers of pandas' two HDF5 formats share: columns sorted by array, attributes, rest."""

from __future__ import annotations

import re
from abc import abstractmethod
from contextlib import ExitStack

import h5py
import numpy as np
import tables

from flowmorph.errors import InputError
from flowmorph.formats.columns import Chunk, Column
from flowmorph.formats.hdf5.coding import Coded, Coding, Text
from flowmorph.formats.hdf5.copy import Copier
from flowmorph.formats.hdf5.frame import Layout, Place
from flowmorph.formats.hdf5.opening import no_code, opened
from flowmorph.formats.writer import ChunkWriter, writing

#: What pandas, and PyTables to search tables, keep in the group of a data frame.
PANDAS = re.compile(r"(table|_i_table|meta)$|(axis|block)\d")


class FrameWriter(ChunkWriter):
    """Write arrays as the sample's files have them, and new columns in arrays beside them."""

    def _start(self, chunk: Chunk) -> None:
        self.layouts: list[Layout] = [found.layout for found in self.like.facts]
        self.layout = self.layouts[0]
        with writing(self.path, "pandas' HDF5", chunk), no_code():
            self._check_new(chunk)
            known = [name for name in chunk if name in self.layout.places]
            self.codings = {name: self._coding(name) for name in known}
            self.file = self.open.enter_context(tables.open_file(str(self.part), "w"))
            parent, _, leaf = self.layout.key.rpartition("/")
            self.group = self.file.create_group(parent or "/", leaf, createparents=True)
            with opened(self.like.files[0]) as source:
                self._lay_out(chunk, source, source.get_node(self.layout.key))

    def _append(self, chunk: Chunk, rows: int) -> None:
        with writing(self.path, "pandas' HDF5", chunk), no_code():
            self._append_rows(chunk, rows)

    @abstractmethod
    def _lay_out(self, chunk: Chunk, source: tables.File, group: tables.Group) -> None:
        """Make the arrays of the first chunk's columns, like those of the source."""

    @abstractmethod
    def _append_rows(self, chunk: Chunk, rows: int) -> None:
        """Add the rows of a chunk to the arrays."""

    def _check_new(self, chunk: Chunk) -> None:
        for name, values in chunk.items():
            known = name in self.layout.places
            if not known and (not isinstance(values, np.ndarray) or values.dtype.hasobject):
                raise InputError(f"{self.path}: column {name!r} is no array of numbers")

    def _coding(self, name: str) -> Coding:
        """How a column is stored: as in the first file, where the others do not need more."""
        codings = [layout.places[name].coding for layout in self.layouts]
        if isinstance(codings[0], Text) and codings[0].own:
            marks = {coding.missing for coding in codings if isinstance(coding, Text)}
            mark = max((mark for mark in marks if mark is not None), key=len, default=None)
            return Text(codings[0].encoding, codings[0].errors, mark, own=True)
        if isinstance(codings[0], Coded) and codings[0].inner is None:
            first = codings[0].values.tolist()
            if any(coding.values.tolist() != first for coding in codings[1:]):
                raise InputError(
                    f"{self.path}: column {name!r} has other categories in each file: give all "
                    "files the same, or leave it out of the output (own.output.drop, --drop)"
                )
        return codings[0]

    def _stored(self, name: str, values: Column) -> np.ndarray:
        """A column's values as they are stored."""
        if name not in self.codings:
            return values
        try:
            return self.codings[name].encode(values, name)
        except (InputError, UnicodeEncodeError) as error:
            raise InputError(f"{self.path}: {error}") from error

    def _dtype(self, name: str) -> np.dtype:
        """Type of a known column's stored values, which for texts is the longest of all files."""
        kinds = [layout.sources[layout.places[name].source].dtype for layout in self.layouts]
        coding = self.codings[name]
        if not isinstance(coding, Text):
            return kinds[0]
        mark = (coding.missing or "").encode(coding.encoding)
        return np.dtype(f"S{max(len(mark), 1, *(kind.itemsize for kind in kinds))}")

    def _by_source(self, chunk: Chunk) -> dict[str, list[str]]:
        """Known columns by the array that they come from, each in the array's order."""
        found = {source: [] for source in self.layout.sources}
        for name, place in self.layout.places.items():
            if name in chunk:
                found[place.source].append(name)
        return {source: names for source, names in found.items() if names}

    def _label(self, name: str, depth: int) -> object:
        """What pandas is to call a column: a name of several levels where the others have that."""
        place: Place | None = self.layout.places.get(name)
        if place is not None:
            return place.label
        return (name, *[""] * (depth - 1)) if depth > 1 else name

    def _labels(self, chunk: Chunk) -> dict[str, object]:
        """Names of all columns, in the sample's order, without the index; new ones come last."""
        known = [name for name in self.like.columns if name in chunk]
        names = known + [name for name in chunk if name not in known]
        inside = [name for name in names if self.layout.levels or name not in self.layout.index]
        labels = [place.label for place in self.layout.places.values()]
        depth = max((len(each) for each in labels if isinstance(each, tuple)), default=1)
        return {name: self._label(name, depth) for name in inside}

    def _finish(self) -> None:
        with no_code():
            self.file.close()
        with ExitStack() as stack:
            key = {self.layout.key}
            copier = Copier(self.like.files, key, self.notes, stack, self.trial)
            target = stack.enter_context(h5py.File(self.part, "r+"))
            self._attributes(copier, target)
            inside = [name for name in copier.first[self.layout.key] if not PANDAS.match(name)]
            self.notes += [f"{self.layout.key}/{name} is not copied: it is in a data frame"
                           for name in inside]  # fmt: skip
            if not self.trial:
                copier.others(target)

    @abstractmethod
    def _attributes(self, copier: Copier, target: h5py.File) -> None:
        """Give the frame the attributes of the source."""

    def check(self) -> None:
        """Read the first rows again; an index that counts the rows is no column then."""
        (found,) = self.like.module.inspect([self.part], self.like.tree)
        index = [name for name in self.layout.index if name not in found.columns]
        if found.layout.first is not None:
            for name in index:
                numbers = self.first.pop(name, np.arange(0))
                self.names = [each for each in self.names if each != name]
                if (numbers != np.arange(len(numbers))).any():
                    raise InputError(f"{self.path}: its index reads back as the rows' numbers")
        super().check()
