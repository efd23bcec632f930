"""Events as awkward arrays of massless particles, kept in parquet chunks.

An event is a list of particles with float32 fields ``pt`` [GeV], ``eta`` and ``phi``; beside the
particles stands ``label`` (int8): 0 background, 1 signal.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow
import pyarrow.parquet

from flowmorph.errors import InputError

FIELDS = ("pt", "eta", "phi")


def make_events(particles: ak.Array, label: np.ndarray | None = None) -> ak.Array:
    """Put particles (event, particle) and labels (event; default 0) together as one event array."""
    if label is None:
        label = np.zeros(len(particles), dtype=np.int8)
    columns = {name: ak.values_astype(particles[name], np.float32) for name in FIELDS}
    return ak.zip({**columns, "label": np.asarray(label, dtype=np.int8)}, depth_limit=1)


def check_events(events: ak.Array, source: str | PathLike, first: int = 0) -> None:
    """Raise `InputError` when a particle is not finite or its pT is negative.

    For the message: ``source`` names the file, ``first`` is the first event's number in it.
    """
    for name in FIELDS:
        bad = ~np.isfinite(events[name])
        if name == "pt":
            bad = bad | (events.pt < 0)
        rows = np.flatnonzero(ak.to_numpy(ak.any(bad, axis=1)))
        if len(rows):
            what = f"{'negative or ' if name == 'pt' else ''}non-finite {name}"
            raise InputError(
                f"{source}: event {first + rows[0]} has a particle with {what} "
                f"({len(rows)} such events): repair or remove them"
            )


def write_events(path: str | PathLike, events: ak.Array) -> None:
    """Write one chunk of events as parquet; equal events give equal bytes."""
    columns = {
        name: pyarrow.LargeListArray.from_arrays(
            pyarrow.array(_offsets(events.pt)),
            pyarrow.array(ak.to_numpy(ak.flatten(events[name])), type=pyarrow.float32()),
        )
        for name in FIELDS
    }
    columns["label"] = pyarrow.array(ak.to_numpy(events.label), type=pyarrow.int8())
    pyarrow.parquet.write_table(pyarrow.table(columns), path, compression="zstd")


def _offsets(jagged: ak.Array) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(ak.to_numpy(ak.num(jagged)))]).astype(np.int64)


def read_events(path: str | PathLike) -> ak.Array:
    """Read and check one chunk of events.

    Raises `InputError` for a file that is missing, truncated, not parquet, without a column, or
    with a particle whose momentum is not finite or whose pT is negative.
    """
    _check_exists(path)
    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: no readable parquet file ({reason}): make it again") from error
    missing = [name for name in (*FIELDS, "label") if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: column {missing[0]!r} is missing; it has {table.column_names}")
    try:
        columns = {name: _jagged(table.column(name)) for name in FIELDS}
        counts = ak.num(columns["pt"])
        if any(not ak.all(ak.num(columns[name]) == counts) for name in FIELDS):
            raise InputError(f"{path}: pt, eta and phi have different numbers of particles")
        label = table.column("label").combine_chunks().to_numpy(zero_copy_only=False)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: pt, eta, phi must be lists of numbers: {error}") from error
    flat = {name: ak.flatten(columns[name]) for name in FIELDS}
    events = make_events(ak.unflatten(ak.zip(flat), counts), label)
    check_events(events, path)
    return events


def _jagged(column: pyarrow.ChunkedArray) -> ak.Array:
    """Lists of an arrow column, without awkward's option types (nulls are not allowed)."""
    lists = column.combine_chunks()
    values = lists.flatten().to_numpy(zero_copy_only=False)
    counts = np.diff(lists.offsets.to_numpy())
    return ak.unflatten(values, counts)


def _check_exists(path: str | PathLike) -> None:
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
