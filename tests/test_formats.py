"""Formats of samples: every one read in chunks and written again, bit by bit and byte by byte."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

import awkward as ak
import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest
import tables as hdf5
import uproot

from flowmorph.errors import InputError
from flowmorph.formats.tables import find_files, open_sample, open_writer
from flowmorph.plan import own_config

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
    lengths = [len(next(iter(chunk.values()))) for chunk in chunks]
    assert set(lengths) <= {size, files.rows // len(files.files) % size}
    kept = np.asarray if files.format != "csv" else lambda cells: files.numbers({"": cells}, "")
    return {name: np.concatenate([kept(chunk[name]) for chunk in chunks]) for name in chunks[0]}


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
        expected = {name: values.astype(float) for name, values in expected.items()}
        expected["eta"] = read(files)["eta"]  # of more digits there
    same(read(files), {name: expected[name] for name in order})
    same(read(files, ["n", "pt"]), {name: expected[name] for name in ("n", "pt")})

    outputs = [tmp_path / f"copy{i}{files.files[0].suffix}" for i in (0, 1)]
    for output in outputs:
        with open_writer(output, files) as writer:
            for chunk in files.chunks(None, 30):
                writer.write({**chunk, "moved": files.numbers(chunk, "pt") * 2})
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


def copy(path, tree=None, drop=()):
    """A file, and one written from its chunks, each as one chunk of lists."""
    files = open_sample(str(path), tree)
    names = [name for name in files.columns if name not in drop]
    output = path.with_stem("copy")
    with open_writer(output, files) as writer:
        for chunk in files.chunks(names, 7):
            writer.write(chunk)
    again = open_sample(str(output), tree)
    assert (again.format, again.rows) == (files.format, files.rows)
    assert {name: again.types[name] for name in names} == {n: files.types[n] for n in names}
    assert sorted(again.columns) == sorted(names)
    return [
        {
            name: [row for chunk in one.chunks([name], 100) for row in ak.to_list(chunk[name])]
            for name in names
        }
        for one in (files, again)
    ]


JETS = ak.Array([[1.0, 2.0], [], [3.0]] * 10)


def test_lists_texts_and_records_are_kept(tmp_path):
    x, matrix = np.arange(30.0), np.arange(60, dtype=np.float32).reshape(30, 2)
    pair = ak.zip({"pt": JETS, "eta": JETS + 1})
    with uproot.recreate(tmp_path / "single.root") as file:
        kinds = {"x": "f8", "jet": "var * float64", "w": np.dtype(("f4", (2,)))}
        file.mktree("t", kinds).extend({"x": x, "jet": JETS, "w": matrix})
    with uproot.recreate(tmp_path / "shared.root") as file:
        file.mktree("t", {"x": "f8", "Jet": ak.type(pair).content}).extend({"x": x, "Jet": pair})
    with uproot.recreate(tmp_path / "ntuple.root") as file:
        texts = ak.Array(["a", "bb", ""] * 10)
        file.mkrntuple("t", ak.Array({"x": x, "jet": JETS, "text": texts, "jets": pair}))
    columns = {
        "jet": ak.to_arrow(JETS, extensionarray=False),
        "text": ["a", "b", None] * 10,
        "n": pyarrow.array([1, None, 3] * 10),
        "day": pyarrow.array(np.arange(30).astype("datetime64[ns]")),
        "kind": pyarrow.array(["u", "v", "u"] * 10).dictionary_encode(),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    for name in ("single.root", "shared.root", "ntuple.root", "a.parquet"):
        before, after = copy(tmp_path / name)
        for column, values in before.items():
            assert str(after[column]) == str(values), column  # NaN is not itself
    assert before["n"][:2] == [1, None]


def test_two_dimensional_arrays_are_columns_and_come_together_again(tmp_path):
    matrix, image = np.arange(90.0).reshape(30, 3), np.ones((30, 2, 2), "f4")
    np.savez(tmp_path / "a.npz", x=matrix, image=image)
    with hdf5.open_file(tmp_path / "a.h5", "w", pytables_sys_attrs=False) as file:
        file.create_carray("/", "x", obj=matrix)
        file.create_carray("/deep", "image", obj=image, createparents=True)
        file.create_array("/", "name", obj=np.array([b"ab"] * 30))
        file.create_array("/", "one", obj=3.0)
    for name in ("a.npz", "a.h5"):
        before, after = copy(tmp_path / name)
        assert before == after and before["x[1]"] == matrix[:, 1].tolist()
    with hdf5.open_file(tmp_path / "copy.h5") as file:
        assert file.root.x.shape == (30, 3) and file.root.deep.image.shape == (30, 2, 2)


def test_pandas_texts_index_and_numbered_columns(tmp_path):
    frame = pandas.DataFrame({"x": np.arange(30.0), "n": range(30)})
    frame.index = pandas.Index(np.arange(30) * 3, name="event")
    for kind in ("table", "fixed"):
        frame.to_hdf(tmp_path / "a.h5", key="run/df", mode="w", format=kind)
        before, after = copy(tmp_path / "a.h5")
        assert before == after and before["event"][2] == 6
        pandas.testing.assert_frame_equal(pandas.read_hdf(tmp_path / "copy.h5"), frame)
    frame.assign(s=["a", "bb", "long"] * 10).to_hdf(tmp_path / "a.h5", key="df", format="table")
    before, after = copy(tmp_path / "a.h5", tree="df")
    assert before == after and before["s"][:3] == ["a", "bb", "long"]
    numbered = pandas.DataFrame(np.arange(60.0).reshape(30, 2))
    numbered.to_hdf(tmp_path / "a.h5", key="df", mode="w", format="fixed")
    before, after = copy(tmp_path / "a.h5")
    assert before == after and list(before) == ["0", "1"]
    pandas.testing.assert_frame_equal(pandas.read_hdf(tmp_path / "copy.h5"), numbered)


def test_what_a_format_cannot_keep_is_named(tmp_path):
    frame = pandas.DataFrame({"x": np.arange(3.0), "s": np.array(["a", "b", "c"], object)})
    frame["day"] = pandas.date_range("2020", periods=3)
    frame.to_hdf(tmp_path / "a.h5", key="df", mode="w", format="fixed")
    with pytest.raises(InputError, match="a.h5: column 's' .pickled Python .* cannot be read"):
        copy(tmp_path / "a.h5")
    copy(tmp_path / "a.h5", drop={"s"})
    files = open_sample(str(write(tmp_path / "b.npz", "npz", numbers())))
    with pytest.raises(InputError, match="c.npz: column 'n' is of whole numbers"):
        with open_writer(tmp_path / "c.npz", files) as writer:
            for chunk in files.chunks():
                writer.write(chunk | {"n": chunk["n"] + 0.5})
    with pytest.raises(InputError, match="c.npz: column 'jet' is no array of numbers"):
        with open_writer(tmp_path / "c.npz", files) as writer:
            writer.write({"jet": JETS})
    with pytest.raises(InputError, match="other columns than the first"):
        with open_writer(tmp_path / "c.npz", files) as writer:
            writer.write({"pt": np.ones(3)})
            writer.write({"eta": np.ones(3)})
    assert not (tmp_path / "c.npz").exists()


@pytest.mark.parametrize("kind", ["pandas-table", "npz"])
def test_memory_does_not_grow_with_the_file(tmp_path, kind):
    """Of what Python allocates; benchmarks/rows.py measures all memory."""
    peaks = []
    for rows in (200_000, 800_000):
        path = write(tmp_path / f"a.{SUFFIXES.get(kind, 'h5')}", kind, numbers(rows))
        files = open_sample(str(path))
        tracemalloc.start()
        assert all(len(chunk["pt"]) <= 10_000 for chunk in files.chunks(None, 10_000))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_a_file_is_read_once_whatever_it_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x\n1\n2\n")
    (tmp_path / "link.csv").symlink_to("b.csv")
    (tmp_path / "here").symlink_to(tmp_path)
    given = ["a.csv", str(tmp_path / "a.csv"), "./a.csv", "there/../b.csv", "here/a.csv", "*.csv"]
    expected = [tmp_path / "a.csv", tmp_path / "b.csv"]
    assert [path.resolve() for path in find_files(given)] == expected
    assert open_sample(given).rows == 4
    # What Snakemake is told is what is read.
    assert list(map(Path, own_config.matching(given))) == find_files(given)
    assert find_files("link.csv") == [Path("link.csv")]
    assert list(own_config.named(["a.csv", str(tmp_path / "a.csv")])) == ["a.csv"]
