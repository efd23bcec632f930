"""Conditions that are categories: from every format and table to what flows are given."""

from __future__ import annotations

import json

import awkward as ak
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import uproot
from test_formats import KINDS, SUFFIXES, tree_of
from test_formats import write as write_kind

from flowmorph.errors import InputError
from flowmorph.formats.labels import labels
from flowmorph.formats.tables import open_sample
from flowmorph.preprocess.categories import MOST, Categories, Vocabulary
from flowmorph.preprocess.preprocessor import Preprocessor

ERAS = ["2017", "2016 post", "2018", "2016 post", "é"]


def read_labels(path, name, tree=None, size=3) -> list:
    """Categories of every row, None for a missing value, read in small chunks."""
    files, found = open_sample(str(path), tree), []
    for chunk in files.chunks([name], size):
        places, distinct, counts = files.labels(chunk, name)
        rows = [None if place < 0 else distinct[place] for place in places]
        found += rows if counts is None else ak.unflatten(rows, counts).to_list()
    return found


# --- what one category is


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.float32, np.float64, bool])
def test_whole_numbers_are_the_same_in_every_format_and_type(tmp_path, kind, dtype):
    values = np.array([0, 1, 1, 0, 1] if dtype is bool else [4, 1, 100, 4, 1]).astype(dtype)
    path = tmp_path / f"in.{SUFFIXES.get(kind, 'h5')}"
    write_kind(path, kind, {"era": values, "x": np.arange(5.0)})
    found = read_labels(path, "era", tree_of(kind))
    assert found == values.astype(int).tolist() and {type(each) for each in found} == {int}


def test_numbers_beyond_float64_are_apart(tmp_path):
    large = np.array([2**60, 2**60 + 1])
    for kind in ("parquet", "csv", "npz"):
        write_kind(tmp_path / f"in.{kind}", kind, {"id": large})
        assert read_labels(tmp_path / f"in.{kind}", "id") == large.tolist()


def strings(path, kind):
    """A file with a column ``era`` of texts, as users of the format write them."""
    if kind == "ttree":
        with uproot.recreate(path) as file:
            file.mktree("events", {"era": "string", "x": "f8"})
            file["events"].extend({"era": ak.Array(ERAS), "x": np.arange(5.0)})
    elif kind == "rntuple":
        with uproot.recreate(path) as file:
            file.mkrntuple("events", ak.Array({"era": ERAS, "x": np.arange(5.0)}))
    elif kind == "datasets":
        with h5py.File(path, "w") as file:
            file["events/era"] = ERAS
            file["events/x"] = np.arange(5.0)
    elif kind == "records":
        records = np.array(
            [(era.encode(), i) for i, era in enumerate(ERAS)], [("era", "S12"), ("x", "f8")]
        )
        with h5py.File(path, "w") as file:
            file["events"] = records
    elif kind == "npz":
        np.savez(path, era=np.array(ERAS), x=np.arange(5.0))
    elif kind == "parquet":
        pa.parquet.write_table(pa.table({"era": ERAS, "x": np.arange(5.0)}), path)
    else:
        frame = pd.DataFrame({"era": ERAS, "x": np.arange(5.0)})
        if kind == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_hdf(path, key="events", mode="w", format=kind[7:])
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_texts_of_every_format(tmp_path, kind):
    if kind == "pandas-fixed":
        with pytest.raises(InputError, match="column 'era' .pickled Python objects"):
            read_labels(strings(tmp_path / "in.h5", kind), "era")
        return
    path = strings(tmp_path / f"in.{SUFFIXES.get(kind, 'h5')}", kind)
    assert read_labels(path, "era", tree_of(kind)) == [2017, *ERAS[1:2], 2018, *ERAS[3:]]


