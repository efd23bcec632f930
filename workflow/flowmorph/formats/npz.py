"""Numpy's npz files: one array a column, or (row, k) arrays whose columns are ``name[0]`` ..."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from flowmorph.errors import InputError
from flowmorph.formats.arrow import no_tree
from flowmorph.formats.checks import PIECE_BYTES, check_unique, reading
from flowmorph.formats.columns import Chunk, moved, numbers
from flowmorph.formats.labels import labels
from flowmorph.formats.matrix import joined, sources, split_columns
from flowmorph.formats.sample_files import FileFacts
from flowmorph.formats.writer import ChunkWriter, writing

__all__ = ["Writer", "inspect", "iterate", "labels", "moved", "numbers"]


@dataclass(frozen=True)
class Member:
    """One array of the file."""

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=object))


@dataclass(frozen=True)
class Layout:
    """The arrays that are columns, and those of a single value."""

    members: dict[str, Member]
    single: dict[str, Member]


def inspect(paths: Sequence[Path], tree: str | None) -> list[FileFacts]:
    """Find the arrays of each file; every one must have as many rows as the others."""
    return [_inspect(path, tree) for path in paths]


def _inspect(path: Path, tree: str | None) -> FileFacts:
    no_tree(path, tree, "npz")
    members, unreadable, single = {}, {}, {}
    with reading(path, "npz"), zipfile.ZipFile(path) as archive:
        check_unique(path, [info.filename for info in archive.infolist()])
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                raise InputError(f"{path}: {info.filename!r} in it is no array: this is not npz")
            with archive.open(info) as stream:
                shape, fortran, dtype = _read_header(stream)
                member = Member(dtype, shape, fortran)
                problem = _problem(member)
                if not problem:
                    _check(path, info, member, stream.tell())
            name = info.filename.removesuffix(".npy")
            if not shape:
                single[name] = member
                continue
            members[name] = member
            if problem:
                unreadable[name] = problem
    rows = {name: member.shape[0] for name, member in members.items()}
    if not rows:
        raise InputError(f"{path}: has no arrays")
    first, count = next(iter(rows.items()))
    for name, length in rows.items():
        if length != count:
            raise InputError(f"{path}: column {name!r} has {length} rows, {first!r} has {count}")
    columns = split_columns(members)
    unreadable = {
        column: unreadable[name]
        for column, (name, _) in sources(list(columns), members).items()
        if name in unreadable
    }
    return FileFacts(path, "npz", None, columns, count, Layout(members, single), unreadable)


def _read_header(stream) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"version {version} of the npy format")
    return read[version](stream)


def _problem(member: Member) -> str | None:
    """Why an array cannot be read, if so."""
    if member.dtype.hasobject:
        return "pickled Python objects, which are never loaded: save it as numbers"
    if member.fortran and len(member.shape) > 1:
        return "in Fortran order, not by rows: save np.ascontiguousarray of it"
    return None


def _check(path: Path, info: zipfile.ZipInfo, member: Member, header: int) -> None:
    name = info.filename.removesuffix(".npy")
    if member.row_bytes > PIECE_BYTES:
        raise InputError(f"{path}: one row of {name!r} would take {member.row_bytes} bytes")
    declared = header + int(np.prod(member.shape[:1], dtype=object)) * member.row_bytes
    if declared != info.file_size:
        raise InputError(
            f"{path}: column {name!r} of shape {member.shape} needs {declared} bytes, but has "
            f"{info.file_size}: damaged? make it again"
        )


def iterate(found: FileFacts, columns: Sequence[str], size: int) -> Iterator[Chunk]:
    """Read the columns of one file in chunks of at most ``size`` rows."""
    if not columns:
        return
    members = found.layout.members
    wanted = sources(columns, members)
    with reading(found.path, "npz"), zipfile.ZipFile(found.path) as archive, ExitStack() as stack:
        streams = {}
        for name in {name for name, _ in wanted.values()}:
            streams[name] = stack.enter_context(archive.open(f"{name}.npy"))
            _read_header(streams[name])
        for low in range(0, max(found.rows, 1), size):
            rows = min(size, found.rows - low)
            arrays = {
                name: _read_rows(stream, members[name], rows) for name, stream in streams.items()
            }
            yield {
                column: arrays[name] if place is None else arrays[name][:, place]
                for column, (name, place) in wanted.items()
            }


def _read_rows(stream, member: Member, rows: int) -> np.ndarray:
    data = stream.read(rows * member.row_bytes)
    return np.frombuffer(data, member.dtype).reshape(rows, *member.shape[1:])


class Writer(ChunkWriter):
    """Write npz; the arrays wait in unnamed files, because the shape stands before the numbers."""

    def _start(self, chunk: Chunk) -> None:
        self.files, self.kinds = {}, {}
        self.members = self.like.facts[0].layout.members
        with writing(self.path, "npz", chunk):
            for name, values in joined(chunk, self.members).items():
                if not isinstance(values, np.ndarray) or values.dtype.hasobject:
                    raise InputError(f"{self.path}: column {name!r} is no array of numbers")
                self.kinds[name] = (values.dtype, values.shape[1:])
                self.files[name] = self.open.enter_context(TemporaryFile(dir=self.part.parent))

    def _append(self, chunk: Chunk, rows: int) -> None:
        with writing(self.path, "npz", chunk):
            for name, values in joined(chunk, self.members).items():
                self.files[name].write(np.ascontiguousarray(values).tobytes())

    def _finish(self) -> None:
        with zipfile.ZipFile(self.part, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
            for name, (dtype, shape) in self.kinds.items():
                head = io.BytesIO()
                facts = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False}
                facts["shape"] = (self.rows, *shape)
                np.lib.format.write_array_header_1_0(head, facts)
                self.files[name].seek(0)
                with archive.open(_entry(name), "w", force_zip64=True) as stream:
                    stream.write(head.getvalue())
                    shutil.copyfileobj(self.files[name], stream, 1 << 20)
            for name in () if self.trial else self.like.facts[0].layout.single:
                self._copy_single(name, archive)

    def _copy_single(self, name: str, archive: zipfile.ZipFile) -> None:
        """Copy an array of one value that all files have alike."""
        values = set()
        for found in self.like.facts:
            with reading(found.path, "npz"), zipfile.ZipFile(found.path) as source:
                member = found.layout.single.get(name)
                values.add(None if member is None else source.read(f"{name}.npy"))
        if len(values) > 1:
            self.notes.append(f"{name!r} is not copied: it is not the same in all files")
        else:
            archive.writestr(_entry(name), values.pop())


def _entry(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(f"{name}.npy")  # its date is 1 January 1980
    info.compress_type = zipfile.ZIP_DEFLATED
    return info
