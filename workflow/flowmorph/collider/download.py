"""Downloads that end with the right file under its name, or in one line that says what to do.

Bytes are collected in a hidden ``.<name>.part`` beside the final place; the file gets its name
after its size and checksum were verified. An interrupted download goes on where it ended.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path

import requests
import urllib3
import yaml
from tqdm import tqdm

from flowmorph.errors import InputError
from flowmorph.files import atomic

BLOCK = 1 << 18
#: HTTP statuses of failures that may pass: worth another attempt. Any other failure is final.
PASSING = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Remote:
    """A published file: where it is, and what is known of its bytes.

    Attributes:
        name: name of the file, here and there.
        urls: its addresses, tried in this order.
        page: web page about it, for messages.
        bytes: size in bytes; None if unknown.
        sha256: checksum in hexadecimal; None if unknown.
        md5: checksum in hexadecimal, looked at only without a SHA-256; None if unknown.
    """

    name: str
    urls: tuple[str, ...]
    page: str
    bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None


@dataclass(frozen=True)
class Patience:
    """How many failures, and how slow a server, a download bears before it gives the server up.

    Attributes:
        attempts: failed attempts in a row without progress, after which the server is given up.
        backoff: seconds before the second attempt, doubled for each further one.
        longest_wait: seconds; a server that is to be asked again only later is given up.
        stall: seconds without an answer, or with too few bytes, after which an attempt has failed.
        progress_bytes: bytes in one attempt that count as progress.
        stall_bytes: fewest bytes that have to come in ``stall`` seconds.
        report: seconds between two lines of progress.
    """

    attempts: int = 6
    backoff: float = 1.0
    longest_wait: float = 300.0
    stall: float = 60.0
    progress_bytes: int = 1 << 20
    stall_bytes: int = 1 << 14
    report: float = 5.0


class _Failure(Exception):
    """An attempt failed; ``final`` if this server need not be asked again."""

    def __init__(self, reason: str, final: bool = False, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.final, self.wait = final, wait


def published(facts: str | os.PathLike, mirrors: Sequence[str] = ()) -> dict[str, Remote]:
    """Read the published files, by name, from ``config/lhco_reference.yaml``.

    ``mirrors`` are addresses with ``{name}`` in them that are tried after the publisher's.
    """
    records = yaml.safe_load(Path(facts).read_text()).values()
    return {
        name: Remote(
            name,
            tuple(url.replace("{name}", name) for url in (record["url"], *mirrors)),
            f"https://zenodo.org/records/{record['record']}",
            **known,
        )
        for record in records
        if "files" in record
        for name, known in record["files"].items()
    }


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
    expected = _with_record(remote, folder)
    try:
        if not final.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with _part_file(final) as part:
                if not final.exists():
                    digest = _from_any(expected, part, check, patience, local_http)
                    os.fsync(part.fileno())
                    os.replace(part.name, final)
                    _version_note(part).unlink(missing_ok=True)
                    return _recorded(remote, final, digest)
        digest = _verified(expected, final)
        check(final)
    except _Failure as failure:
        raise InputError(
            f"{final}: {failure}; move it away to have it downloaded again, or name it in the "
            "configuration to use it as it is"
        ) from failure
    return _recorded(remote, final, digest)


def _recorded(remote: Remote, final: Path, digest: str) -> Remote:
    """Keep the checksum of a file that has no published one, and give what is known of it."""
    if remote.sha256 is None:
        with atomic(_record(final.parent, remote.name)) as temporary:
            temporary.write_text(f"{digest}  {remote.name}\n")
    return replace(remote, bytes=final.stat().st_size, sha256=digest)


def _record(folder: Path, name: str) -> Path:
    """Where the checksum seen is kept, as ``sha256sum --check`` reads it."""
    return folder / f"{name}.sha256"


def _with_record(remote: Remote, folder: Path) -> Remote:
    record = _record(folder, remote.name)
    if remote.sha256 is not None or not record.exists():
        return remote
    digest = record.read_text(errors="replace").partition(" ")[0]
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise InputError(f"{record}: no SHA-256 in it: remove it")
    return replace(remote, sha256=digest)


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
            if not _size(stream):
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
            with _session(local_http) as session:
                return _from_one(session, url, remote, part, check, patience)
        except _Failure as failure:
            failures.append(f"{url}: {failure}")
    folder = Path(part.name).parent
    raise InputError(
        f"{folder / remote.name} could not be downloaded ({'; '.join(failures)}): run again to go "
        f"on, or get {remote.name} from {remote.page} and put it into {folder.absolute()}"
    )


def _session(local_http: bool) -> requests.Session:
    """Give a session that follows no redirection to anything but HTTPS."""
    session = requests.Session()
    del session.adapters["http://"]
    if local_http:
        session.mount("http://127.0.0.1:", requests.adapters.HTTPAdapter())
    # A compressed answer would have other lengths and ranges than the file.
    session.headers["Accept-Encoding"] = "identity"
    return session


def _from_one(
    session: requests.Session,
    url: str,
    remote: Remote,
    part: FileIO,
    check: Callable[[Path], None],
    patience: Patience,
) -> str:
    """Fill the part file from one server, in as many attempts as its failures are worth."""
    failed = wrong = 0
    while True:
        before = _size(part)
        try:
            _receive(session, url, remote, part, patience)
            try:
                digest = _verified(remote, Path(part.name))
                check(Path(part.name))
                return digest
            except (_Failure, InputError) as failure:
                part.truncate(0)
                wrong += 1
                # Once, bytes from an earlier run may be to blame. Twice, it is this server.
                raise _Failure(str(failure), final=wrong == 2) from failure
        except _Failure as failure:
            gained = _size(part) - before
            failed = 1 if gained >= patience.progress_bytes else failed + 1
            wait = max(failure.wait, patience.backoff * 2 ** (failed - 1))
            if failure.final or failed >= patience.attempts:
                raise
            if wait > patience.longest_wait:
                raise _Failure(f"{failure}, to be asked again in {wait:.0f} s") from failure
            print(f"{url}: {failure}; again in {wait:.0f} s", file=sys.stderr, flush=True)
            time.sleep(wait)


def _receive(
    session: requests.Session, url: str, remote: Remote, part: FileIO, patience: Patience
) -> None:
    """Ask for what is missing and append it until the file has its size."""
    have = _size(part)
    if have == remote.bytes:
        return
    headers = {"Range": f"bytes={have}-"} if have else {}
    timeout = (patience.stall, patience.stall)
    try:
        with session.get(url, headers=headers, stream=True, timeout=timeout) as response:
            total = _start(response, remote, part)
            _check_space(part, total)
            _append(response.raw, part, total, patience)
    except requests.exceptions.InvalidSchema as error:
        raise _Failure("leads to an address that is not HTTPS", final=True) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _Failure(_plain(error)) from error


def _start(response: requests.Response, remote: Remote, part: FileIO) -> int:
    """Read an answer's headers, make the part file fit them, give the whole file's size."""
    status, headers = response.status_code, response.headers
    if status == 416:
        part.truncate(0)
        raise _Failure("the part that was here is longer than the file")
    if status not in (200, 206):
        after = headers.get("Retry-After", "")
        wait = float(after) if re.fullmatch("[0-9]{1,9}", after) else 0.0
        reason = f"status {status} {response.reason or ''}".rstrip()
        raise _Failure(reason, final=status not in PASSING, wait=wait)
    if status == 200:
        length = headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else remote.bytes
    else:
        sent = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", ""))
        if not sent or int(sent[1]) != _size(part):
            part.truncate(0)
            raise _Failure("sends another range than the one asked for")
        total = int(sent[2])
    if total is None:
        raise _Failure("does not tell the file's size", final=True)
    if remote.bytes not in (None, total):
        raise _Failure(f"has a file of {total:,} bytes, not {remote.bytes:,}", final=True)
    if status == 200:
        part.truncate(0)  # this server knows no ranges: it sends everything
    if not (remote.sha256 or remote.md5):
        _same_version(part, headers.get("ETag") or headers.get("Last-Modified", ""), total)
    return total


def _same_version(part: FileIO, version: str, total: int) -> None:
    """Hold all pieces of a file without a known checksum to one version of it on the server.

    The version of the first piece stays in a file beside the part.
    """
    note = _version_note(part)
    line = f"{total} {version}"
    if _size(part) and (not version or not note.exists() or note.read_text() != line):
        part.truncate(0)
        raise _Failure("may have changed since the part that was here")
    note.write_text(line)


def _version_note(part: FileIO) -> Path:
    return Path(part.name).with_suffix(".version")


def _append(source: urllib3.BaseHTTPResponse, part: FileIO, total: int, patience: Patience) -> None:
    """Copy an answer's body to the end of the part file, with a line of progress now and then."""
    first = have = _size(part)
    start = reported = looked = time.monotonic()
    seen = have
    source.enforce_content_length = False  # a short body is told below, in words
    while block := source.read1(BLOCK):
        have += len(block)
        if have > total:
            part.truncate(0)
            raise _Failure(f"sends more than the {total:,} bytes of the file", final=True)
        try:
            rest = memoryview(block)
            while rest:
                rest = rest[part.write(rest) :]
        except OSError as error:
            raise InputError(f"{part.name} cannot be written: {error.strerror}") from error
        now = time.monotonic()
        if now - looked >= patience.stall:
            if have - seen < patience.stall_bytes:
                raise _Failure(f"{have - seen} bytes in {now - looked:.0f} s")
            looked, seen = now, have
        if now - reported >= patience.report or have == total:
            reported = now
            meter = tqdm.format_meter(
                have, total, now - start, initial=first, unit="B", unit_scale=True, ncols=70
            )
            print(f"{Path(part.name).name} {meter}", file=sys.stderr, flush=True)
    if have < total:
        raise _Failure(f"the connection ended after {have:,} of {total:,} bytes")


