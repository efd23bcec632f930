"""Events as awkward arrays of massless particles: parquet chunks and LHC Olympics HDF5 files.

An event is a list of particles with float32 fields ``pt`` [GeV], ``eta`` and ``phi``; beside the
particles stands ``label`` (int8): 0 background, 1 signal.
"""

from __future__ import annotations

import warnings
from os import PathLike
from pathlib import Path

import awkward as ak
import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import tables

from flowmorph.errors import InputError

#: Zero-padded particles in a row of the LHC Olympics files, each (pT [GeV], eta, phi).
LHCO_PARTICLES = 700

#: Rows of an HDF5 file that are unpacked at a time (34 MB).
BLOCK_ROWS = 2000

FIELDS = ("pt", "eta", "phi")

#: What is used of an LHC Olympics feature file; its label may be missing.
JET_COLUMNS = tuple(
    f"{name}j{jet}" for jet in (1, 2) for name in ("px", "py", "pz", "m", "tau1", "tau2")
)


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
    with particles that cannot be.
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


def lhco_rows(path: str | PathLike) -> int:
    """Number of events in an LHC Olympics HDF5 file; raises `InputError` as `read_lhco` does."""
    with _open_lhco(path) as file:
        return file.root.df.block0_values.shape[0]


def read_lhco(
    path: str | PathLike, start: int, stop: int, signal_fraction: float = 1.0
) -> ak.Array:
    """Read rows ``start`` to ``stop`` (exclusive) of an LHC Olympics HDF5 file.

    The layout is pandas' "fixed" format, key ``df``: 700 zero-padded (pT, eta, phi), then a truth
    label, which black boxes lack (their events count as background). ``signal_fraction`` is the
    part of the signal events that is kept, see `kept`. Memory: one block of 2,000 rows beside the
    result. Raises `InputError` for a missing or truncated file, another layout, rows outside the
    file, or particles that cannot be.
    """
    blocks = []
    with _open_lhco(path) as file:
        values = file.root.df.block0_values
        rows = values.shape[0]
        if not 0 <= start < stop <= rows:
            raise InputError(f"{path}: rows {start} to {stop} asked for, but it has {rows}")
        for low in range(start, stop, BLOCK_ROWS):
            high = min(low + BLOCK_ROWS, stop)
            try:
                block = values[low:high]
            except tables.HDF5ExtError as error:
                raise InputError(
                    f"{path}: rows {low} to {high} cannot be read (truncated?): download it again"
                ) from error
            events = _unpack(block)
            check_events(events, path, low)
            keep = kept(ak.to_numpy(events.label), signal_fraction, low)
            blocks.append(ak.to_packed(events[keep]))
    return ak.concatenate(blocks)


def kept(label: np.ndarray, signal_fraction: float, first: int = 0) -> np.ndarray:
    """Mark (bool) all background and ``signal_fraction`` of the signal among rows from ``first``.

    Which signal events stay depends on their row number only, so not on the size of chunks.
    """
    row = first + np.arange(len(label))
    chosen = np.floor((row + 1) * signal_fraction) > np.floor(row * signal_fraction)
    return (label == 0) | chosen


def read_lhco_features(path: str | PathLike, signal_fraction: float = 1.0) -> dict[str, np.ndarray]:
    """Read the jets in an LHC Olympics feature file (``*.features.h5``: pandas, one table).

    Columns (float64): pxj1, pyj1, pzj1, mj1 [GeV], tau1j1, tau2j1, the same for j2, and label
    (int8), zero in a file without labels; ``signal_fraction`` as in `kept`. Raises `InputError` for
    a missing or truncated file, or one without these columns.
    """
    _check_exists(path)
    try:
        frame = pandas.read_hdf(path)
    except Exception as error:  # pandas and PyTables raise many kinds for a damaged file
        raise InputError(
            f"{path}: no readable table in pandas' HDF5 format (truncated?)"
        ) from error
    missing = [name for name in JET_COLUMNS if name not in frame]
    if missing:
        raise InputError(f"{path}: no column {missing[0]!r}: this is not a feature file")
    try:
        columns = {name: frame[name].to_numpy(dtype=np.float64) for name in JET_COLUMNS}
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: columns must be numbers: {error}") from error
    label = frame["label"].to_numpy() != 0 if "label" in frame else np.zeros(len(frame))
    columns["label"] = label.astype(np.int8)
    keep = kept(columns["label"], signal_fraction)
    return {name: column[keep] for name, column in columns.items()}


def _unpack(block: np.ndarray) -> ak.Array:
    """Drop the padding of rows (event, 2100 or 2101)."""
    width = 3 * LHCO_PARTICLES
    particles = block[:, :width].reshape(len(block), LHCO_PARTICLES, 3)
    real = particles[..., 0] != 0
    columns = {name: particles[..., i][real] for i, name in enumerate(FIELDS)}
    label = block[:, width] if block.shape[1] > width else None
    if label is not None:
        label = (np.nan_to_num(label) != 0).astype(np.int8)
    return make_events(ak.unflatten(ak.zip(columns), real.sum(axis=1)), label)


def _open_lhco(path: str | PathLike) -> tables.File:
    _check_exists(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", tables.UnclosedFileWarning)
            file = tables.open_file(str(path), mode="r")
    except tables.HDF5ExtError as error:
        raise InputError(
            f"{path}: no readable HDF5 file (truncated?): download it again"
        ) from error
    try:
        if "/df" not in file:
            keys = ", ".join(node._v_name for node in file.root) or "nothing"
            raise InputError(f"{path}: no key 'df' (it has {keys}): give an LHC Olympics file")
        if "/df/block0_values" not in file:
            raise InputError(f"{path}: 'df' is not in pandas' fixed format: convert it")
        shape = file.root.df.block0_values.shape
        width = 3 * LHCO_PARTICLES
        if len(shape) != 2 or shape[1] not in (width, width + 1):
            raise InputError(
                f"{path}: rows of {shape[1:]} values, {width} or {width + 1} expected: "
                "this is not a particle file"
            )
    except BaseException:
        file.close()
        raise
    return file


def _check_exists(path: str | PathLike) -> None:
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
