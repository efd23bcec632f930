"""Downloads that end with the right file under its name, or in one line that says what to do.

Bytes are collected in a hidden ``.<name>.part`` beside the final place; the file gets its name
after its size and checksum were verified. An interrupted download goes on where it ended.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from flowmorph.collider.receiving import Patience, from_server, session_of, size, version_note
from flowmorph.collider.remote import Failure, Remote, recorded, verified, with_record
from flowmorph.errors import InputError


def fetch(
    remote: Remote,
    folder: str | os.PathLike,
    check: Callable[[Path], None] = lambda path: None,
    patience: Patience = Patience(),  # noqa: B008 (frozen)
    local_http: bool = False,
) -> Remote:
    """Make sure that a verified file is in a folder; a file that is there already is used.

    The SHA-256 of a file without a published one is kept in ``<name>.sha256``, and the file is
    held to it from then on.

    Args:
        remote: the file.
        folder: where it belongs; made if it is not there.
        check: called with the path of a complete file; raises `InputError` to refuse it.
        patience: when to give a server up.
        local_http: whether plain HTTP is allowed on this machine, for tests; all else is HTTPS.

    Returns:
        What is known of the file, with its size and SHA-256.

    Raises:
        InputError: no server gives the file, it is not the right one, the disk is too small, or
            another process is downloading it.
    """
    folder = Path(folder)
    final = folder / remote.name
    expected = with_record(remote, folder)
    try:
        if not final.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with _part_file(final) as part:
                if not final.exists():
                    digest = _from_any(expected, part, check, patience, local_http)
                    os.fsync(part.fileno())
                    os.replace(part.name, final)
                    version_note(part).unlink(missing_ok=True)
                    return recorded(remote, final, digest)
        digest = verified(expected, final)
        check(final)
    except Failure as failure:
        raise InputError(
            f"{final}: {failure}; move it away to have it downloaded again, or name it in the "
            "configuration to use it as it is"
        ) from failure
    return recorded(remote, final, digest)


@contextmanager
def _part_file(final: Path) -> Iterator[FileIO]:
    """Open the part file of a download for this process alone."""
    part = final.with_name(f".{final.name}.part")
    with open(part, "ab", buffering=0) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another process may have given it the final name after it was opened here.
            ours = part.exists() and os.path.samestat(os.fstat(stream.fileno()), part.stat())
        except BlockingIOError:
            ours = False
        except OSError as error:
            raise InputError(
                f"{final}: cannot lock files: {error.strerror}: choose another folder "
                "(collider.download.folder)"
            ) from None
        if not ours:
            raise InputError(f"{final}: another process is downloading it: wait for that one")
        try:
            yield stream
        finally:
            if not size(stream):
                part.unlink(missing_ok=True)


def _from_any(
    remote: Remote,
    part: FileIO,
    check: Callable[[Path], None],
    patience: Patience,
    local_http: bool,
) -> str:
    """Fill the part file from the first server that gives the right bytes; give their SHA-256."""
    failures = []
    for url in remote.urls:
        try:
            with session_of(local_http) as session:
                return from_server(session, url, remote, part, check, patience)
        except Failure as failure:
            failures.append(f"{url}: {failure}")
    folder = Path(part.name).parent
    raise InputError(
        f"{folder / remote.name} could not be downloaded ({'; '.join(failures)}): run again to go "
        f"on, or get {remote.name} from {remote.page} and put it into {folder.absolute()}"
    )
