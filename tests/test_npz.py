"""Npz: arrays of every type come back with the bytes that they had."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowmorph.errors import InputError
from flowmorph.formats.tables import open_sample, open_writer
from flowmorph.user.output import Output, check_output

ROWS = 20
#: Types of the arrays that are kept; `S` and `U` are texts, `M` times, `V` records.
KEPT = [
    *("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "g", "c8", "c16", "?"),
    *(">i4", ">u8", ">f4", ">f8", "S3", "U4", ">U4", "M8[ns]", "M8[D]", "m8[us]"),
    "i4,f8",
]


def array(kind: str, rows: int = ROWS, shape: tuple[int, ...] = ()) -> np.ndarray:
    """Random bits, so NaN and what is not a number too; truth values and texts are valid."""
    dtype = np.dtype(kind)
    size = rows * int(np.prod(shape, dtype=int))
    rng = np.random.default_rng(1)
    if dtype.kind in "SU":
        return np.resize(np.array(["a", "", "žlu"[: 3 if dtype.kind == "U" else 0]]), size).astype(
            dtype
        ).reshape(rows, *shape)  # fmt: skip
    if dtype.kind == "b":
        return (rng.random(size) < 0.5).reshape(rows, *shape)
    return np.frombuffer(rng.bytes(size * dtype.itemsize), dtype).reshape(rows, *shape)


def moved(path: Path) -> dict[str, np.ndarray]:
    files = open_sample(str(path))
    with open_writer(path.with_name("moved.npz"), files) as writer:
        for chunk in files.chunks(None, 7):
            rows = len(next(iter(chunk.values())))
            writer.write({**chunk, "x_moved": np.ones(rows), "status": np.zeros(rows, np.int8)})
    with np.load(path.with_name("moved.npz")) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)], ids=["column", "matrix", "images"])
@pytest.mark.parametrize("rows", [ROWS, 0])
@pytest.mark.parametrize("kind", KEPT)
def test_every_type_comes_back(tmp_path, kind, rows, shape):
    before = {"c": array(kind, rows, shape), "x": np.arange(rows) / 3}
    np.savez(tmp_path / "a.npz", **before)
    after = moved(tmp_path / "a.npz")
    assert list(after) == ["c", "x", "x_moved", "status"] and len(after["status"]) == rows
    for name, values in before.items():
        assert (after[name].shape, after[name].dtype) == (values.shape, values.dtype)
        assert after[name].tobytes() == values.tobytes()
    files = open_sample(str(tmp_path / "a.npz"))
    check_output(files, ["x"], [], set(), Output())


def test_single_values_are_copied_if_all_files_agree(tmp_path):
    for name, sum_w in (("a", 3.5), ("b", 4.5)):
        single = {"sum_w": np.float64(sum_w), "title": np.array("mc")}
        np.savez(tmp_path / f"{name}.npz", x=np.arange(4.0), **single)
    assert moved(tmp_path / "a.npz")["sum_w"] == 3.5
    files = open_sample(str(tmp_path / "[ab].npz"))
    with open_writer(tmp_path / "both.npz", files) as writer:
        for chunk in files.chunks():
            writer.write(chunk)
    with np.load(tmp_path / "both.npz") as arrays:
        assert sorted(arrays) == ["title", "x"] and len(arrays["x"]) == 8
    assert writer.notes == ["'sum_w' is not copied: it is not the same in all files"]


REFUSED = {
    "objects": (np.array([None, {}], object), "pickled Python objects, which are never loaded"),
    "Fortran order": (np.asfortranarray(np.ones((2, 3))), "in Fortran order, not by rows"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_array_that_cannot_be_read_is_named_and_the_others_are_read(tmp_path, name):
    values, reason = REFUSED[name]
    np.savez(tmp_path / "a.npz", c=values, x=np.arange(2.0))
    files = open_sample(str(tmp_path / "a.npz"))
    with pytest.raises(InputError, match=rf"a.npz: columns? 'c(\[0\])?' \({reason}.*cannot be"):
        check_output(files, ["x"], [], set(), Output())
    assert list(check_output(files, ["x"], [], set(), Output(drop=["c*"]))) == [
        "x", "x_moved", "flowmorph_moved"
    ]  # fmt: skip
