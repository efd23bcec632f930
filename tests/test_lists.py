"""Columns of lists: moved element by element, as from a flat table, and back in lists as before."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import uproot
from transports import table

from flowmorph.errors import InputError
from flowmorph.formats.tables import open_sample
from flowmorph.samples.reading import read_sample
from flowmorph.transfer.morph import FlowMorph
from flowmorph.user import moved_files
from flowmorph.user.moved_files import move_files
from flowmorph.user.output import Output

STATUS = "flowmorph_moved"
ROWS = 300


def events(fixed: bool = False) -> tuple[np.ndarray, dict, dict]:
    """Number of elements of each row, columns of lists, and the same as a flat table."""
    counts = np.full(ROWS, 3) if fixed else np.random.default_rng(7).integers(0, 4, ROWS)
    flat = table(int(counts.sum()))
    of_event = np.random.default_rng(8).uniform(0, 2, ROWS)
    flat["m"] = np.repeat(of_event, counts)
    if fixed:
        columns = {name: flat[name].reshape(ROWS, 3) for name in ("x", "k")}
    else:
        columns = {name: ak.unflatten(flat[name], counts) for name in ("x", "k")}
    return counts, {**columns, "m": of_event, "run": np.arange(ROWS)}, flat


def ttree(path: Path, columns: dict) -> None:
    kinds = {
        name: np.dtype((v.dtype, v.shape[1:])) if isinstance(v, np.ndarray) else v.type.content
        for name, v in columns.items()
    }
    with uproot.recreate(path) as file:
        tree = file.mktree("events", kinds, counter_name=lambda name: "nJet")
        tree.extend(columns)


def ntuple(path: Path, columns: dict) -> None:
    arrays = [ak.to_layout(ak.from_numpy(v, regulararray=True) if isinstance(v, np.ndarray) else v)
              for v in columns.values()]  # fmt: skip
    whole = ak.Array(ak.contents.RecordArray(arrays, list(columns)))
    with uproot.recreate(path) as file:
        file.mkrntuple("events", whole.layout.form).extend(whole)


def parquet(path: Path, columns: dict, large: bool = False) -> None:
    made = {}
    for name, values in columns.items():
        if isinstance(values, np.ndarray) and values.ndim == 1:
            made[name] = pa.array(values)
        elif isinstance(values, np.ndarray):
            made[name] = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 3)
        else:
            options = {"list_to32": not large, "extensionarray": False}
            made[name] = ak.to_arrow(values, **options)
    pa.parquet.write_table(pa.table(made), path)


def datasets(path: Path, columns: dict) -> None:
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            if isinstance(values, np.ndarray):
                file[f"events/{name}"] = values
            else:
                file[f"events/{name}"] = vlen(values)


def records(path: Path, columns: dict) -> None:
    arrays = {n: v if isinstance(v, np.ndarray) else vlen(v) for n, v in columns.items()}
    made = np.empty(ROWS, [(name, values.dtype) for name, values in arrays.items()])
    for name, values in arrays.items():
        made[name] = values
    with h5py.File(path, "w") as file:
        file.create_dataset("events", data=made, dtype=made.dtype)


def vlen(lists: ak.Array) -> np.ndarray:
    kind = ak.to_numpy(ak.flatten(lists)).dtype
    made = np.empty(len(lists), h5py.vlen_dtype(kind))
    for row, values in enumerate(lists):
        made[row] = ak.to_numpy(values)
    return made


#: Formats that have lists, each with what writes it and whether all lists are of one length.
FORMATS = {
    "ttree": (ttree, "root", False),
    "ttree arrays": (ttree, "root", True),
    "rntuple": (ntuple, "root", False),
    "rntuple arrays": (ntuple, "root", True),
    "parquet": (parquet, "parquet", False),
    "parquet large lists": (lambda *given: parquet(*given, large=True), "parquet", False),
    "parquet arrays": (parquet, "parquet", True),
    "hdf5 datasets": (datasets, "h5", False),
    "hdf5 records": (records, "h5", False),
}


def column(path: Path, name: str) -> ak.Array:
    """A column as its format's own library reads it."""
    if path.suffix == ".root":
        return uproot.open(path)["events"][name].array(library="ak")
    if path.suffix == ".parquet":
        return ak.from_arrow(pa.parquet.read_table(path)[name])
    with h5py.File(path) as file:
        values = file["events"][name]
        if h5py.check_vlen_dtype(values.dtype) is None:
            return ak.Array(values[:])
        cells = values[:]
        flat = np.concatenate(cells).astype(h5py.check_vlen_dtype(values.dtype))
        return ak.unflatten(flat, [len(cell) for cell in cells])


