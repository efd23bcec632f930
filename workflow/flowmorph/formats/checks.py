"""Files that cannot be used, and what libraries raise about them, as errors in one line."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flowmorph.errors import InputError

#: Bytes that one piece of a file may unpack to; more is taken for an attack, not for data.
PIECE_BYTES = 256 << 20


def listed(names: Sequence[str], most: int = 12) -> str:
    """Join names for a message, not all of very many."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more or "nothing"


def check_readable(path: Path) -> None:
    """Raise `InputError` unless a path is a regular file that this user may read.

    A pipe or a device would be waited for, so none is ever opened.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        reason = "a link to a file that is not there" if path.is_symlink() else "no such file"
        raise InputError(f"{path}: {reason}: correct the name") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror})") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{path}: is a folder: give a file, or a pattern such as {path}/*.root")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: is no regular file: give a file")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: may not be read (permissions): change them")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty (0 bytes), truncated? make it again")


def check_unique(path: Path, names: Sequence[str]) -> None:
    """Raise `InputError` when two columns of a file have one name."""
    seen = set()
    for name in names:
        if name in seen:
            raise InputError(f"{path}: two columns are named {name!r}: rename one")
        seen.add(name)


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn what a library raises for a damaged file, which is many kinds, into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{path}: no readable {kind} file ({one_line(error)}): truncated or damaged? "
            "make it again"
        ) from error


def one_line(error: BaseException) -> str:
    """First line of an error's text, or its kind."""
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".:")[:200] if lines else type(error).__name__
