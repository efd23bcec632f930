"""Writing files so that a name never stands for half a result."""

from __future__ import annotations

import errno
import glob
import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flowmorph.plan.suffixes import suffix_of


@contextmanager
def atomic(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its name when the block ends without error.

    The suffix is kept, because writers such as matplotlib and uproot choose the format by it. What
    a writer of the same file left behind when it was killed on this machine is deleted.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(final.parent, os.W_OK):
        # Libraries say this in words of their own, or crash.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(final))
    suffix = suffix_of(final)
    mine = f".{final.name.removesuffix(suffix)}.{platform.node()}."
    for left in final.parent.glob(f"{glob.escape(mine)}*.part{glob.escape(suffix)}"):
        writer = left.name.removeprefix(mine).partition(".")[0]
        if writer.isdecimal() and not _alive(int(writer)):
            left.unlink(missing_ok=True)
    part = final.with_name(f"{mine}{os.getpid()}.part{suffix}")
    try:
        yield part
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(part, final)
    except OSError as error:
        # A failed write, such as on a full disk, says of no file, or of the temporary one.
        if error.errno is not None and error.filename in (None, str(part)):
            error.filename = str(final)
        raise
    finally:
        # On a folder that became read-only this fails as well: the first error is the one to see.
        with suppress(OSError):
            part.unlink(missing_ok=True)


def once(names: Iterable[str]) -> list[str]:
    """Names of files, sorted, each file by the first of its names: by one path and links to it."""
    found: dict[str, str] = {}
    for name in sorted(names):
        found.setdefault(os.path.realpath(name), name)
    return list(found.values())


def same(first: str | os.PathLike, second: str | os.PathLike) -> bool:
    """Whether two names are of one file: in another spelling or case, by a link of either kind."""
    try:
        return os.path.samefile(first, second)
    except OSError:  # one of them is not there yet
        return os.path.realpath(first) == os.path.realpath(second)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