def kind_of(path: Path, name: str) -> str:
    return open_sample(str(path), "events" if path.suffix == ".h5" else None).types[name]


def same(found: ak.Array, expected: np.ndarray) -> bool:
    return np.array_equal(ak.to_numpy(found), expected)


def of_elements(transport, tmp_path: Path, flat: dict, **options) -> dict[str, np.ndarray]:
    """What becomes of the elements in a flat file."""
    source, output = tmp_path / "flat.parquet", tmp_path / "flat_moved.parquet"
    pa.parquet.write_table(pa.table(flat), source)
    move_files(transport, [str(source)], output, **options)
    return {name: v.to_numpy() for name, v in zip(*_columns(output), strict=True)}


def _columns(path):
    read = pa.parquet.read_table(path)
    return read.column_names, read.columns


@pytest.mark.parametrize("name", FORMATS)
def test_elements_move_as_from_a_flat_file_and_come_back_in_lists(transport, tmp_path, name):
    write, suffix, fixed = FORMATS[name]
    counts, columns, flat = events(fixed)
    write(tmp_path / f"in.{suffix}", columns)
    expected = of_elements(transport, tmp_path, flat)
    assert {-1, 0, 1} - set(expected[STATUS].tolist()) == {-1}
    tree = "events" if suffix == "h5" else None
    for how in ("append", "replace"):
        output = tmp_path / f"{how}.{suffix}"
        moved = move_files(
            transport, [str(tmp_path / f"in.{suffix}")], output, tree=tree, output=Output(how)
        )
        assert (moved.rows, moved.lists) == (len(flat["x"]), ROWS)
        assert moved.moved == (expected[STATUS] == 1).sum()
        assert f"{len(flat['x'])} elements in the lists of {ROWS} rows: {moved.moved}" in str(moved)
        end = "" if how == "replace" else "_moved"
        for new, old in ((f"x{end}", "x"), (f"k{end}", "k"), (STATUS, None)):
            found = column(output, new)
            assert ak.num(found).to_list() == counts.tolist()
            of_flat = expected[f"{old}_moved" if old else STATUS]
            assert same(ak.flatten(found), of_flat), new
        assert kind_of(output, "x" + end) == kind_of(tmp_path / f"in.{suffix}", "x")
        assert (kind_of(output, "k" + end) == kind_of(output, "k")) == (how == "replace")
        for kept in ("m", "run", *(("x", "k") if how == "append" else ())):
            before = column(tmp_path / f"in.{suffix}", kept)
            assert ak.array_equal(column(output, kept), before), kept


def test_counters_are_those_of_the_columns_that_were_moved(anywhere, tmp_path):
    counts, columns, _ = events()
    _, others, _ = events(fixed=True)
    first = {"nJet": counts.astype("u4"), "x": columns["x"], "k": columns["k"], "m": others["m"]}
    ttree(tmp_path / "in.root", first)
    for drop, before in (((), ["nJet", "x", "k", "m"]), (["x", "k"], ["nJet", "m"]),
                         (["nJet", "k"], ["nJet", "x", "m"])):  # fmt: skip
        output = tmp_path / "out.root"
        move_files(anywhere, [str(tmp_path / "in.root")], output, output=Output(drop=drop))
        with uproot.open(output)["events"] as tree:
            assert sorted(tree.keys()) == sorted([*before, "x_moved", "k_moved", STATUS])
            assert tree["nJet"].array(library="np").tolist() == counts.tolist()
            for name in ("x_moved", "k_moved", STATUS):
                assert tree[name].count_branch.name == "nJet"
                assert ak.num(tree[name].array()).to_list() == counts.tolist()


def test_a_vector_of_root_has_one_counter_with_what_is_moved(anywhere, tmp_path):
    """A column whose file has no counter gets one, with its new values."""
    counts, columns, flat = events()
    with uproot.recreate(tmp_path / "in.root") as file:
        file.mktree("events", {n: v.type.content if n in "xk" else v.dtype
                               for n, v in columns.items()}).extend(columns)  # fmt: skip
    move_files(anywhere, [str(tmp_path / "in.root")], tmp_path / "out.root")
    with uproot.open(tmp_path / "out.root")["events"] as tree:
        for name, counter in (("x_moved", "nx"), ("k_moved", "nk"), (STATUS, "nx")):
            assert tree[name].count_branch.name == counter
        assert [key for key in tree.keys() if key.startswith("n")] == ["nx", "nk"]


