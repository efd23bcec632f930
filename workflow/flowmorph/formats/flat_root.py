"""Flat tables in ROOT files (TTree, by uproot): equal tables give equal bytes."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from unittest import mock

import numpy as np
import uproot

from flowmorph.errors import InputError

#: 1 January 2000 in ROOT's packed form (TDatime): the date that stands in every file.
_DATE = (2000 - 1995) << 26 | 1 << 22 | 1 << 17
FIXED_UUID = uuid.uuid5(uuid.NAMESPACE_URL, "flowmorph")


class _Buffer(io.BytesIO):
    """Memory that can still be read after uproot has closed it."""

    def close(self) -> None:
        pass


@contextmanager
def fixed_date() -> Iterator[None]:
    """Let uproot write a fixed date; it has no option for that."""
    with mock.patch("uproot._util.datetime_to_code", lambda when: _DATE):
        yield


def write_tables(path: str | PathLike, trees: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Write named trees of equally long columns to a ROOT file.

    The file goes through memory, because uproot would write the (temporary) file name into it.
    """
    buffer = _Buffer()
    with fixed_date(), uproot.recreate(buffer, uuid_function=lambda: FIXED_UUID) as file:
        for name, columns in trees.items():
            arrays = {key: np.ascontiguousarray(column) for key, column in columns.items()}
            tree = file.mktree(name, {key: array.dtype for key, array in arrays.items()})
            if len(next(iter(arrays.values()))):
                tree.extend(arrays)
    Path(path).write_bytes(buffer.getvalue())


def read_table(
    path: str | PathLike, tree: str, columns: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Read columns (default: all) of a tree as numpy arrays.

    Raises `InputError` for a missing or unreadable file, tree or column.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        with uproot.open(path) as file:
            if tree not in file:
                names = ", ".join(key.split(";")[0] for key in file.keys()) or "nothing"
                raise InputError(f"{path}: no tree {tree!r} (it has {names})")
            source = file[tree]
            names = list(source.keys()) if columns is None else list(columns)
            missing = [name for name in names if name not in source]
            if missing:
                raise InputError(
                    f"{path}: tree {tree!r} has no column {missing[0]!r} "
                    f"(it has {', '.join(source.keys())})"
                )
            return {name: source[name].array(library="np") for name in names}
    except InputError:
        raise
    except Exception as error:  # uproot raises many kinds for a damaged file
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{path}: no readable ROOT file ({reason}): make it again") from error


def concatenate(tables: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Join tables of the same columns, one after the other."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
