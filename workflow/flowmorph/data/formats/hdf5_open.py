"""Opening HDF5 files of strangers: nothing in them is executed, or unpacks to more than data would.

PyTables unpickles attributes, in which pandas keeps column names: only plain Python values are let
through. And the HDF5 library crashes on some damaged files, so that a process that may crash looks
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

import tables

from flowmorph.data.formats.base import PIECE_BYTES, reading
from flowmorph.errors import InputError

#: How many times its place on disk a dataset may claim to hold.
RATIO = 10_000

#: Seconds after which a look at a file's structure is given up.
LOOK_SECONDS = 60


class _Plain(pickle.Unpickler):
    """Unpickle lists, texts and numbers, and nothing that would have to be imported."""

    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"{module}.{name} is no plain value")


def _loads(data: bytes, **options) -> object:
    return _Plain(io.BytesIO(data), **options).load()


_PICKLE = SimpleNamespace(loads=_loads, dumps=pickle.dumps)


@contextmanager
def no_code() -> Iterator[None]:
    """Keep PyTables from running what attributes of a file's nodes hold; it has no option."""
    with mock.patch("tables.attributeset.pickle", _PICKLE), warnings.catch_warnings():
        # Types that PyTables does not know become nodes that are reported as unreadable.
        warnings.simplefilter("ignore")
        yield


@contextmanager
def opened(path: str | Path) -> Iterator[tables.File]:
    """Open a file for reading; its nodes must be taken inside `no_code`."""
    with reading(Path(path), "HDF5"), no_code():
        file = tables.open_file(str(path), mode="r")
    try:
        yield file
    finally:
        file.close()


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


def check_size(path: Path, node: tables.Leaf, rows: int, row_bytes: int) -> None:
    """Raise `InputError` for a dataset that would unpack to what no data would."""
    name, declared = node._v_pathname, rows * row_bytes
    pieces = [row_bytes]
    if node.chunkshape is not None:
        pieces.append(row_bytes * node.chunkshape[0])
    if max(pieces) > PIECE_BYTES:
        raise InputError(
            f"{path}: a piece of {name} unpacks to {max(pieces):,} bytes: write smaller chunks"
        )
    stored = node.size_on_disk
    if declared > max(PIECE_BYTES, RATIO * stored):
        raise InputError(
            f"{path}: {name} claims {rows:,} rows ({declared:,} bytes) but stores {stored:,}: "
            "this is no data"
        )
