"""HDF5 files for tests, written and read as users do: by pandas and h5py, never by our reader."""

from __future__ import annotations

import datetime
import warnings

import h5py
import numpy as np
import pandas

from flowmorph.formats.tables import open_sample, open_writer

ROWS = 20
HALF = ROWS // 2
BOOLEANS = np.arange(ROWS) % 3 == 0
DAYS = pandas.Series(pandas.date_range("2020-02-28", periods=ROWS, freq="7h"))
INDEXES = {
    "numbered": pandas.RangeIndex(ROWS),
    "from 1": pandas.RangeIndex(1, ROWS + 1),
    "shuffled": pandas.Index(np.random.default_rng(1).permutation(ROWS)),
    "filtered": pandas.Index(np.arange(ROWS) * 3),
    "repeated": pandas.Index([*range(ROWS // 2)] * 2),
    "named": pandas.Index(np.arange(ROWS) * 2, name="event"),
    "named and numbered": pandas.RangeIndex(ROWS, name="event"),
    "unsigned": pandas.Index(np.arange(ROWS, dtype="u8")),
    "floats": pandas.Index(np.arange(ROWS) / 2),
    "texts": pandas.Index([f"run {i}" for i in range(ROWS)]),
    "texts, missing": pandas.Index([None, "nan", "ü"] * 6 + ["a", "b"], name="who"),
    "times": pandas.DatetimeIndex(DAYS, freq="7h"),
    "times, irregular": pandas.DatetimeIndex(DAYS[::-1], name="when"),
    "zone": pandas.DatetimeIndex(DAYS, freq="7h").tz_localize("Europe/Zurich"),
    "UTC": pandas.DatetimeIndex(DAYS).tz_localize("UTC"),
    "differences": pandas.TimedeltaIndex(DAYS - DAYS[0]),
    "periods": pandas.period_range("2020", periods=ROWS, freq="D"),
    "category": pandas.CategoricalIndex(["b", "a"] * 10, name="kind"),
    "booleans": pandas.Index([True, False] * 10),
    "dates": pandas.Index([datetime.date(2020, 1, 1 + i) for i in range(ROWS)], dtype=object),
    "levels": pandas.MultiIndex.from_product([[5, 7], range(10)], names=["entry", "sub"]),
    "levels, missing": pandas.MultiIndex.from_arrays(
        [["a", None] * 10, [0.5, np.nan, 1, 2] * 5], names=["word", "number"]
    ),
    "levels without names": pandas.MultiIndex.from_product([["a", "bü"], range(10)]),
    "levels, times": pandas.MultiIndex.from_arrays([DAYS, np.arange(ROWS) / 4], names=["t", "f"]),
    "name of a column": pandas.Index(np.arange(ROWS) * 2, name="x"),
    "name that is a number": pandas.Index(np.arange(ROWS) * 2, name=7),
}


def through(path, tree=None, drop=(), size=7, name="output.h5", files=None):
    """Write a sample's columns in its own format, with two new ones, and give the file."""
    sample = open_sample(files or str(path), tree)
    names = [each for each in sample.columns if each not in drop]
    output, row = path.parent / name, 0
    with open_writer(output, sample) as writer:
        for chunk in sample.chunks(names, size):
            rows = len(next(iter(chunk.values())))
            new = np.arange(row, row + rows) / 2
            writer.write(chunk | {"x_moved": new, "flowmorph_moved": (new % 2).astype(np.int8)})
            row += rows
    return output, writer.notes


def with_new(frame):
    """A frame with the columns that `through` adds."""
    new = np.arange(len(frame)) / 2
    frame, empty = frame.copy(), [""] * (frame.columns.nlevels - 1)
    for name, values in (("x_moved", new), ("flowmorph_moved", (new % 2).astype(np.int8))):
        frame[(name, *empty) if empty else name] = values
    return frame


def save(path, frame, format, key="events", **options):
    if format == "table":
        # Of some types pandas writes no index for searches, which nobody needs here.
        options.setdefault("index", False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are no Python names, and of pickles
        frame.to_hdf(path, key=key, mode="w", format=format, **options)
    return path


def load(path, key=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pandas.read_hdf(path, key)


def check_frame(path, output, key=None):
    """The output is the input with new columns, as pandas reads both."""
    found, expected = load(output, key), with_new(load(path, key))
    pandas.testing.assert_frame_equal(found, expected, check_freq=False, check_exact=True)
    assert found.index.equals(expected.index) and found.index.names == expected.index.names
    assert found.columns.names == expected.columns.names
    for one, other in zip(found.columns, expected.columns, strict=True):
        assert type(one) is type(other)


def write_plain(path, flavour, dtype, values):
    """A dataset or field ``column`` beside a number and a field of the file's own."""
    with h5py.File(path, "w") as file:
        if flavour == "datasets":
            kind = np.dtype(dtype)
            inner = kind.shape
            made = file.create_dataset("events/column", (ROWS, *inner), kind.base)
            made[...] = np.asarray(values, None if kind.hasobject else kind.base)
            made.attrs["unit"] = "GeV"
            file["events/x"] = np.arange(ROWS) / 3
        else:
            kind = np.dtype([("x", "f8"), ("column", dtype), ("n", ">i4")])
            records = np.zeros(ROWS, kind)
            records["x"], records["column"], records["n"] = np.arange(ROWS) / 3, values, 7
            file.create_dataset("events", data=records, dtype=kind)
        file["events"].attrs["lumi"] = 3.5
    return path


def outside(file, name, path):
    """A dataset of another file: by a virtual dataset or external storage."""
    layout = h5py.VirtualLayout((ROWS,), "f8")
    layout[:] = h5py.VirtualSource(path, "x", (ROWS,))
    return file.create_virtual_dataset(name, layout)


def columns():
    """A column of each kind."""
    return {"x": np.arange(ROWS) / 3, "n": np.arange(ROWS), "b": BOOLEANS}
