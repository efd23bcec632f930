"""Seeds that depend on what a job is, never on when or where it runs."""

from __future__ import annotations

import hashlib


def seed_for(base: int, *names: object) -> int:
    """Derive a 63-bit seed from the run's base seed and the job's name (sha256)."""
    text = "/".join(str(part) for part in (base, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