def test_pandas_categories_in_hdf5(tmp_path):
    frame = pd.DataFrame({"era": pd.Categorical(["b", "a", None, "b"]), "x": np.arange(4.0)})
    frame.to_hdf(tmp_path / "in.h5", key="events", format="table")
    assert read_labels(tmp_path / "in.h5", "era") == ["b", "a", None, "b"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["b", "a", None, "b"]),
        pa.array(["b", "a", None, "b"], pa.large_string()),
        pa.array(["b", "a", None, "b"], pa.string_view()),
        pa.array([b"b", b"a", None, b"b"]),
        pa.array(["b", "a", None, "b"]).dictionary_encode(),
        pa.array(["b", "a", "", "b"]),
    ],
    ids=lambda column: str(column.type),
)
def test_texts_of_every_type_of_arrow(column):
    places, found = labels(column, "era")
    assert found == ["b", "a"] and places.tolist() == [0, 1, -1, 0]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1.0, None, float("nan"), 2.0]), [1, None, None, 2]),
        (pa.array([True, False, None, True]), [1, 0, None, 1]),
        (pa.nulls(2), [None, None]),
        (np.array([1.0, np.nan, np.inf, 2.0], np.float16), [1, None, None, 2]),
        (np.array([1, 2], ">i4"), [1, 2]),
        (np.array([b"b", b"", b"a"]), ["b", None, "a"]),
        (np.array(["b", 1, 1.0, True, None, np.nan, pd.NA, ""], object),
         ["b", 1, 1, 1, None, None, None, None]),
        (np.array(["1", "-1", "01", "1.0", "-0", "٣", "9" * 30]),
         [1, -1, "01", "1.0", "-0", "٣", "9" * 30]),
        (ak.Array(["b", None, "a"]), ["b", None, "a"]),
        (ak.Array([1, None, 2]), [1, None, 2]),
        (np.ma.array(["b", "?", "a"], mask=[0, 1, 0]), ["b", None, "a"]),
    ],
    ids=range(11),
)  # fmt: skip
def test_missing_values_and_types_that_are_alike(column, expected):
    places, found = labels(column, "era")
    assert [None if place < 0 else found[place] for place in places] == expected


def test_cells_of_csv(tmp_path):
    cells = ["1", " 1.0", "true", "False", "NA", "", "2016_1", "a b", "1e3", "nan", "-7"]
    (tmp_path / "in.csv").write_text("era,x\n" + "".join(f"{cell},0\n" for cell in cells))
    expected = [1, 1, 1, 0, None, None, "2016_1", "a b", 1000, None, -7]
    assert read_labels(tmp_path / "in.csv", "era") == expected


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (np.array([1.0, 1.5]), "column 'era' has 1.5, which is no whole number: categories are"),
        (pa.array([1.0, 1.5]), "column 'era' has 1.5, which is no whole number"),
        (np.array([[1, 2], [3, 4]]), "column 'era' has (2,) int64: categories are"),
        (pa.array([[1], [2]]), "column 'era' has list<"),
        (np.array(["2016-01-01"], "M8[s]"), "column 'era' has of type"),
        (np.array([b"\xff"]), "column 'era' has bytes that are no text"),
        (np.array([{}, []], object), "column 'era' has no single value a row"),
        (ak.Array([{"a": 1}]), "column 'era' has struct<"),
    ],
    ids=["fraction", "fraction, arrow", "table", "list", "date", "bytes", "objects", "record"],
)
def test_what_is_no_category_is_refused(column, message):
    with pytest.raises(InputError) as caught:
        labels(column, "era")
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_a_csv_cell_that_is_no_whole_number_is_refused(tmp_path):
    (tmp_path / "in.csv").write_text("era\n1\n1.5\n")
    with pytest.raises(InputError, match=r"column 'era' has 1\.5, which is no whole number"):
        read_labels(tmp_path / "in.csv", "era")


@pytest.mark.parametrize("kind", ["rntuple", "parquet", "npz"])
def test_lists_of_categories(tmp_path, kind):
    lists = [["b", "a"], ["a", "a"], ["c", "b"]] if kind == "npz" else [["b", "a"], [], ["c"]]
    path = tmp_path / f"in.{SUFFIXES[kind]}"
    write_kind(path, kind, {"era": np.array(lists) if kind == "npz" else lists})
    if kind == "npz":
        assert read_labels(path, "era[1]") == ["a", "a", "b"]
    else:
        assert read_labels(path, "era") == lists


