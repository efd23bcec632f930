"""Files through a trained transport: what comes out, what is refused, and when."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

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
from transports import table

import flowmorph
from flowmorph.__main__ import main
from flowmorph.errors import InputError
from flowmorph.formats.tables import open_sample
from flowmorph.transfer.morph import FlowMorph
from flowmorph.user import moved_files
from flowmorph.user.moved_files import move_files
from flowmorph.user.output import Output, check_output

STATUS = "flowmorph_moved"


def parquet(path: Path, columns: dict) -> Path:
    pa.parquet.write_table(pa.table(columns), path)
    return path


def read(path: Path, tree: str | None = None) -> dict[str, np.ndarray]:
    """All columns as numbers, by our own reader: tests of the formats compare it with others."""
    files = open_sample(str(path), tree)
    chunks = list(files.chunks())
    return {
        name: np.concatenate([files.numbers(chunk, name) for chunk in chunks])
        for name in files.columns
    }


@pytest.mark.parametrize("kind", KINDS)
def test_files_come_out_as_they_went_in(transport, tmp_path, kind):
    start = table(1000)
    start["x"][7] = np.nan
    suffix = SUFFIXES.get(kind, "h5")
    source = write_kind(tmp_path / f"in.{suffix}", kind, start)
    output = tmp_path / f"out.{suffix}"
    counts = move_files(transport, [str(source)], output, tree=tree_of(kind), chunk_rows=130)
    before, after = read(source, tree_of(kind)), read(output, tree_of(kind))
    inside = (start["m"] < 1) & np.isfinite(start["x"])
    assert np.array_equal(after[STATUS], np.where(np.isfinite(start["x"]), inside, -1))
    assert (counts.rows, counts.moved, counts.missing) == (1000, inside.sum(), 1)
    assert counts.elsewhere == 999 - inside.sum()
    types = [open_sample(str(path), tree_of(kind)).types for path in (source, output)]
    for name in start:
        assert np.array_equal(after[name], before[name], equal_nan=True)
        assert types[1][name] == types[0][name]
    assert np.array_equal(after["x_moved"][~inside], before["x"][~inside], equal_nan=True)
    by_hand = transport.move({name: values[inside] for name, values in before.items()})
    moved = after["x_moved"][inside]
    assert np.array_equal(moved.astype(np.float32), by_hand["x"].astype(np.float32))
    assert np.array_equal(after["k_moved"][inside], by_hand["k"])


@pytest.mark.parametrize("columns", ["append", "replace"])
# Pandas writes no empty table: tests/test_hdf5_pandas.py makes one.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "pandas-table"])
def test_a_file_without_rows_gives_one_with_all_columns(transport, tmp_path, kind, columns):
    suffix = SUFFIXES.get(kind, "h5")
    empty = {name: values[:0] for name, values in table(3).items()}
    source = tmp_path / f"in.{suffix}"
    if kind == "datasets":  # PyTables writes none of zero rows that stays so
        with h5py.File(source, "w") as file:
            for name, values in empty.items():
                file[f"events/{name}"] = values
    else:
        write_kind(source, kind, empty)
    output = tmp_path / f"out.{suffix}"
    counts = move_files(
        transport, [str(source)], output, tree=tree_of(kind), output=Output(columns)
    )
    assert (counts.rows, counts.moved) == (0, 0)
    new = [] if columns == "replace" else ["x_moved", "k_moved"]
    assert sorted(open_sample(str(output), tree_of(kind)).columns) == sorted([*empty, *new, STATUS])


def test_chunks_and_cut_files_change_no_byte(transport, tmp_path, monkeypatch):
    monkeypatch.setattr(moved_files, "WINDOW", 64)
    source = tmp_path / "in.csv"
    pd.DataFrame(table(1000)).to_csv(source, index=False)
    outputs = [tmp_path / f"{chunk}.csv" for chunk in (1, 64, 100, 5000)]
    for output in outputs:
        move_files(transport, [str(source)], output, chunk_rows=int(output.stem))
    assert len({output.read_bytes() for output in outputs}) == 1


@pytest.mark.parametrize("name", ["x", "m"])
def test_values_that_are_no_data_are_not_moved(transport, tmp_path, name):
    start = table(400)
    start["m"] *= 0.4
    start[name] = start[name].astype(float)
    start[name][[3, 5, 7]] = 1e300, -1e300, np.inf
    source = parquet(tmp_path / "in.parquet", start)
    counts = move_files(transport, [str(source)], tmp_path / "out.parquet", everywhere=True)
    after = read(tmp_path / "out.parquet")
    assert np.flatnonzero(after[STATUS] == -1).tolist() == [3, 5, 7] and counts.missing == 3
    assert np.isfinite(after["x_moved"][after[STATUS] == 1]).all()
    assert np.array_equal(after["x_moved"][[3, 5, 7]], start["x"][[3, 5, 7]])


def test_rows_beyond_the_training_are_counted_by_column_and_may_be_kept(transport, tmp_path):
    start = table(400)
    start["m"] *= 0.4
    start["m"][:10], start["x"][5:8], start["k"][200] = 40.0, 1e4, 1000
    source = parquet(tmp_path / "in.parquet", start)
    results = {}
    for choice in ("move", "keep"):
        output = tmp_path / f"{choice}.parquet"
        counts = move_files(
            transport, [str(source)], output, output=Output(outside=choice), everywhere=True
        )
        assert (counts.beyond["m"], counts.beyond["x"], counts.beyond["k"]) == (10, 3, 1)
        results[choice] = read(output)
    assert (results["move"][STATUS] == 1).all() and counts.kept == 11
    assert "3 in x" in str(counts) and "10 in m" in str(counts)
    kept = np.flatnonzero(results["keep"][STATUS] == -2)
    assert kept.tolist() == [*range(10), 200]
    for name in ("x", "k"):
        assert np.array_equal(results["keep"][f"{name}_moved"][kept], start[name][kept])


def test_moved_whole_numbers_stay_in_the_range_of_their_column(transport, tmp_path):
    start = table(3000)
    start["k"] = (start["k"] < 1).astype(np.uint8)
    source = parquet(tmp_path / "in.parquet", {**start, "flag": start["k"] > 0})
    counts = move_files(
        transport, [str(source)], tmp_path / "out.parquet", output=Output("replace"),
        everywhere=True,
    )  # fmt: skip
    after = pa.parquet.read_table(tmp_path / "out.parquet")
    assert after.schema.field("k").type == pa.uint8() and counts.clipped["k"] > 0
    assert max(after["k"].to_pylist()) < 200
    assert f"clipped to the column's type: {counts.clipped['k']} in k" in str(counts)


def test_columns_can_be_left_out(folder, tmp_path):
    source = parquet(tmp_path / "in.parquet", table(50) | {"s0": range(50), "s1": range(50)})
    main(["move", "--transport", str(folder), "--input", str(source), "--output",
          str(tmp_path / "out.parquet"), "--drop", "s?", "id", "x", "--device", "cpu"])  # fmt: skip
    after = read(tmp_path / "out.parquet")
    assert list(after) == ["k", "m", "x_moved", "k_moved", STATUS]


def test_transports_can_be_chained(transport, tmp_path):
    source = parquet(tmp_path / "in.parquet", table(50))
    move_files(transport, [str(source)], tmp_path / "one.parquet")
    with pytest.raises(InputError, match="one.parquet: column 'x_moved' is there .*another suffix"):
        move_files(transport, [str(tmp_path / "one.parquet")], tmp_path / "two.parquet")
    second = Output(suffix="_again")
    move_files(transport, [str(tmp_path / "one.parquet")], tmp_path / "two.parquet", output=second)
    assert list(read(tmp_path / "two.parquet"))[-3:] == ["x_again", "k_again", "flowmorph_again"]


TAKEN = {
    "the new column": ({"x_moved": np.zeros(50)}, Output(), "column 'x_moved' is there already"),
    "the status": ({STATUS: np.zeros(50)}, Output("replace"), f"column '{STATUS}' is there alr"),
    "a feature is dropped and replaced": ({}, Output("replace", drop=["x"]), "'x' is dropped and"),
    "whole numbers that are not declared": ({}, Output("replace"), "column 'id' is int64, which"),
    "a drop that matches nothing": ({}, Output(drop=["nothing*"]), "matches no column"),
    "a text": ({"x": ["a"] * 50}, Output(), "column 'x' is of type string .such as 'a'."),
    "a condition of lists": ({"m": [[1.0]] * 50}, Output(), "'m' is list<.*, not one number"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_the_output_is_refused_before_anything_is_trained(tmp_path, name):
    changed, output, message = TAKEN[name]
    files = open_sample(str(parquet(tmp_path / "in.parquet", table(50) | changed)))
    features = ["x", "id"] if "id" in message else ["x"]
    with pytest.raises(InputError, match=message):
        output.check_drop(files)
        check_output(files, features, ["m"], set(), output)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_cannot_be_written_is_one_line(folder, tmp_path, kind):
    suffix = SUFFIXES.get(kind, "h5")
    source = write_kind(tmp_path / f"in.{suffix}", kind, table(50))
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv: root may write everywhere")
    tree = ["--tree", tree_of(kind)] if tree_of(kind) else []
    command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]
    command += [sys.executable, "-m", "flowmorph", "move", "--transport", str(folder), "--input"]
    command += [str(source), "--output", str(closed / f"out.{suffix}"), *tree]
    library = str(Path(flowmorph.__file__).parents[1])
    done = subprocess.run(command, cwd=library, capture_output=True, text=True, timeout=300)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and line.startswith("error: ") and "Permission denied" in line
    assert str(closed) in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "out.csv"], "out.csv: the input is root-"),
        (["--output", "in.root"], "in.root: is an input too"),
        (["--output", "../folder/in.root"], "in.root: is an input too"),
        (["--output", "link.root"], "link.root: is an input too"),
        (["--output", "hard.root"], "hard.root: is an input too"),
        (["--output", "out.root", "--chunk", "0"], "--chunk 0"),
        (["--output", "out.root", "--tree", "other"], "no tree 'other'"),
        (["--output", "out.root", "--input", "short.root"], "no column 'm'"),
        (["--output", "out.root", "--input", "none.root"], "none.root: no such file"),
        (["--output", "out.root", "--drop", "id", "tru*"], "in.root: 'tru.' matches no column"),
        (["--output", "out.root", "--transport", "in.root"], "not a transport"),
        (["--output", "out.root", "--transport", "absent"], "no such file of a trained"),
    ],
)
def test_commands_that_cannot_be_done_leave_nothing(
    folder, tmp_path, monkeypatch, arguments, message
):
    here = tmp_path / "folder"
    here.mkdir()
    monkeypatch.chdir(here)
    write_kind(here / "in.root", "ttree", table(50))
    write_kind(here / "short.root", "ttree", {"x": np.zeros(3), "k": np.zeros(3)})
    Path("link.root").symlink_to("in.root")
    Path("hard.root").hardlink_to("in.root")
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    with pytest.raises(InputError, match=message):
        main(["move", "--transport", str(folder), "--input", "in.root", *arguments])
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before


@pytest.mark.parametrize("name", ["t.npz", "../folder/t.npz", "link.npz", "hard.npz"])
def test_a_transport_is_not_overwritten_by_what_it_moves(folder, tmp_path, monkeypatch, name):
    here = tmp_path / "folder"
    here.mkdir()
    monkeypatch.chdir(here)
    shutil.copy(folder / "transport.safetensors", "t.npz")
    Path("link.npz").symlink_to("t.npz")
    Path("hard.npz").hardlink_to("t.npz")
    np.savez("in.npz", **table(50))
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    with pytest.raises(InputError, match=f"{Path(name).name}: is an input too: choose another"):
        main(["move", "--transport", "t.npz", "--input", "in.npz", "--output", name])
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before


def test_a_file_that_may_lack_columns_is_moved_and_the_log_says_so(folder, tmp_path, capsys):
    source = write_kind(tmp_path / "in.root", "ttree", table(50))
    output = tmp_path / "out.root"
    main(["move", "--transport", str(folder), "--input", str(source), "--output", str(output),
          "--may-lack", "--drop", "id", "tru*"])  # fmt: skip
    assert f"{output}: 'tru*' matches no column that could be dropped\n" in capsys.readouterr().err
    assert "id" not in read(output)


def test_columns_can_be_replaced_everywhere(folder, tmp_path):
    source = write_kind(tmp_path / "in.root", "ttree", table(200))
    output = tmp_path / "out.root"
    main(["move", "--transport", str(folder), "--input", str(source), "--output", str(output),
          "--columns", "replace", "--everywhere", "--chunk", "64", "--device", "cpu"])  # fmt: skip
    before, after = read(source), read(output)
    assert list(after) == [*before, STATUS] and (after[STATUS] == 1).all()
    assert (after["x"] != before["x"]).mean() > 0.9
    types = [open_sample(str(path)).types for path in (source, output)]
    assert {name: types[1][name] for name in before} == types[0]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_result_that_is_no_number_names_its_row(transport, tmp_path, monkeypatch, suffix):
    """A flow that gives such results is damaged in a way that nothing else noticed."""
    start = table(300)
    source = tmp_path / f"in{suffix}"
    frame = pd.DataFrame(start)
    frame.to_csv(source, index=False) if suffix == ".csv" else frame.to_parquet(source)
    row = np.flatnonzero(start["m"] < 1)[100]
    whole = FlowMorph.forward

    def broken(self, x, c_x, c_y):
        moved = whole(self, x, c_x, c_y).clone()
        moved[0, 100] = np.nan
        return moved

    monkeypatch.setattr(FlowMorph, "forward", broken)
    with pytest.raises(InputError, match=f"in{suffix}: column 'x': row {row} moves to nan .1 such"):
        move_files(transport, [str(source)], tmp_path / f"out{suffix}")
    assert not (tmp_path / f"out{suffix}").exists()


MISSING = {
    "parquet": lambda path, x, k, m: parquet(path, {"x": x, "k": k, "m": m}),
    "csv": lambda path, x, k, m: pd.DataFrame({"x": x, "k": k, "m": m}).to_csv(path, index=False),
    "root": lambda path, x, k, m: ntuple(path, {"x": x, "k": k, "m": m}),
}


def ntuple(path: Path, columns: dict) -> None:
    with uproot.recreate(path) as file:
        file.mkrntuple("events", ak.Array({name: ak.Array(v) for name, v in columns.items()}))


@pytest.mark.parametrize("columns", ["append", "replace"])
@pytest.mark.parametrize("suffix", MISSING)
def test_missing_values_stay_missing(transport, tmp_path, suffix, columns):
    start = table(90)
    x, k, m = start["x"].tolist(), start["k"].tolist(), (start["m"] * 0.4).tolist()
    x[3] = k[5] = m[7] = None
    source = tmp_path / f"in.{suffix}"
    MISSING[suffix](source, x, k, m)
    output = tmp_path / f"out.{suffix}"
    counts = move_files(transport, [str(source)], output, output=Output(columns))
    assert counts.missing == 3 and counts.moved == 87
    after = read(output)
    assert np.flatnonzero(after[STATUS] == -1).tolist() == [3, 5, 7]
    end = "" if columns == "replace" else "_moved"
    for name, row in (("x", 3), ("k", 5)):
        assert np.flatnonzero(np.isnan(after[name + end])).tolist() == [row]
    assert np.flatnonzero(np.isnan(after["m"])).tolist() == [7]
    assert (after["x" + end] != np.array([np.nan if v is None else v for v in x])).mean() > 0.9
