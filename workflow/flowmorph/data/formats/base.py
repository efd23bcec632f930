"""What all formats share: the facts of a file, its chunks, and errors in one line."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from flowmorph.errors import InputError

#: A column's values in a chunk: numpy for one number or text a row, awkward for anything else.
Column = np.ndarray | ak.Array
Chunk = Mapping[str, Column]

#: Bytes that one piece of a file may unpack to; more is taken for an attack, not for data.
PIECE_BYTES = 256 << 20


@dataclass(frozen=True)
class FileFacts:
    """What a file holds: its format, columns with their types, and rows.

    ``layout`` is for the format's own module.
    """

    path: Path
    format: str
    tree: str | None
    columns: dict[str, str]
    rows: int
    layout: Any = None


class SampleFiles:
    """The files of one sample, alike in format and columns, in sorted order."""

    def __init__(self, module, facts: Sequence[FileFacts]) -> None:
        self.module = module
        self.facts = list(facts)

    @property
    def files(self) -> list[Path]:
        """The files, in the order in which their rows are read."""
        return [found.path for found in self.facts]

    @property
    def format(self) -> str:
        """A key of `flowmorph.data.formats.FORMATS`."""
        return self.facts[0].format

    @property
    def tree(self) -> str | None:
        """Name of the tree, key, group or dataset, for formats that have one."""
        return self.facts[0].tree

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in the files' order."""
        return list(self.facts[0].columns)

    @property
    def types(self) -> dict[str, str]:
        """The columns' types, as their format calls them."""
        return dict(self.facts[0].columns)

    @property
    def rows(self) -> int:
        """Number of rows of all files together."""
        return sum(found.rows for found in self.facts)

    def chunks(self, columns: Sequence[str] | None = None, size: int = 100_000) -> Iterator[Chunk]:
        """Read the columns (None: all) in order, at most ``size`` rows at a time.

        Raises `InputError` for a column that is not there or cannot be read, or a damaged file.
        """
        for _, _, chunk in self.located(columns, size):
            yield chunk

    def located(
        self, columns: Sequence[str] | None = None, size: int = 100_000
    ) -> Iterator[tuple[Path, int, Chunk]]:
        """Read as `chunks` does, with each chunk's file and its first row there (from 0)."""
        names = self.columns if columns is None else list(columns)
        for found in self.facts:
            self.require(names, found)
            first = 0
            for chunk in self.module.iterate(found, names, size):
                rows = chunk_rows(chunk, found.path)
                yield found.path, first, chunk
                first += rows
            if names and first != found.rows:
                raise InputError(
                    f"{found.path}: {first} rows could be read of {found.rows}: "
                    "truncated or damaged? make it again"
                )

    def require(self, names: Sequence[str], found: FileFacts | None = None) -> None:
        """Raise `InputError` unless all these columns are there."""
        found = found or self.facts[0]
        for name in names:
            if name not in found.columns:
                raise InputError(
                    f"{found.path}: no column {name!r} (it has {listed(found.columns)})"
                )


def chunk_rows(chunk: Chunk, path: Path | None = None) -> int:
    """Number of rows of a chunk; raises `InputError` when its columns differ in length."""
    rows = {name: len(column) for name, column in chunk.items()}
    if len(set(rows.values())) > 1:
        (first, length), *others = rows.items()
        name, other = next((name, count) for name, count in others if count != length)
        place = f"{path}: " if path else ""
        raise InputError(f"{place}column {name!r} has {other} rows, {first!r} has {length}")
    return next(iter(rows.values()), 0)


def listed(names: Sequence[str], most: int = 12) -> str:
    """Join names for a message, not all of very many."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more or "nothing"


def check_readable(path: Path) -> None:
    """Raise `InputError` unless a path is a regular file that this user may read.

    A pipe or a device would be waited for, so none is ever opened.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        reason = "a link to a file that is not there" if path.is_symlink() else "no such file"
        raise InputError(f"{path}: {reason}: correct the name") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror})") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{path}: is a folder: give a file, or a pattern such as {path}/*.root")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: is no regular file: give a file")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: may not be read (permissions): change them")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty (0 bytes), truncated? make it again")


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn what a library raises for a damaged file, which is many kinds, into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{path}: no readable {kind} file ({one_line(error)}): truncated or damaged? "
            "make it again"
        ) from error


