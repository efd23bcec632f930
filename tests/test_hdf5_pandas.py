"""HDF5 frames of pandas: what goes through reading and writing unchanged, and what not."""

from __future__ import annotations

import datetime
import pickle

import h5py
import numpy as np
import pandas
import pytest
import tables
from bad_files import RAN, Runs
from hdf5_files import DAYS, INDEXES, ROWS, check_frame, columns, load, save, through, with_new

from flowmorph.errors import InputError
from flowmorph.formats.tables import open_sample

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
FRAMES = [(format, name) for format in KEPT for name in KEPT[format]]
#: Types that the fixed format holds, but that are refused, when first the columns are asked for.
REFUSED = dict.fromkeys(TEXTS | PICKLED, "pickled Python objects, which are never load")


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


@pytest.mark.parametrize("name", list(REFUSED))
def test_column_that_the_fixed_format_pickles(tmp_path, name):
    frame = pandas.DataFrame({"x": np.arange(ROWS) / 3, "column": (TEXTS | PICKLED)[name]})
    path = save(tmp_path / "a.h5", frame, "fixed")
    sample = open_sample(str(path))
    with pytest.raises(InputError) as error:
        sample.require(sample.columns)
    assert f"a.h5: column 'column' ({REFUSED[name]}" in str(error.value)
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
