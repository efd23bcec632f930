"""LHC Olympics HDF5 files: particles, read by row range, and the organisers' jets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import awkward as ak
import numpy as np
import tables

from flowmorph.collider.events import FIELDS, check_events, make_events
from flowmorph.errors import InputError
from flowmorph.formats.checks import check_readable, reading
from flowmorph.formats.hdf5.opening import check_size, check_survives, no_code, opened
from flowmorph.formats.tables import open_sample

#: Zero-padded particles in a row of the LHC Olympics files, each (pT [GeV], eta, phi).
LHCO_PARTICLES = 700

#: Rows of an HDF5 file that are unpacked at a time (34 MB).
BLOCK_ROWS = 2000

#: What is used of an LHC Olympics feature file; its label may be missing.
JET_COLUMNS = tuple(
    f"{name}j{jet}" for jet in (1, 2) for name in ("px", "py", "pz", "m", "tau1", "tau2")
)


def lhco_rows(path: str | PathLike) -> int:
    """Number of events in an LHC Olympics HDF5 file; raises `InputError` as `read_lhco` does."""
    with _lhco_values(path) as values:
        return int(values.shape[0])


def read_lhco(
    path: str | PathLike,
    start: int,
    stop: int,
    signal_fraction: float = 1.0,
    background: bool = True,
) -> ak.Array:
    """Read rows ``start`` to ``stop`` (exclusive) of an LHC Olympics HDF5 file.

    The layout is pandas' "fixed" format, key ``df``: 700 zero-padded (pT, eta, phi), then a truth
    label, which black boxes lack (their events count as background). ``signal_fraction`` is the
    part of the signal events that is kept, see `kept`, beside all ``background`` or none. Memory:
    one block of 2,000 rows beside the result. Raises `InputError` for a missing or truncated file,
    another layout, rows outside the file, a particle whose momentum is not finite or whose pT is
    negative, or a file without labels of which no background is wanted.
    """
    blocks = []
    with _lhco_values(path) as values:
        rows, labelled = values.shape[0], values.shape[1] > 3 * LHCO_PARTICLES
        if not (background or labelled):
            raise _no_signal(path)
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
            keep = kept(ak.to_numpy(events.label), signal_fraction, low, background)
            blocks.append(ak.to_packed(events[keep]))
    return ak.concatenate(blocks)


def kept(
    label: np.ndarray, signal_fraction: float, first: int = 0, background: bool = True
) -> np.ndarray:
    """Mark (bool) ``signal_fraction`` of the signal, and all or no background, from row ``first``.

    Which signal events stay depends on their row number only, so not on the size of chunks.
    """
    row = first + np.arange(len(label))
    chosen = np.floor((row + 1) * signal_fraction) > np.floor(row * signal_fraction)
    return np.where(label == 0, background, chosen)


def read_lhco_features(
    path: str | PathLike, signal_fraction: float = 1.0, background: bool = True
) -> dict[str, np.ndarray]:
    """Read the jets in an LHC Olympics feature file (``*.features.h5``: pandas, one table).

    Columns (float64): pxj1, pyj1, pzj1, mj1 [GeV], tau1j1, tau2j1, the same for j2, and label
    (int8), zero in a file without labels; ``signal_fraction`` and ``background`` as in `kept`.
    Raises `InputError` for a missing or truncated file, one without these columns, or one without
    signal of which no background is wanted.
    """
    files = open_sample(str(path), format="hdf5-pandas")
    missing = [name for name in JET_COLUMNS if name not in files.columns]
    if missing:
        raise InputError(f"{path}: no column {missing[0]!r}: this is not a feature file")
    names = [*JET_COLUMNS, *(["label"] if "label" in files.columns else [])]
    parts = [
        {name: files.numbers(chunk, name, place) for name in names}
        for place, _, chunk in files.located(names)
    ]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
    label = columns.get("label", np.zeros(files.rows)) != 0
    columns["label"] = label.astype(np.int8)
    if not (background or label.any()):
        raise _no_signal(path)
    keep = kept(columns["label"], signal_fraction, background=background)
    return {name: column[keep] for name, column in columns.items()}


def _no_signal(path: str | PathLike) -> InputError:
    return InputError(
        f"{path}: this file names no signal events, which search.draws and search.leak take from "
        "it: set search.draws: 0"
    )


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


@contextmanager
def _lhco_values(path: str | PathLike) -> Iterator[tables.Array]:
    """Open an LHC Olympics file and give the array of its rows, after checking the layout."""
    check_readable(Path(path))
    check_survives(path, lambda: _layout(path))
    with opened(path) as file:
        yield _values(path, file)


def _layout(path: str | PathLike) -> None:
    with opened(path) as file:
        _values(path, file)


def _values(path: str | PathLike, file: tables.File) -> tables.Array:
    with reading(Path(path), "HDF5"), no_code():
        if "/df" not in file:
            keys = ", ".join(file.root._v_children) or "nothing"
            raise InputError(f"{path}: no key 'df' (it has {keys}): give an LHC Olympics file")
        if "/df/block0_values" not in file:
            raise InputError(f"{path}: 'df' is not in pandas' fixed format: convert it")
        values = file.root.df.block0_values
    shape, width = getattr(values, "shape", ()), 3 * LHCO_PARTICLES
    if not isinstance(values, tables.Array) or len(shape) != 2 or shape[1] - width not in (0, 1):
        raise InputError(
            f"{path}: rows of {shape[1:]} values, {width} or {width + 1} expected: "
            "this is not a particle file"
        )
    chunk = values.chunkshape[0] if values.chunkshape else None
    row_bytes = int(shape[1]) * values.atom.size
    check_size(Path(path), values._v_pathname, int(shape[0]), row_bytes, chunk, values.size_on_disk)
    return values
