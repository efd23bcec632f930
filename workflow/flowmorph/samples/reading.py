"""A user's reference and target as tables of numbers that flows can be trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from flowmorph.errors import InputError, RowError
from flowmorph.formats.allowed import Allowed
from flowmorph.formats.checks import check_unique, listed
from flowmorph.formats.columns import ONE_NUMBER, Chunk, describe
from flowmorph.formats.sample_files import READABLE
from flowmorph.formats.tables import SampleFiles
from flowmorph.preprocess.categories import Vocabulary

#: Rows that are read at a time.
CHUNK_ROWS = 200_000

Table = dict[str, np.ndarray]


@dataclass(frozen=True)
class Piece:
    """Rows of a file that were kept: their numbers there, ascending."""

    path: Path
    rows: Sequence[int]


@dataclass
class Dropped:
    """How many rows were read, and how many were left out: in all, and by the column at fault.

    ``pieces`` say where those come from that were kept.
    """

    read: int = 0
    rows: int = 0
    columns: dict[str, int] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)

    def __str__(self) -> str:
        why = ", ".join(f"{count} in {name}" for name, count in self.columns.items())
        return f"{self.read} rows read, {self.rows} left out for missing values" + (
            f" ({why})" if why else ""
        )

    def check(self, name: str, values: np.ndarray, allowed: Allowed) -> None:
        """Raise `InputError`, naming file and row, for the first value (N,) that is not allowed."""
        try:
            allowed.check(name, values)
            allowed.check_whole(name, values)
        except RowError as error:
            raise self.named(error, error.row) from error

    def named(self, error: RowError, row: int) -> InputError:
        """An error about a kept row of the sample, by its file and its number there."""
        for piece in self.pieces:
            if row < len(piece.rows):
                return InputError(f"{piece.path}: {error.at(piece.rows[row])}")
            row -= len(piece.rows)
        raise AssertionError("the row is one of the sample")


def read_sample(
    files: SampleFiles,
    features: Sequence[str],
    conditions: Sequence[str] = (),
    weights: str | None = None,
    extra: Sequence[str] = (),
    missing: str = "error",
    signed: bool = False,
    categorical: Mapping[str, Vocabulary] | None = None,
    partial: Sequence[str] = (),
) -> tuple[Table, Dropped]:
    """Read the columns that a task needs as float64, and check every value.

    Args:
        files: the sample.
        features: names of the columns to move, one at least.
        conditions: names of the condition's columns.
        weights: name of the column of weights; None for none.
        extra: names of further columns, such as the one that defines a region.
        missing: what a value that is not finite (NaN, null, infinity) does: "error" stops, "drop"
            leaves out the row.
        signed: whether weights may be negative.
        categorical: columns of categories, which become codes, each with the vocabulary that those
            of the sample are added to.
        partial: names of further columns, of which a missing value leaves out no row.

    Returns:
        Columns (N,) by name, and how many rows were left out.

    Raises:
        InputError: a column that is named twice, not there, no number or category, of too many
            categories, or without any value; a weight below zero that may not be, or none other
            than zero; a sample of fewer than two rows, or one that does not fit into memory. The
            message names the file and, where there are some, column and row.
    """
    if missing not in ("error", "drop"):
        raise InputError(f"unknown choice for missing values {missing!r}: choose error or drop")
    needed = _names(files, features, conditions, weights, extra)
    names = list(dict.fromkeys([*needed, *partial]))
    files.require(names, hint=READABLE)
    _check_memory(files, names)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    dropped, bad = Dropped(), dict.fromkeys(names, 0)
    for path, first, chunk in files.located(names, CHUNK_ROWS):
        table = {name: _column(files, chunk, name, path, categorical or {}) for name in names}
        keep = np.ones(len(table[names[0]]), dtype=bool)
        for name, values in table.items():
            finite = np.isfinite(values)
            if missing == "error" and not finite.all():
                _raise_missing(path, name, first, values, name in (categorical or {}))
            bad[name] += int((~finite).sum())
            if name in needed:
                keep &= finite
        if weights is not None and not signed:
            _check_weights(path, weights, first, table[weights])
        dropped.read += len(keep)
        dropped.rows += int((~keep).sum())
        kept = range(first, first + len(keep))
        dropped.pieces.append(Piece(path, kept if keep.all() else first + np.flatnonzero(keep)))
        for name, values in table.items():
            parts[name].append(values if keep.all() else values[keep])
    dropped.columns = {name: bad[name] for name in needed if bad[name]}
    for name, count in bad.items():
        if count == dropped.read > 0:
            raise InputError(f"{_place(files)}: column {name!r} has no value at all: leave it out")
    sample = {name: np.concatenate(values or [np.empty(0)]) for name, values in parts.items()}
    rows = len(sample[names[0]])
    if rows < 2:
        left = f" of {dropped.read} after dropping missing values" if dropped.rows else ""
        raise InputError(f"{_place(files)}: {rows} rows{left}: a sample needs at least two")
    if weights is not None and not sample[weights].any():
        raise InputError(f"{_place(files)}: weights {weights!r} are all zero: give others or none")
    return sample, dropped


def _column(
    files: SampleFiles, chunk: Chunk, name: str, path: Path, categorical: Mapping[str, Vocabulary]
) -> np.ndarray:
    """Numbers of a column of a chunk, or codes of its categories, (N,); NaN where one is missing.

    Raises `InputError`, naming file and column.
    """
    if name not in categorical:
        return files.numbers(chunk, name, path)
    try:
        places, labels, counts = files.labels(chunk, name)
        if counts is not None:
            raise InputError(
                f"column {name!r} is {describe(chunk[name])}, not one category a row: {ONE_NUMBER}"
            )
        return categorical[name].codes(places, labels)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _names(files, features, conditions, weights, extra) -> list[str]:
    """Columns to be read, each once; the flows' own columns must not repeat."""
    if not features:
        raise InputError(f"{_place(files)}: no feature is named: name at least one column")
    own = [*features, *conditions]
    for name in own:
        if own.count(name) > 1 or name == weights:
            raise InputError(
                f"{_place(files)}: column {name!r} is named twice among features, conditions and "
                "weights: once is enough"
            )
    return list(dict.fromkeys([*own, *([weights] if weights else []), *extra]))


