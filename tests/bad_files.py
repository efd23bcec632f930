"""Bad files of a user's sample, of every kind: how to make each, and what is said of it."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import tables as hdf5
import uproot
from test_formats import numbers, write

SUFFIX = {"ttree": ".root", "rntuple": ".root", "parquet": ".parquet", "csv": ".csv", "npz": ".npz"}
RAN = "a pickle was executed"

Case = Callable[[Path], dict]
CASES: dict[str, tuple[str, Case]] = {}


def case(name: str, message: str):
    """Register a kind of bad input with what its error says after the file's name."""

    def register(build: Case) -> Case:
        CASES[name] = (message, build)
        return build

    return register


def good(folder: Path, kind: str = "parquet", name: str = "good", **changed) -> Path:
    """A file with columns pt, eta, n, good (50 rows), some of them changed; None leaves one out."""
    columns = {key: v for key, v in (numbers() | changed).items() if v is not None}
    return write(folder / f"{name}{SUFFIX.get(kind, '.h5')}", kind, columns)


def with_value(row: int, value: float, name: str = "pt") -> dict:
    values = numbers()[name].astype(float)
    values[row] = value
    return {name: values}


def register_generated() -> None:
    """The kinds of bad input that every format has."""
    for kind in ("ttree", "rntuple", "pandas-table", "pandas-fixed", "parquet", "csv", "npz"):

        def truncated(folder: Path, kind=kind) -> dict:
            path = good(folder, kind)
            whole = path.read_bytes()
            # Half a line is the end of a CSV file.
            end = whole.rindex(b",") if kind == "csv" else len(whole) // 2
            path.write_bytes(whole[:end])
            return {"files": path}

        case(f"truncated {kind}", "no readable .*truncated or damaged")(truncated)
    for suffix in (".root", ".h5", ".parquet", ".npz", ".csv"):

        def junk(folder: Path, suffix=suffix) -> dict:
            path = folder / f"junk{suffix}"
            path.write_bytes(np.random.default_rng(1).bytes(5000))
            return {"files": path}

        case(f"binary junk named {suffix}", "no readable|is no text")(junk)


register_generated()


@case("empty file", r"is empty \(0 bytes\)")
def _(folder):
    (folder / "a.root").touch()
    return {"files": folder / "a.root"}


@case("pattern without match", "no file matches this pattern")
def _(folder):
    return {"files": folder / "*.root"}


@case("no such file", "no such file")
def _(folder):
    return {"files": folder / "absent.h5"}


@case("suffix of no format", "the suffix '.dat' tells no format")
def _(folder):
    (folder / "a.dat").write_text("x\n1\n")
    return {"files": folder / "a.dat"}


@case("another format than its name", "no readable parquet file")
def _(folder):
    path = good(folder, "npz")
    return {"files": path.rename(folder / "a.parquet")}


@case("link to itself", r"cannot be opened \(Too many levels of symbolic links\)")
def _(folder):
    (folder / "a.root").symlink_to("a.root")
    return {"files": folder / "a.root"}


@case("link to nothing", "a link to a file that is not there")
def _(folder):
    (folder / "a.root").symlink_to("absent.root")
    return {"files": folder / "*.root"}


@case("folder for a file", "is a folder")
def _(folder):
    (folder / "a.parquet").mkdir()
    return {"files": folder / "a.parquet"}


@case("pipe", "is no regular file")
def _(folder):
    os.mkfifo(folder / "a.csv")
    return {"files": folder / "a.csv"}


@case("wrong tree", "no tree 'jets' .it has events.")
def _(folder):
    return {"files": good(folder, "ttree"), "tree": "jets"}


@case("several trees", r"has several trees \(one, two\): name one")
def _(folder):
    with uproot.recreate(folder / "a.root") as file:
        for name in ("one", "two"):
            file.mktree(name, {"pt": "f8"}).extend({"pt": np.arange(3.0)})
    return {"files": folder / "a.root"}


@case("ROOT file without a tree", "has no tree")
def _(folder):
    with uproot.recreate(folder / "a.root") as file:
        file["histogram"] = np.histogram(np.arange(9.0))
    return {"files": folder / "a.root"}


@case("wrong key", "no key 'jets' .it has /events.")
def _(folder):
    return {"files": good(folder, "pandas-fixed"), "tree": "jets"}


@case("several keys", r"has several keys \(/one, /two\): name one")
def _(folder):
    for name in ("one", "two"):
        pandas.DataFrame(numbers()).to_hdf(folder / "a.h5", key=name)
    return {"files": folder / "a.h5"}


@case("datasets of different lengths", "dataset 'eta' has 3 rows, 'pt' has 9")
def _(folder):
    with hdf5.open_file(folder / "a.h5", "w") as file:
        file.create_array("/", "pt", obj=np.arange(9.0))
        file.create_array("/", "eta", obj=np.arange(3.0))
    return {"files": folder / "a.h5", "message": "dataset 'pt' has 9 rows, 'eta' has 3"}


@case("missing column", r"no column 'pt' \(it has eta, n, good\)")
def _(folder):
    return {"files": good(folder, "npz", pt=None)}


