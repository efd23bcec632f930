"""Files of tables through a trained transport: in chunks, and out in the format they came in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from flowmorph import frames
from flowmorph.data.formats import SampleFiles, open_sample, open_writer
from flowmorph.errors import InputError
from flowmorph.selection import inside
from flowmorph.transport import Transport

#: The column that says what happened to a row.
STATUS = "flowmorph_moved"
MOVED, ELSEWHERE, MISSING = 1, 0, -1


@dataclass
class Counts:
    """What happened to the rows of a file."""

    rows: int = 0
    moved: int = 0
    elsewhere: int = 0
    missing: int = 0
    beyond: int = 0

    def __str__(self) -> str:
        return (
            f"{self.rows} rows: {self.moved} moved, {self.elsewhere} outside of the regions to "
            f"move, {self.missing} with a missing value; of the moved {self.beyond} lie beyond the "
            "range of the training, where flows are the identity in a feature"
        )


def move_files(
    transport: Transport,
    patterns: Sequence[str],
    output: str | PathLike,
    *,
    tree: str | None = None,
    format: str | None = None,
    columns: str = "append",
    suffix: str = "_moved",
    everywhere: bool = False,
    chunk_rows: int = 100_000,
) -> Counts:
    """Move the rows of a sample's files to ``output``, in the same format and order.

    All columns are kept. With ``append`` each feature gets a new column, named with ``suffix``;
    with ``replace`` its values are the new ones. The column ``flowmorph_moved`` is 1 for rows that
    were moved; others keep their values: 0 for rows outside of the transport's regions to apply
    (which ``everywhere`` ignores), -1 for a missing value in a feature, condition or the regions'
    column. Memory is that of ``chunk_rows`` rows; the result does not depend on it. Raises
    `InputError`, naming file, column and row; then there is no output.
    """
    files = open_sample(patterns, tree, format)
    needed = [*transport.features, *transport.conditions]
    regions = transport.regions
    if regions["apply"] and not everywhere:
        needed.append(regions["column"])
    files.require(needed)
    new = {name: name + suffix * (columns == "append") for name in transport.features}
    for name in [*(new.values() if columns == "append" else ()), STATUS]:
        if name in files.columns:
            raise InputError(
                f"{files.files[0]}: column {name!r} is there already: choose another suffix, or "
                "move the file that was not moved yet"
            )
    _check_output(files, output)
    counts, spread = Counts(), transport.spread(0)
    with open_writer(output, files) as writer:
        for path, first, chunk in files.located(None, chunk_rows):
            try:
                read = {name: frames.numbers(chunk[name], name) for name in needed}
                status = np.full(len(read[needed[0]]), MOVED, np.int8)
                if regions["apply"] and not everywhere:
                    bands = np.asarray(regions["apply"], dtype=float)
                    status[~inside(read[regions["column"]], bands)] = ELSEWHERE
                status[~np.isfinite(list(read.values())).all(axis=0)] = MISSING
                rows = {name: values[status == MOVED] for name, values in read.items()}
                moved = transport.move_columns(rows, spread)
                counts.beyond += int(transport.outside(rows).sum())
                result = dict(chunk) | {
                    new[name]: _column(chunk[name], read[name], status, moved[name], columns, name)
                    for name in transport.features
                }
            except InputError as error:
                last = first + len(next(iter(chunk.values()))) - 1
                raise InputError(f"{path}: rows {first} to {last}: {error}") from error
            writer.write(result | {STATUS: status})
            counts.rows += len(status)
            counts.moved += int((status == MOVED).sum())
            counts.elsewhere += int((status == ELSEWHERE).sum())
            counts.missing += int((status == MISSING).sum())
    return counts


def _column(
    old: np.ndarray,
    read: np.ndarray,
    status: np.ndarray,
    moved: np.ndarray,
    columns: str,
    name: str,
) -> np.ndarray:
    """The new values of a feature, in a type that does not depend on the chunk's values."""
    values = read.copy()
    values[status == MOVED] = moved
    if columns == "append":
        return values.astype(old.dtype) if old.dtype.kind == "f" else values
    cast = frames.cast(values, old.dtype)
    if cast.dtype != old.dtype:
        raise InputError(
            f"column {name!r} is {old.dtype}, which does not hold its moved values: append "
            "columns, or declare it integer"
        )
    return cast


def _check_output(files: SampleFiles, output: str | PathLike) -> None:
    for path in files.files:
        if Path(output).resolve() == path.resolve():
            raise InputError(f"{output}: is an input too: choose another name for the output")
    if Path(output).suffix.lower() != files.files[0].suffix.lower():
        raise InputError(
            f"{output}: the input is {files.format}, and so is the output: end its name with "
            f"{files.files[0].suffix!r}"
        )