def _place(files: SampleFiles) -> str:
    return listed(files.files, 3)


def _check_memory(files: SampleFiles, names: Sequence[str]) -> None:
    """Raise `InputError` before the memory of this machine is asked for more than it has."""
    needed = 2 * 8 * files.rows * len(names)
    free = psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            f"{_place(files)}: {files.rows:,} rows of {len(names)} columns need "
            f"{needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free: name fewer files"
        )


def _raise_missing(
    path: Path, name: str, first: int, values: np.ndarray, categorical: bool
) -> None:
    rows = np.flatnonzero(~np.isfinite(values))
    what = "not a number (NaN)" if np.isnan(values[rows[0]]) else "infinite"
    # An empty text is none of the categories, and neither is null.
    what = "missing" if categorical else what
    raise InputError(
        f"{path}: column {name!r}: the value of row {first + rows[0]} is {what} "
        f"({len(rows)} such rows up to row {first + len(values)}): repair or remove them, "
        "or drop rows with missing values"
    )


def _check_weights(path: Path, name: str, first: int, values: np.ndarray) -> None:
    rows = np.flatnonzero(values < 0)
    if len(rows):
        raise InputError(
            f"{path}: weight {name!r} of row {first + rows[0]} is negative "
            f"({values[rows[0]]:g}; {len(rows)} such rows up to row {first + len(values)}): "
            "a density cannot have negative weights: reweight or remove these events, or let "
            "own.negative do so"
        )


def check_pair(
    reference: Mapping[str, np.ndarray],
    target: Mapping[str, np.ndarray],
    features: Sequence[str],
    conditions: Sequence[str] = (),
    region: str = "",
) -> None:
    """Raise `InputError` unless a flow can be trained between two tables.

    Args:
        reference: columns (N,) of the reference, by name.
        target: columns (M,) of the target, by name.
        features: names of the columns to move.
        conditions: names of the condition's columns.
        region: which part of the samples this is, for messages; may be empty.

    Raises:
        InputError: a column that is missing, fewer than two rows, a feature that is constant in
            one sample, or a condition that is constant in both.
    """
    where = f" in {region}" if region else ""
    tables = {"reference": reference, "target": target}
    for sample, table in tables.items():
        check_unique(Path(sample), list(table))
        for name in (*features, *conditions):
            if name not in table:
                raise InputError(
                    f"{sample}: no column {name!r}, which the task needs (it has {listed(table)})"
                )
        rows = len(table[features[0]])
        if rows < 2:
            raise InputError(f"{sample}: {rows} events{where}: change the region, or add events")
        for name in features:
            if _constant(table[name]):
                raise InputError(
                    f"{sample}: feature {name!r} is always {table[name][0]:g}{where}: leave it out"
                )
    for name in conditions:
        if all(_constant(table[name]) for table in tables.values()):
            raise InputError(f"condition {name!r} is constant in both samples{where}: leave it out")


def _constant(values: np.ndarray) -> bool:
    return bool(values.min() == values.max())