def _check_space(part: FileIO, total: int) -> None:
    folder = Path(part.name).parent
    needed, free = total - _size(part), shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{folder.absolute()}: {free / 1e9:.2f} GB free, {needed / 1e9:.2f} GB needed: "
            "make room, or choose another folder (collider.download.folder)"
        )


def _size(part: FileIO) -> int:
    return os.fstat(part.fileno()).st_size


def _verified(remote: Remote, path: Path) -> str:
    """Give a file's SHA-256; raises `_Failure` if size or checksum is not the one expected."""
    size = path.stat().st_size
    if remote.bytes not in (None, size):
        raise _Failure(f"{size:,} bytes, {remote.bytes:,} expected")
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if remote.sha256 not in (None, digest):
            note = _record(path.parent, remote.name)
            source = f" (by {note}: remove that if the publisher has replaced the file)"
            known = f"{remote.sha256} expected{source if note.exists() else ''}"
            raise _Failure(f"SHA-256 {digest}, {known}")
        if remote.md5 and not remote.sha256:
            stream.seek(0)
            other = hashlib.file_digest(stream, _md5).hexdigest()
            if other != remote.md5:
                raise _Failure(f"MD5 {other}, {remote.md5} expected")
    return digest


def _md5():
    """MD5 to recognise a file, not for security: hardened systems allow it only if so declared."""
    return hashlib.md5(usedforsecurity=False)


def _plain(error: Exception) -> str:
    """Give the reason at the bottom of a network error in one line."""
    while True:
        inner = [
            one
            for one in (*error.args, getattr(error, "reason", None))
            if isinstance(one, Exception)
        ]
        if not inner:
            break
        error = inner[-1]
    return re.sub(r"^\S*Connection\w*\(.*?\): ", "", str(error).partition("\n")[0])
