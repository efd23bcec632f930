"""CSV (and tab-separated, ``.tsv``) files with a line of column names, by pyarrow.

A cell stays the text that it is; only the columns that are used become numbers.
"""

from __future__ import annotations

import codecs
import contextlib
import csv as stdlib_csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.compute as pc
from pyarrow import csv

from flowmorph.errors import InputError
from flowmorph.formats import columns as base_columns
from flowmorph.formats.allowed import Allowed
from flowmorph.formats.arrow import no_tree, to_arrow
from flowmorph.formats.checks import check_unique, reading
from flowmorph.formats.columns import Chunk, Column
from flowmorph.formats.labels import Label, distinct, whole
from flowmorph.formats.sample_files import FileFacts
from flowmorph.formats.writer import ChunkWriter, writing
from flowmorph.plan.suffixes import suffix_of

__all__ = ["Writer", "inspect", "iterate", "labels", "moved", "numbers"]

#: Bytes of text that are parsed at a time.
BLOCK_BYTES = 4 << 20

#: Bytes in which the line of names has to end.
HEADER_BYTES = 1 << 20

#: Texts that stand for a missing value: pandas' and arrow's.
MISSING = pyarrow.array(csv.ConvertOptions().null_values)

_TRUTHS = {"true": 1.0, "false": 0.0}
_CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


def inspect(paths: Sequence[Path], tree: str | None) -> list[FileFacts]:
    """Find the columns of each file, parse it once, and count rows."""
    return [_inspect(path, tree) for path in paths]


def _inspect(path: Path, tree: str | None) -> FileFacts:
    no_tree(path, tree, "CSV")
    names, layout = _header(path)
    with reading(path, "CSV"), _open(path, names) as reader:
        rows = sum(batch.num_rows for batch in reader)
    return FileFacts(path, "csv", None, dict.fromkeys(names, "text"), rows, layout)


def _stream(path: Path) -> pyarrow.NativeFile:
    return pyarrow.input_stream(str(path), compression=_codec(path))


def _codec(path: Path) -> str | None:
    return _CODECS.get(path.suffix.lower())


@dataclass(frozen=True)
class Layout:
    """What stands before the names of the columns, if something does, and how lines end."""

    mark: bytes
    ending: str


def _header(path: Path) -> tuple[list[str], Layout]:
    """Names of the columns, and the layout."""
    with reading(path, "CSV"), _stream(path) as stream:
        start = stream.read(HEADER_BYTES)
        if b"\0" in start.partition(b"\n")[0]:
            raise InputError(f"{path}: is no text: it is not a CSV file")
        # Whole lines only: a character may be cut in two at the end.
        text = start[: start.rfind(b"\n") + 1 or None].decode("utf-8-sig")
        lines = io.StringIO(text, newline="")
        names = next(stdlib_csv.reader(lines, delimiter=_parse(path).delimiter), [])
    check_unique(path, names)
    if all(map(_number, names)):
        raise InputError(f"{path}: the first line has numbers, not the columns' names: add those")
    mark = codecs.BOM_UTF8 if start.startswith(codecs.BOM_UTF8) else b""
    return names, Layout(mark, "\r\n" if start.partition(b"\n")[0].endswith(b"\r") else "\n")


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parse(path: Path) -> csv.ParseOptions:
    delimiter = "\t" if suffix_of(path).lower().startswith(".tsv") else ","
    return csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)


def _open(path: Path, names: Sequence[str]) -> csv.CSVStreamingReader:
    """Read cells as text: an empty one is null, and ``""`` the empty text."""
    return csv.open_csv(
        _stream(path),
        read_options=csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
        parse_options=_parse(path),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pyarrow.string()),
            include_columns=list(names),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def iterate(found: FileFacts, columns: Sequence[str], size: int) -> Iterator[Chunk]:
    """Read the columns of one file in chunks of at most ``size`` rows."""
    if not columns:
        return
    if not found.rows:
        yield {name: pyarrow.array([], pyarrow.string()) for name in columns}
        return
    with reading(found.path, "CSV"), _open(found.path, columns) as reader:
        for batch in reader:
            for low in range(0, batch.num_rows, size):
                part = batch.slice(low, size)
                yield {name: part.column(name) for name in columns}


def numbers(column: Column, name: str) -> np.ndarray:
    """Cells as float64 (N,), NaN for an empty one; `InputError` for a text that is no number."""
    text = pc.utf8_trim_whitespace(column)
    empty = pc.or_kleene(pc.is_null(text), pc.is_in(text, value_set=MISSING))
    try:
        values = pc.if_else(empty, None, text).cast(pyarrow.float64())
    except pyarrow.ArrowInvalid:
        values = pyarrow.array([_value(cell, name) for cell in pc.if_else(empty, None, text)])
    return values.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)


