"""Tables in Python: every kind comes back as it was, and what has no value is never used."""

from __future__ import annotations

import copy
from collections import OrderedDict
from decimal import Decimal

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from transports import REGIONS, make, table

import flowmorph
from flowmorph.errors import InputError
from flowmorph.formats.allowed import Allowed
from flowmorph.formats.columns import fitting
from flowmorph.user import dataframes

ROWS = 40


@pytest.fixture(scope="module")
def transport(tmp_path_factory):
    folder = make(tmp_path_factory.mktemp("transport"), ("x", "k"), ("m",), regions=REGIONS)
    return flowmorph.load(str(folder))


def start(**columns) -> dict:
    return {name: values.astype(np.float64) for name, values in table(ROWS).items()} | columns


def hidden(values: np.ndarray, row: int | None = None) -> np.ma.MaskedArray:
    """Values of which one is masked; under the mask is a number that would do."""
    mask = np.zeros(len(values), bool)
    if row is not None:
        mask[row] = True
    return np.ma.array(values, mask=mask)


def objects(values: np.ndarray, row: int | None = None, missing=None) -> np.ndarray:
    result = values.astype(object)
    if row is not None:
        result[row] = missing
    return result


#: A column of numbers in each container; with a row, its value is missing there.
COLUMNS = {
    "masked": hidden,
    "masked float32": lambda v, row=None: hidden(v.astype(np.float32), row),
    "objects with None": objects,
    "objects with NA": lambda v, row=None: objects(v, row, pd.NA),
    "series": lambda v, row=None: pd.Series(np.where(np.arange(len(v)) == row, np.nan, v)),
    "Float64": lambda v, row=None: pd.Series(pd.arrays.FloatingArray(v, hidden(v, row).mask)),
    "Float64 array": lambda v, row=None: pd.arrays.FloatingArray(v, hidden(v, row).mask),
    "Float32": lambda v, row=None: pd.Series(objects(v, row)).astype("Float32"),
    "double[pyarrow]": lambda v, row=None: pd.Series(objects(v, row)).astype("double[pyarrow]"),
    "Sparse": lambda v, row=None: pd.Series(
        pd.arrays.SparseArray(np.where(np.arange(len(v)) == row, np.nan, v))
    ),
    "arrow": lambda v, row=None: pa.array(v, mask=hidden(v, row).mask),
    "arrow in chunks": lambda v, row=None: pa.chunked_array(
        [pa.array(v, mask=hidden(v, row).mask)[:7], pa.array(v, mask=hidden(v, row).mask)[7:]]
    ),
    "arrow float32": lambda v, row=None: pa.array(v, pa.float32(), mask=hidden(v, row).mask),
    "arrow dictionary": lambda v, row=None: pa.array(
        v, mask=hidden(v, row).mask
    ).dictionary_encode(),
    "awkward": lambda v, row=None: ak.Array(hidden(v, row)),
    "list": lambda v, row=None: list(objects(v, row)),
}


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("column", ["x", "k", "m"])
def test_a_column_of_each_kind_is_read_and_comes_back_in_it(transport, kind, column):
    plain = start()
    given = COLUMNS[kind](plain[column])
    before = copy.deepcopy(given)
    moved = transport.move({**plain, column: given})
    # What a column of 32 bits holds is what is moved.
    held = plain[column].astype(np.float32) if "float32" in kind.lower() else plain[column]
    expected = transport.move({**plain, column: held.astype(float)})
    assert list(moved) == list(plain)
    for name in "xkm":
        found = dataframes.numbers(moved[name], name)
        np.testing.assert_allclose(found, expected[name], rtol=1e-6)
    if column == "m":
        assert moved["m"] is given
    elif kind in ("list", "arrow dictionary"):
        assert isinstance(moved[column], np.ndarray if kind == "list" else pa.DoubleArray)
    else:
        assert type(moved[column]) is type(given)
        kinds = [getattr(v, "dtype", getattr(v, "type", None)) for v in (moved[column], given)]
        assert kinds[0] == kinds[1]
    assert str(before) == str(given)


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("column", ["x", "k", "m"])
def test_a_row_without_a_value_is_an_error(transport, kind, column):
    plain = start()
    for function in (transport.move, transport.log_prob):
        with pytest.raises(InputError, match=f"column '{column}': the value of row 5 is missing"):
            function({**plain, column: COLUMNS[kind](plain[column], 5)})
    with pytest.raises(InputError, match=f"'{column}': the value of row 3 is infinite"):
        transport.move({**plain, column: np.where(np.arange(ROWS) == 3, np.inf, plain[column])})


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("column", ["x", "k", "m"])
def test_what_is_under_a_mask_is_neither_usable_nor_beyond(transport, kind, column):
    far = start()
    far[column][[4, 5]] = 1e4
    given = {**far, column: COLUMNS[kind](far[column], 5)}
    usable = transport.usable(given)
    assert usable.dtype == bool and np.flatnonzero(~usable).tolist() == [5]
    beyond = transport.beyond(given)
    assert list(beyond) == ["x", "k", "m"]
    assert np.flatnonzero(beyond[column]).tolist() == [4]
    infinite = np.where(np.arange(ROWS) == 3, np.inf, start()[column])
    assert np.flatnonzero(~transport.usable({**start(), column: infinite})).tolist() == [3]


