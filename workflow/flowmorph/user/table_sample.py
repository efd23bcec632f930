"""A table in memory as a sample, read as the files of one are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flowmorph.errors import InputError
from flowmorph.formats.columns import Chunk
from flowmorph.formats.labels import Label
from flowmorph.formats.sample_files import FileFacts, chunk_rows
from flowmorph.formats.tables import SampleFiles
from flowmorph.plan import tasks
from flowmorph.user import dataframes


class TableSample(SampleFiles):
    """A table as `flowmorph.samples.reading` takes files, all rows in one chunk."""

    def __init__(
        self,
        name: str,
        table: Any,
        columns: Sequence[str] | None = None,
        further: Mapping[str, Any] | None = None,
    ) -> None:
        """Hold a table, of any kind that `Transport.move` takes.

        Args:
            name: of the sample, for messages.
            table: the table, or a matrix (N, K).
            columns: names of the columns of a matrix.
            further: columns (N,) beside those of the table, by name.

        Raises:
            InputError: this is no table.
        """
        self.table, self.matrix, self.further = table, columns, dict(further or {})
        try:
            names = [*dataframes.names_of(table, columns), *self.further]
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        kinds = dict.fromkeys(names, "column")
        super().__init__(None, [FileFacts(Path(name), "table", None, kinds, 0)])

    @property
    def rows(self) -> int:
        """Number of rows."""
        first = self.table
        if isinstance(first, Mapping):
            first = next(iter(first.values()), ())
        return _length(first) or 0

    def located(
        self, columns: Sequence[str] | None = None, size: int = 0
    ) -> Iterator[tuple[Path, int, Chunk]]:
        """Give all rows at once, as `SampleFiles.located` gives those of a file."""
        (path,) = self.files
        names = self.columns if columns is None else list(columns)
        self.require(names)
        chunk = {name: self._column(name) for name in names}
        for name, column in chunk.items():
            if _length(column) is None:
                raise InputError(f"{path}: column {name!r} is {column!r}, not one value a row")
        chunk_rows(chunk, path)
        yield path, 0, chunk

    def numbers(self, chunk: Chunk, name: str, path: Path | None = None) -> np.ndarray:
        """A column as float64 (N,), NaN where a value is missing, as `SampleFiles.numbers`."""
        try:
            return dataframes.numbers(chunk[name], name)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def labels(self, chunk: Chunk, name: str) -> tuple[np.ndarray, list[Label], None]:
        """Categories of a column, as `SampleFiles.labels` gives those of a file."""
        return *dataframes.labels_of(chunk[name], name), None

    def _column(self, name: str) -> Any:
        if name in self.further:
            return self.further[name]
        try:
            return dataframes.column_of(self.table, name, self.matrix)
        except InputError as error:
            raise InputError(f"{self.files[0]}: {error}") from error


def pair(
    reference: Any, target: Any, weights: Sequence[Any], columns: Sequence[str] | None
) -> dict[str, tuple[TableSample, str | None]]:
    """Both tables, each with the name of its column of weights, or None.

    ``weights`` has those of both: the name of a column, an array (N,) or None; ``columns`` are the
    names of those of matrices. Raises `InputError` for anything else.
    """
    if isinstance(weights, str | np.ndarray) or not isinstance(weights, Sequence):
        weights = ()
    if len(weights) != len(tasks.SAMPLES):
        raise InputError(
            "weights: give a pair, those of the reference and those of the target, each the name "
            "of a column, an array, or None"
        )
    found = {}
    for role, table, weight in zip(tasks.SAMPLES, (reference, target), weights, strict=True):
        further = {}
        if weight is not None and not isinstance(weight, str):
            weight, further = f"weights of the {role}", {f"weights of the {role}": weight}
        found[role] = TableSample(role, table, columns, further), weight
    return found


def _length(column: Any) -> int | None:
    """Number of rows of a column; None for what has none."""
    try:
        return len(column)
    except TypeError:
        return None
