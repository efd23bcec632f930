"""A file from one server, in as many attempts as failures are worth, after what is here."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

from flowmorph.collider.remote import Failure, Remote, verified
from flowmorph.errors import InputError

BLOCK = 1 << 18
#: HTTP statuses of failures that may pass: worth another attempt. Any other failure is final.
PASSING = (408, 425, 429, 500, 502, 503, 504)


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


def session_of(local_http: bool) -> requests.Session:
    """Give a session that follows no redirection to anything but HTTPS."""
    session = requests.Session()
    del session.adapters["http://"]
    if local_http:
        session.mount("http://127.0.0.1:", requests.adapters.HTTPAdapter())
    # A compressed answer would have other lengths and ranges than the file.
    session.headers["Accept-Encoding"] = "identity"
    return session


def from_server(
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
        before = size(part)
        try:
            _receive(session, url, remote, part, patience)
            try:
                digest = verified(remote, Path(part.name))
                check(Path(part.name))
                return digest
            except (Failure, InputError) as failure:
                part.truncate(0)
                wrong += 1
                # Once, bytes from an earlier run may be to blame. Twice, it is this server.
                raise Failure(str(failure), final=wrong == 2) from failure
        except Failure as failure:
            gained = size(part) - before
            failed = 1 if gained >= patience.progress_bytes else failed + 1
            wait = max(failure.wait, patience.backoff * 2 ** (failed - 1))
            if failure.final or failed >= patience.attempts:
                raise
            if wait > patience.longest_wait:
                raise Failure(f"{failure}, to be asked again in {wait:.0f} s") from failure
            print(f"{url}: {failure}; again in {wait:.0f} s", file=sys.stderr, flush=True)
            time.sleep(wait)


def _receive(
    session: requests.Session, url: str, remote: Remote, part: FileIO, patience: Patience
) -> None:
    """Ask for what is missing and append it until the file has its size."""
    have = size(part)
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
        raise Failure("leads to an address that is not HTTPS", final=True) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise Failure(_plain(error)) from error


def _start(response: requests.Response, remote: Remote, part: FileIO) -> int:
    """Read an answer's headers, make the part file fit them, give the whole file's size."""
    status, headers = response.status_code, response.headers
    if status == 416:
        part.truncate(0)
        raise Failure("the part that was here is longer than the file")
    if status not in (200, 206):
        after = headers.get("Retry-After", "")
        wait = float(after) if re.fullmatch("[0-9]{1,9}", after) else 0.0
        reason = f"status {status} {response.reason or ''}".rstrip()
        raise Failure(reason, final=status not in PASSING, wait=wait)
    if status == 200:
        length = headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else remote.bytes
    else:
        sent = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", ""))
        if not sent or int(sent[1]) != size(part):
            part.truncate(0)
            raise Failure("sends another range than the one asked for")
        total = int(sent[2])
    if total is None:
        raise Failure("does not tell the file's size", final=True)
    if remote.bytes not in (None, total):
        raise Failure(f"has a file of {total:,} bytes, not {remote.bytes:,}", final=True)
    if status == 200:
        part.truncate(0)  # this server knows no ranges: it sends everything
    if not (remote.sha256 or remote.md5):
        _same_version(part, headers.get("ETag") or headers.get("Last-Modified", ""), total)
    return total


def _same_version(part: FileIO, version: str, total: int) -> None:
    """Hold all pieces of a file without a known checksum to one version of it on the server.

    The version of the first piece stays in a file beside the part.
    """
    note = version_note(part)
    line = f"{total} {version}"
    if size(part) and (not version or not note.exists() or note.read_text() != line):
        part.truncate(0)
        raise Failure("may have changed since the part that was here")
    note.write_text(line)


def version_note(part: FileIO) -> Path:
    """Where the version of a part file is kept, as its server names it."""
    return Path(part.name).with_suffix(".version")


def _append(source: urllib3.BaseHTTPResponse, part: FileIO, total: int, patience: Patience) -> None:
    """Copy an answer's body to the end of the part file, with a line of progress now and then."""
    first = have = size(part)
    start = reported = looked = time.monotonic()
    seen = have
    source.enforce_content_length = False  # a short body is told below, in words
    while block := source.read1(BLOCK):
        have += len(block)
        if have > total:
            part.truncate(0)
            raise Failure(f"sends more than the {total:,} bytes of the file", final=True)
        try:
            rest = memoryview(block)
            while rest:
                rest = rest[part.write(rest) :]
        except OSError as error:
            raise InputError(f"{part.name} cannot be written: {error.strerror}") from error
        now = time.monotonic()
        if now - looked >= patience.stall:
            if have - seen < patience.stall_bytes:
                raise Failure(f"{have - seen} bytes in {now - looked:.0f} s")
            looked, seen = now, have
        if now - reported >= patience.report or have == total:
            reported = now
            meter = tqdm.format_meter(
                have, total, now - start, initial=first, unit="B", unit_scale=True, ncols=70
            )
            print(f"{Path(part.name).name} {meter}", file=sys.stderr, flush=True)
    if have < total:
        raise Failure(f"the connection ended after {have:,} of {total:,} bytes")


def _check_space(part: FileIO, total: int) -> None:
    folder = Path(part.name).parent
    needed, free = total - size(part), shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{folder.absolute()}: {free / 1e9:.2f} GB free, {needed / 1e9:.2f} GB needed: "
            "make room, or choose another folder (collider.download.folder)"
        )


def size(part: FileIO) -> int:
    """Bytes of a part file."""
    return os.fstat(part.fileno()).st_size


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
