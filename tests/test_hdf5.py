"""HDF5 files of every flavour: keys, several files together, all else in them, equal bytes."""

from __future__ import annotations

import hashlib
import os
import time

import h5py
import numpy as np
import pandas
import pytest
import tables
from hdf5_files import (
    HALF,
    INDEXES,
    ROWS,
    check_frame,
    columns,
    load,
    outside,
    save,
    through,
    write_plain,
)

from flowmorph.errors import InputError
from flowmorph.formats.tables import open_sample, open_writer

LEFT = ["/elsewhere", "/link", "/reference", "/virtual"]


def fill(file, number=0):
    """Other things than columns; those with ``number`` are not the same in all files."""
    file.attrs["generator"], file.attrs["lumi"] = "Größe", 3.5 + number
    file["sumw"] = 10.0 + number
    file["meta/version"] = "v1"
    file["meta/cuts"] = np.array([1, 2, 3])
    file["meta"].attrs["pt"] = [20.0, 30.0]
    file["meta/empty"] = h5py.Empty("f4")
    file["meta/type"] = np.dtype("f4")
    file["hist/values"] = np.arange(5) + number
    file["link"] = h5py.SoftLink("/meta/cuts")
    file["elsewhere"] = h5py.ExternalLink("other.h5", "x")
    outside(file, "virtual", "other.h5")
    file["reference"] = np.array([file.ref], h5py.ref_dtype)


def check_rest(output, notes, several):
    with h5py.File(output) as new:
        assert new.attrs["generator"] == "Größe" and new["meta/version"][()] == b"v1"
        assert new["meta/cuts"][...].tolist() == [1, 2, 3]
        assert new["meta"].attrs["pt"].tolist() == [20, 30]
        assert new["meta/empty"].shape is None and new["meta/type"].dtype == "f4"
        assert all(name not in new for name in LEFT)
        assert ("sumw" in new, "hist/values" in new, "lumi" in new.attrs) == (not several,) * 3
    expected = LEFT + (["/hist/values", "/sumw", "attribute"] if several else [])
    assert sorted(note.split()[0] for note in notes) == sorted(expected), notes
    assert all("not copied: " in note for note in notes)


@pytest.mark.parametrize("flavour", ["records", "table"])
def test_indices_to_search_tables(tmp_path, flavour):
    """Those of PyTables would be wrong in a table with the rows of several files."""
    path = tmp_path / "a.h5"
    if flavour == "table":
        save(path, pandas.DataFrame(columns()), flavour, index=True, data_columns=["n"])
    else:
        with tables.open_file(path, "w") as file:
            records = np.rec.fromarrays(list(columns().values()), names=list(columns()))
            file.create_table("/", "events", obj=records).cols.n.create_csindex()
    sample = open_sample(str(path))
    assert sorted(sample.columns) == ["b", "n", "x"]
    output, notes = through(path)
    assert [note.split()[0] for note in notes] == ["/_i_events"] * (flavour == "records")
    with tables.open_file(output) as file:
        table = file.root.events if flavour == "records" else file.root.events.table
        assert not table.cols.n.is_indexed and len(table.read_where("n > 5")) == ROWS - 6
    if flavour == "table":
        assert len(pandas.read_hdf(output, where="n > 5")) == ROWS - 6


def test_keys_of_any_name_and_the_right_place(tmp_path):
    frame = pandas.DataFrame({"x": np.arange(4.0)})
    path = tmp_path / "a.h5"
    for key in ("run 1/größe-x", "run 1/b/c"):
        save(path, frame, "table", key=key)
        output, _ = through(path)
        check_frame(path, output, key)
        output, _ = through(path, "/" + key)
        check_frame(path, output, key)
    for tree, message in (
        ("run 1", "/run 1 has no datasets but keys ./run 1/b/c.: name one"),
        ("absent", "no key 'absent' .it has /run 1/b/c."),
    ):
        with pytest.raises(InputError, match=message):
            open_sample(str(path), tree)
    with h5py.File(path, "a") as file:
        file["alias"] = h5py.SoftLink("/run 1")
    with pytest.raises(InputError, match="key 'alias' is a link to '/run 1', which is not follow"):
        open_sample(str(path), "alias")