# --- whole tables


def masked_records(row=None) -> np.ma.MaskedArray:
    plain = start(id=np.arange(ROWS), jets=np.ones((ROWS, 3)))
    kinds = [(n, v.dtype, v.shape[1:]) for n, v in plain.items()]
    result = np.ma.zeros(ROWS, kinds)
    for name, values in plain.items():
        result[name] = values
    result["id"][2] = np.ma.masked
    if row is not None:
        result["k"][row] = np.ma.masked
    return result


def masked_matrix(row=None) -> np.ma.MaskedArray:
    result = np.ma.array(np.stack(list(start().values()), axis=1), mask=np.zeros((ROWS, 4)))
    result[2, 3] = np.ma.masked
    if row is not None:
        result[row, 1] = np.ma.masked
    return result


def awkward(row=None) -> ak.Array:
    x, k, m, number = start().values()
    fields = {
        "x": x,
        "k": hidden(k, row),
        "m": m,
        "id": number,
        "maybe": hidden(number.astype(np.int16), 3),
        "jets": ak.Array([[1.5] * (i % 3) for i in range(ROWS)]),
        "name": [f"event {i}" for i in range(ROWS)],
    }
    array = ak.zip(fields, depth_limit=1, with_name="Event")
    array.attrs["run"] = 3
    return array


def awkward_records_with_none(row=None) -> ak.Array:
    x, k, m, _ = start().values()
    records = [{"x": x[i], "k": k[i], "m": m[i]} for i in range(ROWS)]
    if row is not None:
        records[row] = None
    return ak.Array(records)


