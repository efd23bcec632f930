"""Titles of branches and fields, which say what columns are about, go through; read by uproot."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import awkward as ak
import numpy as np
import pytest
import uproot
from test_root import KEPT
from transports import table

from flowmorph.formats.root import write as root_write
from flowmorph.formats.tables import open_sample, open_writer
from flowmorph.user.moved_files import move_files
from flowmorph.user.output import Output

KINDS = ["root-ttree", "root-rntuple"]


def write(path: Path, kind: str, columns: dict, titles: dict, counter=None, name="t") -> Path:
    """A file whose columns have titles, and a tree beside it that has them, too."""

    made = root_write._tree_class({}, 1.0, titles)
    arrays = {
        key: ak.to_packed(values) if isinstance(values, ak.Array) else values
        for key, values in columns.items()
    }
    with uproot.recreate(path) as file:
        for tree in (name, "beside"):
            if kind == "root-ttree":
                types = {
                    key: np.dtype((v.dtype, v.shape[1:]))
                    if isinstance(v, np.ndarray)
                    else v.type.content
                    for key, v in arrays.items()
                }
                named = {} if counter is None else {"counter_name": lambda _: counter}
                with mock.patch("uproot.writing._cascadetree.Tree", made):
                    file.mktree(tree, types, **named).extend(arrays)
            else:
                regular = {
                    key: ak.from_numpy(values, regulararray=True)
                    if isinstance(values, np.ndarray)
                    else values
                    for key, values in arrays.items()
                }
                contents = [
                    ak.with_parameter(values, "__doc__", titles.get(key, ""), highlevel=False)
                    for key, values in regular.items()
                ]
                rows = ak.Array(ak.contents.RecordArray(contents, list(arrays)))
                file.mkrntuple(tree, rows.layout.form).extend(rows)
    return path


def titles_of(path: Path, tree: str) -> dict[str, str]:
    """As uproot reads them."""
    with uproot.open(path) as file:
        source = file[tree]
        if hasattr(source, "fields"):
            return {field.name: field.description for field in source.fields}
        return {branch.name: branch.title for branch in source.branches}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_column_keeps_its_title(tmp_path, kind):
    columns = KEPT[kind]
    titles = {name: f"what {name} is, in é" for name in columns} | {"int32": "long " * 100}
    files = open_sample(write(tmp_path / "a.root", kind, columns, titles), "t")
    with open_writer(tmp_path / "b.root", files, titles={"new": "a new column"}) as writer:
        for chunk in files.chunks(size=9):
            rows = len(next(iter(chunk.values())))
            writer.write({**chunk, "new": np.arange(rows)})
    assert writer.notes == []
    for tree, new in (("t", {"new": "a new column"}), ("beside", {})):
        found = titles_of(tmp_path / "b.root", tree)
        assert {name: found[name] for name in titles | new} == titles | new


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", ["append", "replace"])
def test_a_moved_file_says_what_its_columns_are_about(anywhere, tmp_path, kind, columns):
    flat, counts = table(400), np.arange(200) % 4
    events = {name: ak.unflatten(flat[name][: counts.sum()], counts) for name in ("x", "k")}
    events |= {"m": flat["m"][:200], "id": np.arange(200)}
    titles = {"x": "momentum of the jet (GeV)", "m": "mass: of all/F jets", "nJet": "jets"}
    path = write(tmp_path / "a.root", kind, events, titles, counter="nJet")
    move_files(anywhere, [str(path)], tmp_path / "b.root", tree="t", output=Output(columns))
    found = titles_of(tmp_path / "b.root", "t")
    if kind == "root-rntuple":
        del titles["nJet"]
    assert {name: found[name] for name in titles} == titles
    assert found["flowmorph_moved"].startswith("1: moved, 0: outside")
    if columns == "append":
        assert found["x_moved"] == "x, moved" and found["k_moved"] == "k, moved"
    # What only lists a leaf is made of the new one.
    assert found["id"] == ("id/L" if kind == "root-ttree" else "")


def test_a_title_that_is_not_kept_is_named(tmp_path, monkeypatch):
    columns = {name: np.arange(5) for name in "ab"}
    files = open_sample(write(tmp_path / "a.root", "root-ttree", columns, {"a": "of a"}), "t")
    real = root_write._tree_class
    monkeypatch.setattr(root_write, "_tree_class", lambda *given: real(*given[:2]))
    with open_writer(tmp_path / "b.root", files) as writer:
        for chunk in files.chunks():
            writer.write(chunk)
    assert writer.notes == [
        "'beside': the titles of 'a' are not kept", "the titles of 'a' are not kept",
    ]  # fmt: skip
