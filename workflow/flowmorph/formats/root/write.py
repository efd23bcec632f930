"""TTrees and RNTuples in files that uproot writes, in chunks."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import awkward as ak
import numpy as np
import uproot
from uproot.writing import _cascadetree

from flowmorph.errors import InputError
from flowmorph.formats.columns import Chunk, Column
from flowmorph.formats.flat_root import FIXED_UUID
from flowmorph.formats.sample_files import LEAVE_OUT, FileFacts
from flowmorph.formats.writer import writing


def create(stream) -> uproot.WritableDirectory:
    """Begin a file in an open stream, from which uproot learns no name that it would write."""
    return uproot.recreate(stream, uuid_function=lambda: FIXED_UUID)


class _Name(str):
    """A branch's name whose brackets are left out where uproot appends the array's lengths."""

    def __add__(self, lengths: str) -> str:
        return re.sub(r"\[.*", "", self) + lengths


def _tree_class(
    counters: Mapping[str, np.dtype], weight: float, titles: Mapping[str, str] | None = None
) -> type:
    """uproot's writer of a tree, less four things in which it does not write what was asked.

    It knows one type of counter (int32), takes brackets in a name for lengths, makes every branch's
    title of its leaf, and forgets the fixed lengths of a jagged array's elements in the offsets of
    its rows.
    """

    class Tree(_cascadetree.Tree):
        def _branch_np(self, branch_name, branch_type, branch_dtype, counter=None, kind="normal"):
            if kind == "counter":
                branch_dtype = counters.get(branch_name, branch_dtype)
            datum = super()._branch_np(branch_name, branch_type, branch_dtype, counter, kind)
            datum["fName"] = _Name(branch_name)
            datum["fTitle"] = (titles or {}).get(branch_name, datum["fTitle"])
            return datum

        def write_anew(self, sink):
            self._metadata["fWeight"] = weight
            return super().write_anew(sink)

        def write_jagged_basket(self, sink, branch_name, compression, array, offsets):
            datum = self._branch_data[self._branch_lookup[branch_name]]
            offsets *= math.prod(datum["shape"])
            return super().write_jagged_basket(sink, branch_name, compression, array, offsets)

    return Tree


def refused(format: str, chunk: Chunk) -> list[str]:
    """Names of the columns that cannot be written in this format."""
    if format == "root-ttree":
        return [name for name, values in chunk.items() if not _tree_holds(values)]
    # Variants of numbers are not valid: awkward makes them one type.
    valid = {
        name: values[:1]
        for name, values in chunk.items()
        if isinstance(values, np.ndarray) or ak.is_valid(values)
    }
    if not _ntuple_holds(valid):
        valid = {name: one for name, one in valid.items() if _ntuple_holds({name: one})}
    return [name for name in chunk if name not in valid]


def _tree_holds(values: Column) -> bool:
    """Numbers, fixed arrays of them, jagged arrays of either, and texts."""
    if isinstance(values, np.ndarray):
        return _number(values.dtype)
    if not isinstance(values, ak.Array):
        return False
    kind = values.type.content
    if kind.parameter("__array__") == "string":
        return True
    if not isinstance(kind, ak.types.ListType) or kind.parameters:
        return False
    kind = kind.content
    while isinstance(kind, ak.types.RegularType) and not kind.parameters:
        kind = kind.content
    return isinstance(kind, ak.types.NumpyType) and _number(np.dtype(kind.primitive))


def _number(dtype: np.dtype) -> bool:
    return dtype.newbyteorder(">") in _cascadetree._dtype_to_char and dtype.kind != "U"


def _ntuple_holds(chunk: Chunk) -> bool:
    """Whether uproot writes it, by a try: nested types make too many cases for a rule."""
    try:
        with create(io.BytesIO()) as file:
            rows = _records(chunk)
            file.mkrntuple("tree", rows.layout.form).extend(rows)
    except Exception:  # of many kinds, such as KeyError and AssertionError
        return False
    return True


def _records(chunk: Chunk) -> ak.Array:
    """Columns as the record of a row, options all of one form."""

    def change(layout, **_):
        if layout.is_option:
            layout = layout.to_IndexedOptionArray64()
            content = ak.transform(change, layout.content, highlevel=False)
            return ak.contents.IndexedOptionArray(layout.index, content)
        return None

    contents = [
        ak.to_packed(ak.transform(change, ak.to_layout(values), highlevel=False), highlevel=False)
        for values in chunk.values()
    ]
    return ak.Array(ak.contents.RecordArray(contents, list(chunk)))


def _titled(chunk: Chunk, titles: Mapping[str, str]) -> ak.forms.Form:
    """The form of `_records` in which uproot finds what the fields are about."""
    layout = _records(chunk).layout
    contents = []
    for name, column in zip(layout.fields, layout.contents, strict=True):
        # uproot would give the title of fixed arrays to their elements.
        column = column.to_RegularArray() if isinstance(column, ak.contents.NumpyArray) else column
        about = {"__doc__": titles[name]} if name in titles else {}
        form = column.form
        contents.append(form.copy(parameters={**form.parameters, **about}))
    return ak.forms.RecordForm(contents, layout.fields)


class Target:
    """A TTree or RNTuple like one that there is, with the columns and types of its first chunk.

    ``beside`` has, for a new column, the one that there is whose counter, if any, it shares, and
    ``titles`` what new columns are about.
    """

    def __init__(
        self,
        file,
        like: FileFacts,
        chunk: Chunk,
        path: Path,
        beside: Mapping[str, str] | None = None,
        titles: Mapping[str, str] | None = None,
    ) -> None:
        self.format, self.path = like.format, path
        name, layout = like.tree, like.layout
        known, new = layout.counters, beside or {}
        about = {**(titles or {}), **layout.titles}
        with writing(path, self.format, chunk):
            if self.format == "root-rntuple":
                form = _titled(chunk, about)
                self.target = file.mkrntuple(name, form, layout.title)
                return
            self.counters = known | {name: known[old] for name, old in new.items() if old in known}
            counters = dict(self.counters.values())
            types = {key: _kind(values) for key, values in chunk.items()}
            made = _tree_class(counters, layout.weight, about)
            with mock.patch("uproot.writing._cascadetree.Tree", made):
                self.target = file.mktree(
                    name, types, title=layout.title, counter_name=self._counter
                )

    def _counter(self, column: str) -> str:
        return self.counters.get(column, ("n" + column, None))[0]

    def extend(self, chunk: Chunk) -> None:
        """Append rows."""
        with writing(self.path, self.format, chunk):
            if self.format == "root-rntuple":
                self.target.extend(_records(chunk))
            else:
                self.target.extend(self._counted(chunk))

    def _counted(self, chunk: Chunk) -> dict[str, Column]:
        """Columns without counters, which uproot makes itself.

        Raises `InputError` for a counter that was changed, and for columns of one counter whose
        lists have not the same lengths.
        """
        arrays = {}
        for name, values in chunk.items():
            arrays[name] = values if isinstance(values, np.ndarray) else ak.to_packed(values)
        first: dict[str, tuple[str, np.ndarray]] = {}
        for name, (counter, _) in self.counters.items():
            if name not in chunk:
                continue
            counts = ak.to_numpy(ak.num(chunk[name]))
            other, expected = first.setdefault(counter, (name, counts))
            if not np.array_equal(counts, expected):
                raise InputError(
                    f"{self.path}: column {name!r} has lists of other lengths than {other!r}, "
                    f"and both have one counter: {LEAVE_OUT}"
                )
            if counter in chunk:
                if not np.array_equal(counts, chunk[counter]):
                    raise InputError(
                        f"{self.path}: column {counter!r} counts the elements of {name!r} and "
                        "cannot have other values: append columns (columns: append)"
                    )
                arrays.pop(counter, None)
        return arrays


def _kind(values: Column):
    if isinstance(values, np.ndarray):
        return values.dtype if values.ndim == 1 else np.dtype((values.dtype, values.shape[1:]))
    return ak.type(values).content
