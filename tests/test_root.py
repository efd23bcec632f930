"""ROOT files: every type and all else in a file goes through, or is named; read by uproot."""

from __future__ import annotations

import hashlib
from unittest import mock

import awkward as ak
import numpy as np
import pytest
import uproot
from uproot.writing import _cascadetree
from uproot.writing.identify import to_TH1x

from flowmorph.errors import InputError
from flowmorph.formats.root import columns as root_columns
from flowmorph.formats.root import write as root_write
from flowmorph.formats.tables import open_sample, open_writer

ROWS = 23
COUNTS = np.arange(ROWS) % 4
TYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


def numbers(kind, count=ROWS):
    """Numbers of a type, with its smallest and largest, NaN and infinity."""
    dtype = np.dtype(kind)
    values = np.random.default_rng(5).integers(0, 2 if kind == "?" else 100, count).astype(dtype)
    if dtype.kind in "iu":
        values[:2] = np.iinfo(dtype).min, np.iinfo(dtype).max
    elif dtype.kind == "f":
        values[:3] = np.nan, -np.inf, np.finfo(dtype).tiny
    return values


def jagged(content, counts=COUNTS):
    return ak.unflatten(content, counts)


TOTAL = int(COUNTS.sum())
TEXTS = ak.Array(["", "é", "x" * 300, "b c"] * 5 + ["", "", "z"])
LISTS = jagged(numbers("f8", TOTAL))
RECORDS = ak.zip({"pt": LISTS, "n": jagged(numbers("i4", TOTAL))})


def matrix():
    """Columns of each kind that both formats have."""
    columns = {}
    for kind in TYPES:
        name = np.dtype(kind).name
        columns[name] = numbers(kind)
        columns[f"{name} fixed"] = numbers(kind, ROWS * 3).reshape(ROWS, 3)
        columns[f"{name} image"] = numbers(kind, ROWS * 6).reshape(ROWS, 2, 3)
        columns[f"{name} jagged"] = jagged(numbers(kind, TOTAL))
        columns[f"{name} jagged fixed"] = jagged(numbers(kind, TOTAL * 2).reshape(TOTAL, 2))
    return columns | {"text": TEXTS}


def optional(values):
    """Values of which every third is None, in the form that uproot writes right (see below)."""
    masked = ak.mask(values, np.arange(len(values)) % 3 != 0)
    return ak.to_packed(ak.Array(masked.layout.to_IndexedOptionArray64()))


