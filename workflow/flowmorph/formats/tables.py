"""Tables of physicists in the formats in which they keep them, read and written in chunks.

ROOT (TTree, RNTuple), HDF5 (pandas' table and fixed formats, plain datasets), parquet, CSV and npz.
No file's content is ever executed: pickled objects are refused, not loaded.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from flowmorph.errors import InputError
from flowmorph.files import atomic, once
from flowmorph.formats import arrow, hdf5, npz, root, text
from flowmorph.formats.checks import check_readable
from flowmorph.formats.sample_files import FileFacts, SampleFiles
from flowmorph.formats.writer import ChunkWriter
from flowmorph.plan.suffixes import BY_SUFFIX, suffix_of

__all__ = ["FORMATS", "SampleFiles", "find_files", "open_sample", "open_writer"]

#: Module that reads and writes a format.
FORMATS = {
    "root-ttree": root,
    "root-rntuple": root,
    "hdf5-pandas": hdf5,
    "hdf5-datasets": hdf5,
    "parquet": arrow,
    "csv": text,
    "npz": npz,
}


def open_sample(
    patterns: str | Sequence[str], tree: str | None = None, format: str | None = None
) -> SampleFiles:
    """Look into the files of one sample and hold them to one layout.

    ``patterns`` are file names or glob patterns (``**`` crosses folders); the files are taken in
    sorted order, each once, whatever names it has. ``tree`` names the TTree or RNTuple, or the HDF5
    key, group or dataset; None takes the only one that there is. ``format`` is a key of `FORMATS`
    or its part before the dash; None goes by the file's suffix. Raises `InputError`, naming the
    file, for a pattern without match, a file that cannot be read, or files whose columns are not
    the same.
    """
    paths = find_files(patterns)
    family = _family(paths[0], format)
    module = next(module for name, module in FORMATS.items() if name.startswith(family))
    for path in paths:
        check_readable(path)
    facts = module.inspect(paths, tree)
    for found in facts:
        if format in FORMATS and found.format != format:
            raise InputError(f"{found.path}: holds {found.format}, not {format}: change the format")
        _check_alike(facts[0], found)
    return SampleFiles(module, facts)


def find_files(patterns: str | Sequence[str]) -> list[Path]:
    """Expand names and glob patterns to sorted files, each once.

    Raises `InputError` for one that matches nothing.
    """
    found = set()
    for pattern in [patterns] if isinstance(patterns, str | os.PathLike) else patterns:
        pattern = os.path.expanduser(pattern)
        names = [pattern] if os.path.lexists(pattern) else glob.glob(pattern, recursive=True)
        if not names:
            kind = "file matches this pattern" if glob.has_magic(pattern) else "such file"
            raise InputError(f"{pattern}: no {kind}: correct the name")
        found.update(names)
    if not found:
        raise InputError("no file is named: give the names or a pattern of a sample's files")
    return [Path(name) for name in once(found)]


@contextmanager
def open_writer(
    path: str | os.PathLike,
    like: SampleFiles,
    trial: bool = False,
    beside: Mapping[str, str] | None = None,
    titles: Mapping[str, str] | None = None,
) -> Iterator[ChunkWriter]:
    """Open a file for writing in the format of the sample ``like``.

    The block gets an object with ``write(chunk)``; a chunk maps column names to arrays of equal
    length, and all chunks have the columns of the first: those that ``like`` has keep their type,
    others are added. What else is in the files of ``like`` is copied where it can be; ``notes``
    has a line for each thing that is not. A ``trial`` copies none of it. ``beside`` names, for an
    added column of lists, the column of ``like`` whose lists are as long: both then have one
    counter, in formats with counters; ``titles`` say what added columns are about, in formats
    whose columns have titles. The file takes its name when the block ends without error and
    its first rows read back as they were given; equal chunks give equal bytes. Raises `InputError`
    for a column that the format cannot hold.
    """
    with atomic(path) as part:
        with like.module.Writer(part, Path(path), like, trial, beside, titles) as writer:
            yield writer
        writer.check()


def _family(path: Path, format: str | None) -> str:
    families = sorted({name.partition("-")[0] for name in FORMATS})
    if format is None:
        suffix = suffix_of(path)
        if suffix.lower() not in BY_SUFFIX:
            raise InputError(
                f"{path}: the suffix {suffix!r} tells no format: name the format "
                f"({', '.join(families)})"
            )
        return BY_SUFFIX[suffix.lower()]
    if format not in FORMATS and format not in families:
        raise InputError(f"unknown format {format!r}: choose one of {', '.join(FORMATS)}")
    return format.partition("-")[0]


def _check_alike(first: FileFacts, other: FileFacts) -> None:
    """Raise `InputError` unless two files have the same format and columns of the same types."""
    if first.format != other.format:
        raise InputError(
            f"{other.path}: holds {other.format}, but {first.path} {first.format}: "
            "convert them to one format"
        )
    for here, there in ((first, other), (other, first)):
        missing = [name for name in here.columns if name not in there.columns]
        if missing:
            raise InputError(
                f"{there.path}: no column {missing[0]!r}, which {here.path} has: "
                "the files of a sample need the same columns"
            )
    for name, kind in first.columns.items():
        if other.columns[name] != kind:
            raise InputError(
                f"{other.path}: column {name!r} is {other.columns[name]}, but {kind} in "
                f"{first.path}: convert it to one type"
            )
