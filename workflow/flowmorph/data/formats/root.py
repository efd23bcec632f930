"""ROOT files, TTree and RNTuple, by uproot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import awkward as ak
import numpy as np
import uproot

from flowmorph.data.formats.base import (
    Chunk,
    ChunkWriter,
    Column,
    FileFacts,
    check_unique,
    listed,
    native,
    reading,
    writing,
)
from flowmorph.data.tables import FIXED_UUID, fixed_date
from flowmorph.errors import InputError

_CLASSES = {"TTree": "root-ttree", "TNtuple": "root-ttree", "TNtupleD": "root-ttree"}
_CLASSES |= {"ROOT::RNTuple": "root-rntuple", "ROOT::Experimental::RNTuple": "root-rntuple"}


@dataclass(frozen=True)
class Layout:
    """Jagged branches by the branch that counts their elements, and columns that cannot be read."""

    counters: dict[str, list[str]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


@contextmanager
def opened(path: str | PathLike) -> Iterator[uproot.ReadOnlyDirectory]:
    """Open a file whose end is there, which uproot does not ask before it reads what is not."""
    with reading(Path(path), "ROOT"), uproot.open(path) as file:
        missing = file.file.fEND - Path(path).stat().st_size
        if missing > 0:
            raise ValueError(f"its last {missing} bytes are missing")
        yield file


def inspect(paths: Sequence[Path], tree: str | None) -> list[FileFacts]:
    """Find tree, columns and entries of each file."""
    return [_inspect(path, tree) for path in paths]


def _inspect(path: Path, tree: str | None) -> FileFacts:
    with opened(path) as file:
        classes = {
            name: _CLASSES[kind]
            for name, kind in file.classnames(cycle=False).items()
            if kind in _CLASSES
        }
        if tree is None:
            if len(classes) != 1:
                many = f"several trees ({listed(classes)}): name one" if classes else "no tree"
                raise InputError(f"{path}: has {many}")
            (tree,) = classes
        if tree not in classes:
            raise InputError(f"{path}: no tree {tree!r} (it has {listed(classes)})")
        source = file[tree]
        describe = _rntuple if classes[tree] == "root-rntuple" else _ttree
        columns, layout = describe(path, source)
        return FileFacts(path, classes[tree], tree, columns, int(source.num_entries), layout)


def _ttree(path: Path, tree) -> tuple[dict[str, str], Layout]:
    leaves = [branch for branch in tree.itervalues(recursive=True) if not len(branch.branches)]
    flat = {
        branch.name
        for branch in leaves
        if isinstance(branch.interpretation, uproot.AsDtype) and branch.count_branch is None
    }
    columns, layout = {}, Layout()
    for branch in leaves:
        name, counter = branch.name, branch.count_branch
        if name in columns:
            layout.unreadable[name] = "that of two branches of this name"
        columns[name] = branch.typename
        if isinstance(branch.interpretation, uproot.interpretation.identify.UnknownInterpretation):
            layout.unreadable[name] = branch.typename
        if counter is not None and counter.name in flat:
            layout.counters.setdefault(counter.name, []).append(name)
    return columns, layout


def _rntuple(path: Path, ntuple) -> tuple[dict[str, str], Layout]:
    names = list(ntuple.keys(recursive=False))
    check_unique(path, names)
    return {name: ntuple[name].typename for name in names}, Layout()


def iterate(found: FileFacts, columns: Sequence[str], size: int) -> Iterator[Chunk]:
    """Read the columns of one file in chunks of at most ``size`` entries."""
    for name in columns:
        if name in found.layout.unreadable:
            raise InputError(
                f"{found.path}: column {name!r} is of the type {found.layout.unreadable[name]}, "
                "which cannot be read: name the columns to read, without it"
            )
    if not found.rows or not columns:
        return
    with opened(found.path) as file:
        source, wanted = file[found.tree], set(columns)
        if found.format == "root-rntuple":
            choice = {"filter_name": lambda name: name.split(".")[0] in wanted}
        else:
            choice = {
                "filter_branch": lambda branch: branch.name in wanted and not len(branch.branches)
            }
        for arrays in source.iterate(step_size=size, library="ak", how=dict, **choice):
            by_name = {key.rpartition("/")[2]: value for key, value in arrays.items()}
            yield {name: _plain(by_name[name]) for name in columns}


def _plain(values: ak.Array) -> Column:
    """Numbers as numpy; lists, texts and records stay awkward arrays."""
    if isinstance(values.layout, ak.contents.NumpyArray | ak.contents.RegularArray):
        try:
            return native(ak.to_numpy(values, allow_missing=False))
        except (TypeError, ValueError):
            return values
    return values


class Writer(ChunkWriter):
    """Write a TTree or RNTuple, straight to disk."""

    def _start(self, chunk: Chunk) -> None:
        self.ntuple = self.like.format == "root-rntuple"
        self.stream = open(self.part, "w+b")
        #: The counter of each jagged column, or of each group of them that shares one.
        self.counters: dict[str, str] = {}
        try:
            with fixed_date(), writing(self.path, self.like.format, chunk):
                # From an open stream uproot learns no name that it would write into the file.
                self.file = uproot.recreate(self.stream, uuid_function=lambda: FIXED_UUID)
                name = self.like.tree
                arrays = self._arranged(chunk)
                if self.ntuple:
                    self.target = self.file.mkrntuple(name, arrays.layout.form)
                else:
                    self.target = self.file.mktree(
                        name,
                        {key: _kind(values) for key, values in arrays.items()},
                        counter_name=lambda group: self.counters.get(group, f"n{group}"),
                        field_name=lambda outer, inner: inner or outer,
                    )
        except BaseException:
            self.stream.close()
            raise

    def _arranged(self, chunk: Chunk):
        """The chunk as uproot wants it: counters of jagged branches are its own business."""
        if self.ntuple:
            return ak.to_packed(ak.zip(dict(chunk), depth_limit=1))
        arrays = dict(chunk)
        for counter, counted in self.like.facts[0].layout.counters.items():
            members = {name: arrays.pop(name) for name in counted if name in arrays}
            if not members:
                continue
            arrays.pop(counter, None)
            group, jagged = next(iter(members.items()))
            if len(members) > 1:
                group, jagged = f"counted by {counter}", ak.zip(members)
            self.counters[group] = counter
            arrays[group] = jagged
        return arrays

    def _append(self, chunk: Chunk, rows: int) -> None:
        with fixed_date(), writing(self.path, self.like.format, chunk):
            self.target.extend(self._arranged(chunk))

    def _finish(self) -> None:
        with fixed_date():
            self.file.close()
        self.stream.close()

    def _abandon(self) -> None:
        if self.names is not None and not self.stream.closed:
            self.stream.close()


def _kind(values: Column):
    if isinstance(values, np.ndarray):
        return values.dtype if values.ndim == 1 else np.dtype((values.dtype, values.shape[1:]))
    return ak.type(values).content