@case("column that one of several files lacks", "no column 'eta', which .*a.parquet has")
def _(folder):
    good(folder, name="a")
    good(folder, name="b", eta=None)
    return {"files": folder / "*.parquet"}


@case("column of two types in two files", "column 'n' is double, but int64 in .*a.parquet")
def _(folder):
    good(folder, name="a")
    good(folder, name="b", n=np.arange(50.0))
    return {"files": folder / "*.parquet"}


@case("text instead of numbers", "column 'pt' is of type string .such as 'high'., not a number")
def _(folder):
    return {"files": good(folder, pt=np.array(["high"] * 50))}


@case("one text among numbers", "column 'pt' holds text .such as 'much'., not a number")
def _(folder):
    path = good(folder, "csv")
    lines = path.read_text().splitlines()
    lines[40] = "much," + lines[40].partition(",")[2]
    path.write_text("\n".join(lines))
    return {"files": path}


@case("a list a row", "column 'pt' is list<.*double>, not one number a row")
def _(folder):
    table = pyarrow.table({"pt": [[1.0, 2.0]] * 9, "eta": np.arange(9.0)})
    pyarrow.parquet.write_table(table, folder / "a.parquet")
    return {"files": folder / "a.parquet"}


@case("NaN", "column 'pt': the value of row 7 is not a number .NaN. .1 such")
def _(folder):
    return {"files": good(folder, "rntuple", **with_value(7, np.nan))}


@case("null", "column 'n': the value of row 2 is not a number")
def _(folder):
    table = pyarrow.table({"n": [1, 2, None, 4]})
    pyarrow.parquet.write_table(table, folder / "a.parquet")
    return {"files": folder / "a.parquet", "features": ["n"]}


@case("infinity", "column 'pt': the value of row 49 is infinite")
def _(folder):
    return {"files": good(folder, "csv", **with_value(49, -np.inf))}


@case("nothing but NaN", "column 'pt' has no value at all")
def _(folder):
    return {"files": good(folder, "ttree", pt=np.full(50, np.nan)), "missing": "drop"}


@case("zero rows", "0 rows: a sample needs at least two")
def _(folder):
    return {"files": write(folder / "a.parquet", "parquet", numbers(0))}


@case("one event", "1 rows: a sample needs at least two")
def _(folder):
    return {"files": write(folder / "a.root", "ttree", numbers(1))}


@case("nothing left after dropping", "1 rows of 50 after dropping missing values")
def _(folder):
    values = np.full(50, np.nan)
    values[3] = 1
    return {"files": good(folder, pt=values), "missing": "drop"}


@case("header only", "0 rows: a sample needs at least two")
def _(folder):
    (folder / "a.csv").write_text("pt,eta\n")
    return {"files": folder / "a.csv"}


@case("CSV without header", "the first line has numbers, not the columns' names")
def _(folder):
    (folder / "a.csv").write_text("1.5,2\n3,4\n")
    return {"files": folder / "a.csv"}


@case("CSV with a short row", "Expected 2 columns, got 1: 7")
def _(folder):
    (folder / "a.csv").write_text("pt,eta\n1,2\n7\n3,4\n")
    return {"files": folder / "a.csv"}


@case("CSV with a long row", "Expected 2 columns, got 3: 7,8,9")
def _(folder):
    (folder / "a.csv").write_text("pt,eta\n1,2\n7,8,9\n3,4\n")
    return {"files": folder / "a.csv"}


@case("two columns of one name, CSV", "two columns are named 'pt'")
def _(folder):
    (folder / "a.csv").write_text("pt,pt\n1,2\n7,8\n")
    return {"files": folder / "a.csv"}


@case("two columns of one name, parquet", "two columns are named 'pt'")
def _(folder):
    table = pyarrow.table([[1.0, 2.0], [3.0, 4.0]], names=["pt", "pt"])
    pyarrow.parquet.write_table(table, folder / "a.parquet")
    return {"files": folder / "a.parquet"}


@case("two columns of one name, pandas", "two columns are named 'pt'")
def _(folder):
    pandas.DataFrame(np.ones((5, 2)), columns=["pt", "ta"]).to_hdf(folder / "a.h5", key="events")
    with hdf5.open_file(folder / "a.h5", "a") as file:
        for node in (file.root.events.axis0, file.root.events.block0_items):
            node[:] = [b"pt", b"pt"]
    return {"files": folder / "a.h5"}


@case("negative weight", "weight 'w' of row 4 is negative .-2; 1 such")
def _(folder):
    weights = np.ones(50)
    weights[4] = -2
    return {"files": good(folder, w=weights), "weights": "w"}


@case("negative weights that outweigh the others", "reference: weights 'w' of the 50 rows .* zero")
def _(folder):
    weights = np.repeat([-1.0, 1.0], 25)
    return {"files": good(folder, w=weights), "weights": "w", "negative": "drop", "unnamed": True}


