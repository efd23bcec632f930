"""What the writers of all formats share: columns in their types, and a look at what was written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np

from flowmorph.errors import InputError
from flowmorph.formats.checks import listed, one_line
from flowmorph.formats.columns import Chunk, Column, equal, head
from flowmorph.formats.sample_files import LEAVE_OUT, SampleFiles, chunk_rows

#: Rows that are read back from what was written.
CHECKED_ROWS = 1000


class ChunkWriter(ABC):
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

    @abstractmethod
    def _start(self, chunk: Chunk) -> None:
        """Open the output, and lay out the columns of the first chunk."""

    @abstractmethod
    def _append(self, chunk: Chunk, rows: int) -> None:
        """Add the rows of a chunk."""

    @abstractmethod
    def _finish(self) -> None:
        """Write what is left, and copy what else the files have."""


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