def test_chunks_and_windows_do_not_cut_rows(anywhere, tmp_path, monkeypatch):
    monkeypatch.setattr(moved_files, "WINDOW", 64)
    _, columns, _ = events()
    for kind in ("ttree", "parquet", "hdf5 datasets"):
        write, suffix, _ = FORMATS[kind]
        write(tmp_path / f"in.{suffix}", columns)
        for chunk in (1, 128, 5000):
            move_files(
                anywhere, [str(tmp_path / f"in.{suffix}")], tmp_path / f"{chunk}.{suffix}",
                chunk_rows=chunk, tree="events" if suffix == "h5" else None,
            )  # fmt: skip
        found = [column(tmp_path / f"{chunk}.{suffix}", "x_moved") for chunk in (1, 128, 5000)]
        assert ak.array_equal(found[0], found[1]) and ak.array_equal(found[0], found[2])


def test_a_missing_element_marks_itself_and_a_row_without_a_list_stays(anywhere, tmp_path):
    lists = pa.list_(pa.float32())
    arrays = {
        "x": pa.array([[5.0, None, 4.0], None, [], [float("nan")], [6.0]], lists),
        "k": pa.array([[4, 3, 2], None, [], [4], [None]], pa.list_(pa.int16())),
        "m": pa.array([0.5, 0.5, 0.5, 0.5, 0.5]),
    }
    pa.parquet.write_table(pa.table(arrays), tmp_path / "in.parquet")
    for how in ("append", "replace"):
        counts = move_files(
            anywhere, [str(tmp_path / "in.parquet")], tmp_path / "out.parquet", output=Output(how)
        )
        assert (counts.rows, counts.moved, counts.missing, counts.lists) == (5, 2, 3, 5)
        after = pa.parquet.read_table(tmp_path / "out.parquet")
        assert after[STATUS].to_pylist() == [[1, -1, 1], None, [], [-1], [-1]]
        end = "" if how == "replace" else "_moved"
        x, k = after[f"x{end}"].to_pylist(), after[f"k{end}"].to_pylist()
        assert x[0][1] is None and x[1] is None and x[2] == [] and x[4] == [6.0]
        assert np.isnan(x[3][0]) and k[1:] == [None, [], [4], [None]] and k[0][1] == 3
        assert x[0][0] != 5.0 and x[0][2] != 4.0
        kinds = [after.schema.field(f"{name}{end}").type.value_type for name in "xk"]
        assert kinds == [pa.float32(), pa.int16() if how == "replace" else pa.float64()]


def test_a_missing_element_of_an_ntuple(anywhere, tmp_path):
    x = ak.Array([[5.0, None], [], [4.0]])
    columns = {"x": x, "k": ak.Array([[4, 3], [], [2]]), "m": np.full(3, 0.5)}
    ntuple(tmp_path / "in.root", columns)
    move_files(anywhere, [str(tmp_path / "in.root")], tmp_path / "out.root")
    assert column(tmp_path / "out.root", STATUS).to_list() == [[1, -1], [], [1]]
    moved = column(tmp_path / "out.root", "x_moved").to_list()
    assert moved[0][1] is None and moved[1] == [] and moved[2][0] != 4.0


def test_rows_of_an_ntuple_and_of_awkward_without_a_list(anywhere, tmp_path):
    x = ak.to_packed(
        ak.Array(ak.Array([[5.0, 6.0], None, [], [4.0]]).layout.to_IndexedOptionArray64())
    )
    k = ak.Array([[4, 3], [], [], [2]])
    ntuple(tmp_path / "in.root", {"x": x, "k": k, "m": np.full(4, 0.5)})
    move_files(anywhere, [str(tmp_path / "in.root")], tmp_path / "out.root")
    expected = anywhere.move({"x": [5.0, 6.0, 4.0], "k": [4, 3, 2], "m": [0.5] * 3})
    a, b, c = expected["x"]
    assert column(tmp_path / "out.root", STATUS).to_list() == [[1, 1], None, [], [1]]
    assert column(tmp_path / "out.root", "x_moved").to_list() == [[a, b], None, [], [c]]
    assert column(tmp_path / "out.root", "k_moved").to_list()[1] == []
    moved = anywhere.move(ak.zip({"x": x, "k": k, "m": np.full(4, 0.5)}, depth_limit=1))
    assert moved["x"].to_list() == [[a, b], None, [], [c]]


