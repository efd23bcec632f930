"""HDF5 of every flavour: what goes through reading and writing unchanged, type by type, what not.

Files are written and read again as users do, by pandas, h5py and PyTables, never by our reader.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import pickle
import time
import warnings

import h5py
import numpy as np
import pandas
import pytest
import tables
from bad_files import RAN, Runs

from flowmorph.errors import InputError
from flowmorph.formats import open_sample, open_writer

ROWS = 20

#: Columns of pandas' frames, of ``ROWS`` rows. Which format holds them is below.
NUMBERS = {
    **{
        kind: np.arange(ROWS).astype(kind)
        for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "g")
    },
    "c8": (np.arange(ROWS) * 1j).astype("c8"),
    "c16": np.arange(ROWS) * (1 - 1j),
    "large": np.array([2**63 - 1, -(2**63)] * (ROWS // 2)),
    "largest": np.array([2**64 - 1, 0] * (ROWS // 2), "u8"),
    "bool": np.arange(ROWS) % 3 == 0,
    "missing": np.where(np.arange(ROWS) % 3, 1.5, np.nan),
    "missing f4": np.where(np.arange(ROWS) % 3, 1.5, np.nan).astype("f4"),
    "infinite": np.where(np.arange(ROWS) % 3, -np.inf, np.inf),
    "minus zero": np.full(ROWS, -0.0),
}
DAYS = pandas.Series(pandas.date_range("2020-02-28", periods=ROWS, freq="7h"))
TIMES = {
    **{f"time in {unit}": DAYS.astype(f"datetime64[{unit}]") for unit in ("s", "ms", "us", "ns")},
    "time, missing": DAYS.where(DAYS.index % 3 > 0),
    "zone": DAYS.dt.tz_localize("UTC").dt.tz_convert("Europe/Zurich"),
    "zone, missing": DAYS.where(DAYS.index % 3 > 0).dt.tz_localize("America/New_York"),
    "UTC": DAYS.dt.tz_localize("UTC"),
    "offset": DAYS.dt.tz_localize(datetime.timezone(datetime.timedelta(hours=2))),
    "time difference": DAYS - DAYS[0],
    "time difference, missing": (DAYS - DAYS[0]).where(DAYS.index % 3 > 0),
    "period": DAYS.dt.to_period("D"),
}
WORDS = ["a", "nan", "", "Zürich 中", "x" * 40, "None", "<NA>", "_nan_", "-1", " b "] * 2
TEXTS = {
    "text": pandas.Series(["a", "bb", ""] * 6 + ["c", "d"]),
    "text of all kinds": pandas.Series(WORDS),
    "text, missing": pandas.Series(["a", None, "bb", "Zürich"] * 5),
    "text of all kinds, missing": pandas.Series([*WORDS[:-3], None, None, "nan"]),
    "text, nothing but missing": pandas.Series([None] * ROWS, dtype="str"),
    "text as objects": pandas.Series(WORDS, dtype=object),
    "text as objects, missing": pandas.Series([*WORDS[:-2], None, np.nan], dtype=object),
}
CATEGORIES = {
    "category": pandas.Categorical(["b", "a"] * 10),
    "category, missing": pandas.Categorical(["b", None, "a", "c"] * 5, categories=list("dcba")),
    "category, ordered": pandas.Categorical(["b", "a"] * 10, ["b", "a", "z"], ordered=True),
    "category of numbers": pandas.Categorical([3, 1, 2, 1] * 5),
    "category of floats": pandas.Categorical([0.5, 1.5, 2.5, 0.5] * 5),
    "category of times": pandas.Categorical(DAYS),
    "category, nothing but missing": pandas.Categorical([None] * ROWS),
}
PICKLED = {
    "bytes": pandas.Series([b"a"] * ROWS, dtype=object),
    "objects": pandas.Series([1, "a", None, 2.5] * 5, dtype=object),
    "booleans, missing": pandas.Series([True, None] * 10, dtype=object),
    "dates": pandas.Series([datetime.date(2020, 1, 1)] * ROWS, dtype=object),
    "lists": pandas.Series([[1, 2]] * ROWS, dtype=object),
}
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
LABELS = {
    "numbers": [0, 1, 2],
    "large numbers": [10**12, 5, 7],
    "texts and numbers": ["a", 1, "c"],
    "floats": [0.5, 1.5, 2.5],
    "levels": pandas.MultiIndex.from_tuples([("a", "x"), ("a", "y"), ("b", "x")]),
    "named levels": pandas.MultiIndex.from_tuples(
        [("a", 1), ("a", 2), ("b", 1)], names=["one", "two"]
    ),
    "named": pandas.Index(["a", "b", "c"], name="feature"),
    "unusual": ["x/y", "a.b c", "Größe[0]"],
    "long": ["a" * 300, "b" * 300, "c"],
    "of our own": ["index", "values_block_0", "table"],
}

BOTH = NUMBERS | TIMES
#: Types that come out as they went in, by flavour.
KEPT: dict[str, dict[str, object]] = {
    "pandas-table": BOTH | TEXTS | CATEGORIES,
    "pandas-fixed": dict(BOTH),
}
#: Types that a flavour holds, but that are refused, when first the columns are asked for.
REFUSED: dict[str, dict[str, str]] = {
    "pandas-fixed": dict.fromkeys(TEXTS | PICKLED, "pickled Python objects, which are never load"),
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


FRAMES = [(format, name) for format in KEPT for name in KEPT[format]]
for _format in ("table", "fixed"):
    KEPT[f"index of pandas-{_format}"] = INDEXES
    KEPT[f"names of columns of pandas-{_format}"] = LABELS


@pytest.mark.parametrize(("flavour", "name"), FRAMES)
def test_column_of_a_frame(tmp_path, flavour, name):
    column = KEPT[flavour][name]
    frame = pandas.DataFrame({"x": np.arange(ROWS) / 3, "column": column, "n": range(ROWS)})
    format = flavour.removeprefix("pandas-")
    path = save(tmp_path / "a.h5", frame, format)
    output, notes = through(path)
    check_frame(path, output)
    assert not notes
    if format == "table":
        save(path, frame, format, data_columns=True, complib="blosc", complevel=5)
        output, notes = through(path, size=13)
        check_frame(path, output)
        assert not notes
        with tables.open_file(output) as file:
            assert file.root.events.table.filters.complib == "blosc"


@pytest.mark.parametrize("name", list(REFUSED["pandas-fixed"]))
def test_column_that_the_fixed_format_pickles(tmp_path, name):
    frame = pandas.DataFrame({"x": np.arange(ROWS) / 3, "column": (TEXTS | PICKLED)[name]})
    path = save(tmp_path / "a.h5", frame, "fixed")
    sample = open_sample(str(path))
    with pytest.raises(InputError) as error:
        sample.require(sample.columns)
    assert f"a.h5: column 'column' ({REFUSED['pandas-fixed'][name]}" in str(error.value)
    output, _ = through(path, drop=["column"])
    pandas.testing.assert_frame_equal(load(output), with_new(load(path)[["x"]]))


@pytest.mark.parametrize("format", ["table", "fixed"])
@pytest.mark.parametrize("name", INDEXES)
def test_index(tmp_path, format, name):
    frame = pandas.DataFrame({"x": np.arange(ROWS) / 3, "n": range(ROWS)}, index=INDEXES[name])
    path = save(tmp_path / "a.h5", frame, format)
    sample = open_sample(str(path))
    hidden = name == "numbered" or isinstance(frame.index, pandas.MultiIndex)
    unnamed = frame.index.name in (None, "x")
    assert ("index" in sample.columns) == (unnamed and not hidden)
    output, notes = through(path)
    check_frame(path, output)
    assert not notes
    alone, _ = through(path, drop=[each for each in sample.columns if each not in "xn"])
    if "x" != frame.index.name:
        assert load(alone).index.equals(pandas.RangeIndex(ROWS))


@pytest.mark.parametrize("format", ["table", "fixed"])
@pytest.mark.parametrize("name", LABELS)
def test_names_of_columns(tmp_path, format, name):
    frame = pandas.DataFrame(np.arange(3.0 * ROWS).reshape(ROWS, 3), columns=LABELS[name])
    path = save(tmp_path / "a.h5", frame, format)
    columns = [str(label) for label in load(path).columns]
    assert open_sample(str(path)).columns == columns
    output, notes = through(path)
    check_frame(path, output)
    assert not notes
    again, _ = through(output, name="again.h5", drop=["x_moved", "flowmorph_moved"])
    pandas.testing.assert_frame_equal(load(again), load(output))


@pytest.mark.parametrize("format", ["table", "fixed"])
def test_frames_without_rows(tmp_path, format):
    frame = pandas.DataFrame({"x": np.arange(3.0), "n": range(3), "t": DAYS[:3]})
    frame["zone"] = frame["t"].dt.tz_localize("UTC")
    if format == "table":
        frame["s"], frame["k"] = ["a", "b", None], pandas.Categorical(["u", "v", "u"])
    path = save(tmp_path / "a.h5", frame, format)
    if format == "table":
        with tables.open_file(path, "a") as file:
            file.root.events.table.remove_rows(0, 3)
    else:
        save(path, frame.iloc[:0], format)
    sample = open_sample(str(path))
    assert sample.rows == 0
    (chunk,) = sample.chunks()
    assert chunk["x"].dtype == "f8" and chunk["t"].dtype.kind == "M" and len(chunk["n"]) == 0
    output, _ = through(path)
    assert load(output).shape == (0, len(frame.columns) + 2)
    if format == "table":
        check_frame(path, output)
    else:  # where pandas cannot read times without rows that it wrote itself
        expected = with_new(frame.iloc[:0])
        pandas.testing.assert_frame_equal(load(output), expected, check_index_type=False)
    again, _ = through(output, name="again.h5", drop=["x_moved", "flowmorph_moved"])
    pandas.testing.assert_frame_equal(load(again), load(output))


def test_missing_texts_by_a_mark_of_the_users(tmp_path):
    frame = pandas.DataFrame({"x": np.arange(4.0), "s": ["a", None, "nan", "b"]})
    for options in ({"nan_rep": "?!"}, {"min_itemsize": 50}, {"encoding": "latin-1"}):
        path = save(tmp_path / "a.h5", frame, "table", **options)
        output, _ = through(path, size=1)
        check_frame(path, output)
        assert pandas.isna(load(output)["s"]).tolist() == [False, True, False, False]
        with tables.open_file(path) as old, tables.open_file(output) as new:
            for file in (old, new):
                attributes = file.root.events._v_attrs
                assert attributes.nan_rep == options.get("nan_rep")
                assert attributes.encoding == options.get("encoding", "UTF-8")
            kind = [file.root.events.table.dtype["values_block_1"] for file in (old, new)]
            assert kind[0] == kind[1]


@pytest.mark.parametrize("format", ["table", "fixed"])
def test_files_together(tmp_path, format):
    parts = []
    for number in range(2):
        part = pandas.DataFrame({"x": np.arange(5.0), "t": DAYS[:5]})
        letters = ["v", "w", "xü", "y", "z" * (number + 1)]
        part.index = pandas.MultiIndex.from_product([[number], letters])
        if format == "table":
            part["s"] = ["nan" * number, "bü" * (3 * number + 1), None, "c", "d"]
            part["k"] = pandas.Categorical(list("uvuvu"))
        path = save(tmp_path / f"{format}{number}.h5", part, format)
        parts.append(load(path))
    output, _ = through(tmp_path / "a.h5", files=str(tmp_path / f"{format}?.h5"))
    pandas.testing.assert_frame_equal(load(output), with_new(pandas.concat(parts)))


def test_other_categories_in_another_file(tmp_path):
    for number, words in enumerate(("ab", "ac")):
        frame = pandas.DataFrame({"x": np.arange(2.0), "k": pandas.Categorical(list(words))})
        save(tmp_path / f"a{number}.h5", frame, "table")
    with pytest.raises(InputError, match="column 'k' has other categories in each file"):
        through(tmp_path / "b.h5", files=str(tmp_path / "a?.h5"))
    output, _ = through(tmp_path / "b.h5", files=str(tmp_path / "a?.h5"), drop=["k"])
    assert load(output)["x"].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("format", ["table", "fixed"])
def test_index_of_several_files(tmp_path, format):
    """Row numbers go on; any other index of one of the files is kept of all."""
    for number, index in enumerate((range(5), range(5, 8), range(3))):
        frame = pandas.DataFrame({"x": np.arange(len(index)) / 2}, index=index)
        save(tmp_path / f"a{number}.h5", frame, format)
    for files, kept, expected in (
        ("a[01].h5", False, range(8)),
        ("a[02].h5", False, range(8)),
        ("a[12].h5", True, [5, 6, 7, 0, 1, 2]),
    ):
        files = str(tmp_path / files)
        assert ("index" in open_sample(files).columns) == kept
        output, _ = through(tmp_path / "b.h5", files=files)
        assert load(output).index.tolist() == list(expected)


def test_index_that_only_seems_to_count_the_rows(tmp_path):
    index = np.arange(250_000)
    index[[120_000, 120_001]] = index[[120_001, 120_000]]
    path = save(tmp_path / "a.h5", pandas.DataFrame({"x": index / 2}, index=index), "fixed")
    with pytest.raises(InputError, match="its index counts the rows at its ends, but not in rows"):
        through(path, size=50_000)


@pytest.mark.parametrize("format", ["table", "fixed"])
def test_what_is_no_frame_is_said_to_be_what_it_is(tmp_path, format):
    series = pandas.Series(np.arange(3.0), name="x")
    for one in (series, series.set_axis(pandas.MultiIndex.from_product([[1], [1, 2, 3]]))):
        path = save(tmp_path / "a.h5", one, format)
        with pytest.raises(InputError, match="a.h5: key '/events' is a pandas series.*to_frame"):
            open_sample(str(path))
    frame = pandas.DataFrame({DAYS[0]: [1.0]})
    path = save(tmp_path / "a.h5", frame, format)
    with pytest.raises(InputError, match="name them by texts|name columns by texts"):
        open_sample(str(path))


def test_index_of_objects_is_refused_by_name(tmp_path):
    frame = pandas.DataFrame({"x": np.arange(4.0)}, index=pandas.Index([1, "a", None, 2.5]))
    path = save(tmp_path / "a.h5", frame, "fixed")
    with pytest.raises(InputError, match="column 'index' .pickled Python objects, which are never"):
        through(path)
    output, _ = through(path, drop=["index"])
    assert load(output)["x"].tolist() == [0, 1, 2, 3]


def test_index_left_out_beside_time_zones(tmp_path):
    frame = pandas.DataFrame({"x": np.arange(ROWS), "t": TIMES["zone"]})
    frame.index = INDEXES["texts"]
    output, _ = through(save(tmp_path / "a.h5", frame, "table"), drop=["index"])
    pandas.testing.assert_frame_equal(load(output), with_new(frame.reset_index(drop=True)))
    frame["t"] = TIMES["offset"].array
    with pytest.raises(InputError, match="the index 'index' cannot be left out .*time zone"):
        through(save(tmp_path / "a.h5", frame, "table"), drop=["index"])


def test_pickles_in_what_pandas_keeps_are_not_run(tmp_path, capfd):
    path = save(tmp_path / "a.h5", pandas.DataFrame({"x": np.arange(3.0)}), "table")
    with tables.open_file(path, "a") as file:
        for node in (file.root, file.root.events, file.root.events.table):
            node._v_attrs.extra = np.bytes_(pickle.dumps(Runs(), 0))
    output, _ = through(path)
    with h5py.File(path) as old, h5py.File(output) as new:
        for name in ("/", "/events", "/events/table"):
            assert old[name].attrs["extra"] == new[name].attrs["extra"]
    assert RAN not in capfd.readouterr().out


# Plain datasets and records

HALF = ROWS // 2
BOOLEANS = np.arange(ROWS) % 3 == 0
PLAIN: dict[str, tuple[object, object]] = {
    **{
        kind: (kind, np.arange(ROWS).astype(kind))
        for kind in (
            "i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8", "u1", "<u2", "<u4", "<u8", ">u8",
            "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "g",
        )
    },
    "complex64": ("c8", (np.arange(ROWS) * 1j).astype("c8")),
    "complex128": ("c16", np.arange(ROWS) * (1 - 2j)),
    "bool": ("?", BOOLEANS),
    "NaN": ("f4", np.where(BOOLEANS, np.nan, -0.0)),
    "bytes": ("S4", np.array([b"abcd", b"", b"a ", b"b"] * 5)),
    "text of one length": (
        h5py.string_dtype("utf-8", 6), np.array(["Zürich".encode()[:6], b"ab"] * HALF)
    ),
    "text": (h5py.string_dtype(), ["Zürich", "", "a" * 300, "nan"] * 5),
    "ASCII text": (h5py.string_dtype("ascii"), [b"a", b"", b"abc", b"nan"] * 5),
    "enumeration": (h5py.enum_dtype({"MU": 1, "E": 2}, "<i2"), np.array([1, 2] * HALF)),
    "opaque": ("V5", np.array([b"ab\0cd", b"\0\0\0\0x"] * HALF).astype("V5")),
    "time of numpy": (
        h5py.opaque_dtype(np.dtype("M8[ns]")),
        np.arange(ROWS).astype("M8[ns]").astype(h5py.opaque_dtype(np.dtype("M8[ns]"))),
    ),
    "record": ("i4,?,>f4,S3", np.array([(1, True, 0.5, b"abc"), (2, False, 1.5, b"")] * HALF,
                                      dtype="i4,?,>f4,S3")),
    "record with text": (
        [("s", h5py.string_dtype()), ("x", "f4", (2,))],
        np.array([("ü", (1, 2)), ("", (3, 4))] * HALF,
                 dtype=[("s", h5py.string_dtype()), ("x", "f4", (2,))]),
    ),
    "two numbers": (("<f4", (2,)), np.arange(2.0 * ROWS).reshape(ROWS, 2)),
    "two booleans": (("?", (2,)), np.stack([BOOLEANS, ~BOOLEANS], axis=1)),
    "image": ((">i2", (3, 2)), np.arange(6 * ROWS).reshape(ROWS, 3, 2)),
    "two texts": ((h5py.string_dtype(), (2,)), np.array([["a", "bü"], ["", "c"]] * HALF, object)),
}  # fmt: skip
LISTS = np.empty(ROWS, object)
LISTS[:] = [np.arange(i % 4, dtype="f4") for i in range(ROWS)]
PLAIN["lists"] = (h5py.vlen_dtype("f4"), LISTS)
KEPT["datasets"] = {name: case for name, case in PLAIN.items() if "record" not in name}
KEPT["records"] = PLAIN


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


def types(node):
    """HDF5 types of a dataset, by field."""
    kind = node.id.get_type()
    if node.dtype.fields is None or "x" not in node.dtype.fields or node.name != "/events":
        return {None: kind}
    return {kind.get_member_name(i): kind.get_member_type(i) for i in range(kind.get_nmembers())}


def listed(values):
    return values.tolist() if not values.dtype.hasobject else repr(values.tolist())


@pytest.mark.parametrize(
    ("flavour", "name"),
    [(flavour, name) for flavour in ("datasets", "records") for name in KEPT[flavour]],
)
def test_plain_column(tmp_path, flavour, name):
    path = write_plain(tmp_path / "a.h5", flavour, *KEPT[flavour][name])
    output, notes = through(path, "events")
    with h5py.File(path) as old, h5py.File(output) as new:
        assert new["events"].attrs["lumi"] == 3.5 and not notes
        if flavour == "datasets":
            before, after = old["events/column"], new["events/column"]
            assert after.attrs["unit"] == "GeV"
            assert types(before)[None].equal(types(after)[None])
            pairs = [(before[...], after[...]), (old["events/x"][...], new["events/x"][...])]
            moved, status = new["events/x_moved"][...], new["events/flowmorph_moved"][...]
        else:
            before, after = old["events"], new["events"]
            found = types(after)
            assert all(kind.equal(found[field]) for field, kind in types(before).items())
            pairs = [(before[...][field], after[...][field]) for field in before.dtype.names]
            assert after.dtype.names == (*before.dtype.names, "x_moved", "flowmorph_moved")
            moved, status = after[...]["x_moved"], after[...]["flowmorph_moved"]
        for one, other in pairs:
            assert one.dtype == other.dtype and one.shape == other.shape
            assert one.tobytes() == other.tobytes() or listed(one) == listed(other)
        assert moved.dtype == np.float64 and moved.tolist() == (np.arange(ROWS) / 2).tolist()
        assert status.dtype == np.int8


def test_a_boolean_is_a_mask_when_it_is_read(tmp_path):
    for flavour in ("datasets", "records"):
        path = write_plain(tmp_path / "a.h5", flavour, "?", BOOLEANS)
        (chunk,) = open_sample(str(path), "events").chunks()
        assert chunk["column"].dtype == bool
        with tables.open_file(path, "w") as file:
            records = np.rec.fromarrays([BOOLEANS, np.arange(ROWS) / 3], names=["column", "x"])
            if flavour == "records":
                file.create_table("/", "events", obj=records)
            else:
                file.create_array("/events", "column", obj=BOOLEANS, createparents=True)
                file.create_array("/events", "x", obj=records["x"])
        (chunk,) = open_sample(str(path), "events").chunks()
        assert chunk["column"].dtype == bool and (chunk["column"] == BOOLEANS).all()
        output, _ = through(path, "events")
        with tables.open_file(path) as old, tables.open_file(output) as new:
            if flavour == "records":
                assert new.root.events.nrows == ROWS
                found = {name: new.root.events.col(name) for name in new.root.events.colnames}
                assert new.root.events.colnames[:2] == old.root.events.colnames
            else:
                found = {node.name: node.read() for node in new.root.events}
            assert found["column"].dtype == bool and (found["column"] == BOOLEANS).all()
            assert found["x_moved"].tolist() == (np.arange(ROWS) / 2).tolist()


def outside(file, name, path):
    """A dataset of another file: by a virtual dataset or external storage."""
    layout = h5py.VirtualLayout((ROWS,), "f8")
    layout[:] = h5py.VirtualSource(path, "x", (ROWS,))
    return file.create_virtual_dataset(name, layout)


REFUSED["datasets"] = {
    "soft link": "a link to '/else', which is not followed",
    "external link": "a link to 'x' in '/etc/other.h5', which is not followed",
    "virtual": "a virtual dataset, whose values are in other files",
    "external storage": "a dataset whose values are in another file",
    "references": "HDF5 references to other objects",
    "regions": "HDF5 references to other objects",
    "lists of texts": "HDF5 lists of lists, texts or records",
    "record with references": "a record with HDF5 references to other objects",
    "Python objects": "pickled Python objects, which are never loaded",
}


@pytest.mark.parametrize("name", REFUSED["datasets"])
def test_plain_column_that_is_refused(tmp_path, name):
    path, message = tmp_path / "a.h5", REFUSED["datasets"][name]
    with h5py.File(path, "w") as file:
        file["events/x"] = np.arange(ROWS) / 3
        group = file["events"]
        if name == "soft link":
            group["column"] = h5py.SoftLink("/else")
        elif name == "external link":
            group["column"] = h5py.ExternalLink("/etc/other.h5", "x")
        elif name == "virtual":
            outside(group, "column", "other.h5")
        elif name == "external storage":
            place = [("/etc/other.bin", 0, 8 * ROWS)]
            group.create_dataset("column", (ROWS,), "f8", external=place)
        elif name == "references":
            group["column"] = np.array([file.ref] * ROWS, h5py.ref_dtype)
        elif name == "regions":
            group.create_dataset("column", (ROWS,), h5py.regionref_dtype)
        elif name == "lists of texts":
            group.create_dataset("column", (ROWS,), h5py.vlen_dtype(h5py.string_dtype()))
        elif name == "record with references":
            group.create_dataset("column", (ROWS,), [("r", h5py.ref_dtype)])[...]
            del group["column"]
            group.create_dataset("column", (ROWS, 1), [("r", h5py.ref_dtype)])
    if name == "Python objects":
        with tables.open_file(path, "a") as file:
            array = file.create_vlarray("/events", "column", tables.ObjectAtom())
            for _ in range(ROWS):
                array.append(Runs())
    sample = open_sample(str(path), "events")
    assert sorted(sample.columns) == ["column", "x"]
    with pytest.raises(InputError) as error:
        sample.require(["x", "column"])
    assert f"a.h5: column 'column' ({message}" in str(error.value)
    output, _ = through(path, "events", drop=["column"])
    with h5py.File(output) as file:
        assert sorted(file["events"]) == ["flowmorph_moved", "x", "x_moved"]


def test_fields_that_cannot_be_read_leave_the_others(tmp_path):
    path = tmp_path / "a.h5"

    class Event(tables.IsDescription):
        x, t, b = tables.Float64Col(), tables.Time64Col(), tables.BoolCol(shape=(2,))

    with tables.open_file(path, "w") as file:
        table = file.create_table("/", "events", Event)
        table.append([(bool(i % 2), not i % 2) and ((i % 2, 0), i, i / 3) for i in range(ROWS)])
    with pytest.raises(InputError, match="column 't' .an HDF5 time .PyTables' Time32 or Time64"):
        through(path)
    output, _ = through(path, drop=["t"])
    with tables.open_file(path) as old, tables.open_file(output) as new:
        for name in ("x", "b"):
            assert old.root.events.col(name).tolist() == new.root.events.col(name).tolist()
        assert "t" not in new.root.events.colnames


def test_filters_are_kept_if_they_are_exact(tmp_path):
    path, values = tmp_path / "a.h5", np.arange(1000.0) / 3
    with h5py.File(path, "w") as file:
        options = dict(chunks=(100,), shuffle=True, fletcher32=True)
        file.create_dataset("gzip", data=values, compression="gzip", compression_opts=7, **options)
        file.create_dataset("lzf", data=values, compression="lzf", chunks=(50,))
        file.create_dataset("lossy", data=values, scaleoffset=3, chunks=(100,))
    with tables.open_file(path, "a") as file:
        for name in ("blosc", "bzip2"):
            filters = tables.Filters(5, name)
            file.create_carray("/", name, obj=values, filters=filters)
    output, notes = through(path, size=77)
    assert [note.split()[0] for note in sorted(notes)] == ["/blosc", "/bzip2", "/lossy"]
    with h5py.File(path) as old, h5py.File(output) as new, tables.open_file(path) as third:
        gzip = new["gzip"]
        assert (gzip.compression, gzip.compression_opts, gzip.chunks) == ("gzip", 7, (100,))
        assert gzip.shuffle and gzip.fletcher32 and new["lzf"].compression == "lzf"
        for name in old:
            before = third.get_node(f"/{name}") if name in ("blosc", "bzip2") else old[name]
            assert new[name][...].tobytes() == before[...].tobytes()


def test_names_of_datasets(tmp_path):
    path = tmp_path / "a.h5"
    names = ["1", "a.b", "a b", "Größe", "x" * 500, "x[0]", "index", "y[1]", "-", "deep/er/z"]
    with h5py.File(path, "w") as file:
        for number, name in enumerate(names):
            file[name] = np.arange(ROWS) + number
        file["x"] = np.arange(2.0 * ROWS).reshape(ROWS, 2)
        file["z"] = np.arange(3.0 * ROWS).reshape(ROWS, 3)
        file["none"] = np.empty((ROWS, 0))
    sample = open_sample(str(path))
    assert "x" in sample.columns and "z[2]" in sample.columns
    assert next(sample.chunks())["x"].shape == (ROWS, 2)
    output, _ = through(path)
    with h5py.File(path) as old, h5py.File(output) as new:
        for name in [*names, "x", "z", "none"]:
            assert (new[name][...] == old[name][...]).all() and new[name].dtype == old[name].dtype
    output, _ = through(path, drop=["z[1]"])
    with h5py.File(path) as old, h5py.File(output) as new:
        assert "z" not in new and new["z[2]"][...].tolist() == old["z"][:, 2].tolist()


@pytest.mark.parametrize("flavour", ["datasets", "records"])
def test_plain_files_without_rows(tmp_path, flavour):
    path = tmp_path / "a.h5"
    dtype = np.dtype([("x", "f4"), ("b", "?"), ("s", h5py.string_dtype()), ("m", ">i2", (2,))])
    with h5py.File(path, "w") as file:
        if flavour == "records":
            file.create_dataset("events", (0,), dtype)
        else:
            for name in dtype.names:
                kind = dtype[name]
                file.create_dataset(f"events/{name}", (0, *kind.shape), kind.base)
    (chunk,) = open_sample(str(path), "events").chunks()
    assert {name: (str(v.dtype), v.shape) for name, v in chunk.items()} == {
        "x": ("float32", (0,)), "b": ("bool", (0,)), "s": ("object", (0,)),
        "m[0]": ("int16", (0,)), "m[1]": ("int16", (0,)),
    }  # fmt: skip
    output, _ = through(path, "events")
    with h5py.File(output) as file:
        for name in dtype.names:
            node = file["events"] if flavour == "records" else file["events"][name]
            assert len(node) == 0
            kind = node.dtype[name] if flavour == "records" else node.dtype
            assert kind.base == dtype[name].base


def test_files_whose_enumerations_differ(tmp_path):
    for number, names in enumerate(({"A": 0, "B": 1}, {"B": 0, "A": 1})):
        with h5py.File(tmp_path / f"a{number}.h5", "w") as file:
            file.create_dataset("kind", (ROWS,), h5py.enum_dtype(names))
            file["s"] = ["a"] * ROWS
    with pytest.raises(InputError, match="column 'kind' is .*'B': 0.*, but .*'A': 0"):
        open_sample(str(tmp_path / "a?.h5"))
    assert open_sample(str(tmp_path / "a0.h5")).types["s"] == "text"


def test_arrays_and_tables_of_pytables(tmp_path):
    """With attributes of its own, which name the kind of array, and filters that h5py lacks."""
    path = tmp_path / "a.h5"
    with tables.open_file(path, "w", title="of the user's") as file:
        for name in ("array", "carray", "earray"):
            getattr(file, f"create_{name}")("/arrays", name, obj=BOOLEANS, createparents=True)
        records = np.zeros(ROWS, [("b", "?"), ("m", "i4", (2,)), ("s", "S2")])
        records["b"], records["m"], records["s"] = BOOLEANS, [[1, 2]] * ROWS, b"ab"
        filters = tables.Filters(5, "blosc:zstd")
        file.create_table("/", "table", obj=records, filters=filters).attrs.unit = ["GeV", 1]
    for tree, dropped in (("arrays", "array"), ("table", "s"), ("arrays/carray", "")):
        output, notes = through(path, tree)
        with tables.open_file(path) as old, tables.open_file(output) as new:
            assert new.title == old.title
            assert new.root.table.attrs.unit == ["GeV", 1]
            for name in ("array", "carray", "earray"):
                before, after = old.get_node("/arrays", name), new.get_node("/arrays", name)
                assert before.read().tolist() == after.read().tolist() and after.dtype == bool
            for name in ("b", "m", "s"):
                before, after = old.root.table.col(name), new.root.table.col(name)
                assert before.tolist() == after.tolist() and before.dtype == after.dtype
            assert new.root.table.nrows == ROWS
        assert len(notes) == (tree == "table")
        output, _ = through(path, tree, drop=[dropped], name="less.h5")
        with tables.open_file(output) as new:
            if tree == "table":
                assert new.root.table.colnames == ["b", "m", "x_moved", "flowmorph_moved"]
            elif dropped:
                assert dropped not in new.root.arrays


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


def test_what_else_is_in_the_group_of_a_frame(tmp_path):
    path = save(tmp_path / "a.h5", pandas.DataFrame(columns()), "table")
    with h5py.File(path, "a") as file:
        file["events/mine"] = 3
    output, notes = through(path)
    check_frame(path, output)
    assert notes == ["/events/mine is not copied: it is in a data frame"]


def test_texts_missing_in_one_of_the_files(tmp_path):
    """Each file has its own text for a missing one, or none."""
    parts = [["a", "b"], ["c", None], ["nan", None], [None, "longer"]]
    for format in ("table", "fixed"):
        expected = []
        for number, texts in enumerate(parts):
            index = pandas.Index(texts, name="who")
            frame = pandas.DataFrame({"x": [1.0, 2.0]}, index=index)
            if format == "table":
                frame["s"] = texts
            expected.append(load(save(tmp_path / f"{format}{number}.h5", frame, format)))
        output, _ = through(tmp_path / "b.h5", files=str(tmp_path / f"{format}?.h5"))
        pandas.testing.assert_frame_equal(load(output), with_new(pandas.concat(expected)))
    for number, texts in enumerate((["a", None], ["?!", "nan"])):
        frame = pandas.DataFrame({"s": texts})
        options = {"nan_rep": "?!"} if number == 0 else {}
        save(tmp_path / f"marked{number}.h5", frame, "table", **options)
    with pytest.raises(InputError, match="column 's' has the text .* stands for a missing one"):
        through(tmp_path / "b.h5", files=str(tmp_path / "marked?.h5"))


def test_tables_of_old_pandas(tmp_path):
    """Without the attributes that came later, and with names as bytes."""
    frame = pandas.DataFrame({"x": np.arange(4.0), "s": ["a", "nan", "bb", "c"], "t": DAYS[:4]})
    path = save(tmp_path / "a.h5", frame.astype({"t": "datetime64[ns]"}), "table")
    with tables.open_file(path, "a") as file:
        group = file.root.events
        for name in ("info", "mi_level_nan_rep", "data_col_nan_rep", "nan_rep", "levels"):
            del group._v_attrs[name]
        group._v_attrs.pandas_version = np.bytes_(b"0.15.2")
        (block,) = [
            n for n in ("values_block_1", "values_block_2") if group.table.dtype[n].base == "i8"
        ]
        group.table.attrs[f"{block}_dtype"] = "datetime64"
    output, notes = through(path)
    check_frame(path, output)
    assert load(output)["s"].isna().sum() == 1 and not notes


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


# What else is in a file


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


LEFT = ["/elsewhere", "/link", "/reference", "/virtual"]


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


# Bytes


def columns():
    """A column of each kind."""
    return {"x": np.arange(ROWS) / 3, "n": np.arange(ROWS), "b": BOOLEANS}


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