@contextmanager
def writing(path: Path, kind: str, chunk: Chunk) -> Iterator[None]:
    """Turn a library's refusal of a chunk into an `InputError` that names the output."""
    try:
        yield
    except (InputError, OSError):
        raise
    except (TypeError, ValueError, NotImplementedError, ArithmeticError) as error:
        raise InputError(
            f"{path}: columns {listed(chunk)} cannot be written as {kind} ({one_line(error)})"
        ) from error


def one_line(error: BaseException) -> str:
    """First line of an error's text, or its kind."""
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".:")[:200] if lines else type(error).__name__


def check_unique(path: Path, names: Sequence[str]) -> None:
    """Raise `InputError` when two columns of a file have one name."""
    seen = set()
    for name in names:
        if name in seen:
            raise InputError(f"{path}: two columns are named {name!r}: rename one")
        seen.add(name)


def native(values: np.ndarray) -> np.ndarray:
    """The same numbers in this machine's byte order."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _types(like: SampleFiles, chunk: Chunk) -> dict[str, np.dtype]:
    """Numpy types of a sample's columns of numbers, by reading one row."""
    names = [name for name in chunk if name in like.columns]
    for found in like.facts:
        if names and found.rows:
            first = next(iter(like.module.iterate(found, names, 1)))
            return {name: v.dtype for name, v in first.items() if isinstance(v, np.ndarray)}
    return {}


def _cast(values: Column, dtype: np.dtype, path: Path, name: str) -> Column:
    """Values in another type of numbers; `InputError` if they are no whole numbers, but should."""
    if not isinstance(values, np.ndarray) or values.dtype == dtype or dtype.kind not in "iufb":
        return values
    if np.can_cast(values.dtype, dtype, "same_kind"):
        return values.astype(dtype)
    with np.errstate(invalid="ignore"):
        cast = values.astype(dtype)
    if (cast != values).any():
        raise InputError(
            f"{path}: column {name!r} is of whole numbers ({dtype}), but gets others: "
            "write them as another column, or declare the feature as integer"
        )
    return cast


class ChunkWriter:
    """Base of the formats' writers: the first chunk fixes the columns of all.

    ``part`` is the file that is written, ``path`` the name that it gets, for messages.
    """

    def __init__(self, part: Path, path: Path, like: SampleFiles) -> None:
        self.part, self.path, self.like = part, path, like
        self.names: list[str] | None = None
        self.rows = 0

    def write(self, chunk: Chunk) -> None:
        """Append the rows of a chunk."""
        rows = chunk_rows(chunk, self.path)
        if self.names is None:
            self.names = list(chunk)
            self.types = _types(self.like, chunk)
            self._start(self._kept(chunk))
        elif self.names != list(chunk):
            raise InputError(
                f"{self.path}: a chunk has other columns than the first: {list(chunk)}"
            )
        if rows:
            self._append(self._kept(chunk), rows)
        self.rows += rows

    def _kept(self, chunk: Chunk) -> Chunk:
        """Give columns of numbers the type that they have in the sample, if no value is lost."""
        return {
            name: _cast(values, self.types[name], self.path, name) if name in self.types else values
            for name, values in chunk.items()
        }

    def __enter__(self) -> ChunkWriter:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is not None:
            self._abandon()
            return
        if self.names is None:
            raise InputError(f"{self.path}: nothing was written: not one chunk of rows")
        self._finish()

    def _start(self, chunk: Chunk) -> None:
        raise NotImplementedError

    def _append(self, chunk: Chunk, rows: int) -> None:
        raise NotImplementedError

    def _finish(self) -> None:
        raise NotImplementedError

    def _abandon(self) -> None:
        """Release what is open after an error."""
