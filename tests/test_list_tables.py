"""Tables in Python with lists: moved and returned as what they were."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from test_lists import ROWS, events, same

from flowmorph.errors import InputError, RowError
from flowmorph.user import dataframes


def objects(lists: ak.Array, kind=list) -> list:
    return [kind(ak.to_list(row)) for row in lists]


def arrays(lists: ak.Array) -> pd.Series:
    return pd.Series([ak.to_numpy(row) for row in lists])


#: Tables with lists: what makes them, and the type of a column and of its cells.
TABLES = {
    "awkward": (lambda c: ak.zip(c, depth_limit=1), ak.Array, ak.Array),
    "arrow": (
        lambda c: pa.table({n: ak.to_arrow(v, extensionarray=False) for n, v in c.items()}),
        pa.ChunkedArray,
        pa.ListScalar,
    ),
    "arrow batch": (
        lambda c: pa.record_batch({n: ak.to_arrow(v, extensionarray=False) for n, v in c.items()}),
        pa.ChunkedArray,
        pa.ListScalar,
    ),
    "pandas of lists": (
        lambda c: pd.DataFrame({n: objects(v) if n in "xk" else v for n, v in c.items()}),
        pd.Series,
        list,
    ),
    "pandas of arrays": (
        lambda c: pd.DataFrame({n: arrays(v) if n in "xk" else v for n, v in c.items()}),
        pd.Series,
        np.ndarray,
    ),
    "pandas of arrow": (
        lambda c: pa.table(
            {n: ak.to_arrow(v, extensionarray=False) for n, v in c.items()}
        ).to_pandas(types_mapper=pd.ArrowDtype),
        pd.Series,
        list,
    ),
    "dict of lists": (
        lambda c: {n: objects(v) if n in "xk" else v for n, v in c.items()},
        list,
        list,
    ),
    "dict of tuples": (
        lambda c: {n: tuple(objects(v, tuple)) if n in "xk" else v for n, v in c.items()},
        tuple,
        tuple,
    ),
    "dict of awkward": (lambda c: dict(c), ak.Array, ak.Array),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_with_lists_comes_back_as_it_was(anywhere, name):
    counts, columns, flat = events()
    make_table, kind, cell = TABLES[name]
    given = make_table(columns)
    expected = anywhere.move({column: flat[column].astype(float) for column in "xkm"})
    moved = anywhere.move(given)
    for column in "xk":
        found = moved[column]
        assert isinstance(found, kind)
        row = int(np.flatnonzero(counts == 2)[0])
        assert isinstance(found[row], cell)
        plain = found.to_pylist() if hasattr(found, "to_pylist") else map(list, found)
        lists = ak.Array(list(plain))
        assert ak.num(lists).to_list() == counts.tolist()
        np.testing.assert_allclose(ak.flatten(lists), expected[column], rtol=1e-6)
        assert type(ak.flatten(lists)[0].item()) is (int if column == "k" else float)
        for attribute in ("type", "dtype"):
            assert getattr(found, attribute, 0) == getattr(given[column], attribute, 0)
    log_p = anywhere.log_prob(given)
    assert ak.num(log_p).to_list() == counts.tolist()
    in_flat = anywhere.log_prob({column: flat[column].astype(float) for column in "xkm"})
    np.testing.assert_allclose(ak.flatten(log_p), in_flat, rtol=1e-5)


@pytest.mark.parametrize("name", TABLES)
def test_elements_are_usable_or_beyond_one_by_one(anywhere, name):
    counts, columns, flat = events()
    wild = {column: flat[column].astype(float) for column in "xkm"}
    wild["x"][[2, 3]], wild["k"][5] = [1e4, np.inf], np.nan
    lists = {column: ak.unflatten(wild[column], counts) for column in "xk"}
    given = TABLES[name][0](columns | lists)
    usable, beyond = anywhere.usable(given), anywhere.beyond(given)
    assert ak.num(usable).to_list() == counts.tolist()
    assert np.flatnonzero(~ak.to_numpy(ak.flatten(usable))).tolist() == [3, 5]
    expected = anywhere.beyond(wild)
    assert {key: ak.flatten(rows).to_list() for key, rows in beyond.items()} == {
        key: rows.tolist() for key, rows in expected.items()
    }
    assert np.flatnonzero(expected["x"]).tolist() == [2, 3]


def test_arrays_in_records_and_dicts_are_lists_too(anywhere):
    _, columns, flat = events(fixed=True)
    expected = anywhere.move({name: flat[name] for name in "xkm"})
    kinds = [(name, values.dtype, values.shape[1:]) for name, values in columns.items()]
    structured = np.empty(ROWS, kinds)
    for name, values in columns.items():
        structured[name] = values
    for given in (columns, structured):
        moved = anywhere.move(given)
        for name in "xk":
            assert moved[name].shape == (ROWS, 3) and moved[name].dtype == columns[name].dtype
            assert np.array_equal(moved[name].ravel(), expected[name])
        assert np.array_equal(moved["run"], np.arange(ROWS))


def test_the_records_of_an_awkward_collection_are_a_table(anywhere):
    counts, columns, flat = events()
    jets = ak.zip({"x": columns["x"], "k": columns["k"], "m": ak.unflatten(flat["m"], counts)})
    moved = anywhere.move(jets)
    expected = anywhere.move({name: flat[name] for name in "xkm"})
    assert moved.type == jets.type
    for name in "xkm":
        assert same(ak.flatten(moved[name]), expected[name])


def test_masked_arrays_and_missing_lists_stay_what_they_are(anywhere):
    frame = pd.DataFrame({"x": [[5.0], None, [4.0, 3.0]], "k": [[4], None, [3, 2]], "m": [0.5] * 3})
    moved = anywhere.move(frame)
    assert moved["x"][1] is None and len(moved["x"][2]) == 2 and moved["x"][0] != [5.0]
    x = np.ma.array([[5.0, 4.0], [3.0, 2.0]], mask=[[0, 0], [0, 1]])
    given = {"x": x, "k": np.array([[1, 2], [3, 4]]), "m": np.full(2, 0.5)}
    with pytest.raises(InputError, match="column 'x': the value of row 1, element 1 is missing .1"):
        anywhere.move(given)
    assert anywhere.usable(given).to_list() == [[True, True], [True, False]]
    whole = anywhere.move({**given, "x": np.ma.array(x.data)})["x"]
    assert isinstance(whole, np.ma.MaskedArray) and whole.shape == (2, 2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": [[5.0], [4.0]]}, "column 'k': row 1 has 2 elements, but 1 in 'x'"),
        ({"m": [[0.5], [0.5]]}, "column 'm': row 1 has 1 elements, but 2 in 'x'"),
        ({"x": [[5.0], [4.0, np.nan]]}, "'x': the value of row 1, element 1 is missing .1 rows"),
        ({"x": [[np.inf], [4.0, 3.0]]}, "'x': the value of row 0, element 0 is infinite"),
        ({"k": [1, 2]}, "column 'x' is of lists, not one number a row as 'k' is: all features"),
        ({"x": [[[5.0]], [[4.0], [3.0]]]}, "column 'x' is not one number a row"),
        ({"x": [["a"], ["b", "c"]]}, "column 'x' is not one number a row"),
        ({"x": [[5.0]]}, "columns of different lengths .'x': 1, 'k': 2, 'm': 2"),
        ({"x": [[5.0], 4.0]}, "column 'x' is not one number a row"),
        ({"x": [[1e30], [4.0, 3.0]]}, "column 'x': row 0, element 0: 1e.30 is too far outside"),
    ],
)
def test_bad_tables_with_lists_are_named(anywhere, changed, message):
    given = {"x": [[5.0], [4.0, 3.0]], "k": [[1], [2, 3]], "m": [0.5, 0.5]} | changed
    for function in (anywhere.move, anywhere.log_prob):
        with pytest.raises(InputError, match=message):
            function(given)


def test_a_value_that_does_not_fit_its_list_is_named():
    lists = ak.Array([[1.0], [2.0, 3.0]])
    lists = ak.values_astype(lists, np.float16)
    with pytest.raises(RowError, match="column 'x': row 1, element 0: 1e.06 does not fit float16"):
        dataframes.replace({"x": lists}, {"x": np.array([1.0, 1e6, 2.0])})
