"""Categorical conditions through transports, tables and files."""

from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from safetensors import safe_open
from safetensors.torch import save_file
from test_formats import KINDS, SUFFIXES, tree_of
from test_formats import write as write_kind
from transports import NOWHERE, make, table

import flowmorph
from flowmorph.errors import InputError
from flowmorph.formats.tables import open_sample
from flowmorph.preprocess.categories import Categories
from flowmorph.user import bundle
from flowmorph.user.moved_files import move_files

ROWS = 60
LABELS = (2018, "2016 post", "2016 pre")
ERAS = np.array(["2016 pre", "2016 post"])[np.arange(ROWS) % 2]


@pytest.fixture(scope="module")
def transport(tmp_path_factory):
    """A transport of x and k that depends on a number m and on an era, which goes by its name."""
    known = {"era": Categories.of(LABELS)}
    folder = tmp_path_factory.mktemp("transport")
    made = make(folder, ("x", "k"), ("era", "m"), folds=2, event=("id",), categories=known)
    return flowmorph.load(str(made), device="cpu")


def start(eras=ERAS) -> dict:
    columns = table(len(eras))
    return columns | {"x": columns["x"].astype(np.float64), "era": eras}


# --- transports


def test_the_category_decides_how_a_row_moves(transport):
    known = transport.preprocessing.categories["era"]
    moved = transport.move(start())["x"]
    for era in np.unique(ERAS):
        rows = era == ERAS
        alike = transport.move(start(np.full(ROWS, era)))["x"]
        np.testing.assert_allclose(moved[rows], alike[rows], rtol=1e-5)
        assert np.isclose(moved[~rows], alike[~rows], rtol=1e-3).mean() < 0.1
    for morph in transport.morphs:
        assert morph.flows[0].arch.context == 1 + len(known.labels)


def kinds(eras: np.ndarray) -> dict:
    """A table of every kind with these texts."""
    columns = start(eras)
    frame = pd.DataFrame(columns)
    records = np.rec.fromarrays(list(columns.values()), names=list(columns))
    return {
        "dict": columns,
        "dict of lists": {name: list(values) for name, values in columns.items()},
        "structured": records,
        "structured bytes": records.astype(
            [(n, "S12" if n == "era" else records.dtype[n]) for n in records.dtype.names]
        ),
        "masked": columns | {"era": np.ma.array(eras, mask=np.zeros(len(eras), bool))},
        "frame": frame,
        "frame of objects": frame.astype({"era": object}),
        "frame of categories": frame.astype({"era": "category"}),
        "frame of arrow": frame.astype({"era": pd.ArrowDtype(pa.string())}),
        "frame of python strings": frame.astype({"era": pd.StringDtype("python")}),
        "arrow": pa.table(columns),
        "arrow chunks": pa.concat_tables([pa.table(columns)[:20], pa.table(columns)[20:]]),
        "arrow dictionary": pa.table(
            columns | {"era": pa.array(eras).dictionary_encode()}
        ),
        "awkward": ak.zip(columns | {"era": ak.Array(eras.tolist())}),
        "objects": columns | {"era": eras.astype(object)},
    }  # fmt: skip


KINDS_OF_TABLES = list(kinds(ERAS))


@pytest.mark.parametrize("kind", KINDS_OF_TABLES)
def test_every_kind_of_table(transport, kind):
    expected = transport.move(start())["x"]
    given = kinds(ERAS)[kind]
    moved = transport.move(given)
    assert type(moved) is type(given)
    np.testing.assert_array_equal(np.asarray(moved["x"]), expected)
    before, after = (np.asarray(each["era"]).tolist() for each in (given, moved))
    assert after == before
    log_p, support = transport.log_prob(given), transport.support(given)
    np.testing.assert_array_equal(log_p, transport.log_prob(start()))
    np.testing.assert_array_equal(support, transport.support(start()))


@pytest.mark.parametrize("kind", KINDS_OF_TABLES)
def test_an_unknown_category_is_named_in_every_kind_of_table(transport, kind):
    eras = ERAS.astype("<U12")
    eras[[7, 9]] = "2015"
    message = "^column 'era': row 7 has the category 2015, which the training has not seen .but "
    message += "2018, '2016 post', '2016 pre'; 2 such rows.: leave these rows out"
    with pytest.raises(InputError, match=message):
        transport.move(kinds(eras)[kind])


@pytest.mark.parametrize("kind", ["Int64", "int64[pyarrow]", "f4", "object", "category", str])
def test_a_number_is_the_same_whatever_its_type(transport, kind):
    frame = pd.DataFrame(start(np.full(ROWS, 2018)))
    moved = transport.move(frame.astype({"era": kind}))
    np.testing.assert_array_equal(moved["x"], transport.move(frame)["x"])


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, ""], ids=repr)
def test_a_missing_category_is_a_missing_value(transport, missing):
    eras = ERAS.astype(object)
    eras[5] = missing
    message = "column 'era': the value of row 5 is missing"
    for given in (start(eras), pd.DataFrame(start(eras))):
        with pytest.raises(InputError, match=message):
            transport.move(given)
    assert np.flatnonzero(~transport.usable(start(eras))).tolist() == [5]
    eras[7] = "other"
    assert np.flatnonzero(~transport.usable(start(eras))).tolist() == [5, 7]