# --- codes, and what flows are given


def test_codes_and_what_is_unknown():
    known = Categories.of(["b", 10, "a", 9])
    assert known.labels == (9, 10, "a", "b")
    codes, unknown = known.codes(np.array([0, 1, -1, 2, 3]), ["b", "c", 9, "d"])
    np.testing.assert_array_equal(codes, [3, -1, np.nan, 0, -2])
    assert unknown == ["c", "d"]
    np.testing.assert_array_equal(known.forward(np.array([3.0, 0])), [[0, 0, 0, 1], [1, 0, 0, 0]])
    assert known.has(codes).tolist() == [True, False, False, True, False]


def test_a_vocabulary_does_not_depend_on_chunks():
    rng = np.random.default_rng(0)
    eras = rng.choice(["a", "b", "c"], 100)
    found = []
    for size in (100, 7):
        known = Vocabulary("era")
        parts = [eras[low : low + size] for low in range(0, 100, size)]
        found.append(np.concatenate([known.codes(*labels(part, "era")) for part in parts]))
        assert np.array_equal(np.array(known.labels)[found[-1].astype(int)], eras)
    np.testing.assert_array_equal(*found)


def test_too_many_categories_are_refused():
    known = Vocabulary("id")
    known.codes(*labels(np.arange(MOST), "id"))
    message = r"^column 'id' has more than 50 categories \(such as 0, 1, 2\): join some"
    with pytest.raises(InputError, match=message):
        known.codes(*labels(np.array([MOST]), "id"))


def fitted() -> Preprocessor:
    rng = np.random.default_rng(1)
    table = {"x": rng.normal(0, 1, 50), "m": rng.uniform(0, 1, 50), "era": np.arange(50) % 3.0}
    choices = {"x": {}, "era": {"categorical": True}, "m": {}}
    known = {"era": Categories((7, "a", "b"))}
    return Preprocessor.fit([table], choices, conditions=["era", "m"], categories=known)


def test_numbers_come_first_then_one_input_a_category():
    fit = fitted()
    assert fit.columns == ("x", "m", "era")
    assert fit.names(["era", "m"]) == [("m", None), ("era", 7), ("era", "a"), ("era", "b")]
    table = {"x": np.zeros(2), "m": np.array([0.2, 0.4]), "era": np.array([2.0, 0])}
    box = fit.forward(table)
    given = fit.inputs(box, ["era", "m"], 2)
    assert given.dtype == np.float32
    np.testing.assert_array_equal(given[:, 1:], [[0, 0, 1], [1, 0, 0]])
    np.testing.assert_allclose(given[:, 0], box["m"], rtol=1e-6)
    assert fit.inputs(fit.forward({name: np.empty(0) for name in table}), ["era"], 0).shape == (
        0,
        3,
    )


def test_a_missing_category_is_not_usable_and_none_is_beyond():
    fit = fitted()
    table = {"x": np.zeros(3), "m": np.full(3, 0.5), "era": np.array([2, np.nan, -1])}
    assert fit.usable(table, 1e15).tolist() == [True, False, True]
    assert "era" not in fit.beyond(table)


def test_json_keeps_categories_and_their_types():
    fit = fitted()
    again = Preprocessor.from_json(fit.to_json(), "here")
    assert again == fit and again.to_json() == fit.to_json()
    assert [type(each) for each in again.categories["era"].labels] == [int, str, str]


@pytest.mark.parametrize(
    "wrong",
    [["a", "a"], ["b", "a"], ["a", 7], [True, "a"], [1.0, 2.0], ["a"], list(range(51)), None],
    ids=str,
)
def test_categories_that_were_edited_are_refused(wrong):
    content = json.loads(fitted().to_json())
    content["categories"][0]["labels"] = wrong
    with pytest.raises(InputError, match="^here: no preprocessing as saved by this project"):
        Preprocessor.from_json(json.dumps(content), "here")


def test_a_fit_without_categories_is_the_text_that_it_always_was():
    table = {"x": np.arange(5.0)}
    assert list(json.loads(Preprocessor.fit([table], {"x": {}}).to_json())) == ["columns"]