def test_new_lists_of_hdf5_are_filtered_as_the_columns_beside_them(anywhere, tmp_path):
    _, columns, flat = events()
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("a", data=np.arange(ROWS), fletcher32=True, chunks=(50,))
        for name, values in columns.items():
            values = values if isinstance(values, np.ndarray) else vlen(values)
            file.create_dataset(name, data=values, dtype=values.dtype, compression="gzip")
    move_files(anywhere, [str(tmp_path / "in.h5")], tmp_path / "out.h5")
    expected = anywhere.move({name: flat[name] for name in "xkm"})
    with h5py.File(tmp_path / "out.h5") as file:
        assert h5py.check_vlen_dtype(file["x_moved"].dtype) == np.float32
        assert h5py.check_vlen_dtype(file[STATUS].dtype) == np.int8
        assert file["x_moved"].compression == "gzip"
        assert np.array_equal(np.concatenate(file["x_moved"][:]), expected["x"])


def test_fixed_lengths_with_rows_without_a_list(anywhere, tmp_path):
    kind = pa.list_(pa.float64(), 2)
    arrays = {"x": pa.array([[5.0, 4.0], None, [6.0, 3.0], None], kind)}
    arrays |= {"k": pa.array([[4, 4], None, [5, 5], None], pa.list_(pa.int32(), 2))}
    arrays |= {"m": pa.array([0.5] * 4)}
    pa.parquet.write_table(pa.table(arrays), tmp_path / "in.parquet")
    move_files(anywhere, [str(tmp_path / "in.parquet")], tmp_path / "out.parquet")
    after = pa.parquet.read_table(tmp_path / "out.parquet")
    assert after.schema.field("x_moved").type == kind
    assert after[STATUS].to_pylist() == [[1, 1], None, [1, 1], None]
    expected = anywhere.move({"x": [5.0, 4, 6, 3], "k": [4, 4, 5, 5], "m": [0.5] * 4})
    assert np.array_equal(np.ravel(after["x_moved"].drop_null().to_pylist()), expected["x"])


@pytest.mark.parametrize("per_event", [True, False])
def test_a_region_may_be_of_the_event_or_of_each_element(transport, tmp_path, per_event):
    counts, columns, flat = events()
    if not per_event:
        flat["m"] = np.random.default_rng(3).uniform(0, 2, len(flat["x"]))
        columns["m"] = ak.unflatten(flat["m"], counts)
    parquet(tmp_path / "in.parquet", columns)
    move_files(transport, [str(tmp_path / "in.parquet")], tmp_path / "out.parquet")
    expected = of_elements(transport, tmp_path, flat)
    status = column(tmp_path / "out.parquet", STATUS)
    assert same(ak.flatten(status), expected[STATUS])
    assert same(ak.flatten(status), flat["m"] < 1)
    moved = ak.flatten(column(tmp_path / "out.parquet", "x_moved"))
    assert np.array_equal(moved, expected["x_moved"])


@pytest.mark.parametrize("kind", ["ttree", "rntuple", "parquet", "hdf5 datasets"])
def test_files_whose_lists_are_all_empty_or_that_have_no_rows(anywhere, tmp_path, kind):
    write, suffix, _ = FORMATS[kind]
    tree = "events" if suffix == "h5" else None
    empty = ak.unflatten(np.empty(0, np.float32), [0, 0, 0])
    columns = {"x": empty, "k": ak.unflatten(np.empty(0, np.int32), [0, 0, 0]), "m": np.ones(3)}
    for rows in (3, 0):
        given = {name: values[:rows] for name, values in columns.items()}
        write(tmp_path / f"in{rows}.{suffix}", given)
        output = tmp_path / f"out{rows}.{suffix}"
        counts = move_files(
            anywhere, [str(tmp_path / f"in{rows}.{suffix}")], output, tree=tree
        )  # fmt: skip
        assert counts.rows == counts.moved == 0 and counts.lists == rows
        sample = open_sample(str(output), tree)
        assert sample.rows == rows and {"x_moved", "k_moved", STATUS} <= set(sample.columns)
        assert sample.types["x_moved"] == sample.types["x"]