def test_lists_of_categories_and_one_of_the_event(transport):
    counts = np.array([2, 0, 1, 3] * 10)
    flat = start()
    expected = transport.move(flat)
    jets = {name: ak.unflatten(flat[name], counts) for name in ("x", "k", "m", "id")}
    own = jets | {"era": ak.unflatten(ak.Array(ERAS.tolist()), counts)}
    moved = transport.move(own)
    assert moved["x"].to_list() == ak.unflatten(expected["x"], counts).to_list()
    of_event = np.array(["2016 pre", "2016 post"])[np.arange(40) % 2]
    moved = transport.move(jets | {"era": of_event})
    flat["era"] = np.repeat(of_event, counts)
    assert ak.flatten(moved["x"]).to_list() == transport.move(flat)["x"].tolist()
    eras = ERAS.astype("<U12")
    eras[4] = "2015"  # the third row but one without a jet has three
    own["era"] = ak.unflatten(ak.Array(eras.tolist()), counts)
    with pytest.raises(InputError, match="column 'era': row 3, element 1 has the category 2015"):
        transport.move(own)


def test_a_file_that_was_edited_is_refused(transport, tmp_path):
    made = make(tmp_path, ("x",), ("era",), categories={"era": Categories(("a", "b"))})
    path = made / "transport.safetensors"
    with safe_open(path, "pt") as file:
        note = json.loads(file.metadata()[bundle.KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    fit = json.loads(note["preprocessing"])
    note.pop("checksum")
    for labels in (["a", "b", "c"], ["b", "a"]):
        fit["categories"][0]["labels"] = labels
        note["preprocessing"] = json.dumps(fit)
        text = json.dumps({**note, "checksum": bundle.checksum(note, tensors)})
        save_file(tensors, path, metadata={bundle.KEY: text})
        with pytest.raises(
            InputError, match="transport.safetensors: no .*(3 conditions|order|is of)"
        ):
            bundle.read(path)


# --- files


def write_texts(path: Path, kind: str, columns: dict) -> Path:
    if kind in ("datasets", "records"):
        columns = columns | {"era": np.char.encode(columns["era"].astype(str), "utf-8")}
        with h5py.File(path, "w") as file:
            if kind == "records":
                file["events"] = np.rec.fromarrays(list(columns.values()), names=list(columns))
            else:
                for name, values in columns.items():
                    file[f"events/{name}"] = values
        return path
    if kind == "ttree":
        import uproot

        types = {name: values.dtype for name, values in columns.items()} | {"era": "string"}
        with uproot.recreate(path) as file:
            file.mktree("events", types)
            file["events"].extend(columns | {"era": ak.Array(columns["era"].tolist())})
        return path
    if kind == "rntuple":
        columns = columns | {"era": ak.Array(columns["era"].tolist())}
    return write_kind(path, kind, columns)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "pandas-fixed"])
def test_every_format(transport, tmp_path, kind):
    """Files move as tables do, in chunks or not, and keep the column; unknown ones are named."""
    suffix = SUFFIXES.get(kind, "h5")
    eras = ERAS.astype("<U12")
    source = write_texts(tmp_path / f"in.{suffix}", kind, start(eras))
    output = tmp_path / f"out.{suffix}"
    counts = move_files(transport, [str(source)], output, tree=tree_of(kind))
    assert counts.moved == ROWS
    files = open_sample(str(output), tree_of(kind))
    (moved,) = files.chunks(["x_moved", "era"])
    found = files.numbers(moved, "x_moved")
    np.testing.assert_allclose(found, transport.move(start())["x"], rtol=1e-6)
    assert [each.decode() if isinstance(each, bytes) else str(each)
            for each in moved["era"].tolist()] == ERAS.tolist()  # fmt: skip
    eras[12] = "other"
    source = write_texts(tmp_path / f"bad.{suffix}", kind, start(eras))
    message = f"bad.{suffix}: column 'era': row 12 has the category 'other', which the training"
    with pytest.raises(InputError, match=message):
        move_files(transport, [str(source)], tmp_path / f"none.{suffix}", tree=tree_of(kind))
    assert not (tmp_path / f"none.{suffix}").exists()


def test_the_row_of_an_unknown_category_is_that_of_its_file(transport, tmp_path):
    rows = 20_000
    eras = np.full(rows, "2016 pre", "<U12")
    eras[[8200, 17_000]] = "other"
    pa.parquet.write_table(pa.table(start(eras)), tmp_path / "in.parquet")
    with pytest.raises(InputError, match="in.parquet: column 'era': row 8200 has the category"):
        move_files(transport, [str(tmp_path / "in.parquet")], tmp_path / "out.parquet",
                   chunk_rows=8192)  # fmt: skip


def test_missing_categories_are_marked_and_others_elsewhere_are_let_be(tmp_path):
    regions = NOWHERE | {"column": "m", "apply": [[0, 1]]}
    known = {"era": Categories(("a", "b"))}
    made = make(tmp_path, ("x",), ("era",), regions=regions, categories=known)
    transport = flowmorph.load(str(made), device="cpu")
    columns = {"x": np.full(4, 5.0), "m": [0.5, 0.5, 1.5, 0.5], "era": ["a", None, "new", "b"]}
    pa.parquet.write_table(pa.table(columns), tmp_path / "in.parquet")
    move_files(transport, [str(tmp_path / "in.parquet")], tmp_path / "out.parquet")
    moved = pa.parquet.read_table(tmp_path / "out.parquet").to_pydict()
    assert moved["flowmorph_moved"] == [1, -1, 0, 1] and moved["era"] == columns["era"]
    assert (np.array(moved["x_moved"]) != 5.0).tolist() == [True, False, False, True]
    with pytest.raises(InputError, match="row 2 has the category 'new'"):
        move_files(transport, [str(tmp_path / "in.parquet")], tmp_path / "out.parquet",
                   everywhere=True)  # fmt: skip
