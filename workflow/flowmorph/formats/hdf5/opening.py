"""Opening HDF5 files of strangers: nothing in them is executed, or unpacks to more than data would.

PyTables unpickles attributes, in which pandas keeps column names: only plain Python values come out
of them. And the HDF5 library crashes on some damaged files, so that a process that may crash looks
at a file first.
"""

from __future__ import annotations

import faulthandler
import io
import os
import pickle
import resource
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import h5py
import tables

from flowmorph.errors import InputError
from flowmorph.formats.checks import PIECE_BYTES, reading

#: How many times its place on disk a dataset may claim to hold.
RATIO = 10_000

#: Seconds after which a look at a file's structure is given up.
LOOK_SECONDS = 60


class Inert:
    """What stands for an object of a pickle: its kind and what it is made of, but nothing acts."""

    kind = "object"

    def __init__(self, *parts, **named) -> None:
        self.parts, self.state = parts, None

    def __setstate__(self, state) -> None:
        self.state = state

    def __call__(self, *parts, **named) -> Inert:
        return self

    def __setitem__(self, key, value) -> None:
        pass

    def append(self, value) -> None:
        """Take what a list would."""

    extend = add = append

    def __repr__(self) -> str:
        return f"{self.kind}{self.parts}"


class _Plain(pickle.Unpickler):
    """Unpickle lists, texts and numbers; whatever would have to be imported becomes inert."""

    def find_class(self, module, name):
        return type("Inert", (Inert,), {"kind": f"{module}.{name}"})


def _loads(data: bytes, **options) -> object:
    return _Plain(io.BytesIO(data), **options).load()


_PICKLE = SimpleNamespace(
    loads=_loads, dumps=pickle.dumps, HIGHEST_PROTOCOL=pickle.HIGHEST_PROTOCOL
)


@contextmanager
def no_code() -> Iterator[None]:
    """Keep PyTables from running what a file holds; it has no option for that."""
    with (
        mock.patch("tables.attributeset.pickle", _PICKLE),
        mock.patch("tables.atom.pickle", _PICKLE),
        warnings.catch_warnings(),
    ):
        # Of types that PyTables does not know, and of names that are no Python names.
        warnings.simplefilter("ignore")
        yield


@contextmanager
def opened(path: str | Path) -> Iterator[tables.File]:
    """Open a file for reading with PyTables; its nodes must be taken inside `no_code`."""
    with reading(Path(path), "HDF5"), no_code():
        file = tables.open_file(str(path), mode="r")
    try:
        yield file
    finally:
        file.close()


@contextmanager
def opened_plain(path: str | Path) -> Iterator[h5py.File]:
    """Open a file for reading with h5py, which never unpickles."""
    with reading(Path(path), "HDF5"):
        file = h5py.File(path, "r")
    with file:
        yield file


def check_survives(path: str | Path, look: Callable[[], object]) -> None:
    """Raise `InputError` when ``look``, tried in a copy of this process, crashes or does not end.

    Its ordinary errors are none here: they come again when it is done for good.
    """
    with warnings.catch_warnings():
        # The copy runs nothing that another thread could hold a lock of.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            faulthandler.disable()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(LOOK_SECONDS)
            look()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise InputError(
            f"{path}: no readable HDF5 file (the HDF5 library crashes on it): damaged? "
            "make or fetch it again"
        )


def check_size(
    path: Path, name: str, rows: int, row_bytes: int, chunk_rows: int | None, stored: int
) -> None:
    """Raise `InputError` for a dataset that would unpack to what no data would.

    ``stored`` are its bytes in the file.
    """
    declared, piece = rows * row_bytes, row_bytes * (chunk_rows or 1)
    if piece > PIECE_BYTES:
        raise InputError(
            f"{path}: a piece of {name} unpacks to {piece:,} bytes: write smaller chunks"
        )
    if declared > max(PIECE_BYTES, RATIO * stored):
        raise InputError(
            f"{path}: {name} claims {rows:,} rows ({declared:,} bytes) but stores {stored:,}: "
            "this is no data"
        )