@case("few rows to resample negative weights", "weights 'w': 50 rows are too few for local means")
def _(folder):
    weights = np.repeat([-1.0, 1.0], [5, 45])
    request = {"files": good(folder, w=weights), "weights": "w", "unnamed": True}
    return request | {"negative": "resample"}


@case("weights that are all zero", "weights 'w' are all zero")
def _(folder):
    return {"files": good(folder, w=np.zeros(50)), "weights": "w"}


@case("weight that is NaN", "column 'w': the value of row 9 is not a number")
def _(folder):
    return {"files": good(folder, w=np.where(np.arange(50) == 9, np.nan, 1.0)), "weights": "w"}


@case("constant column", "reference: feature 'pt' is always 3: leave it out")
def _(folder):
    return {"files": good(folder, pt=np.full(50, 3.0)), "unnamed": True}


@case("columns of the target are not the reference's", "target/.*: no column 'good'")
def _(folder):
    return {"files": good(folder), "other": {"good": None}, "features": ["pt", "good"]}


@case("region without events", "reference: 0 events for train in the training region: widen")
def _(folder):
    return {"files": good(folder), "train": [[1e6, 2e6]], "unnamed": True}


@case("region without events of the target", "target: 0 events for train in the training region")
def _(folder):
    eta = numbers()["eta"]
    edges = [float(eta.min()), float(eta.max())]
    return {"files": good(folder), "other": {"eta": eta + 99}, "train": [edges], "unnamed": True}


@case("HDF5 that claims a terabyte", "claims 100,000,000,000 rows .* but stores 0: this is no data")
def _(folder):
    with hdf5.open_file(folder / "a.h5", "w", pytables_sys_attrs=False) as file:
        array = file.create_carray("/", "pt", hdf5.Float64Atom(), (10**11,), chunkshape=(10**6,))
        assert array.nrows == 10**11
    assert (folder / "a.h5").stat().st_size < 10_000
    return {"files": folder / "a.h5", "features": ["pt"]}


@case("HDF5 in one chunk of a gigabyte", "a piece of /pt unpacks to 1,000,000,000 bytes")
def _(folder):
    with hdf5.open_file(folder / "a.h5", "w", pytables_sys_attrs=False) as file:
        filters = hdf5.Filters(1, "zlib")
        shape = (125_000_000,)
        file.create_carray("/", "pt", hdf5.Float64Atom(), shape, chunkshape=shape, filters=filters)
    return {"files": folder / "a.h5", "features": ["pt"]}


@case("HDF5 group in itself", "groups nest deeper than 8")
def _(folder):
    with hdf5.open_file(folder / "a.h5", "w") as file:
        group = file.create_group("/", "loop")
        file.create_hard_link(group, "loop", group)
    return {"files": folder / "a.h5"}


class Runs:
    """An object whose unpickling can be seen."""

    def __reduce__(self):
        return (print, (RAN,))


@case("npz with a pickle", "column 'pt' .pickled Python objects, which are never loaded")
def _(folder):
    np.savez(folder / "a.npz", pt=np.array([Runs(), Runs()], dtype=object))
    return {"files": folder / "a.npz"}


@case(
    "pandas fixed with pickles",
    "column 's' .pickled Python objects, which are never loaded.*cannot be read: name others",
)
def _(folder):
    frame = pandas.DataFrame({"x": np.arange(3.0), "s": np.array(["a", "b", "c"], dtype=object)})
    frame.to_hdf(folder / "a.h5", key="events", format="fixed")
    with hdf5.open_file(folder / "a.h5", "a") as file:
        (place,) = [node._v_pathname for node in file.walk_nodes("/", "VLArray")]
        file.remove_node(place)
        file.create_vlarray(*place.rsplit("/", 1), hdf5.ObjectAtom()).append(Runs())
    return {"files": folder / "a.h5", "features": ["s"]}


@case("HDF5 attributes with pickles", "its list of columns is no plain list")
def _(folder):
    path = good(folder, "pandas-table")
    with hdf5.open_file(path, "a") as file:
        for node in (file.root, file.root.events, file.root.events.table):
            node._v_attrs.TITLE = np.bytes_(pickle.dumps(Runs(), 0))
        file.root.events._v_attrs.non_index_axes = np.bytes_(pickle.dumps(Runs(), 0))
    return {"files": path}


@case("npz whose header lies", "column 'pt' of shape .* needs .* bytes, but has")
def _(folder):
    path = folder / "a.npz"
    np.savez(path, pt=np.arange(1000.0))
    data = path.read_bytes().replace(b"(1000,)", b"(9000,)")
    path.write_bytes(data)
    return {"files": path, "message": "no readable npz file|needs .* bytes"}


@case("more rows than memory", "need .* GB of memory")
def _(folder):
    rows = 4_000_000_000
    with hdf5.open_file(folder / "a.h5", "w", pytables_sys_attrs=False) as file:
        array = file.create_earray(
            "/", "pt", hdf5.Int8Atom(), (0,), filters=hdf5.Filters(1, "zlib"), expectedrows=rows
        )
        array.append(np.zeros(1 << 20, np.int8))
    return {"files": [folder / "a.h5"], "rows": rows}