def _value(cell: pyarrow.StringScalar, name: str) -> float:
    """One cell that arrow does not take for a number: a truth value, or too large, or no number."""
    text = cell.as_py()
    if text is None:
        return np.nan
    try:
        return _TRUTHS[text.lower()] if text.lower() in _TRUTHS else float(text)
    except ValueError:
        raise InputError(
            f"column {name!r} holds text (such as {text!r}), not a number: convert it or leave it "
            "out"
        ) from None


def labels(column: Column, name: str) -> tuple[np.ndarray, list[Label]]:
    """Categories of a column, as `flowmorph.formats.labels.labels` gives them.

    A cell that reads as a number or a truth value is a number, and what is a missing value among
    numbers is one here.
    """
    cells = pc.utf8_trim_whitespace(column)
    cells = pc.if_else(pc.is_in(cells, value_set=MISSING), None, cells).dictionary_encode()
    places = cells.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return distinct(places, cells.dictionary.to_pylist(), name, _category)


def _category(text: str, name: str) -> Label | None:
    """The category that the text of a cell is; None for a number that is not finite."""
    if text.lower() in _TRUTHS:
        return int(_TRUTHS[text.lower()])
    # Python would read 2016_1 as a number.
    if "_" in text:
        return text
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return whole(kind(text), name)
    return text


def moved(
    column: Column, values: np.ndarray, where: np.ndarray, name: str, allowed: Allowed,
    replace: bool,
) -> tuple[Column, int]:  # fmt: skip
    """Cells with new ``values`` (n,) in the rows ``where``; others keep their text."""
    cells = _texts(values.astype(np.int64) if allowed.whole else values)
    return pc.replace_with_mask(column, pyarrow.array(where), cells), 0


def _texts(values: np.ndarray) -> pyarrow.Array:
    """Numbers with the fewest digits that give them back; NaN is an empty cell."""
    array = to_arrow(values)
    if values.dtype.kind == "f":
        array = pc.if_else(pc.is_nan(array), None, array)
    return array.cast(pyarrow.string())


class Writer(ChunkWriter):
    """Write CSV: the cells' texts as they are, in quotes only where one needs them."""

    def _kept(self, chunk: Chunk) -> Chunk:
        kept = {}
        for name, column in chunk.items():
            if isinstance(column, np.ndarray) and column.ndim == 1 and column.dtype.kind in "iufb":
                kept[name] = _texts(column)
            elif isinstance(column, pyarrow.Array) and column.type == pyarrow.string():
                kept[name] = column
            else:
                raise InputError(
                    f"{self.path}: column {name!r} is {base_columns.describe(column)}, which a "
                    "CSV file does not hold"
                )
        return kept

    def _start(self, chunk: Chunk) -> None:
        self.delimiter = _parse(self.path).delimiter
        layout: Layout = self.like.facts[0].layout
        self.ending = layout.ending
        with writing(self.path, "CSV", chunk):
            self.stream = self.open.enter_context(
                pyarrow.output_stream(str(self.part), compression=_codec(self.path))
            )
            header = self._quoted(pyarrow.array(list(chunk)))
            names = self.delimiter.join(header.to_pylist()) + self.ending
            self.stream.write(layout.mark + names.encode())

    def _quoted(self, cells: pyarrow.Array) -> pyarrow.Array:
        """Put quotes around cells that need them, and the empty text, which is not a null."""
        needed = pc.equal(cells, "")
        for mark in ('"', "\r", "\n", self.delimiter):
            needed = pc.or_(needed, pc.match_substring(cells, mark))
        if not pc.any(needed).as_py():
            return pc.fill_null(cells, "")
        doubled = pc.replace_substring(cells, '"', '""')
        quoted = pc.binary_join_element_wise('"', doubled, '"', "")
        return pc.fill_null(pc.if_else(needed, quoted, cells), "")

    def _append(self, chunk: Chunk, rows: int) -> None:
        cells = [self._quoted(column) for column in chunk.values()]
        if len(cells) == 1:
            # A line without any text would not be read as a row.
            cells = [pc.if_else(pc.equal(cells[0], ""), '""', cells[0])]
        lines = pc.binary_join_element_wise(*cells, self.delimiter)
        lines = pc.binary_join_element_wise(lines, self.ending, "")
        _, offsets, data = lines.buffers()
        ends = np.frombuffer(offsets, np.int32)[lines.offset :][[0, len(lines)]]
        with writing(self.path, "CSV", chunk):
            self.stream.write(data[ends[0] : ends[1]])

    def _finish(self) -> None:
        self.stream.close()
