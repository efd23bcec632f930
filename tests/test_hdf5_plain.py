"""HDF5 datasets and records without pandas: what goes through unchanged, and what not."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import tables
from bad_files import Runs
from hdf5_files import BOOLEANS, HALF, ROWS, outside, through, write_plain

from flowmorph.errors import InputError
from flowmorph.formats.tables import open_sample

PLAIN: dict[str, tuple[object, object]] = {
    **{
        kind: (kind, np.arange(ROWS).astype(kind))
        for kind in (
            "i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8", "u1", "<u2", "<u4", "<u8", ">u8",
            "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "g",
        )
    },
    "complex64": ("c8", (np.arange(ROWS) * 1j).astype("c8")),
    "complex128": ("c16", np.arange(ROWS) * (1 - 2j)),
    "bool": ("?", BOOLEANS),
    "NaN": ("f4", np.where(BOOLEANS, np.nan, -0.0)),
    "bytes": ("S4", np.array([b"abcd", b"", b"a ", b"b"] * 5)),
    "text of one length": (
        h5py.string_dtype("utf-8", 6), np.array(["Zürich".encode()[:6], b"ab"] * HALF)
    ),
    "text": (h5py.string_dtype(), ["Zürich", "", "a" * 300, "nan"] * 5),
    "ASCII text": (h5py.string_dtype("ascii"), [b"a", b"", b"abc", b"nan"] * 5),
    "enumeration": (h5py.enum_dtype({"MU": 1, "E": 2}, "<i2"), np.array([1, 2] * HALF)),
    "opaque": ("V5", np.array([b"ab\0cd", b"\0\0\0\0x"] * HALF).astype("V5")),
    "time of numpy": (
        h5py.opaque_dtype(np.dtype("M8[ns]")),
        np.arange(ROWS).astype("M8[ns]").astype(h5py.opaque_dtype(np.dtype("M8[ns]"))),
    ),
    "record": ("i4,?,>f4,S3", np.array([(1, True, 0.5, b"abc"), (2, False, 1.5, b"")] * HALF,
                                      dtype="i4,?,>f4,S3")),
    "record with text": (
        [("s", h5py.string_dtype()), ("x", "f4", (2,))],
        np.array([("ü", (1, 2)), ("", (3, 4))] * HALF,
                 dtype=[("s", h5py.string_dtype()), ("x", "f4", (2,))]),
    ),
    "two numbers": (("<f4", (2,)), np.arange(2.0 * ROWS).reshape(ROWS, 2)),
    "two booleans": (("?", (2,)), np.stack([BOOLEANS, ~BOOLEANS], axis=1)),
    "image": ((">i2", (3, 2)), np.arange(6 * ROWS).reshape(ROWS, 3, 2)),
    "two texts": ((h5py.string_dtype(), (2,)), np.array([["a", "bü"], ["", "c"]] * HALF, object)),
}  # fmt: skip
LISTS = np.empty(ROWS, object)
LISTS[:] = [np.arange(i % 4, dtype="f4") for i in range(ROWS)]
PLAIN["lists"] = (h5py.vlen_dtype("f4"), LISTS)
KEPT: dict[str, dict[str, tuple[object, object]]] = {
    "datasets": {name: case for name, case in PLAIN.items() if "record" not in name},
    "records": PLAIN,
}
#: What a group of datasets may hold that is refused, when first the columns are asked for.
REFUSED = {
    "soft link": "a link to '/else', which is not followed",
    "external link": "a link to 'x' in '/etc/other.h5', which is not followed",
    "virtual": "a virtual dataset, whose values are in other files",
    "external storage": "a dataset whose values are in another file",
    "references": "HDF5 references to other objects",
    "regions": "HDF5 references to other objects",
    "lists of texts": "HDF5 lists of lists, texts or records",
    "record with references": "a record with HDF5 references to other objects",
    "Python objects": "pickled Python objects, which are never loaded",
}


def types(node):
    """HDF5 types of a dataset, by field."""
    kind = node.id.get_type()
    if node.dtype.fields is None or "x" not in node.dtype.fields or node.name != "/events":
        return {None: kind}
    return {kind.get_member_name(i): kind.get_member_type(i) for i in range(kind.get_nmembers())}


def listed(values):
    return values.tolist() if not values.dtype.hasobject else repr(values.tolist())


@pytest.mark.parametrize(
    ("flavour", "name"),
    [(flavour, name) for flavour in ("datasets", "records") for name in KEPT[flavour]],
)
def test_plain_column(tmp_path, flavour, name):
    path = write_plain(tmp_path / "a.h5", flavour, *KEPT[flavour][name])
    output, notes = through(path, "events")
    with h5py.File(path) as old, h5py.File(output) as new:
        assert new["events"].attrs["lumi"] == 3.5 and not notes
        if flavour == "datasets":
            before, after = old["events/column"], new["events/column"]
            assert after.attrs["unit"] == "GeV"
            assert types(before)[None].equal(types(after)[None])
            pairs = [(before[...], after[...]), (old["events/x"][...], new["events/x"][...])]
            moved, status = new["events/x_moved"][...], new["events/flowmorph_moved"][...]
        else:
            before, after = old["events"], new["events"]
            found = types(after)
            assert all(kind.equal(found[field]) for field, kind in types(before).items())
            pairs = [(before[...][field], after[...][field]) for field in before.dtype.names]
            assert after.dtype.names == (*before.dtype.names, "x_moved", "flowmorph_moved")
            moved, status = after[...]["x_moved"], after[...]["flowmorph_moved"]
        for one, other in pairs:
            assert one.dtype == other.dtype and one.shape == other.shape
            assert one.tobytes() == other.tobytes() or listed(one) == listed(other)
        assert moved.dtype == np.float64 and moved.tolist() == (np.arange(ROWS) / 2).tolist()
        assert status.dtype == np.int8


def test_a_boolean_is_a_mask_when_it_is_read(tmp_path):
    for flavour in ("datasets", "records"):
        path = write_plain(tmp_path / "a.h5", flavour, "?", BOOLEANS)
        (chunk,) = open_sample(str(path), "events").chunks()
        assert chunk["column"].dtype == bool
        with tables.open_file(path, "w") as file:
            records = np.rec.fromarrays([BOOLEANS, np.arange(ROWS) / 3], names=["column", "x"])
            if flavour == "records":
                file.create_table("/", "events", obj=records)
            else:
                file.create_array("/events", "column", obj=BOOLEANS, createparents=True)
                file.create_array("/events", "x", obj=records["x"])
        (chunk,) = open_sample(str(path), "events").chunks()
        assert chunk["column"].dtype == bool and (chunk["column"] == BOOLEANS).all()
        output, _ = through(path, "events")
        with tables.open_file(path) as old, tables.open_file(output) as new:
            if flavour == "records":
                assert new.root.events.nrows == ROWS
                found = {name: new.root.events.col(name) for name in new.root.events.colnames}
                assert new.root.events.colnames[:2] == old.root.events.colnames
            else:
                found = {node.name: node.read() for node in new.root.events}
            assert found["column"].dtype == bool and (found["column"] == BOOLEANS).all()
            assert found["x_moved"].tolist() == (np.arange(ROWS) / 2).tolist()


@pytest.mark.parametrize("name", REFUSED)
def test_plain_column_that_is_refused(tmp_path, name):
    path, message = tmp_path / "a.h5", REFUSED[name]
    with h5py.File(path, "w") as file:
        file["events/x"] = np.arange(ROWS) / 3
        group = file["events"]
        if name == "soft link":
            group["column"] = h5py.SoftLink("/else")
        elif name == "external link":
            group["column"] = h5py.ExternalLink("/etc/other.h5", "x")
        elif name == "virtual":
            outside(group, "column", "other.h5")
        elif name == "external storage":
            place = [("/etc/other.bin", 0, 8 * ROWS)]
            group.create_dataset("column", (ROWS,), "f8", external=place)
        elif name == "references":
            group["column"] = np.array([file.ref] * ROWS, h5py.ref_dtype)
        elif name == "regions":
            group.create_dataset("column", (ROWS,), h5py.regionref_dtype)
        elif name == "lists of texts":
            group.create_dataset("column", (ROWS,), h5py.vlen_dtype(h5py.string_dtype()))
        elif name == "record with references":
            group.create_dataset("column", (ROWS,), [("r", h5py.ref_dtype)])[...]
            del group["column"]
            group.create_dataset("column", (ROWS, 1), [("r", h5py.ref_dtype)])
    if name == "Python objects":
        with tables.open_file(path, "a") as file:
            array = file.create_vlarray("/events", "column", tables.ObjectAtom())
            for _ in range(ROWS):
                array.append(Runs())
    sample = open_sample(str(path), "events")
    assert sorted(sample.columns) == ["column", "x"]
    with pytest.raises(InputError) as error:
        sample.require(["x", "column"])
    assert f"a.h5: column 'column' ({message}" in str(error.value)
    output, _ = through(path, "events", drop=["column"])
    with h5py.File(output) as file:
        assert sorted(file["events"]) == ["flowmorph_moved", "x", "x_moved"]


def test_fields_that_cannot_be_read_leave_the_others(tmp_path):
    path = tmp_path / "a.h5"

    class Event(tables.IsDescription):
        x, t, b = tables.Float64Col(), tables.Time64Col(), tables.BoolCol(shape=(2,))

    with tables.open_file(path, "w") as file:
        table = file.create_table("/", "events", Event)
        table.append([(bool(i % 2), not i % 2) and ((i % 2, 0), i, i / 3) for i in range(ROWS)])
    with pytest.raises(InputError, match="column 't' .an HDF5 time .PyTables' Time32 or Time64"):
        through(path)
    output, _ = through(path, drop=["t"])
    with tables.open_file(path) as old, tables.open_file(output) as new:
        for name in ("x", "b"):
            assert old.root.events.col(name).tolist() == new.root.events.col(name).tolist()
        assert "t" not in new.root.events.colnames


def test_filters_are_kept_if_they_are_exact(tmp_path):
    path, values = tmp_path / "a.h5", np.arange(1000.0) / 3
    with h5py.File(path, "w") as file:
        options = dict(chunks=(100,), shuffle=True, fletcher32=True)
        file.create_dataset("gzip", data=values, compression="gzip", compression_opts=7, **options)
        file.create_dataset("lzf", data=values, compression="lzf", chunks=(50,))
        file.create_dataset("lossy", data=values, scaleoffset=3, chunks=(100,))
    with tables.open_file(path, "a") as file:
        for name in ("blosc", "bzip2"):
            filters = tables.Filters(5, name)
            file.create_carray("/", name, obj=values, filters=filters)
    output, notes = through(path, size=77)
    assert [note.split()[0] for note in sorted(notes)] == ["/blosc", "/bzip2", "/lossy"]
    with h5py.File(path) as old, h5py.File(output) as new, tables.open_file(path) as third:
        gzip = new["gzip"]
        assert (gzip.compression, gzip.compression_opts, gzip.chunks) == ("gzip", 7, (100,))
        assert gzip.shuffle and gzip.fletcher32 and new["lzf"].compression == "lzf"
        for name in old:
            before = third.get_node(f"/{name}") if name in ("blosc", "bzip2") else old[name]
            assert new[name][...].tobytes() == before[...].tobytes()


def test_names_of_datasets(tmp_path):
    path = tmp_path / "a.h5"
    names = ["1", "a.b", "a b", "Größe", "x" * 500, "x[0]", "index", "y[1]", "-", "deep/er/z"]
    with h5py.File(path, "w") as file:
        for number, name in enumerate(names):
            file[name] = np.arange(ROWS) + number
        file["x"] = np.arange(2.0 * ROWS).reshape(ROWS, 2)
        file["z"] = np.arange(3.0 * ROWS).reshape(ROWS, 3)
        file["none"] = np.empty((ROWS, 0))
    sample = open_sample(str(path))
    assert "x" in sample.columns and "z[2]" in sample.columns
    assert next(sample.chunks())["x"].shape == (ROWS, 2)
    output, _ = through(path)
    with h5py.File(path) as old, h5py.File(output) as new:
        for name in [*names, "x", "z", "none"]:
            assert (new[name][...] == old[name][...]).all() and new[name].dtype == old[name].dtype
    output, _ = through(path, drop=["z[1]"])
    with h5py.File(path) as old, h5py.File(output) as new:
        assert "z" not in new and new["z[2]"][...].tolist() == old["z"][:, 2].tolist()


@pytest.mark.parametrize("flavour", ["datasets", "records"])
def test_plain_files_without_rows(tmp_path, flavour):
    path = tmp_path / "a.h5"
    dtype = np.dtype([("x", "f4"), ("b", "?"), ("s", h5py.string_dtype()), ("m", ">i2", (2,))])
    with h5py.File(path, "w") as file:
        if flavour == "records":
            file.create_dataset("events", (0,), dtype)
        else:
            for name in dtype.names:
                kind = dtype[name]
                file.create_dataset(f"events/{name}", (0, *kind.shape), kind.base)
    (chunk,) = open_sample(str(path), "events").chunks()
    assert {name: (str(v.dtype), v.shape) for name, v in chunk.items()} == {
        "x": ("float32", (0,)), "b": ("bool", (0,)), "s": ("object", (0,)),
        "m[0]": ("int16", (0,)), "m[1]": ("int16", (0,)),
    }  # fmt: skip
    output, _ = through(path, "events")
    with h5py.File(output) as file:
        for name in dtype.names:
            node = file["events"] if flavour == "records" else file["events"][name]
            assert len(node) == 0
            kind = node.dtype[name] if flavour == "records" else node.dtype
            assert kind.base == dtype[name].base


def test_files_whose_enumerations_differ(tmp_path):
    for number, names in enumerate(({"A": 0, "B": 1}, {"B": 0, "A": 1})):
        with h5py.File(tmp_path / f"a{number}.h5", "w") as file:
            file.create_dataset("kind", (ROWS,), h5py.enum_dtype(names))
            file["s"] = ["a"] * ROWS
    with pytest.raises(InputError, match="column 'kind' is .*'B': 0.*, but .*'A': 0"):
        open_sample(str(tmp_path / "a?.h5"))
    assert open_sample(str(tmp_path / "a0.h5")).types["s"] == "text"


def test_arrays_and_tables_of_pytables(tmp_path):
    """With attributes of its own, which name the kind of array, and filters that h5py lacks."""
    path = tmp_path / "a.h5"
    with tables.open_file(path, "w", title="of the user's") as file:
        for name in ("array", "carray", "earray"):
            getattr(file, f"create_{name}")("/arrays", name, obj=BOOLEANS, createparents=True)
        records = np.zeros(ROWS, [("b", "?"), ("m", "i4", (2,)), ("s", "S2")])
        records["b"], records["m"], records["s"] = BOOLEANS, [[1, 2]] * ROWS, b"ab"
        filters = tables.Filters(5, "blosc:zstd")
        file.create_table("/", "table", obj=records, filters=filters).attrs.unit = ["GeV", 1]
    for tree, dropped in (("arrays", "array"), ("table", "s"), ("arrays/carray", "")):
        output, notes = through(path, tree)
        with tables.open_file(path) as old, tables.open_file(output) as new:
            assert new.title == old.title
            assert new.root.table.attrs.unit == ["GeV", 1]
            for name in ("array", "carray", "earray"):
                before, after = old.get_node("/arrays", name), new.get_node("/arrays", name)
                assert before.read().tolist() == after.read().tolist() and after.dtype == bool
            for name in ("b", "m", "s"):
                before, after = old.root.table.col(name), new.root.table.col(name)
                assert before.tolist() == after.tolist() and before.dtype == after.dtype
            assert new.root.table.nrows == ROWS
        assert len(notes) == (tree == "table")
        output, _ = through(path, tree, drop=[dropped], name="less.h5")
        with tables.open_file(output) as new:
            if tree == "table":
                assert new.root.table.colnames == ["b", "m", "x_moved", "flowmorph_moved"]
            elif dropped:
                assert dropped not in new.root.arrays
