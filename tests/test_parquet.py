"""Parquet: every type that it holds goes through a move and comes back equal to the bit."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet
import pytest

from flowmorph.errors import InputError
from flowmorph.formats.allowed import Allowed
from flowmorph.formats.tables import open_sample, open_writer
from flowmorph.user.output import Output, check_output

ROWS = 20
BIG = 2**53 + 1
DAY = datetime.datetime(2024, 2, 29, 12, 30, 15, 123456)

#: Values of a column by its type, as arrow calls it.
VALUES: dict[pa.DataType, list] = {
    **{pa.type_for_alias(f"int{n}"): [-(2 ** (n - 1)), 2 ** (n - 1) - 1] for n in (8, 16, 32, 64)},
    **{pa.type_for_alias(f"uint{n}"): [0, 2**n - 1] for n in (8, 16, 32, 64)},
    pa.bool_(): [True, False],
    pa.float16(): [np.float16(0.1), np.float16("nan")],
    pa.float32(): [float(np.float32(0.1)), float("nan")],
    pa.float64(): [0.1, float("nan"), -float("inf")],
    pa.decimal128(38, 3): [decimal.Decimal("-12345678901234567890.123")],
    pa.decimal256(60, 3): [decimal.Decimal("9" * 50 + ".125")],
    pa.string(): ["", "nan", "a,b", "žluť"],
    pa.large_string(): ["", "NaN"],
    pa.binary(): [b"", b"\x00\xff"],
    pa.large_binary(): [b"\x00"],
    pa.binary(3): [b"abc", b"\x00\x01\x02"],
    pa.date32(): [DAY.date()],
    pa.date64(): [DAY.date()],
    pa.time32("ms"): [DAY.time().replace(microsecond=123000)],
    pa.time64("us"): [DAY.time()],
    pa.time64("ns"): [DAY.time()],
    pa.timestamp("s"): [DAY.replace(microsecond=0)],
    pa.timestamp("ms"): [DAY.replace(microsecond=123000)],
    pa.timestamp("us"): [DAY],
    pa.timestamp("ns"): [DAY],
    pa.timestamp("us", "Europe/Prague"): [DAY.replace(tzinfo=datetime.UTC)],
    pa.duration("ms"): [datetime.timedelta(days=3, milliseconds=5)],
    pa.dictionary(pa.int8(), pa.string()): ["u", "v"],
    pa.dictionary(pa.int32(), pa.int64()): [BIG, 7],
    pa.list_(pa.float64()): [[0.1, float("nan")], []],
    pa.list_(pa.decimal128(9, 2)): [[decimal.Decimal("1.25")], []],
    pa.large_list(pa.int64()): [[BIG, None], []],
    pa.list_(pa.float32(), 2): [[1.5, 2.5]],
    pa.list_(pa.list_(pa.string())): [[["a"], []], []],
    pa.struct([("pt", pa.float64()), ("n", pa.int64())]): [{"pt": 0.5, "n": BIG}],
    pa.list_(pa.struct([("pt", pa.float32())])): [[{"pt": 0.5}, None], []],
    pa.map_(pa.string(), pa.int64()): [[("a", BIG), ("b", None)], []],
    pa.null(): [None],
    pa.string_view(): ["a", "b" * 40],
    pa.binary_view(): [b"a", b"b" * 40],
    pa.uuid(): [b"0123456789abcdef"],
    pa.bool8(): [1, 0],
}
#: Those and each with missing values; a column of nothing else has no other kind.
KEPT = {
    f"{kind}{' with nulls' if nulls else ''}": (kind, nulls)
    for kind in VALUES
    for nulls in (False, True)
    if not (nulls and kind == pa.null())
}


def column(kind: pa.DataType, nulls: bool) -> pa.Array:
    values = (VALUES[kind] * ROWS)[:ROWS]
    if nulls:
        values[1::3] = [None] * len(values[1::3])
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    return pa.array(values, kind)


def moved(path: Path, chunk_rows: int = 7) -> Path:
    """The file after a move that changes nothing: all columns, and two new ones."""
    files, output = open_sample(str(path)), path.with_stem("moved")
    with open_writer(output, files) as writer:
        for chunk in files.chunks(None, chunk_rows):
            rows = len(next(iter(chunk.values())))
            writer.write({**chunk, "x_moved": np.ones(rows), "status": np.zeros(rows, np.int8)})
    return output


def same(first: pa.Table, second: pa.Table) -> bool:
    """Whether tables have the same fields, with their metadata, and values, NaN included."""
    return first.schema.equals(second.schema, check_metadata=True) and all(
        repr(a.to_pylist()) == repr(b.to_pylist())
        for a, b in zip(first.columns, second.columns, strict=True)
    )


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("rows", [ROWS, 0])
def test_every_type_comes_back(tmp_path, name, rows):
    table = pa.table({"c": column(*KEPT[name])[:rows], "x": pa.array(np.arange(rows) / 3)})
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    before = pa.parquet.read_table(tmp_path / "a.parquet")
    after = pa.parquet.read_table(moved(tmp_path / "a.parquet"))
    assert after.column_names == ["c", "x", "x_moved", "status"] and len(after) == rows
    assert same(after.select(["c", "x"]), before)
    files = open_sample(str(tmp_path / "a.parquet"))
    assert check_output(files, ["x"], [], set(), Output())["x_moved"] == "double"


def test_integers_next_to_a_null_keep_every_digit(tmp_path):
    table = pa.table({"n": pa.array([BIG, None, 1, 2]), "x": [0.1, None, float("nan"), 1.0]})
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    after = pa.parquet.read_table(moved(tmp_path / "a.parquet", 3))
    assert after["n"].to_pylist() == [BIG, None, 1, 2]
    assert repr(after["x"].to_pylist()) == "[0.1, None, nan, 1.0]"


INDEXES = {
    "row numbers": None,
    "unnamed, every other row": pandas.RangeIndex(0, 2 * ROWS, 2),
    "unnamed text": pandas.Index([f"e{i}" for i in range(ROWS)]),
    "named times": pandas.date_range("2020", periods=ROWS, tz="UTC", name="t"),
    "several levels": pandas.MultiIndex.from_product(
        [range(ROWS // 2), ["a", "b"]], names=["run", None]
    ),
}


@pytest.mark.parametrize("index", INDEXES)
def test_pandas_gets_its_index_categories_and_attributes_back(tmp_path, index):
    frame = pandas.DataFrame({"x": np.arange(ROWS) / 3, "k": pandas.Categorical(["a", "b"] * 10)})
    frame["n"] = pandas.array([1, None] * 10, dtype="Int64")
    if INDEXES[index] is not None:
        frame.index = INDEXES[index]
    frame.attrs["lumi"] = 59.7
    frame.to_parquet(tmp_path / "a.parquet")
    after = pandas.read_parquet(moved(tmp_path / "a.parquet"))
    before = pandas.read_parquet(tmp_path / "a.parquet")
    pandas.testing.assert_frame_equal(after[list(before.columns)], before)
    assert after.attrs == before.attrs and list(after.columns) == [*frame, "x_moved", "status"]


def test_several_files_of_pandas_have_numbered_rows(tmp_path):
    for name, rows in (("a", 5), ("b", 8)):
        pandas.DataFrame({"x": np.arange(rows) / 3}).to_parquet(tmp_path / f"{name}.parquet")
    files = open_sample(str(tmp_path / "?.parquet"))
    with open_writer(tmp_path / "moved.parquet", files) as writer:
        for chunk in files.chunks():
            writer.write(chunk)
    frame = pandas.read_parquet(tmp_path / "moved.parquet")
    assert frame.index.tolist() == list(range(13))


def test_metadata_of_file_and_fields_is_kept(tmp_path):
    field = pa.field("x", pa.float64(), nullable=False, metadata={"unit": "GeV"})
    schema = pa.schema([field], metadata={"generator": "Pythia 8"})
    pa.parquet.write_table(pa.table([np.ones(3)], schema=schema), tmp_path / "a.parquet")
    after = pa.parquet.read_schema(moved(tmp_path / "a.parquet"))
    assert after.metadata == {b"generator": b"Pythia 8"}
    assert after.field("x").equals(field, check_metadata=True)


def test_names_with_dots_are_columns_of_their_own(tmp_path):
    record = pa.array([{"b": 1}, {"b": 2}])
    table = pa.table({"a": record, "a.b": [3.5, 4.5], "": [5, 6]})
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    files = open_sample(str(tmp_path / "a.parquet"))
    (chunk,) = files.chunks(["a.b"])
    assert files.numbers(chunk, "a.b").tolist() == [3.5, 4.5]
    assert same(
        pa.parquet.read_table(moved(tmp_path / "a.parquet")).select(table.column_names), table
    )


@pytest.mark.parametrize("kind", [k for k in VALUES if not pa.types.is_null(k)], ids=str)
def test_a_feature_is_one_number_a_row_or_refused_by_type(tmp_path, kind):
    number = (
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind) or kind in (pa.bool8(), pa.dictionary(pa.int32(), pa.int64()))
    )  # fmt: skip
    pa.parquet.write_table(pa.table({"c": column(kind, True)}), tmp_path / "a.parquet")
    files = open_sample(str(tmp_path / "a.parquet"))
    (chunk,) = files.chunks()
    if number:
        values = files.numbers(chunk, "c")
        assert values.dtype == np.float64 and np.isnan(values[1::3]).all()
        first = column(kind, True)[0].as_py()
        assert values[0] == float(first) or np.isnan(values[0]) and np.isnan(float(first))
    else:
        with pytest.raises(InputError, match=r"column 'c' is (of type )?.*number"):
            files.numbers(chunk, "c")


@pytest.mark.parametrize(
    ("kind", "values", "expected", "clipped"),
    [
        (pa.uint8(), [-1.0, 300.0], [0, 255], 2),
        (pa.int64(), [-1.0, 1e300], [-1, 2**63 - 1], 1),
        (pa.uint64(), [-1.0, 5.0], [0, 5], 1),
        (pa.bool_(), [-1.0, 1.0], [False, True], 1),
        (pa.float32(), [0.5, -2.0], [0.5, -2.0], 0),
    ],
)
def test_replaced_values_have_the_columns_type(kind, values, expected, clipped):
    from flowmorph.formats import arrow

    old = pa.array([1, None, 0, None], pa.int8()).cast(kind)
    where = np.array([True, True, False, False])
    new, count = arrow.moved(old, np.array(values), where, "c", Allowed(True), True)
    assert new.type == kind and count == clipped
    assert new.to_pylist() == [*expected, old[2].as_py(), None]


def test_replacing_needs_a_type_that_holds_the_values(tmp_path):
    table = pa.table({"n": [1, 2, 3], "d": pa.array([1, 2, 3], pa.decimal128(9, 2))})
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    files = open_sample(str(tmp_path / "a.parquet"))
    replace = Output("replace")
    for name, kind in (("n", "int64"), ("d", r"decimal128\(9, 2\)")):
        with pytest.raises(InputError, match=f"a.parquet: column '{name}' is {kind}, which does"):
            check_output(files, [name], [], set(), replace)
    assert check_output(files, ["n"], [], {"n"}, replace)["n"] == "int64"


def test_a_float_that_overflows_is_an_error():
    from flowmorph.formats import arrow

    old = pa.array([1.0], pa.float32())
    with pytest.raises(InputError, match=r"column 'c': row 0: 1e\+200 does not fit float32"):
        arrow.moved(old, np.array([1e200]), np.array([True]), "c", Allowed(), True)


def joined(folder, ranges) -> tuple[pandas.DataFrame, list[str]]:
    """Files whose rows have these numbers, as one file, and what its log says."""
    for number, rows in enumerate(ranges):
        frame = pandas.DataFrame({"x": np.arange(len(rows)) * 1.0}, index=rows)
        frame.to_parquet(folder / f"{number}.parquet")
    files = open_sample(str(folder / "?.parquet"))
    with open_writer(folder / "joined.parquet", files) as writer:
        for chunk in files.chunks():
            writer.write(chunk)
    return pandas.read_parquet(folder / "joined.parquet"), writer.notes


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([(100, 200), (200, 300)], (100, 300)),
        ([(100, 200)], (100, 200)),
        ([(0, 3), (0, 4)], (0, 7)),
        ([(4, 9), (0, 0), (9, 12)], (4, 12)),
        ([(0, 0), (4, 9)], (4, 9)),
        ([(0, 10, 2), (10, 14, 2)], (0, 14, 2)),
        ([(5, 0, -1), (0, -5, -1)], (5, -5, -1)),
    ],
    ids=str,
)
def test_row_numbers_go_on_from_file_to_file(tmp_path, ranges, expected):
    found, notes = joined(tmp_path, [pandas.RangeIndex(*each) for each in ranges])
    pandas.testing.assert_index_equal(found.index, pandas.RangeIndex(*expected), exact=True)
    assert notes == []


@pytest.mark.parametrize(
    ("ranges", "shown"),
    [
        ([(5, 8), (0, 4)], "5 to 7, 0 to 3"),
        ([(0, 4, 2), (4, 6)], "0 to 2, 4 to 5"),
        ([(9, 10), (0, 1), (4, 5), (0, 1)], "9 to 9, 0 to 0, 4 to 4 and 1 more"),
    ],
    ids=str,
)
def test_row_numbers_that_do_not_go_on_are_named(tmp_path, ranges, shown):
    found, notes = joined(tmp_path, [pandas.RangeIndex(*each) for each in ranges])
    pandas.testing.assert_index_equal(found.index, pandas.RangeIndex(len(found)), exact=True)
    assert notes == [
        f"the rows' index ({shown}) does not go on from file to file: rows are numbered from 0"
    ]


def test_an_index_that_is_a_column_is_kept(tmp_path):
    found, notes = joined(tmp_path, [pandas.Index([7, 3], name="id"), pandas.Index([9], name="id")])
    assert found.index.to_list() == [7, 3, 9] and found.index.name == "id" and notes == []
