"""Formats of samples: every one read in chunks and written again, bit by bit and byte by byte."""

from __future__ import annotations

import hashlib

import awkward as ak
import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest
import tables as hdf5
import uproot

from flowmorph.data.formats import open_sample, open_writer
from flowmorph.errors import InputError

KINDS = (
    "ttree",
    "rntuple",
    "pandas-table",
    "pandas-fixed",
    "datasets",
    "records",
    "parquet",
    "csv",
    "npz",
)
FORMATS = {
    "ttree": "root-ttree",
    "rntuple": "root-rntuple",
    "pandas-table": "hdf5-pandas",
    "pandas-fixed": "hdf5-pandas",
    "datasets": "hdf5-datasets",
    "records": "hdf5-datasets",
}
SUFFIXES = {"ttree": "root", "rntuple": "root", "parquet": "parquet", "csv": "csv", "npz": "npz"}


def numbers(rows=50, seed=3):
    """Columns of the types that all formats have."""
    rng = np.random.default_rng(seed)
    return {
        "pt": rng.exponential(50, rows),
        "eta": rng.normal(0, 1, rows).astype(np.float32),
        "n": rng.integers(0, 2**40, rows),
        "good": rng.random(rows) < 0.5,
    }


def write(path, kind, columns, name="events"):
    """Write a file of some kind with the library that users write it with."""
    if kind == "ttree":
        with uproot.recreate(path) as file:
            tree = file.mktree(name, {key: values.dtype for key, values in columns.items()})
            tree.extend(columns)
    elif kind == "rntuple":
        with uproot.recreate(path) as file:
            file.mkrntuple(name, ak.Array(columns))
    elif kind.startswith("pandas"):
        pandas.DataFrame(columns).to_hdf(path, key=name, mode="w", format=kind[7:])
    elif kind == "datasets":
        with hdf5.open_file(path, "w", pytables_sys_attrs=False) as file:
            for key, values in columns.items():
                file.create_carray("/" + name, key, obj=values, createparents=True)
    elif kind == "records":
        records = np.rec.fromarrays(list(columns.values()), names=list(columns))
        with hdf5.open_file(path, "w", pytables_sys_attrs=False) as file:
            file.create_table("/", name, obj=records)
    elif kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    elif kind == "csv":
        pandas.DataFrame(columns).to_csv(path, index=False)
    else:
        np.savez(path, **columns)
    return path


def sample(folder, kind, parts=2, rows=50):
    """Files of a sample, and the columns of all of them."""
    tables = [numbers(rows, seed) for seed in range(parts)]
    for number, table in enumerate(tables):
        write(folder / f"part{number}.{SUFFIXES.get(kind, 'h5')}", kind, table)
    return folder / "part*", {
        name: np.concatenate([table[name] for table in tables]) for name in tables[0]
    }


def tree_of(kind):
    return "events" if kind == "datasets" else None


def read(files, columns=None, size=30):
    chunks = list(files.chunks(columns, size))
    assert all(0 < len(next(iter(chunk.values()))) <= size for chunk in chunks)
    return {
        name: np.concatenate([np.asarray(chunk[name]) for chunk in chunks]) for name in chunks[0]
    }


def same(first, second):
    assert list(first) == list(second)
    for name in first:
        assert first[name].dtype == second[name].dtype, name
        np.testing.assert_array_equal(first[name], second[name])


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_several_files_in_chunks_and_written_again(tmp_path, kind):
    pattern, expected = sample(tmp_path, kind)
    files = open_sample(str(pattern), tree_of(kind))
    assert files.format == FORMATS.get(kind, kind)
    assert files.rows == 100 and [path.name[:5] for path in files.files] == ["part0", "part1"]
    order = files.columns
    assert sorted(order) == sorted(expected)
    if kind == "csv":
        expected["eta"] = read(files)["eta"]  # float64 there
    same(read(files), {name: expected[name] for name in order})
    same(read(files, ["n", "pt"]), {name: expected[name] for name in ("n", "pt")})

    outputs = [tmp_path / f"copy{i}{files.files[0].suffix}" for i in (0, 1)]
    for output in outputs:
        with open_writer(output, files) as writer:
            for chunk in files.chunks(None, 30):
                writer.write({**chunk, "moved": chunk["pt"] * 2})
    assert digest(outputs[0]) == digest(outputs[1])
    again = open_sample(str(outputs[0]), tree_of(kind))
    assert again.format == files.format and again.rows == 100
    found = read(again)
    assert sorted(found) == sorted([*order, "moved"])
    same({name: found[name] for name in order}, {name: expected[name] for name in order})
    np.testing.assert_array_equal(found["moved"], expected["pt"] * 2)


@pytest.mark.parametrize("kind", ["pandas-table", "pandas-fixed"])
def test_pandas_reads_what_is_written(tmp_path, kind):
    pattern, expected = sample(tmp_path, kind)
    files = open_sample(str(pattern))
    with open_writer(tmp_path / "copy.h5", files) as writer:
        for chunk in files.chunks(None, 33):
            writer.write(chunk)
    frame = pandas.read_hdf(tmp_path / "copy.h5")
    assert frame.index.tolist() == list(range(100))
    pandas.testing.assert_frame_equal(frame, pandas.DataFrame(expected))


def test_wrong(tmp_path):
    with pytest.raises(InputError, match="matches this pattern"):
        open_sample(str(tmp_path / "*.root"))