#: Columns that are kept, by format.
KEPT = {
    "root-ttree": matrix()
    | {
        # Brackets are a part of a name; what follows is the length.
        "pos[3]": numbers("f4", ROWS * 3).reshape(ROWS, 3),
        "w[0]": numbers("f8"),
        "j[n]": jagged(numbers("f4", TOTAL)),
        "a/b": numbers("i4"),
        "jets.pt": jagged(numbers("f4", TOTAL)),
        "two words": numbers("i4"),
    },
    "root-rntuple": matrix()
    | {
        "a.b": numbers("i4"),
        "a/b": numbers("i4"),
        "lists of lists": jagged(LISTS[: TOTAL % ROWS], [2] * (TOTAL % ROWS // 2) + [0] * 30)[
            :ROWS
        ],
        "texts": jagged(ak.Array(["a", "", "ccc"] * TOTAL)[:TOTAL]),
        "record": ak.zip({"x": numbers("f4"), "n": numbers("i8")}),
        "record of lists": ak.zip({"x": numbers("f4"), "v": LISTS}, depth_limit=1),
        "records": RECORDS,
        "tuple": ak.zip((numbers("f4"), numbers("i8"))),
        "optional number": optional(numbers("f4")),
        "optional flag": optional(numbers("?")),
        "optional text": optional(TEXTS),
        "optional list": optional(LISTS),
        "list of optional": jagged(optional(numbers("i4", TOTAL))),
        "variant": ak.Array([1, "one", 2] * 8)[:ROWS],
    },
}

#: Columns that are refused, by format; uproot makes no TTree that has them.
REFUSED = {
    "root-ttree": {
        "lists of lists": jagged(LISTS, [1] * ROWS),
        "texts": jagged(ak.Array(["a"] * TOTAL)),
        "record": ak.zip({"x": numbers("f4")}),
        "records": RECORDS,
        "optional": optional(numbers("f4")),
        "variant": ak.Array([1, "one", 2] * 8)[:ROWS],
        "bytes": ak.Array([b"a"] * ROWS),
        "complex": numbers("f8").astype(complex),
        "time": numbers("i8").astype("M8[s]"),
    },
    "root-rntuple": {
        "complex": numbers("f8").astype(complex),
        "time": numbers("i8").astype("M8[s]"),
        "variant of numbers": ak.Array(
            ak.contents.UnionArray(
                ak.index.Index8(np.arange(ROWS, dtype=np.int8) % 2),
                ak.index.Index64(np.arange(ROWS) // 2),
                [ak.contents.NumpyArray(np.arange(ROWS)), ak.contents.NumpyArray(np.ones(ROWS))],
            )
        ),
    },
}  # fmt: skip


def write(path, format, columns, rows=ROWS, counters=(), tree="events"):
    """Write a file by uproot, mended where it writes no valid file; jagged columns in its order."""
    with uproot.recreate(path) as file:
        if format == "root-rntuple":
            whole = ak.Array(ak.contents.RecordArray([ak.to_layout(v) for v in columns.values()],
                                                     list(columns)))  # fmt: skip
            target = file.mkrntuple(tree, whole.layout.form)
            if rows:
                target.extend(whole[:rows])
            return path
        counters = dict(counters)
        types = {name: root_write._kind(values) for name, values in columns.items()}
        made = root_write._tree_class({name: np.dtype("u4") for name in counters.values()}, 1.0)
        with mock.patch("uproot.writing._cascadetree.Tree", made):
            target = file.mktree(
                tree, types, "a title", counter_name=lambda name: counters.get(name, counter(name))
            )
        if rows:
            target.extend({name: values[:rows] for name, values in columns.items()})
    return path


def counter(name):
    return "n" + name.translate(str.maketrans("[]", "__"))


def move(files, output, names=None, size=7):
    """Copy a sample with two new columns, as moved samples have them; gives the notes."""
    with open_writer(output, files) as writer:
        for chunk in files.chunks(names, size):
            rows = len(next(iter(chunk.values())))
            new = {"x_moved": np.full(rows, 0.5), "flowmorph_moved": np.ones(rows, np.int8)}
            writer.write({**chunk, **new})
    return writer.notes


def values_of(path, name, tree="events"):
    """A column as uproot reads it, without anything of ours."""
    with uproot.open(path) as file:
        source = file[tree]
        if "." in name and isinstance(source, uproot.behaviors.RNTuple.RNTuple):
            return source.arrays(filter_name=lambda key: key == name)[name]
        if "variant" not in name or not source.num_entries:
            return next(one for key, one in source.items() if key == name).array(library="ak")
        # uproot reads variants right in one cluster only, and names with a dot not alone.
        starts = [cluster.num_first_entry for cluster in source.cluster_summaries]
        stops = [*starts[1:], source.num_entries]
        return ak.concatenate([
            source[name].array(entry_start=start, entry_stop=stop)
            for start, stop in zip(starts, stops, strict=True)
        ])  # fmt: skip


def same(first, second):
    assert str(first.type) == str(second.type)
    assert repr(ak.to_list(first)) == repr(ak.to_list(second))


@pytest.mark.parametrize("rows", [ROWS, 0])
@pytest.mark.parametrize("format", KEPT)
def test_every_type_is_kept(tmp_path, format, rows):
    path = write(tmp_path / "a.root", format, KEPT[format], rows)
    files = open_sample(str(path))
    assert files.format == format and files.rows == rows
    chunks = list(files.chunks(None, 7))
    assert [len(next(iter(chunk.values()))) for chunk in chunks] == [7, 7, 7, 2][: rows or 1] or [0]
    assert set(KEPT[format]) <= set(chunks[0]) and not files.facts[0].unreadable
    notes = move(files, tmp_path / "moved.root")
    assert notes == []
    again = open_sample(str(tmp_path / "moved.root"))
    assert {name: again.types[name] for name in files.columns} == files.types
    assert again.columns == [*files.columns, "x_moved", "flowmorph_moved"]
    for name in KEPT[format]:
        same(values_of(path, name), values_of(tmp_path / "moved.root", name))
    assert len(values_of(tmp_path / "moved.root", "x_moved")) == rows


@pytest.mark.parametrize("format", KEPT)
def test_what_was_written_to_try_this_is_what_was_meant(tmp_path, format):
    path = write(tmp_path / "a.root", format, KEPT[format])
    for name, values in KEPT[format].items():
        assert repr(ak.to_list(values_of(path, name))) == repr(ak.to_list(values)), name


@pytest.mark.parametrize(
    "format, name", [(format, name) for format in REFUSED for name in REFUSED[format]]
)
def test_what_cannot_be_written_is_refused_by_name(tmp_path, format, name):
    files = open_sample(str(write(tmp_path / "a.root", format, {"x": np.arange(3.0)})))
    chunk = {"x": np.arange(float(ROWS)), name: REFUSED[format][name]}
    line = rf"moved.root: uproot cannot write columns .*: '{name}' \(new\): leave them out"
    with (
        pytest.raises(InputError, match=line),
        open_writer(tmp_path / "moved.root", files) as writer,
    ):
        writer.write(chunk)
    assert [one.name for one in tmp_path.iterdir()] == ["a.root"]


def test_counters_keep_their_name_and_type_and_place(tmp_path):
    columns = {"run": numbers("i4"), "nMuon": COUNTS.astype("u4")}
    columns |= {"Muon_pt": LISTS, "Muon_q": jagged(numbers("i1", TOTAL)), "met": numbers("f4")}
    shared = {"Muon_pt": "nMuon", "Muon_q": "nMuon"}
    path = write(tmp_path / "a.root", "root-ttree", columns, counters=shared)
    files = open_sample(str(path))
    assert files.columns == list(columns) and files.types["nMuon"] == "uint32_t"
    move(files, tmp_path / "moved.root")
    move(files, tmp_path / "part.root", ["Muon_q", "met"])
    for name, expected in (("moved", list(columns)), ("part", ["nMuon", "Muon_q", "met"])):
        with uproot.open(tmp_path / f"{name}.root")["events"] as tree:
            assert tree.keys()[:-2] == expected and tree.title == "a title"
            assert tree["nMuon"].typename == "uint32_t"
            assert tree["nMuon"].array(library="np").tolist() == COUNTS.tolist()
            assert tree["Muon_q"].count_branch.name == "nMuon"
    with pytest.raises(InputError, match="'nMuon' counts the elements of 'Muon_pt' and cannot"):
        with open_writer(tmp_path / "bad.root", files) as writer:
            for chunk in files.chunks():
                writer.write(chunk | {"nMuon": chunk["nMuon"] + 1})
    # uproot gives too many bits of an object that others refer to.
    with pytest.raises(InputError, match="'Muon_q' has lists of other lengths than 'Muon_pt', and"):
        with open_writer(tmp_path / "bad.root", files) as writer:
            for chunk in files.chunks(["Muon_pt", "Muon_q"]):
                writer.write(chunk | {"Muon_q": jagged(numbers("i1", 2 * TOTAL), 2 * COUNTS)})


def test_empty_texts_as_root_writes_them(tmp_path):
    """ROOT writes nothing at all of an empty C string, where uproot writes its length."""
    written = _cascadetree.Tree.write_string_basket

    def as_root(self, sink, name, compression, array, offsets):
        empty = np.diff(offsets) == 1
        array = np.delete(array, offsets[:-1][empty])
        offsets[1:] -= np.cumsum(empty)
        return written(self, sink, name, compression, array, offsets)

    with mock.patch.object(_cascadetree.Tree, "write_string_basket", as_root):
        path = write(tmp_path / "a.root", "root-ttree", {"text": TEXTS, "x": np.arange(23.0)})
    assert ak.to_list(values_of(path, "text")) != ak.to_list(TEXTS)  # uproot needs no help any more
    move(open_sample(str(path)), tmp_path / "moved.root")
    assert ak.to_list(values_of(tmp_path / "moved.root", "text")) == ak.to_list(TEXTS)


def test_a_type_that_cannot_be_read_is_named_and_the_others_are_read(tmp_path):
    path = write(tmp_path / "a.root", "root-ttree", {"x": numbers("f8"), "map": numbers("i4")})
    array = uproot.TBranch.array

    def broken(self, *args, **options):
        if self.name == "map":
            raise NotImplementedError("memberwise serialization of\nAsMap")
        return array(self, *args, **options)

    with mock.patch.object(root_columns, "_PLAIN", ()):
        with mock.patch.object(uproot.TBranch, "array", broken):
            files = open_sample(str(path))
            with pytest.raises(InputError, match=r"'map' \(of type int32_t, which uproot does not"):
                next(files.chunks())
            assert len(next(files.chunks(["x"]))["x"]) == ROWS


def test_a_column_that_breaks_later_is_named(tmp_path):
    path = write(tmp_path / "a.root", "root-ttree", {"x": numbers("f8"), "y": LISTS})
    files = open_sample(str(path))

    def broken(*args, **options):
        raise ValueError("wrong number of bytes\nin file")

    with mock.patch.object(uproot.AsJagged, "basket_array", broken):
        line = r"a.root: column 'y' \(double\[\]: wrong number of bytes\) cannot be read in the 7 "
        with pytest.raises(InputError, match=line + "rows from 0: damaged, or stored in a way"):
            list(files.chunks(None, 7))


def early_ntuple(file, name):
    """Write what a file has of an RNTuple of the time before its format was final."""
    kind, anchor = "ROOT::Experimental::RNTuple", bytes(58)
    file._cascading.add_object(file.file.sink, kind, name, "", anchor, len(anchor))


def test_an_early_ntuple_is_called_so_and_stops_no_other_tree(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("events", {"x": "f8"}).extend({"x": np.arange(3.0)})
        early_ntuple(file, "Staff")
    with pytest.raises(InputError, match="RNTuple 'Staff' was written before that format was fin"):
        open_sample(str(tmp_path / "a.root"), "Staff")
    (note,) = move(open_sample(str(tmp_path / "a.root"), "events"), tmp_path / "moved.root")
    assert "'Staff' is not copied" in note and "written before that format was final" in note
    assert open_sample(str(tmp_path / "moved.root"), "events").rows == 3


def others(path, run, rows, shift=0.0, more=None):
    """A file with what else is in files: sums of weights as trees, histograms, texts, folders."""
    with uproot.recreate(path) as file:
        tree = file.mktree("in/events", {"x": "f8"}, "the events")
        tree.extend({"x": np.arange(rows) + shift})
        file.mktree("in/events", {"x": "f8"}).extend({"x": np.arange(rows) + shift + 0.5})
        runs = file.mktree("Runs", {"run": "u4", "genEventSumw": "f8", "LHE": "var * float32"})
        runs.extend({"run": np.array([run], "u4"), "genEventSumw": np.array([rows * 2.5]),
                     "LHE": ak.Array([[0.5, run]])})  # fmt: skip
        file.mkrntuple("nt", ak.Array({"run": [run]}))
        weights = np.array([0.0, rows, 2, 3 + shift, 0])
        for name, kind in (("sumw", "f8"), ("deep/down/counts", "i4"), ("few", "i1")):
            file[name] = to_TH1x(
                "", "sum of weights", weights.astype(kind),
                rows, weights[1:-1].sum(), 2.0, 3.0, 4.0, weights**2,
                uproot.writing.identify.to_TAxis("x", "", 3, 0.0, 3.0 + (shift if more else 0)),
            )  # fmt: skip
        file["version"] = "v1"
        file["run"] = str(run)
        file.mkdir("nothing here")
    return path


def test_all_else_in_a_file_is_copied(tmp_path):
    path = others(tmp_path / "a.root", 1, 9)
    files = open_sample(str(path), "in/events")
    assert move(files, tmp_path / "moved.root") == []
    move(files, tmp_path / "again.root")
    digests = [hashlib.sha256((tmp_path / f"{name}.root").read_bytes()).digest()
               for name in ("moved", "again")]  # fmt: skip
    assert digests[0] == digests[1]
    with uproot.open(path) as before, uproot.open(tmp_path / "moved.root") as after:
        assert set(after.keys()) == set(before.keys()) - {"in/events;2"}  # the older one is not
        assert after["in/events"]["x"].array(library="np").tolist() == [i + 0.5 for i in range(9)]
        assert after["Runs"].arrays().to_list() == before["Runs"].arrays().to_list()
        assert after["nt"].arrays().to_list() == [{"run": 1}]
        for name in ("sumw", "deep/down/counts", "few"):
            for one, other in zip(before[name].to_numpy(True), after[name].to_numpy(True),
                                  strict=True):  # fmt: skip
                np.testing.assert_array_equal(one, other)
            np.testing.assert_array_equal(before[name].variances(), after[name].variances())
            assert after[name].member("fEntries") == 9 and after[name].title == "sum of weights"
        assert str(after["version"]) == "v1" and str(after["run"]) == "1"


def test_a_trial_copies_nothing_else(tmp_path):
    files = open_sample(str(others(tmp_path / "a.root", 1, 9)), "in/events")
    with files.module.Writer(tmp_path / "t.root", tmp_path / "t.root", files, trial=True) as writer:
        writer.write(next(files.chunks()))
    assert list(uproot.open(tmp_path / "t.root").keys()) == ["in;1", "in/events;1"]


def test_files_are_merged_as_hadd_does(tmp_path):
    for number, (rows, shift) in enumerate([(9, 0.0), (5, 1.0), (4, 2.0)]):
        others(tmp_path / f"{number}.root", number, rows, shift)
    files = open_sample(str(tmp_path / "?.root"), "in/events")
    assert move(files, tmp_path / "moved.root") == [
        "'run' (TObjString) is not copied: it differs between the files"
    ]
    with uproot.open(tmp_path / "moved.root") as file:
        assert file["in/events"].num_entries == 18 and str(file["version"]) == "v1"
        runs = file["Runs"].arrays(["run", "genEventSumw"], library="np")
        assert runs["run"].tolist() == [0, 1, 2]
        assert runs["genEventSumw"].tolist() == [22.5, 12.5, 10]
        assert file["Runs"]["LHE"].array().to_list() == [[0.5, 0], [0.5, 1], [0.5, 2]]
        assert file["nt"].arrays().to_list() == [{"run": run} for run in range(3)]
        for name in ("sumw", "deep/down/counts"):
            assert file[name].values().tolist() == [18, 6, 12]
            assert file[name].variances().tolist() == [81 + 25 + 16, 12, 9 + 16 + 25]
            members = ("fEntries", "fTsumw", "fTsumw2", "fTsumwx2")
            assert [file[name].member(member) for member in members] == [18, 36, 6, 12]
        assert file["few"].values().tolist() == [18, 6, 12]


def test_what_cannot_be_merged_is_named(tmp_path):
    for number in (0, 1):
        others(tmp_path / f"{number}.root", number, 9, float(number), more=True)
    with uproot.update(tmp_path / "1.root") as file:
        file.mktree("meta", {"a": "f8"})
        file["version2"] = "only here"
    with uproot.update(tmp_path / "0.root") as file:
        file.mktree("meta", {"b": "f8"})
        file["thing"] = "a text"
    with uproot.update(tmp_path / "1.root") as file:
        file["thing"] = np.histogram([1.0])
    notes = move(open_sample(str(tmp_path / "?.root"), "in/events"), tmp_path / "moved.root")
    axes = "is not copied: its axes differ between the files"
    assert sorted(notes) == [
        f"'deep/down/counts' (TH1I) {axes}",
        f"'few' (TH1C) {axes}",
        "'meta' is not copied: its columns differ between the files",
        "'run' (TObjString) is not copied: it differs between the files",
        f"'sumw' (TH1D) {axes}",
        "'thing' is not copied: it is a TH1D in one file, a TObjString in others",
    ]
    assert str(uproot.open(tmp_path / "moved.root")["version2"]) == "only here"


def test_a_tree_beside_that_cannot_be_read_is_named(tmp_path):
    files = open_sample(str(others(tmp_path / "a.root", 1, 9)), "in/events")
    right = uproot.AsJagged.basket_array
    calls = []

    def broken(*args, **options):
        calls.append(args)
        if len(calls) > 1:
            raise ValueError("wrong number of bytes")
        return right(*args, **options)

    with mock.patch.object(uproot.AsJagged, "basket_array", broken):
        notes = move(files, tmp_path / "moved.root")
    (note,) = notes
    assert note.startswith("'Runs' is not copied: ") and "column 'LHE'" in note
    assert "Runs;1" not in uproot.open(tmp_path / "moved.root").keys()


def test_masked_values_are_written_as_they_are(tmp_path):
    """uproot writes others for the form of options that awkward's mask makes."""
    files = open_sample(str(write(tmp_path / "a.root", "root-rntuple", {"x": numbers("f8")})))
    masked = ak.mask(np.arange(23.0), np.arange(23) % 3 != 0)
    with files.module.Writer(tmp_path / "m.root", tmp_path / "m.root", files) as writer:
        writer.write({"x": numbers("f8"), "y": masked})
    assert ak.to_list(values_of(tmp_path / "m.root", "y")) == ak.to_list(masked)


def test_what_is_kept_in_another_type_is_said(tmp_path):
    columns = {"v": LISTS, "w": LISTS, "d": numbers("f8"), "text": TEXTS}
    path = write(tmp_path / "a.root", "root-ttree", columns)
    files = open_sample(str(path))
    types = files.facts[0].columns
    types |= {"v": "std::vector<double>", "w": "std::vector<double>", "d": "Double32_t"}
    files.facts[0].layout.parents.update({"d": ("hit", "Hit"), "text": ("hit", "Hit")})
    assert move(files, tmp_path / "m.root") == [
        "columns 'v', 'w' (std::vector<double>) are written as double[nv], double[nw]",
        "column 'd' (Double32_t) is written as double",
        "the members of 'hit' (Hit) are written as columns of their own",
    ]


@pytest.mark.parametrize("format", KEPT)
def test_a_file_of_many_clusters_is_read_in_other_chunks(tmp_path, format):
    names = ["int32", "float64 jagged", "text"]
    names += ["variant", "optional list", "records"] if format == "root-rntuple" else []
    first = open_sample(str(write(tmp_path / "a.root", format, KEPT[format])))
    move(first, tmp_path / "b.root", names, 4)
    files = open_sample(str(tmp_path / "b.root"))
    for size in (3, 10, 100):
        chunks = list(files.chunks(names, size))
        for name in names:
            rows = [row for chunk in chunks for row in ak.to_list(chunk[name])]
            assert repr(rows) == repr(ak.to_list(KEPT[format][name])), (name, size)
