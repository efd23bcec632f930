"""Parquet files, by pyarrow: columns stay arrow's own, so that no type, null or bit is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow
import pyarrow.parquet

from flowmorph.errors import InputError
from flowmorph.formats.checks import check_unique, listed, reading
from flowmorph.formats.columns import Chunk, Column, moved, numbers
from flowmorph.formats.labels import labels
from flowmorph.formats.sample_files import FileFacts
from flowmorph.formats.writer import ChunkWriter, writing

__all__ = ["Writer", "inspect", "iterate", "labels", "moved", "numbers"]

#: Key of what pandas says of a file.
PANDAS = b"pandas"


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
    if not found.rows:
        yield {name: pyarrow.array([], found.layout.field(name).type) for name in columns}
        return
    # A name with dots would be taken for a field in a record: then everything is read.
    plain = None if any("." in name for name in columns) else list(columns)
    with (
        reading(found.path, "parquet"),
        # Buffered beforehand, all row groups that were read would stay in memory.
        pyarrow.parquet.ParquetFile(found.path, pre_buffer=False) as file,
    ):
        for batch in file.iter_batches(batch_size=size, columns=plain):
            if batch.num_rows:
                yield {name: batch.column(name) for name in columns}


def to_arrow(column: Column) -> pyarrow.Array:
    """A new column, which the sample does not have, as arrow."""
    if isinstance(column, pyarrow.Array):
        return column
    if isinstance(column, np.ndarray) and column.ndim > 1:
        column = ak.from_numpy(column)
    if isinstance(column, ak.Array):
        return ak.to_arrow(column, extensionarray=False)
    return pyarrow.array(np.ascontiguousarray(column))


def _of_pandas(metadata: Mapping[bytes, bytes] | None) -> dict:
    """What pandas says of a file; empty where it did not write it."""
    try:
        return json.loads((metadata or {}).get(PANDAS, b"{}"))
    except ValueError:
        return {}


def _is_range(kept: Mapping) -> bool:
    """Whether rows are numbered, without a column of the numbers."""
    columns = kept.get("index_columns", [])
    return len(columns) == 1 and isinstance(columns[0], dict) and columns[0].get("kind") == "range"


def _row_numbers(found: FileFacts) -> range:
    """Numbers of a file's rows, as pandas has them: from 0 where it does not say."""
    kept = _of_pandas(found.layout.metadata)
    if not _is_range(kept):
        return range(found.rows)
    numbers = range(*(kept["index_columns"][0][key] for key in ("start", "stop", "step")))
    # As pandas does where they are those of other rows.
    return numbers if len(numbers) == found.rows else range(found.rows)


class Writer(ChunkWriter):
    """Write parquet, one row group a chunk."""

    def _kept(self, chunk: Chunk) -> Chunk:
        """Give known columns that are not arrow's the type that they have in the sample."""
        known = self.like.facts[0].layout
        kept = {}
        for name, column in chunk.items():
            array = to_arrow(column)
            if name in known.names and array.type != known.field(name).type:
                with writing(self.path, f"parquet's {known.field(name).type}", {name: column}):
                    array = array.cast(known.field(name).type)
            kept[name] = array
        return kept

    def _start(self, chunk: Chunk) -> None:
        known = self.like.facts[0].layout
        fields = [
            known.field(name) if name in known.names else pyarrow.field(name, array.type)
            for name, array in chunk.items()
        ]
        # With pandas' own metadata the index comes back, and categories, and time zones.
        self.schema = pyarrow.schema(fields, metadata=self._metadata())
        with writing(self.path, "parquet", chunk):
            self.writer = self.open.enter_context(
                pyarrow.parquet.ParquetWriter(self.part, self.schema, compression="zstd")
            )

    def _metadata(self) -> dict[bytes, bytes] | None:
        """What the first file says of itself, with the row numbers of pandas of all files.

        Numbers that go on from file to file do so; others count from 0, and a note says so.
        """
        metadata = self.like.facts[0].layout.metadata
        counts = [_row_numbers(found) for found in self.like.facts if found.rows]
        if len(self.like.facts) == 1 or not counts:
            return metadata
        joined = range(0, self.like.rows)
        if all(a.stop == b.start and a.step == b.step for a, b in pairwise(counts)):
            joined = range(counts[0].start, counts[-1].stop, counts[0].step)
        elif any((numbers.start, numbers.step) != (0, 1) for numbers in counts):
            shown = listed([f"{numbers[0]} to {numbers[-1]}" for numbers in counts], 3)
            self.notes.append(
                f"the rows' index ({shown}) does not go on from file to file: rows are numbered "
                "from 0"
            )
        kept = _of_pandas(metadata)
        if not (kept and _is_range(kept)):
            return metadata
        kept["index_columns"][0] |= {
            "start": joined.start, "stop": joined.stop, "step": joined.step,
        }  # fmt: skip
        return {**metadata, PANDAS: json.dumps(kept).encode()}

    def _append(self, chunk: Chunk, rows: int) -> None:
        with writing(self.path, "parquet", chunk):
            batch = pyarrow.record_batch(list(chunk.values()), schema=self.schema)
            self.writer.write_batch(batch)

    def _finish(self) -> None:
        self.writer.close()
