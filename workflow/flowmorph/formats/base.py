"""What all formats share: the facts of a file, its chunks, and errors in one line."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flowmorph.errors import InputError
from flowmorph.formats.allowed import Allowed
from flowmorph.formats.columns import Chunk, Column, describe, equal, head, joined
from flowmorph.formats.labels import Label
from flowmorph.formats.lists import relisted, unlisted

#: Bytes that one piece of a file may unpack to; more is taken for an attack, not for data.
PIECE_BYTES = 256 << 20

#: What to do about a column that a format cannot read or write.
LEAVE_OUT = "leave them out of the output (own.output.drop, --drop)"

#: What to do about one that is used.
READABLE = "name others, or make them columns of numbers"

#: Rows that are read back from what was written.
CHECKED_ROWS = 1000


@dataclass(frozen=True)
class FileFacts:
    """What a file holds: its format, columns with their types, and rows.

    ``unreadable`` are those of the columns that cannot be read, each with the reason; ``layout`` is
    for the format's own module.
    """

    path: Path
    format: str
    tree: str | None
    columns: dict[str, str]
    rows: int
    layout: Any = None
    unreadable: dict[str, str] = field(default_factory=dict)


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
        """A key of `flowmorph.formats.tables.FORMATS`."""
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
        """Read the columns (None: all) in order, ``size`` rows at a time, fewer at a file's end.

        A file without rows gives one chunk without rows. Raises `InputError` for a column that is
        not there or cannot be read, or a damaged file.
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
            for chunk in _filled(self.module.iterate(found, names, size), size):
                rows = chunk_rows(chunk, found.path)
                yield found.path, first, chunk
                first += rows
            if names and first != found.rows:
                raise InputError(
                    f"{found.path}: {first} rows could be read of {found.rows}: "
                    "truncated or damaged? make it again"
                )

    def require(
        self, names: Sequence[str], found: FileFacts | None = None, hint: str = LEAVE_OUT
    ) -> None:
        """Raise `InputError`, with a ``hint``, unless all these columns are there and readable."""
        found = found or self.facts[0]
        for name in names:
            if name not in found.columns:
                raise InputError(
                    f"{found.path}: no column {name!r} (it has {listed(found.columns)}): correct "
                    "the name"
                )
        bad = [f"{name!r} ({found.unreadable[name]})" for name in names if name in found.unreadable]
        if bad:
            one = "column" if len(bad) == 1 else "columns"
            raise InputError(f"{found.path}: {one} {', '.join(bad)} cannot be read: {hint}")

    def numbers(self, chunk: Chunk, name: str, path: Path | None = None) -> np.ndarray:
        """A column of a chunk as float64 (N,), NaN where a value is missing.

        Raises `InputError`, naming the file ``path`` and the column, if it has no numbers.
        """
        try:
            return self.module.numbers(chunk[name], name)
        except InputError as error:
            raise InputError(f"{path}: {error}" if path else str(error)) from error

    def elements(self, chunk: Chunk, name: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Numbers (n,) of a column of a chunk, float64, and how many each row's list has (N,).

        The latter is None for a column without lists. NaN is where a value is missing. Raises
        `InputError`, naming the column, for one that holds anything else.
        """
        elements, counts = _unlisted(chunk[name], name)
        return self.module.numbers(elements, name), counts

    def labels(self, chunk: Chunk, name: str) -> tuple[np.ndarray, list[Label], np.ndarray | None]:
        """Categories of a column of a chunk, as `formats.labels.labels` gives those of elements.

        The last are how many each row's list has, as in `elements`.
        """
        elements, counts = _unlisted(chunk[name], name)
        return *self.module.labels(elements, name), counts

    def moved(
        self, chunk: Chunk, name: str, values: np.ndarray, where: np.ndarray, allowed: Allowed,
        replace: bool,
    ) -> tuple[Column, int]:  # fmt: skip
        """A column of a chunk with new values in some elements: see `columns.moved`.

        ``where`` (n, bool) says in which rows, or elements of all rows' lists.
        """
        elements, _ = unlisted(chunk[name])
        made, clipped = self.module.moved(elements, values, where, name, allowed, replace)
        return relisted(made, chunk[name]), clipped


def _unlisted(column: Column, name: str) -> tuple[Column, np.ndarray | None]:
    """Elements as `lists.unlisted` gives them; raises `InputError` for lists in lists."""
    elements, counts = unlisted(column)
    if counts is not None and unlisted(elements)[1] is not None:
        raise InputError(
            f"column {name!r} is {describe(column)}, lists in lists: make one column of lists of "
            "each"
        )
    return elements, counts


def _filled(chunks: Iterator[Chunk], size: int) -> Iterator[Chunk]:
    """Join chunks of at most ``size`` rows to such of exactly ``size``, but for the last."""
    waiting: dict[str, Column] = {}
    for chunk in chunks:
        if waiting:
            chunk = {name: joined([waiting[name], column]) for name, column in chunk.items()}
        rows = chunk_rows(chunk)
        if rows >= size:
            yield {name: column[:size] for name, column in chunk.items()}
        waiting = {name: column[size:] for name, column in chunk.items()} if rows > size else {}
        if rows < size:
            waiting = dict(chunk)
    if waiting:
        yield waiting


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
    except Exception as error:
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
    if not names:
        return {}
    first = next(iter(like.module.iterate(like.facts[0], names, 1)))
    return {name: v.dtype for name, v in first.items() if isinstance(v, np.ndarray)}


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

    ``part`` is the file that is written, ``path`` the name that it gets, for messages. ``notes``
    are lines for the log: what of the sample's files is not in the output, or is there otherwise.
    A ``trial`` is there to see whether columns can be written: it copies nothing else. ``beside``
    has, for a new column that may hold lists, the sample's column whose lists are as long, and
    ``titles`` what new columns are about, for formats that keep that.
    """

    def __init__(
        self,
        part: Path,
        path: Path,
        like: SampleFiles,
        trial: bool = False,
        beside: Mapping[str, str] | None = None,
        titles: Mapping[str, str] | None = None,
    ) -> None:
        self.part, self.path, self.like, self.trial = part, path, like, trial
        self.beside, self.titles = dict(beside or {}), dict(titles or {})
        self.names: list[str] | None = None
        self.rows = 0
        self.notes: list[str] = []
        #: What is open until the file is done or given up.
        self.open = ExitStack()

    def write(self, chunk: Chunk) -> None:
        """Append the rows of a chunk."""
        rows = chunk_rows(chunk, self.path)
        if self.names is None:
            self.names = list(chunk)
            self.types = _types(self.like, chunk)
            kept = self._kept(chunk)
            self.first = {name: head(column, CHECKED_ROWS) for name, column in kept.items()}
            self._start(kept)
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
            # What cannot be closed either, such as on a full disk, would hide the first error.
            with suppress(Exception):
                self.open.close()
            return
        with self.open:
            if self.names is None:
                raise InputError(f"{self.path}: nothing was written: not one chunk of rows")
            self._finish()

    def check(self) -> None:
        """Read the first rows of the finished file again; `InputError` if they are others."""
        try:
            (found,) = self.like.module.inspect([self.part], self.like.tree)
            again = SampleFiles(self.like.module, [found])
            again.require(self.names)
            chunk = next(again.chunks(self.names, CHECKED_ROWS))
        except InputError as error:
            text = str(error).removeprefix(f"{self.part}: ")
            raise InputError(
                f"{self.path}: what was written cannot be read again ({text}): {LEAVE_OUT}"
            ) from error
        if found.rows != self.rows:
            raise InputError(f"{self.path}: {self.rows} rows were written, {found.rows} are there")
        bad = []
        for name, column in self.first.items():
            rows = min(len(column), len(chunk[name]))
            if not equal(head(column, rows), head(chunk[name], rows)):
                bad.append(f"{name!r} ({self.like.types.get(name, 'new')})")
        if bad:
            raise InputError(
                f"{self.path}: what was written of {', '.join(bad)} reads back otherwise, in this "
                f"format: {LEAVE_OUT}"
            )

    def _start(self, chunk: Chunk) -> None:
        raise NotImplementedError

    def _append(self, chunk: Chunk, rows: int) -> None:
        raise NotImplementedError

    def _finish(self) -> None:
        raise NotImplementedError
