"""Parquet files, by pyarrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow
import pyarrow.parquet

from flowmorph.data.formats.base import (
    Chunk,
    ChunkWriter,
    Column,
    FileFacts,
    check_unique,
    reading,
    writing,
)
from flowmorph.errors import InputError


def inspect(paths: Sequence[Path], tree: str | None) -> list[FileFacts]:
    """Find columns and rows of each file."""
    return [_inspect(path, tree) for path in paths]


def _inspect(path: Path, tree: str | None) -> FileFacts:
    no_tree(path, tree, "parquet")
    with reading(path, "parquet"), pyarrow.parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        check_unique(path, schema.names)
        columns = {field.name: str(field.type) for field in schema}
        return FileFacts(path, "parquet", None, columns, file.metadata.num_rows, schema)


def no_tree(path: Path, tree: str | None, kind: str) -> None:
    """Raise `InputError` when a tree is named for a format that has none."""
    if tree is not None:
        raise InputError(f"{path}: a {kind} file has no tree or key {tree!r}: leave it out")


def iterate(found: FileFacts, columns: Sequence[str], size: int) -> Iterator[Chunk]:
    """Read the columns of one file in chunks of at most ``size`` rows."""
    if not columns:
        return
    with (
        reading(found.path, "parquet"),
        # Buffered beforehand, all row groups that were read would stay in memory.
        pyarrow.parquet.ParquetFile(found.path, pre_buffer=False) as file,
    ):
        for batch in file.iter_batches(batch_size=size, columns=list(columns)):
            if batch.num_rows:
                yield {name: to_column(batch.column(name)) for name in columns}


def to_column(values: pyarrow.Array) -> Column:
    """Numbers (a null becomes NaN) and texts as numpy, lists and records as awkward arrays."""
    if pyarrow.types.is_nested(values.type):
        return ak.from_arrow(values)
    return values.to_numpy(zero_copy_only=False)


def from_column(values: Column, kind: pyarrow.DataType | None) -> pyarrow.Array:
    """Undo `to_column` for a column of a known type; choose the type of a new one."""
    if isinstance(values, ak.Array):
        array = ak.to_arrow(values, extensionarray=False)
        return array if kind is None else array.cast(kind)
    # A null became NaN on the way in; in a column of floats NaN is a value of its own.
    nulls = kind is not None and not pyarrow.types.is_floating(kind)
    if kind is None or values.dtype.kind in "iufb":
        array = pyarrow.array(np.ascontiguousarray(values), from_pandas=nulls)
        return array if kind is None else array.cast(kind)
    return pyarrow.array(values, type=kind, from_pandas=nulls)


def to_batch(chunk: Chunk, known: dict[str, pyarrow.DataType]) -> pyarrow.RecordBatch:
    """Build a batch whose known columns keep their types."""
    arrays = []
    for name, values in chunk.items():
        if isinstance(values, np.ndarray) and values.ndim > 1:
            values = ak.from_numpy(values)
        arrays.append(from_column(values, known.get(name)))
    return pyarrow.record_batch(arrays, names=list(chunk))


class Writer(ChunkWriter):
    """Write parquet, one row group a chunk."""

    def _kept(self, chunk: Chunk) -> Chunk:
        return chunk  # the schema has the types, nulls included

    def _start(self, chunk: Chunk) -> None:
        schema = self.like.facts[0].layout
        self.known = {field.name: field.type for field in schema}
        with writing(self.path, "parquet", chunk):
            batch = to_batch(chunk, self.known)
        self.writer = pyarrow.parquet.ParquetWriter(self.part, batch.schema, compression="zstd")

    def _append(self, chunk: Chunk, rows: int) -> None:
        with writing(self.path, "parquet", chunk):
            batch = to_batch(chunk, self.known)
            self.writer.write_table(pyarrow.Table.from_batches([batch]).cast(self.writer.schema))

    def _finish(self) -> None:
        self.writer.close()

    def _abandon(self) -> None:
        if self.names is not None:
            self.writer.close()
