"""Ends of the names of tables' files, and the family of formats that each stands for."""

from __future__ import annotations

import os
from pathlib import Path

_TEXT = (".csv", ".tsv")
_COMPRESSED = (".gz", ".bz2", ".zst")

BY_SUFFIX = {
    ".root": "root",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".hdf": "hdf5",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".npz": "npz",
    **{end: "csv" for end in _TEXT},
    **{end + more: "csv" for end in _TEXT for more in _COMPRESSED},
}


def suffix_of(name: str | os.PathLike) -> str:
    """End of a file's name as it is written there, such as ``.csv.gz`` or ``.ROOT``.

    The longest known one; of a name that has none of them, what follows the last dot.
    """
    last = Path(name).name
    known = [end for end in BY_SUFFIX if last.lower().endswith(end) and len(last) > len(end)]
    return last[-max(map(len, known)) :] if known else Path(last).suffix
