"""CSV (and tab-separated, ``.tsv``) files with a line of column names, by pyarrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow
from pyarrow import csv

from flowmorph.data.formats.arrow import no_tree, to_batch, to_column
from flowmorph.data.formats.base import (
    Chunk,
    ChunkWriter,
    FileFacts,
    check_unique,
    reading,
    writing,
)
from flowmorph.errors import InputError

#: Bytes of text that are parsed at a time.
BLOCK_BYTES = 4 << 20

#: What a type becomes when a later value does not fit the values before.
_WIDER = {pyarrow.null(): pyarrow.float64(), pyarrow.int64(): pyarrow.float64()}


def inspect(paths: Sequence[Path], tree: str | None) -> list[FileFacts]:
    """Find the columns and the types that hold all values of all files, and count rows."""
    for path in paths:
        no_tree(path, tree, "CSV")
    types: dict[str, pyarrow.DataType] = {}
    while True:
        facts = [_inspect(path, types) for path in paths]
        before = dict(types)
        for found in facts:
            for name, kind in found.layout.items():
                types[name] = _common(types.get(name, kind), kind)
        if before == types:
            return facts


def _common(first: pyarrow.DataType, second: pyarrow.DataType) -> pyarrow.DataType:
    if first == second or second == pyarrow.null():
        return first
    if first == pyarrow.null():
        return second
    numbers = (pyarrow.int64(), pyarrow.float64())
    return pyarrow.float64() if first in numbers and second in numbers else pyarrow.string()


def _inspect(path: Path, types: dict[str, pyarrow.DataType]) -> FileFacts:
    """Parse a whole file, widening the type of each column whose later values ask for it."""
    names = _header(path)
    kinds = {name: types[name] for name in names if name in types}
    while True:
        reader = None
        try:
            with reading(path, "CSV"), _open(path, kinds) as reader:
                kinds |= {field.name: field.type for field in reader.schema}
                rows = sum(batch.num_rows for batch in reader)
                described = {name: str(kinds[name]) for name in names}
                return FileFacts(path, "csv", None, described, rows, kinds)
        except InputError as error:
            column = _misfit(error.__cause__, names)
            if column is None:
                raise
            old = kinds.get(column)
            if old == pyarrow.string():
                raise
            kinds[column] = _WIDER.get(old, pyarrow.string())


def _misfit(error: BaseException | None, names: list[str]) -> str | None:
    """Column of pyarrow's message that a value does not have the type of those before."""
    text = str(error)
    mark = "CSV column #"
    if not isinstance(error, pyarrow.ArrowInvalid) or "conversion error" not in text:
        return None
    place = text.partition(mark)[2].partition(":")[0]
    return names[int(place)] if place.isdigit() and int(place) < len(names) else None


def _header(path: Path) -> list[str]:
    with reading(path, "CSV"), open(path, encoding="utf-8-sig", newline="") as stream:
        line = stream.readline(1 << 20)
        if "\0" in line:
            raise InputError(f"{path}: is no text: it is not a CSV file")
        with csv.open_csv(pyarrow.BufferReader(line.encode()), parse_options=_parse(path)) as head:
            names = list(head.schema.names)
    check_unique(path, names)
    if all(map(_number, names)):
        raise InputError(f"{path}: the first line has numbers, not the columns' names: add those")
    return names


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parse(path: Path) -> csv.ParseOptions:
    return csv.ParseOptions(delimiter="\t" if ".tsv" in path.suffixes else ",")


def _open(path: Path, types: dict[str, pyarrow.DataType], columns: Sequence[str] = ()):
    return csv.open_csv(
        path,
        read_options=csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
        parse_options=_parse(path),
        convert_options=csv.ConvertOptions(column_types=types, include_columns=list(columns)),
    )


def iterate(found: FileFacts, columns: Sequence[str], size: int) -> Iterator[Chunk]:
    """Read the columns of one file in chunks of at most ``size`` rows."""
    if not columns:
        return
    with reading(found.path, "CSV"), _open(found.path, found.layout, columns) as reader:
        for batch in reader:
            for low in range(0, batch.num_rows, size):
                part = batch.slice(low, size)
                yield {name: to_column(part.column(name)) for name in columns}


class Writer(ChunkWriter):
    """Write CSV; floats with the fewest digits that give them back."""

    def _kept(self, chunk: Chunk) -> Chunk:
        return chunk  # the types are arrow's, nulls included

    def _start(self, chunk: Chunk) -> None:
        self.known = {
            name: kind for name, kind in self.like.facts[0].layout.items() if kind != pyarrow.null()
        }
        with writing(self.path, "CSV", chunk):
            schema = self._batch(chunk).schema
            plain = not any(set(name) & set('",\t\n\r') for name in schema.names)
            options = csv.WriteOptions(
                delimiter=_parse(self.path).delimiter,
                quoting_header="none" if plain else "needed",
            )
            self.writer = csv.CSVWriter(self.part, schema, write_options=options)

    def _batch(self, chunk: Chunk) -> pyarrow.RecordBatch:
        return to_batch(chunk, self.known)

    def _append(self, chunk: Chunk, rows: int) -> None:
        with writing(self.path, "CSV", chunk):
            self.writer.write_batch(self._batch(chunk))

    def _finish(self) -> None:
        self.writer.close()

    def _abandon(self) -> None:
        if self.names is not None:
            self.writer.close()
