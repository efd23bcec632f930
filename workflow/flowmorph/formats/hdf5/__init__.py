"""HDF5 files: pandas' table and fixed formats by PyTables, plain datasets by h5py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from flowmorph.formats.checks import reading
from flowmorph.formats.columns import Chunk, moved, numbers
from flowmorph.formats.hdf5 import pandas as hdf5_pandas
from flowmorph.formats.hdf5 import plain as hdf5_plain
from flowmorph.formats.hdf5.fixed_write import FixedWriter
from flowmorph.formats.hdf5.opening import check_survives, opened_plain
from flowmorph.formats.hdf5.plain_write import PlainWriter
from flowmorph.formats.hdf5.table_write import TableWriter
from flowmorph.formats.hdf5.tree import find, pandas_type
from flowmorph.formats.labels import labels
from flowmorph.formats.sample_files import FileFacts, SampleFiles
from flowmorph.formats.writer import ChunkWriter

__all__ = ["Writer", "inspect", "iterate", "labels", "moved", "numbers"]


def inspect(paths: Sequence[Path], tree: str | None) -> list[FileFacts]:
    """Find columns and rows of each file."""
    for path in paths:
        check_survives(path, lambda path=path: _inspect(path, tree))
    facts = [_inspect(path, tree) for path in paths]
    if all(found.format == "hdf5-pandas" for found in facts):
        hdf5_pandas.hide_index(facts)
    return facts


def _inspect(path: Path, tree: str | None) -> FileFacts:
    with opened_plain(path) as file, reading(path, "HDF5"):
        place = find(path, file, tree)
        kind = pandas_type(place)
        if kind is None:
            return hdf5_plain.inspect(path, place)
        name = place.name
    return hdf5_pandas.inspect(path, name, kind)


def iterate(found: FileFacts, columns: Sequence[str], size: int) -> Iterator[Chunk]:
    """Read the columns of one file in chunks of at most ``size`` rows."""
    module = hdf5_plain if found.format == "hdf5-datasets" else hdf5_pandas
    return module.iterate(found, columns, size)


def Writer(
    part: Path,
    path: Path,
    like: SampleFiles,
    trial: bool = False,
    beside: Mapping[str, str] | None = None,
    titles: Mapping[str, str] | None = None,
) -> ChunkWriter:
    """Write what the sample is: a pandas table, pandas' fixed format, datasets or records."""
    kinds = {"table": TableWriter, "fixed": FixedWriter}
    kind = kinds.get(like.facts[0].layout.kind, PlainWriter)
    return kind(part, path, like, trial, beside, titles)