def nullable(row=None) -> pd.DataFrame:
    plain = start()
    frame = pd.DataFrame(
        {
            "name": [f"event {i}" for i in range(ROWS)],
            "x": pd.array(plain["x"], dtype="Float32"),
            "k": COLUMNS["Float64"](plain["k"], row).astype("Int64"),
            "m": pd.array(plain["m"], dtype="double[pyarrow]"),
            "class": pd.Categorical(["a", "b"] * (ROWS // 2)),
            "flag": pd.array([True, None] * (ROWS // 2), dtype="boolean"),
            "time": pd.date_range("2024-01-01", periods=ROWS, tz="UTC"),
        }
    )
    frame.index = pd.Index(np.arange(ROWS) % 7, name="number")
    frame.attrs["run"] = 3
    return frame


def arrow_frame(row=None) -> pd.DataFrame:
    plain = start()
    frame = pd.DataFrame({n: pd.array(v, dtype="double[pyarrow]") for n, v in plain.items()})
    frame["k"] = COLUMNS["double[pyarrow]"](plain["k"], row).astype("int16[pyarrow]")
    return frame


def arrow(row=None) -> pa.Table:
    plain = start()
    schema = pa.schema(
        [
            pa.field("id", pa.int64(), metadata={"unit": "1"}),
            pa.field("x", pa.float32(), nullable=False, metadata={"unit": "GeV"}),
            pa.field("k", pa.int16()),
            pa.field("m", pa.float64()),
            pa.field("jets", pa.list_(pa.float32())),
            pa.field("label", pa.dictionary(pa.int8(), pa.string())),
            pa.field("day", pa.date32()),
        ],
        metadata={"run": "3"},
    )
    return pa.table(
        [
            pa.array(plain["id"].astype(int)),
            pa.array(plain["x"], pa.float32()),
            pa.array(plain["k"].astype(int), pa.int16(), mask=hidden(plain["k"], row).mask),
            pa.array(plain["m"]),
            pa.array([None, [1.5], []] * 13 + [None], pa.list_(pa.float32())),
            pa.array(["a", None] * 20).dictionary_encode().cast(schema.field("label").type),
            pa.array([1, None] * 20, pa.int32()).cast(pa.date32()),
        ],
        schema=schema,
    )


TABLES = {
    "dict": lambda row=None: {**start(), "k": hidden(start()["k"].astype(np.uint8), row)},
    "ordered dict": lambda row=None: OrderedDict(
        reversed({**start(), "k": hidden(start()["k"], row)}.items())
    ),
    "masked records": masked_records,
    "masked matrix": masked_matrix,
    "recarray": lambda row=None: np.rec.fromarrays(
        [np.where(np.arange(ROWS) == row, np.nan, v) for v in start().values()], names="x,k,m,id"
    ),
    "awkward": awkward,
    "awkward records with None": awkward_records_with_none,
    "pandas": nullable,
    "pandas of arrow": arrow_frame,
    "arrow": arrow,
    "arrow batch": lambda row=None: arrow(row).to_batches()[0],
}


def names(kind: str) -> dict:
    return {"columns": ["x", "k", "m", "id"]} if "matrix" in kind else {}


@pytest.mark.parametrize("kind", TABLES)
def test_a_missing_value_in_a_table_is_an_error(transport, kind):
    with pytest.raises(InputError, match="'[xk]': the value of row 6 is missing .1 rows"):
        transport.move(TABLES[kind](6), **names(kind))


@pytest.mark.parametrize("kind", TABLES)
def test_a_missing_value_in_a_table_is_not_usable(transport, kind):
    assert np.flatnonzero(~transport.usable(TABLES[kind](6), **names(kind))).tolist() == [6]
    beyond = transport.beyond(TABLES[kind](6), **names(kind))
    assert [beyond[name].tolist() for name in "xkm"] == [[False] * ROWS] * 3


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_is_not_changed_and_moves_as_any_other(transport, kind):
    given = TABLES[kind]()
    moved = transport.move(given, **names(kind))
    assert str(TABLES[kind]()) == str(given)
    expected = transport.move({n: v for n, v in start().items() if n != "id"})
    for name, values in dataframes.read(moved, "xkm", **names(kind)).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-6)
    for name in "xk":
        before, after = (dataframes.read(t, name, **names(kind))[name] for t in (given, moved))
        assert (before != after).mean() > 0.5


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_without_rows_moves_to_one(transport, kind):
    given = TABLES[kind]()
    empty = given[:0] if not hasattr(given, "items") or isinstance(given, pd.DataFrame) else None
    if isinstance(given, pa.Table | pa.RecordBatch):
        empty = given.slice(0, 0)
    if empty is None:
        empty = {name: values[:0] for name, values in given.items()}
    moved = transport.move(empty, **names(kind))
    assert transport.log_prob(empty, **names(kind)).shape == (0,)
    assert isinstance(moved, pa.Table) if kind == "arrow batch" else type(moved) is type(empty)
    for name in "xk":
        kinds = [
            (column.type if hasattr(column, "type") else column.dtype)
            for column in (moved[name], empty[name])
        ] if not names(kind) else [moved.dtype, empty.dtype]  # fmt: skip
        assert kinds[0] == kinds[1]


def test_empty_tables_whose_columns_have_no_type(transport):
    for empty in (
        pd.DataFrame(columns=list("xkm")),
        {name: [] for name in "xkm"},
        ak.Array({name: [] for name in "xkm"}),
        pa.table({name: pa.nulls(0) for name in "xkm"}),
    ):
        assert len(dataframes.read(transport.move(empty), "x")["x"]) == 0


def test_masks_stay_masks(transport):
    records, matrix = masked_records(), masked_matrix()
    moved = transport.move(records)
    assert type(moved) is np.ma.MaskedArray and moved.dtype == records.dtype
    assert moved["id"].mask.tolist() == [row == 2 for row in range(ROWS)]
    assert np.array_equal(moved["jets"], records["jets"])
    plain = transport.move(matrix, columns=["x", "k", "m", "id"])
    assert plain.mask.sum() == 1 and plain.mask[2, 3]
    assert type(transport.move({**start(), "x": hidden(start()["x"])})["x"]) is np.ma.MaskedArray
    assert type(transport.move(TABLES["recarray"]())) is np.recarray


def test_pandas_columns_keep_their_types(transport):
    frame = nullable()
    moved = transport.move(frame)
    assert moved.dtypes.equals(frame.dtypes) and moved.index.equals(frame.index)
    assert moved.index.name == "number" and moved.attrs == {"run": 3}
    kept = ["name", "m", "class", "flag", "time"]
    pd.testing.assert_frame_equal(moved[kept], frame[kept])
    assert transport.move(arrow_frame()).dtypes.equals(arrow_frame().dtypes)
    series = pd.Series(start()["x"], index=np.arange(ROWS) % 3, name="old")
    back = transport.move({**start(), "x": series})["x"]
    assert back.index.equals(series.index) and back.name == "old"


def test_arrow_tables_keep_schema_and_columns(transport):
    given = arrow()
    for moved in (transport.move(given), transport.move(given.to_batches()[0])):
        assert isinstance(moved, pa.Table)
        assert moved.schema.equals(given.schema, check_metadata=True)
        for name in ("id", "m", "jets", "label", "day"):
            assert moved[name].equals(given[name])
    with pytest.raises(InputError, match="'x' is there twice: rename one"):
        transport.move(pa.table([given["x"], given["x"], given["k"], given["m"]], list("xxkm")))


def test_awkward_fields_keep_their_types(transport):
    given = awkward()
    moved = transport.move(given)
    assert moved.type == given.type and moved.fields == given.fields and moved.attrs == {"run": 3}
    for name in ("id", "m", "maybe", "jets", "name"):
        assert moved[name].to_list() == given[name].to_list()


@pytest.mark.parametrize(
    "bad",
    [
        np.array(["1", "2"]), ["1", "2"], [1, "a"], [[1], [1, 2]], [1j, 2], np.array([1j, 2]),
        np.array([1, 2], "M8[s]"), np.array([1, 2], "m8[s]"), pd.Series(["a", None]),
        pd.Series(pd.to_datetime(["2024-01-01", None])), pa.array(["a", None]), pa.array([[1], []]),
        pa.array([1, 2], pa.timestamp("s")), ak.Array([[1], [2, 3]]), ak.Array(["a", "b"]),
        ak.Array([1, "b"]), ak.Array([{"a": 1}, {"a": 2}]), ak.Array([None, [1]]), np.float64(3),
        {}, pd.Series(pd.interval_range(0, 2)), np.zeros((2, 1)), np.ma.zeros((2, 2)),
    ],
)  # fmt: skip
def test_what_is_no_column_of_numbers_is_named(transport, bad):
    for function in (transport.move, transport.usable, transport.beyond):
        with pytest.raises(InputError, match="column 'x' is .*not one number a row") as caught:
            function({"x": bad, "k": np.ones(2), "m": np.ones(2)})
        assert "\n" not in str(caught.value)


def test_what_numpy_cannot_take_is_named(transport):
    gradient = torch.ones(2, requires_grad=True)
    with pytest.raises(InputError, match="'x' is not one number a row .*requires grad"):
        transport.move({"x": gradient, "k": np.ones(2), "m": np.ones(2)})


def test_numbers_that_are_objects(transport):
    plain = start()
    for values in (
        objects(plain["x"]),
        np.array([Decimal(float(v)) for v in plain["x"]], dtype=object),
    ):
        moved = transport.move({**plain, "x": values})
        assert moved["x"].dtype == object
        np.testing.assert_allclose(moved["x"].astype(float), transport.move(plain)["x"], rtol=1e-6)
    amounts = pa.array([Decimal("5.25")] * ROWS, pa.decimal128(5, 2))
    assert transport.move({**plain, "x": amounts})["x"].type == pa.float64()
    frame = pd.DataFrame({**plain, "x": pd.Series(amounts, dtype=pd.ArrowDtype(amounts.type))})
    assert transport.move(frame)["x"].dtype == "double[pyarrow]"


# --- types of columns


INTEGERS = [np.int8, np.uint8, np.int16, np.uint64, np.int64, np.dtype(">i4"), np.bool_]


@pytest.mark.parametrize("kind", INTEGERS)
def test_whole_numbers_end_at_the_limits_of_their_type(kind):
    values = np.array([-(2.0**70), -1, 0, 1, 2, 200, 2.0**63, 2.0**64, 1e300])
    result, _ = fitting(values, np.dtype(kind), "x", Allowed(True))
    assert result.dtype == kind
    low, high = (0, 1) if kind is np.bool_ else (np.iinfo(kind).min, np.iinfo(kind).max)
    assert [int(v) for v in result] == [min(max(int(v), low), high) for v in values]
    assert fitting(np.empty(0), np.dtype(kind), "x", Allowed(True))[0].dtype == kind
    for some in (values, np.empty(0)):
        with pytest.raises(InputError, match="column 'x' is .*, which does not hold its moved"):
            fitting(some, np.dtype(kind), "x", Allowed())


def test_declared_whole_numbers_keep_unsigned_columns(transport):
    k = np.zeros(3000)
    plain = {"x": np.linspace(-3, 12, 3000), "k": k, "m": np.linspace(0, 2, 3000)}
    free = transport.move(plain)["k"]
    assert free.min() < 0
    for kind in (np.uint8, np.uint32, bool):
        moved = transport.move({**plain, "k": k.astype(kind)})["k"]
        assert moved.dtype == kind
        assert np.array_equal(moved, np.clip(free, 0, 1 if kind is bool else 255))


def test_whole_numbers_that_are_not_declared_become_float64(transport):
    plain = start()
    for whole in (
        np.full(ROWS, 5), hidden(np.full(ROWS, 5)), pd.Series(np.full(ROWS, 5), dtype="Int64"),
        pd.Series(np.full(ROWS, 5), dtype="int32[pyarrow]"), pa.array([5] * ROWS),
        pd.Series(pd.arrays.SparseArray(np.full(ROWS, 5))),
    ):  # fmt: skip
        moved = transport.move({**plain, "x": whole})["x"]
        expected = transport.move({**plain, "x": np.full(ROWS, 5.0)})["x"]
        assert np.array_equal(dataframes.numbers(moved, "x"), expected)
    assert (
        transport.move(pd.DataFrame({**plain, "x": pd.array([5] * ROWS)}))["x"].dtype == "Float64"
    )


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_a_value_that_does_not_fit_its_column_is_named(kind):
    values = np.array([1.0, 1e300, np.nan, np.inf])
    with pytest.raises(InputError, match=f"row 1: 1e.300 does not fit {np.dtype(kind)} .1 such"):
        fitting(values, np.dtype(kind), "x", Allowed())
    rest, _ = fitting(values[[0, 2, 3]], np.dtype(kind), "x", Allowed())
    assert np.array_equal(rest, [1, np.nan, np.inf], equal_nan=True) and rest.dtype == kind
    given = {"x": np.ones(4, kind), "y": np.ones(4)}
    values = np.array([1.0, 2.0, -1e300, 1e300])
    for other in (given, pd.DataFrame(given), ak.Array(given), pa.table(given)):
        with pytest.raises(InputError, match="column 'x': row 2: -1e.300 does not fit"):
            dataframes.replace(other, {"x": values})


def test_long_doubles_and_names_that_repeat():
    assert dataframes.read({"x": np.array([1, 2], np.longdouble)}, "x")["x"].dtype == np.float64
    if np.finfo(np.longdouble).max > np.finfo(np.float64).max:
        with pytest.raises(InputError, match="row 1 is infinite"):
            dataframes.read({"x": np.array([1, np.longdouble("1e4000")])}, "x")
    with pytest.raises(InputError, match="'x' is there twice"):
        dataframes.read(np.ones((2, 2)), "x", ["x", "x"])
    twice = pd.DataFrame(np.ones((2, 3)), columns=["x", "y", "y"])
    assert list(dataframes.replace(twice, {"x": np.zeros(2)}).columns) == ["x", "y", "y"]