def test_many_files_are_not_all_open(tmp_path):
    for number in range(30):
        with h5py.File(tmp_path / f"a{number:02d}.h5", "w") as file:
            file["x"], file["sumw"] = np.full(2, float(number)), 1.0
    open_at_once = len(os.listdir("/proc/self/fd"))
    sample = open_sample(str(tmp_path / "a*.h5"))
    with open_writer(tmp_path / "b.h5", sample) as writer:
        for chunk in sample.chunks():
            writer.write(chunk)
            assert len(os.listdir("/proc/self/fd")) < open_at_once + 10
    with h5py.File(tmp_path / "b.h5") as file:
        assert file["sumw"][()] == 1 and file["x"][-1] == 29


@pytest.mark.parametrize("flavour", ["table", "fixed", "datasets", "records"])
def test_the_rest_of_the_files(tmp_path, flavour):
    for number in range(2):
        path = tmp_path / f"a{number}.h5"
        if flavour in ("table", "fixed"):
            frame = pandas.DataFrame({"x": np.arange(9.0)})
            save(path, frame, flavour)
            frame.to_hdf(path, key="more/frame", format="table", complib="blosc", complevel=3)
        else:
            write_plain(path, flavour, "f4", np.arange(ROWS))
        with h5py.File(path, "a") as file:
            fill(file, number)
            file["events"].attrs["unit"] = "GeV"
    for files, several in (("a0.h5", False), ("a?.h5", True)):
        output, notes = through(tmp_path / "b.h5", "events", files=str(tmp_path / files))
        check_rest(output, notes, several)
        with h5py.File(output) as file:
            assert file["events"].attrs["unit"] == "GeV"
        if flavour in ("table", "fixed"):
            frame = load(tmp_path / "a0.h5", "more/frame")
            pandas.testing.assert_frame_equal(load(output, "more/frame"), frame)
    sample = open_sample(str(tmp_path / "a0.h5"), "events")
    with open_writer(tmp_path / "trial.h5", sample, trial=True) as writer:
        writer.write(next(sample.chunks()))
    with h5py.File(tmp_path / "trial.h5") as file:
        assert "meta" not in file and not writer.notes


def test_single_values_beside_columns_are_no_columns(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"], file["sumw"], file["name"] = np.arange(5.0), 3.0, "run"
    assert open_sample(str(path)).columns == ["x"]
    output, notes = through(path)
    with h5py.File(output) as file:
        assert file["sumw"][()] == 3 and file["name"][()] == b"run" and not notes
    with h5py.File(path, "a") as file:
        file["x_moved"] = 1.0
    assert through(path)[1] == ["/x_moved is not copied: a new column has its name"]


@pytest.mark.parametrize("flavour", ["table", "fixed", "datasets", "records"])
def test_equal_bytes_and_chunks_of_any_size(tmp_path, flavour):
    path = tmp_path / "a.h5"
    if flavour in ("table", "fixed"):
        save(path, pandas.DataFrame(columns(), index=INDEXES["texts"]), flavour)
    else:
        write_plain(path, flavour, h5py.string_dtype(), ["a", "bü"] * HALF)
    with h5py.File(path, "a") as file:
        file["meta/cuts"] = np.arange(3)
    outputs = [through(path, "events", name="b.h5")[0].read_bytes()]
    time.sleep(1.1)
    outputs += [through(path, "events", name="b.h5")[0].read_bytes()]
    assert len({hashlib.sha256(output).hexdigest() for output in outputs}) == 1
    found = []
    for size in (1, 3, 1000):
        output, _ = through(path, "events", size=size)
        sample = open_sample(str(output), "events")
        found.append(repr([(k, v.tolist()) for k, v in next(sample.chunks()).items()]))
    assert len(set(found)) == 1
