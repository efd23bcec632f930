"""A transport in its users' hands: tables, densities, files; its flows have random weights."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import awkward as ak
import numpy as np
import pandas as pd
import pytest
import torch
import uproot

import flowmorph
from flowmorph.__main__ import main
from flowmorph.errors import InputError
from flowmorph.flows import bundle, storage
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.moving import STATUS, move_files
from flowmorph.preprocess import Preprocessor

LIBRARY = Path(flowmorph.__file__).parents[1]
NOWHERE = {"column": None, "train": [], "apply": [], "closure": True}
REGIONS = NOWHERE | {"column": "m", "apply": [[0, 1]]}


def table(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "x": (5 + rng.standard_t(3, rows)).astype(np.float32),
        "k": rng.poisson(4, rows).astype(np.int32),
        "m": rng.uniform(0, 2, rows),
        "id": np.arange(rows),
    }


def make(folder: Path, features, condition, method="movement_penalty", regions=NOWHERE) -> Path:
    """A transport whose flows have random weights."""
    torch.manual_seed(1)
    options = {"x": {"transform": "quantile"}, "k": {"integer": True}, "m": {}}
    train = table(2000)
    fit = Preprocessor.fit([train], {name: options[name] for name in (*features, *condition)})
    files = {}
    for name in ("reference", "target", "transport")[: 2 if method == "base_transfer" else 3]:
        flow = Flow(Architecture(len(features), len(condition), 2, 1, 8, 4, 4.0))
        with torch.no_grad():
            flow.flat.add_(0.3 * torch.randn_like(flow.flat) * flow.mask)
        files[name] = str(folder / f"{name}.safetensors")
        storage.save(flow, files[name], {"config": {}, "seed": 1})
    note = {"method": method, "features": list(features), "condition": list(condition)}
    note |= {"regions": regions, "preprocessing": fit.to_json()}
    bundle.write(files, note, folder / "transport.safetensors")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("transport"), ("x", "k"), ("m",), regions=REGIONS)


@pytest.fixture(scope="module")
def transport(folder):
    return flowmorph.load(str(folder))


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
        ({"m": np.full(300, np.nan)}, "'m': the value of row 0 is not finite .300 such rows"),
        ({"k": np.array(["a"] * 300)}, "'k' is not one number a row"),
        ({"x": np.zeros((300, 2))}, "'x' is not one number a row"),
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


# --- files


def read(path: Path) -> pd.DataFrame:
    if path.suffix == ".root":
        return uproot.open(path)["events"].arrays(library="pd")
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def write(path: Path, columns: dict) -> Path:
    if path.suffix == ".root":
        with uproot.recreate(path) as file:
            file["events"] = columns
    elif path.suffix == ".parquet":
        pd.DataFrame(columns).to_parquet(path)
    else:
        pd.DataFrame(columns).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("suffix", [".root", ".parquet", ".csv"])
def test_files_come_out_as_they_went_in(transport, tmp_path, suffix):
    start = table(1000)
    start["x"][7] = np.nan
    source = write(tmp_path / f"in{suffix}", start)
    counts = move_files(transport, [str(source)], tmp_path / f"out{suffix}", chunk_rows=130)
    result, before = read(tmp_path / f"out{suffix}"), read(source)
    inside = (start["m"] < 1) & np.isfinite(start["x"])
    status = np.where(np.isfinite(start["x"]), inside.astype(int), -1)
    assert np.array_equal(result[STATUS], status)
    assert (counts.rows, counts.moved, counts.missing) == (1000, inside.sum(), 1)
    assert counts.elsewhere == 999 - inside.sum()
    for name in start:
        assert np.array_equal(result[name], before[name], equal_nan=True)
        assert result[name].dtype == before[name].dtype
    assert np.array_equal(result["x_moved"][~inside], before["x"][~inside], equal_nan=True)
    # Moving the chosen rows by hand gives the same, but for rounding in batches of another size.
    chosen = {name: values[inside] for name, values in start.items()}
    by_hand = transport.move(chosen)
    np.testing.assert_allclose(result["x_moved"][inside], by_hand["x"], rtol=2e-4)
    assert (result["k_moved"][inside] == by_hand["k"]).mean() > 0.99


def test_columns_can_be_replaced_everywhere(folder, tmp_path):
    source = write(tmp_path / "in.root", table(200))
    output = tmp_path / "out.root"
    main(["move", "--transport", str(folder), "--input", str(source), "--output", str(output),
          "--columns", "replace", "--everywhere", "--chunk", "64", "--device", "cpu"])  # fmt: skip
    result, before = read(output), read(source)
    assert list(result.columns) == [*before.columns, STATUS] and (result[STATUS] == 1).all()
    assert (result["x"] != before["x"]).mean() > 0.9
    assert {n: result[n].dtype for n in before} == {n: before[n].dtype for n in before}
    with pytest.raises(InputError, match="is there already"):
        main(["move", "--transport", str(folder), "--input", str(output), "--output", "x.root"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "out.csv"], "out.csv: the input is root-"),
        (["--output", "in.root"], "in.root: is an input too"),
        (["--output", "out.root", "--chunk", "0"], "--chunk 0"),
        (["--output", "out.root", "--tree", "other"], "no tree 'other'"),
        (["--output", "out.root", "--input", "short.root"], "no column 'm'"),
        (["--output", "out.root", "--input", "none.root"], "none.root: no such file"),
        (["--output", "out.root", "--transport", "in.root"], "not a transport"),
        (["--output", "out.root", "--transport", "absent"], "no such file of a trained"),
    ],
)
def test_commands_that_cannot_be_done_leave_nothing(
    folder, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in.root", table(50))
    write(tmp_path / "short.root", {"x": np.zeros(3), "k": np.zeros(3)})
    with pytest.raises(InputError, match=message):
        main(["move", "--transport", str(folder), "--input", "in.root", *arguments])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.root", "short.root"]


def test_another_version_of_the_file_is_refused(folder, tmp_path):
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(folder / "transport.safetensors", framework="pt") as stored:
        note = json.loads(stored.metadata()["flowmorph_transport"]) | {"version": 99}
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}
    text = {"flowmorph_transport": json.dumps(note)}
    save_file(tensors, tmp_path / "new.safetensors", metadata=text)
    with pytest.raises(InputError, match="of version 99, not 1: update flowmorph"):
        flowmorph.load(str(tmp_path / "new.safetensors"))


def test_the_installed_command_is_the_module():
    project = tomllib.loads((LIBRARY.parent / "pyproject.toml").read_text())
    module, _, name = project["project"]["scripts"]["flowmorph"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
