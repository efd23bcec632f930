"""Files of tables through a trained transport: in chunks, and out in the format they came in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np

from flowmorph.errors import InputError, RowError
from flowmorph.formats import SampleFiles, open_sample, open_writer
from flowmorph.plan.suffixes import suffix_of
from flowmorph.samples.regions import inside
from flowmorph.user.output import Output, check_output
from flowmorph.user.transport import Transport

MOVED, ELSEWHERE, MISSING, BEYOND = 1, 0, -1, -2

#: Rows of a file that are moved together. The last digits of float32 sums depend on this number, so
#: that the user cannot choose it.
WINDOW = 8192


@dataclass
class Counts:
    """What happened to the rows of a file.

    Attributes:
        rows: all rows.
        moved: rows that were moved.
        elsewhere: rows outside of the regions to move.
        missing: rows with a value that is missing or cannot be used.
        kept: rows that keep their values because they lie beyond the range of the training.
        beyond: rows beyond that range, moved or kept, by feature or condition.
        clipped: moved values that were clipped to the type of their column, by column.
        notes: sentences about what else happened to the file.
    """

    rows: int = 0
    moved: int = 0
    elsewhere: int = 0
    missing: int = 0
    kept: int = 0
    beyond: dict[str, int] = field(default_factory=dict)
    clipped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [
            f"{self.rows} rows: {self.moved} moved",
            f"{self.elsewhere} outside of the regions to move",
            f"{self.missing} with a missing value",
        ]
        if self.kept:
            parts.append(f"{self.kept} kept, because they lie beyond the range of the training")
        beyond = [f"{count} in {name}" for name, count in self.beyond.items() if count]
        text = ", ".join(parts) + "; beyond the range of the training: "
        text += ", ".join(beyond) or "none"
        clipped = [f"{count} in {name}" for name, count in self.clipped.items() if count]
        return text + ("; clipped to the column's type: " + ", ".join(clipped) if clipped else "")


def move_files(
    transport: Transport,
    patterns: Sequence[str],
    path: str | PathLike,
    *,
    tree: str | None = None,
    format: str | None = None,
    output: Output | None = None,
    everywhere: bool = False,
    chunk_rows: int = 100_000,
) -> Counts:
    """Move the rows of a sample's files to one file, in the same format and order.

    A column ``flowmorph_moved`` (``flowmorph`` and the suffix) is 1 for rows that were moved;
    others keep their values: 0 for rows outside of the transport's regions to apply, -1 for a
    missing value in a feature, condition or the regions' column, or one that float32 does not hold,
    -2 for a row beyond the range of the training, if such are kept.

    Args:
        transport: what moves them.
        patterns: names or glob patterns of the sample's files.
        path: the file to write; its suffix is that of the input.
        tree: tree, HDF5 key or group; None where there is one only.
        format: of the input, a key of `flowmorph.formats.FORMATS` or its part before the dash; None
            goes by the suffix.
        output: which columns the file has, and what happens to rows beyond the training's range.
        everywhere: whether to move the rows of every region.
        chunk_rows: rows in memory at a time, taken up to a multiple of `WINDOW`; the result does
            not depend on it.

    Raises:
        InputError: input that cannot be used, naming file, column and row; then there is no output.
    """
    output = output or Output()
    files = open_sample(patterns, tree, format)
    needed = [*transport.features, *transport.conditions]
    if transport.regions["apply"] and not everywhere:
        needed.append(transport.regions["column"])
    _check_name(files, path)
    whole = transport.preprocessing.integers
    check_output(files, transport.features, needed, whole, output)
    counts, noise = Counts(), transport.dequantization(0)
    kept, rows = output.kept(files), -(-chunk_rows // WINDOW) * WINDOW
    with open_writer(path, files) as writer:
        for place, first, chunk in files.located(list(dict.fromkeys([*kept, *needed])), rows):
            try:
                read = {name: files.numbers(chunk, name) for name in needed}
                status = _status(transport, read, output, everywhere, counts)
                moved = _moved(transport, read, status, noise)
                result = {name: chunk[name] for name in kept}
                for name in transport.features:
                    column, clipped = files.moved(
                        chunk, name, moved[name], status == MOVED, name in whole, output.replace
                    )
                    result[output.name(name)] = column
                    counts.clipped[name] = counts.clipped.get(name, 0) + clipped
            except RowError as error:
                row = first + np.flatnonzero(status == MOVED)[error.row]
                raise InputError(f"{place}: {error.at(row)}") from error
            except InputError as error:
                last = max(first + len(next(iter(chunk.values()))) - 1, first)
                raise InputError(f"{place}: rows {first} to {last}: {error}") from error
            writer.write(result | {output.status: status})
    counts.notes = writer.notes
    return counts


def _status(
    transport: Transport, read: dict, output: Output, everywhere: bool, counts: Counts
) -> np.ndarray:
    """Say what is to happen to each row (N,), and add the rows to ``counts``."""
    regions = transport.regions
    status = np.full(len(next(iter(read.values()))), MOVED, np.int8)
    if regions["apply"] and not everywhere:
        bands = np.asarray(regions["apply"], dtype=float)
        status[~inside(read[regions["column"]], bands)] = ELSEWHERE
        status[~np.isfinite(read[regions["column"]])] = MISSING
    status[~transport.usable(read)] = MISSING
    chosen = status == MOVED
    for name, rows in transport.beyond(read).items():
        rows = rows & chosen
        counts.beyond[name] = counts.beyond.get(name, 0) + int(rows.sum())
        if output.outside == "keep":
            status[rows] = BEYOND
    counts.rows += len(status)
    counts.moved += int((status == MOVED).sum())
    counts.elsewhere += int((status == ELSEWHERE).sum())
    counts.missing += int((status == MISSING).sum())
    counts.kept += int((status == BEYOND).sum())
    return status


def _moved(transport: Transport, read: dict, status: np.ndarray, noise) -> dict[str, np.ndarray]:
    """New values of the features in the rows to move; an error's row is counted among these."""
    parts = []
    for low in range(0, max(len(status), 1), WINDOW):
        window = slice(low, low + WINDOW)
        chosen = status[window] == MOVED
        rows = {name: values[window][chosen] for name, values in read.items()}
        try:
            parts.append(transport.move_columns(rows, noise))
        except RowError as error:
            before = int((status[:low] == MOVED).sum())
            raise RowError(before + error.row, error.column, error.text) from error
    return {name: np.concatenate([part[name] for part in parts]) for name in transport.features}


def _check_name(files: SampleFiles, path: str | PathLike) -> None:
    for source in files.files:
        if Path(path).resolve() == source.resolve():
            raise InputError(f"{path}: is an input too: choose another name for the output")
    suffix = suffix_of(files.files[0])
    if suffix_of(path).lower() != suffix.lower():
        raise InputError(
            f"{path}: the input is {files.format}, and so is the output: end its name with "
            f"{suffix!r}"
        )
