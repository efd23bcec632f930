"""Samples as tables of numbers: what is read, dropped and refused."""

from __future__ import annotations

import numpy as np
import pytest
from test_formats import numbers, sample, tree_of, write

from flowmorph.errors import InputError
from flowmorph.formats.tables import open_sample
from flowmorph.samples.reading import check_pair, read_sample


@pytest.mark.parametrize("kind", ["ttree", "pandas-table", "parquet", "csv", "npz"])
def test_columns_in_order_as_float64(tmp_path, kind):
    pattern, expected = sample(tmp_path, kind)
    files = open_sample(str(pattern), tree_of(kind))
    table, dropped = read_sample(files, ["eta", "pt"], ["n"], weights="good", extra=["pt"])
    assert list(table) == ["eta", "pt", "n", "good"]
    for name, values in table.items():
        assert values.dtype == np.float64
        np.testing.assert_allclose(values, expected[name].astype(float), rtol=1e-7)
    assert (dropped.read, dropped.rows, dropped.columns) == (100, 0, {})


def test_missing_values_are_an_error_or_dropped_and_counted(tmp_path):
    columns = numbers()
    columns["pt"][7] = np.nan
    columns["eta"][[7, 9]] = np.inf
    files = open_sample(str(write(tmp_path / "a.parquet", "parquet", columns)))
    with pytest.raises(InputError, match=r"a.parquet: column 'pt': the value of row 7 is not a nu"):
        read_sample(files, ["pt", "eta"])
    with pytest.raises(
        InputError, match=r"a.parquet: column 'eta': the value of row 7 is infinite"
    ):
        read_sample(files, ["eta"])
    table, dropped = read_sample(files, ["pt", "eta"], missing="drop")
    assert len(table["pt"]) == 48
    assert (dropped.rows, dropped.columns) == (2, {"pt": 1, "eta": 2})
    assert str(dropped) == "50 rows read, 2 left out for missing values (1 in pt, 2 in eta)"


def test_pairs():
    rng = np.random.default_rng(1)
    good = {"x": rng.normal(size=9), "c": np.ones(9)}
    check_pair(good, good, ["x"])
    check_pair(good, good | {"c": np.zeros(9)}, ["x"], [])
    for other, message in (
        ({"x": good["x"]}, "target: no column 'c', which the task needs"),
        (good | {"x": good["x"][:0]}, "target: 0 events in the signal region"),
        (good | {"x": np.full(9, 5.0)}, "target: feature 'x' is always 5 in the signal region"),
        (good, "condition 'c' is constant in both samples"),
    ):
        with pytest.raises(InputError, match=message):
            check_pair(good, other, ["x"], ["c"], "the signal region")
