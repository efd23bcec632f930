"""A transport in its users' hands: tables, densities, files; its flows have random weights."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import awkward as ak
import numpy as np
import pandas as pd
import pytest
import torch
from transports import DEFAULTS, make, pytorch_with, table

import flowmorph
from flowmorph.__main__ import main
from flowmorph.errors import InputError
from flowmorph.flows import setup
from flowmorph.transfer.morph import FlowMorph

LIBRARY = Path(flowmorph.__file__).parents[1]
STATUS = "flowmorph_moved"


def test_importing_is_light():
    command = "import sys, flowmorph; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    subprocess.run([sys.executable, "-c", command], cwd=LIBRARY, check=True)


# --- tables


def test_every_kind_of_table_is_moved_alike_and_comes_back_whole(transport):
    start = table(300)
    moved = transport.move(start)
    assert list(moved) == list(start) and (moved["x"] != start["x"]).mean() > 0.9
    assert moved["m"] is start["m"]
    assert {name: moved[name].dtype for name in "xk"} == {name: start[name].dtype for name in "xk"}
    frame = transport.move(pd.DataFrame(start))
    records = transport.move(ak.Array(start))
    named = np.rec.fromarrays(list(start.values()), names=list(start))
    rows = transport.move(named)
    matrix = np.stack([start[name] for name in ("id", "m", "k", "x")], axis=1)
    plain = transport.move(matrix, columns=["id", "m", "k", "x"])
    for name in start:
        assert np.array_equal(frame[name], moved[name]) and frame[name].dtype == start[name].dtype
        assert np.array_equal(ak.to_numpy(records[name]), moved[name])
        assert np.array_equal(rows[name], moved[name])
    assert list(frame.columns) == list(start) and records.fields == list(start)
    np.testing.assert_allclose(plain[:, 3], moved["x"], rtol=1e-6)
    assert np.array_equal(plain[:, 0], start["id"])
    jagged = ak.Array({**start, "jets": [[1.0] * (i % 3) for i in range(300)]})
    assert ak.all(transport.move(jagged).jets == jagged.jets)
    nullable = pd.DataFrame(start).astype({"k": "Int64", "x": "float32"})
    assert np.array_equal(transport.move(nullable)["k"].to_numpy(), moved["k"])


def test_whole_numbers_stay_whole_and_a_seed_repeats(transport):
    start = table(500)
    first, again, other = (transport.move(start, seed=seed)["k"] for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.dtype == np.int32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": None}, "no column 'x'"),
        ({"m": np.zeros(3)}, "columns of different lengths"),
        ({"m": np.full(300, np.nan)}, "'m': the value of row 0 is missing .300 rows"),
        ({"k": np.array(["a"] * 300)}, "'k' is not one number a row"),
        ({"x": np.zeros((300, 2))}, "'x' is of lists, not one number a row as 'k' is"),
    ],
)
def test_bad_tables_are_named(transport, change, message):
    bad = {name: v for name, v in (table(300) | change).items() if v is not None}
    with pytest.raises(InputError, match=message):
        transport.move(bad)


def test_other_things_are_no_tables(transport):
    with pytest.raises(InputError, match="list is no table"):
        transport.move([1, 2])
    with pytest.raises(InputError, match="a plain array has no column names"):
        transport.move(np.zeros((3, 3)))
    with pytest.raises(InputError, match="2 names for an array"):
        transport.move(np.zeros((3, 3)), columns=["x", "k"])
    with pytest.raises(InputError, match="not one number a row"):
        transport.move(ak.Array({"x": [[1.0]], "k": [1], "m": [0.1]}))
    with pytest.raises(InputError, match="no density 'none'"):
        transport.log_prob(table(3), of="none")


# --- values that cannot be moved, and values that nothing was trained for


BOUNDED = {"transform": "logit", "bounds": [0, 30], "integer": True}


@pytest.fixture(scope="module", params=["as usual", "bounds", "base transfer"])
def various(request, tmp_path_factory):
    options = {"k": BOUNDED, "m": {"transform": "logit"}} if request.param == "bounds" else {}
    method = "base_transfer" if request.param == "base transfer" else "movement_penalty"
    folder = tmp_path_factory.mktemp("various")
    return flowmorph.load(str(make(folder, ("x", "k"), ("m",), method, **options)))


WILD = (np.nan, np.inf, -np.inf, 1e300, -1e300, 1.7e308, 1e200, 1e39, 3e38, 1e30, 1e20, -1e18)


@pytest.mark.parametrize("column", ["x", "k", "m"])
def test_what_is_usable_is_moved_to_numbers_and_the_rest_is_an_error(various, column):
    start = {name: values.astype(float) for name, values in table(40).items() if name != "id"}
    assert various.usable(start).all()
    for value in (*WILD, 1e10, 1e6, -100.0):
        bad = {name: values.copy() for name, values in start.items()}
        bad[column][7] = value
        usable = various.usable(bad)
        assert usable.dtype == bool and usable.sum() == 39 + usable[7]
        if usable[7]:
            assert np.isfinite(list(various.move(bad).values())).all()
            assert np.isfinite(various.log_prob(bad)).all()
            continue
        for function in (various.move, various.log_prob):
            with pytest.raises(InputError, match=rf"'{column}': .*row 7|'{column}': .*in row 7"):
                function(bad)
        rest = {name: values[usable] for name, values in bad.items()}
        assert np.isfinite(list(various.move(rest).values())).all()


def test_wild_values_are_not_usable_whatever_they_are_scaled_by(transport):
    read = {"x": np.array(WILD), "k": np.full(len(WILD), 4.0), "m": np.full(len(WILD), 1.0)}
    for column in read:
        wild = {name: np.array(WILD) if name == column else read["k"] for name in read}
        assert not transport.usable(wild).any()
    with pytest.raises(InputError, match="'m': row 1: 1e.300 is too far outside of the range"):
        transport.move({"x": np.ones(2), "k": np.ones(2), "m": np.array([1, 1e300])})


def test_numbers_outside_of_declared_bounds_are_not_usable(tmp_path):
    transport = flowmorph.load(str(make(tmp_path, ("k",), (), k=BOUNDED)))
    k = np.array([-1, 0, 30, 31, 30.3, np.nan])
    assert transport.usable({"k": k}).tolist() == [False, True, True, False, False, False]
    assert transport.beyond({"k": k})["k"].tolist() == [True, False, True, True, True, False]


def test_a_row_whose_event_is_missing_is_not_usable(tmp_path):
    transport = flowmorph.load(str(make(tmp_path, ("x", "k"), ("m",), event=["id"])))
    start = {**table(5), "id": np.array([0, 1, np.nan, 3, 4])}
    assert transport.usable(start).tolist() == [True, True, False, True, True]
    with pytest.raises(InputError, match="column 'id': the value of row 2 is missing"):
        transport.move(start)


def test_a_result_that_is_no_number_is_an_error(transport, monkeypatch):
    """Such as by weights that are damaged in memory, or a training that went astray."""
    start = {name: values[:5] for name, values in table(5).items()}
    for function in ("forward", "log_prob"):
        real = getattr(FlowMorph, function)

        def broken(self, x, c_x, c_y, real=real):
            result = real(self, x, c_x, c_y).clone()
            result[..., 3] = np.nan
            return result

        monkeypatch.setattr(FlowMorph, function, broken)
    with pytest.raises(InputError, match="column 'x': row 3 moves to nan .1 such rows"):
        transport.move(start)
    with pytest.raises(InputError, match="row 3: the density's logarithm is nan .1 such rows"):
        transport.log_prob(start)


def test_rows_beyond_the_training_are_told_column_by_column(transport):
    train = table(2000)  # what `make` fits to
    inside = {name: train[name].astype(float) for name in "xkm"}
    assert not any(rows.any() for rows in transport.beyond(inside).values())
    some = {name: values[:6].copy() for name, values in inside.items()}
    some["m"][:2] = [train["m"].max() + 0.1, 1e300]
    some["k"][2:4] = [train["k"].max() + 1, train["k"].min() - 1]
    some["x"][4:] = [-np.inf, np.nan]
    beyond = transport.beyond(some)
    assert list(beyond) == ["x", "k", "m"]
    assert {name: np.flatnonzero(rows).tolist() for name, rows in beyond.items()} == {
        "x": [4], "k": [2, 3], "m": [0, 1],
    }  # fmt: skip
    none = transport.beyond({name: np.empty(0) for name in "xkm"})
    assert all(rows.shape == (0,) for rows in none.values())
    assert transport.usable({name: np.empty(0) for name in "xkm"}).shape == (0,)


# --- PyTorch's settings, which are the user's


@pytest.mark.parametrize("other", DEFAULTS, ids=str)
def test_other_defaults_of_pytorch_change_nothing(folder, transport, tmp_path, other):
    start = table(200)
    expected = [transport.move(start), transport.log_prob(start), transport.support(start)]
    with pytorch_with(*other):
        found = flowmorph.load(folder)
        numbers = [found.move(start), found.log_prob(start), found.support(start)]
        found.save(tmp_path)
    np.testing.assert_equal(numbers, expected)
    saved, given = ((place / "transport.safetensors").read_bytes() for place in (tmp_path, folder))
    assert saved == given


@pytest.mark.parametrize("threads", [0, -1, True, 1.0, "2", None, 10**9, 2**70])
def test_what_is_no_number_of_threads_is_refused(folder, threads):
    before = torch.get_num_threads()
    with pytest.raises(InputError, match="^threads: .*: give a positive whole number") as error:
        flowmorph.load(folder, threads=threads)
    assert "\n" not in str(error.value) and torch.get_num_threads() == before


def test_the_command_refuses_such_a_number_in_one_line(folder, tmp_path):
    move = ["--transport", str(folder), "--input", "x.npz", "--output", str(tmp_path / "y.npz")]
    with pytest.raises(InputError, match="^threads: 0: give a positive whole number"):
        main(["move", *move, "--threads", "0"])


def test_another_device_is_refused(folder):
    with pytest.raises(InputError, match="^device: 'tpu': choose one of auto, cpu, cuda"):
        flowmorph.load(folder, device="tpu")


def test_a_transports_threads_are_its_own(folder, monkeypatch):
    before, real, used = torch.get_num_threads(), setup.in_chunks, []

    def in_chunks(*given):
        used.append(torch.get_num_threads())
        return real(*given)

    monkeypatch.setattr(setup, "in_chunks", in_chunks)
    for threads in (before + 1, np.int64(before + 2)):
        found = flowmorph.load(folder, threads=threads)
        assert torch.get_num_threads() == before
        for function in (found.move, found.log_prob, found.support):
            function(table(20))
            assert torch.get_num_threads() == before and set(used) == {threads}
        used.clear()
        with pytest.raises(InputError):
            found.move(table(20) | {"x": np.full(20, np.nan)})
        assert torch.get_num_threads() == before


# --- pieces


@pytest.mark.parametrize("features, condition", [("xk", "m"), ("x", "m"), ("k", ""), ("xkm", "")])
def test_rows_in_pieces_move_to_the_same_bytes(tmp_path, monkeypatch, features, condition):
    monkeypatch.setattr(setup, "CHUNK", 64)
    logit = {"m": {"transform": "logit"}}
    transport = flowmorph.load(str(make(tmp_path, tuple(features), tuple(condition), **logit)))
    start = {n: v.astype(float) for n, v in table(1000).items() if n in features + condition}
    at_once = transport.move_columns(start, transport.dequantization(3))
    for size in (64, 192, 960):
        spread = transport.dequantization(3)
        parts = [
            transport.move_columns({n: v[low : low + size] for n, v in start.items()}, spread)
            for low in range(0, 1000, size)
        ]
        for name in features:
            joined = np.concatenate([part[name] for part in parts])
            assert joined.tobytes() == at_once[name].tobytes()
    by_table = transport.move(start, seed=3)
    assert all(by_table[name].tobytes() == at_once[name].tobytes() for name in features)


def test_no_rows_move_to_no_rows(transport):
    none = transport.move_columns(
        {name: np.empty(0) for name in "xkm"}, transport.dequantization(0)
    )
    assert {name: (v.shape, v.dtype.kind) for name, v in none.items()} == {
        "x": ((0,), "f"), "k": ((0,), "f"),
    }  # fmt: skip
    assert transport.log_prob(table(0)).shape == (0,)


# --- densities


@pytest.mark.parametrize("method", ["movement_penalty", "base_transfer"])
def test_densities_integrate_to_one_in_the_users_units(tmp_path, method):
    """One feature with heavy tails, no condition: the sum over a fine grid is the integral."""
    transport = flowmorph.load(str(make(tmp_path, ("x",), (), method)))
    grid = np.sinh(np.linspace(-9, 9, 40_001)) + 5
    for of in ("moved", "reference", "target"):
        density = np.exp(transport.log_prob({"x": grid}, of=of))
        assert np.trapezoid(density, grid) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("method", ["movement_penalty", "base_transfer"])
def test_moving_conserves_probability(tmp_path, method):
    transport = flowmorph.load(str(make(tmp_path, ("x",), ("m",), method)))
    x = np.linspace(3.0, 7.0, 4001)
    given = {"m": np.full_like(x, 0.7)}
    moved = transport.move({"x": x, **given})
    slope = np.gradient(moved["x"], x)
    expected = transport.log_prob({"x": x, **given}, of="reference") - np.log(slope)
    found = transport.log_prob(moved)
    assert np.quantile(np.abs(found - expected), 0.9) < 0.02


def test_the_installed_command_is_the_module():
    project = tomllib.loads((LIBRARY.parent / "pyproject.toml").read_text())
    module, _, name = project["project"]["scripts"]["flowmorph"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