# --- what is refused


def refusal(transport, path: Path, columns: dict) -> str:
    pa.parquet.write_table(pa.table(columns), path)
    output = path.with_name("out.parquet")
    with pytest.raises(InputError) as error:
        move_files(transport, [str(path)], output)
    assert not output.exists() and "\n" not in str(error.value) and str(path) in str(error.value)
    return str(error.value)


def test_unequal_lengths_name_file_columns_and_row(anywhere, tmp_path):
    rows = 9000
    lists = {"x": [[5.0, 4.0]] * rows, "k": [[4, 3]] * rows, "m": [0.5] * rows}
    for row in (3, 8999):
        changed = [*lists["k"]]
        changed[row] = [4]
        said = refusal(anywhere, tmp_path / "in.parquet", lists | {"k": changed})
        assert f"column 'k': row {row} has 1 elements, but 2 in 'x'" in said
    said = refusal(anywhere, tmp_path / "in.parquet", lists | {"m": [[0.5]] * rows})
    assert "column 'm': row 0 has 1 elements, but 2 in 'x'" in said


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"k": [1, 2]}, "'x' is list<.*float>, not one number a row as 'k' is: all features need"),
        ({"x": [1.0, 2.0]}, "column 'k' is list<.*>, not one number a row as 'x' is"),
        ({"x": [1.0, 2.0], "k": [1, 2], "m": [[1.0], []]}, "'m' is list<.*, not one number a row"),
        ({"x": [[[1.0], [2.0]], [[3.0]]]}, "'x' is list<.*list<.*, lists in lists: make one col"),
        ({"x": [["a", "b"], ["c"]]}, "'x' is of type string .such as 'a'., not a number"),
        ({"x": [[{"a": 1}] * 2, [{"a": 2}]]}, "'x' is struct<.*, not one number a row"),
    ],
)
def test_what_is_not_moved_of_lists(anywhere, tmp_path, changed, message):
    columns = {"x": pa.array([[1.0, 2.0], [3.0]], pa.list_(pa.float32())), "k": [[1, 2], [3]]}
    columns |= {"m": [0.5, 0.5]} | changed
    said = refusal(anywhere, tmp_path / "in.parquet", columns)
    with pytest.raises(InputError, match=message):
        raise InputError(said)


def test_cells_of_csv_are_no_lists(anywhere, tmp_path):
    (tmp_path / "in.csv").write_text('x,k,m\n"[5, 4]","[4, 4]",0.5\n')
    with pytest.raises(InputError, match="in.csv: column 'x' holds text .such as '.5, 4.'., not"):
        move_files(anywhere, [str(tmp_path / "in.csv")], tmp_path / "out.csv")


@pytest.mark.parametrize("name", ["ttree", "ttree arrays", "parquet", "rntuple arrays"])
def test_lists_are_not_trained_on_and_the_error_says_what_to_do(tmp_path, name):
    write, suffix, fixed = FORMATS[name]
    write(tmp_path / f"in.{suffix}", events(fixed)[1])
    with pytest.raises(InputError, match="in.*: column 'x' .*, or train on files with one object"):
        read_sample(open_sample(str(tmp_path / f"in.{suffix}")), ["x"])


def test_an_element_that_cannot_be_moved_is_named_by_row_and_place(anywhere, tmp_path, monkeypatch):
    counts, columns, _ = events()
    parquet(tmp_path / "in.parquet", columns)
    row = int(np.flatnonzero(counts == 3)[20])
    index = int(counts[:row].sum()) + 2
    whole = FlowMorph.forward

    def broken(self, x, c_x, c_y):
        moved = whole(self, x, c_x, c_y).clone()
        if moved.shape[1] > index:
            moved[0, index] = np.nan
        return moved

    monkeypatch.setattr(FlowMorph, "forward", broken)
    message = f"in.parquet: column 'x': row {row}, element 2 moves to nan"
    with pytest.raises(InputError, match=message):
        move_files(anywhere, [str(tmp_path / "in.parquet")], tmp_path / "out.parquet")
    with pytest.raises(InputError, match=f"column 'x': row {row}, element 2 moves to nan"):
        anywhere.move(ak.Array(columns))
