"""The files of one sample: what they hold, and their rows chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flowmorph.errors import InputError
from flowmorph.formats.allowed import Allowed
from flowmorph.formats.checks import listed
from flowmorph.formats.columns import Chunk, Column, describe, joined
from flowmorph.formats.labels import Label
from flowmorph.formats.lists import relisted, unlisted

#: What to do about columns that a format cannot read or write.
LEAVE_OUT = "leave them out of the output (own.output.drop, --drop)"
#: What to do about one that is used and cannot be read.
READABLE = "name others, or make them columns of numbers"


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
