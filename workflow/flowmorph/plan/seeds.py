"""Seeds that depend on what a job is, never on when or where it runs."""

from __future__ import annotations

import hashlib

#: Names that seeds are derived from, where these differ from the names in use: with other seeds,
#: the results would differ.
KEYS = {"collider": "science"}


def seed_for(base: int, *names: object) -> int:
    """Derive a 63-bit seed from the run's base seed and the job's name (sha256)."""
    text = "/".join(str(part) for part in (base, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def key(name: str, training: int = 1, split: str = "") -> str:
    """Name of a data set or a task in seeds, of one of its trainings, of the points of a split."""
    parts = [KEYS.get(name, name)]
    parts += ["apply"] * (split == "apply") + [f"seed{training}"] * (training > 1)
    return "_".join(parts + ["signal"] * (split == "signal"))
