"""Transports whose reference is balanced: weights of tables and of moved files."""

from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from test_balance import SHAPES, spectrum
from test_formats import KINDS, SUFFIXES, tree_of
from test_formats import write as write_kind
from transports import make, table

import flowmorph
from flowmorph.errors import InputError
from flowmorph.formats.tables import open_sample
from flowmorph.plan.objects import moved_objects
from flowmorph.samples.balance import Balance
from flowmorph.samples.balancing import fit
from flowmorph.user.moved_files import move_files
from flowmorph.user.output import Output


def balance_of_m() -> Balance:
    """For the condition m of `table`, of the box from -3 to 3: e^m, and 0 above m = 1.8."""
    rng = np.random.default_rng(1)
    m = rng.uniform(0, 2, 30_000), rng.uniform(0, 1.8, 90_000)
    keep = rng.random(90_000) < np.exp(m[1] - 1.8)
    low, high = (f(table(2000)["m"]) for f in (np.min, np.max))
    ends = [((each - low) / (high - low) * 6 - 3).astype(np.float32) for each in (m[0], m[1][keep])]
    return fit(*(spectrum(each[:, None]) for each in ends), ["m"])[0]


@pytest.fixture(scope="module")
def weighing(tmp_path_factory):
    """A transport with a balance, and a table with signed weights."""
    folder = tmp_path_factory.mktemp("weighing")
    arrays = balance_of_m().to_arrays()
    made = make(folder, ("x", "k"), ("m",), weights="w", balance=arrays, event=["id"])
    return flowmorph.load(str(made), device="cpu")


def weighted(rows: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    return table(rows, 5) | {"w": rng.choice([-1.0, 1.0, 2.0], rows)}


def truth(m: np.ndarray) -> np.ndarray:
    return np.where(m < 1.8, np.exp(m), 0) * 2 / np.expm1(1.8)


def test_a_table_has_the_weight_to_use(weighing):
    rows = weighted(3000)
    weights = weighing.weights(rows)
    inside = np.abs(rows["m"] - 1.8) > 0.02
    expected = (rows["w"] * truth(rows["m"]))[inside]
    np.testing.assert_allclose(weights[inside], expected, rtol=0.25)
    relative = weights[inside][expected != 0] / expected[expected != 0] - 1
    assert np.sqrt(np.mean(relative**2)) < 0.06
    assert np.array_equal(np.sign(weights[rows["m"] < 1.78]), np.sign(rows["w"])[rows["m"] < 1.78])
    renamed = {("w2" if name == "w" else name): values for name, values in rows.items()}
    assert np.array_equal(weighing.weights(renamed, rename={"w": "w2"}), weights)
    some = {name: values[::-1][:50] for name, values in rows.items()}
    assert np.array_equal(weighing.weights(some), weights[::-1][:50])
    with pytest.raises(InputError, match="no column 'w'"):
        weighing.weights(table(5))
    with pytest.raises(InputError, match="trained without own.balance"):
        replace(weighing, balance=None).weights(rows)
    assert "w" not in weighing.move(table(5))  # moving needs no weights


def test_a_balance_without_trees_or_of_a_table_goes_through_a_file(tmp_path):
    rng = np.random.default_rng(1)
    smooth = [spectrum(rng.beta(*shape, (300, 1)).astype(np.float32)) for shape in SHAPES]
    table_only = [spectrum(rng.choice([-3, 3], (300, 1), p=p).astype(np.float32)) for p in
                  ([0.5, 0.5], [0.2, 0.8])]  # fmt: skip
    for name, ends in (("smooth", smooth), ("table", table_only)):
        balance, _ = fit(*ends, ["m"])
        assert not any(len(odds.trees.roots) for odds in balance.odds)
        (tmp_path / name).mkdir()
        made = make(tmp_path / name, ("x", "k"), ("m",), balance=balance.to_arrays())
        loaded = flowmorph.load(str(made), device="cpu").balance
        values, found = ends[0].condition, ends[0].found
        assert np.array_equal(loaded.factors(values, found), balance.factors(values, found))


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_every_format_have_the_weight(weighing, tmp_path, kind):
    rows = weighted(700)
    rows["x"][3] = np.nan
    suffix = SUFFIXES.get(kind, "h5")
    source = write_kind(tmp_path / f"in.{suffix}", kind, rows)
    counts, found = None, []
    for chunk in (100, 10_000):
        output = tmp_path / f"out{chunk}.{suffix}"
        counts = move_files(weighing, [str(source)], output, tree=tree_of(kind), chunk_rows=chunk)
        files = open_sample(str(output), tree_of(kind))
        parts = [files.numbers(each, "flowmorph_weight") for each in files.chunks()]
        found.append(np.concatenate(parts))
    assert np.array_equal(*found)
    good = np.isfinite(rows["x"])
    expected = weighing.weights({name: values[good] for name, values in rows.items()})
    assert np.array_equal(found[0][good], expected)
    assert found[0][3] == rows["w"][3]  # a row that is not moved keeps its weight
    assert counts.weightless == (expected == 0).sum() > 0
    assert f"{counts.weightless} of weight 0" in str(counts)


def test_each_object_and_each_element_has_a_weight(weighing, tmp_path):
    rows = weighted(60)
    both = rows | {f"{name}2": values[::-1] for name, values in rows.items() if name in "xkm"}
    pd.DataFrame(both).to_parquet(tmp_path / "a.parquet")
    named = {"lead": {}, "sublead": {name: f"{name}2" for name in "xkm"}}
    output = Output(objects=moved_objects(objects=named))
    move_files(weighing, [str(tmp_path / "a.parquet")], tmp_path / "b.parquet", output=output)
    after = pd.read_parquet(tmp_path / "b.parquet")
    assert np.array_equal(after["flowmorph_lead_weight"], weighing.weights(rows))
    other = weighing.weights(rows | {name: rows[name][::-1] for name in "xkm"})
    assert np.array_equal(after["flowmorph_sublead_weight"], other)
    jets = np.tile([2, 0, 1], 20)
    lists = {name: ak.unflatten(rows[name], jets) for name in "xkm"}
    events = {name: rows[name][: len(jets)] for name in ("w", "id")}
    flat = {name: rows[name] for name in "xkm"}
    flat |= {name: np.repeat(values, jets) for name, values in events.items()}
    one = ak.zip(lists | events, depth_limit=1)
    expected = weighing.weights(flat)
    assert weighing.weights(one).to_list() == ak.unflatten(expected, jets).to_list()
    ak.to_parquet(one, tmp_path / "c.parquet")
    move_files(weighing, [str(tmp_path / "c.parquet")], tmp_path / "d.parquet")
    column = pyarrow.parquet.read_table(tmp_path / "d.parquet")["flowmorph_weight"]
    assert column.to_pylist() == ak.unflatten(expected, jets).to_list()


def test_what_cannot_be_weighted_is_refused_in_one_line(weighing, tmp_path):
    for more, message in (
        ({"flowmorph_weight": np.ones(9)}, "'flowmorph_weight' is there already: rename it in"),
        ({"w": ["a"] * 9}, "'w'"),
    ):
        pd.DataFrame(weighted(9) | more).to_parquet(tmp_path / "a.parquet")
        with pytest.raises(InputError, match=message) as caught:
            move_files(weighing, [str(tmp_path / "a.parquet")], tmp_path / "b.parquet")
        assert "\n" not in str(caught.value) and not (tmp_path / "b.parquet").exists()
    pd.DataFrame(table(9)).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="'w'"):
        move_files(weighing, [str(tmp_path / "a.parquet")], tmp_path / "b.parquet")
