"""Published files: where they are, and whether a file here is the right one."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from flowmorph.errors import InputError
from flowmorph.files import atomic


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


class Failure(Exception):
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


def with_record(remote: Remote, folder: Path) -> Remote:
    """A file with the checksum that was kept of it, if it has no published one."""
    record = _record(folder, remote.name)
    if remote.sha256 is not None or not record.exists():
        return remote
    digest = record.read_text(errors="replace").partition(" ")[0]
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise InputError(f"{record}: no SHA-256 in it: remove it")
    return replace(remote, sha256=digest)


def recorded(remote: Remote, final: Path, digest: str) -> Remote:
    """Keep the checksum of a file that has no published one, and give what is known of it."""
    if remote.sha256 is None:
        with atomic(_record(final.parent, remote.name)) as temporary:
            temporary.write_text(f"{digest}  {remote.name}\n")
    return replace(remote, bytes=final.stat().st_size, sha256=digest)


def _record(folder: Path, name: str) -> Path:
    """Where the checksum seen is kept, as ``sha256sum --check`` reads it."""
    return folder / f"{name}.sha256"


def verified(remote: Remote, path: Path) -> str:
    """Give a file's SHA-256; raises `Failure` if size or checksum is not the one expected."""
    size = path.stat().st_size
    if remote.bytes not in (None, size):
        raise Failure(f"{size:,} bytes, {remote.bytes:,} expected")
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if remote.sha256 not in (None, digest):
            note = _record(path.parent, remote.name)
            source = f" (by {note}: remove that if the publisher has replaced the file)"
            known = f"{remote.sha256} expected{source if note.exists() else ''}"
            raise Failure(f"SHA-256 {digest}, {known}")
        if remote.md5 and not remote.sha256:
            stream.seek(0)
            other = hashlib.file_digest(stream, _md5).hexdigest()
            if other != remote.md5:
                raise Failure(f"MD5 {other}, {remote.md5} expected")
    return digest


def _md5():
    """MD5 to recognise a file, not for security: hardened systems allow it only if so declared."""
    return hashlib.md5(usedforsecurity=False)
