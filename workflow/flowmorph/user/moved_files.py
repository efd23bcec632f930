"""Files of tables through a trained transport: in chunks, and out in the format they came in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike

import numpy as np

from flowmorph.errors import InputError, RowError
from flowmorph.files import same
from flowmorph.formats.columns import Chunk, Column
from flowmorph.formats.lists import relisted
from flowmorph.formats.tables import SampleFiles, open_sample, open_writer
from flowmorph.plan.objects import MovedObject, check
from flowmorph.plan.suffixes import suffix_of
from flowmorph.user.elements import Elements, located, of_chunk
from flowmorph.user.output import Output, check_output
from flowmorph.user.status import BEYOND, ELSEWHERE, MISSING, MOVED, status_of
from flowmorph.user.transport import Transport

#: Rows of a file that are moved together. The last digits of float32 sums depend on this number, so
#: that the user cannot choose it.
WINDOW = 8192

MOST_LISTED = 20  # columns that a sentence about a file names


@dataclass
class Counts:
    """What happened to the rows of a file, or to the elements of its lists.

    Attributes:
        rows: all rows; elements, where columns have lists.
        lists: rows whose lists these are the elements of.
        moved: rows that were moved.
        elsewhere: rows outside of the regions to move.
        missing: rows with a value that is missing, or too far from the training's to be used.
        outside: rows with a value outside of declared bounds, and none that is missing.
        weightless: moved rows of weight 0: the target never has their condition.
        kept: rows that keep their values because they lie beyond the range of the training.
        refused: values outside of declared bounds in the rows ``outside``, by column.
        beyond: rows beyond that range, moved or kept, by feature or condition.
        clipped: moved values that were clipped to the type of their column, by column.
        objects: the same for each object that has a name, of which the numbers are the sums.
        notes: sentences about what else happened to the file.
    """

    rows: int = 0
    lists: int = 0
    moved: int = 0
    elsewhere: int = 0
    missing: int = 0
    outside: int = 0
    kept: int = 0
    weightless: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    beyond: dict[str, int] = field(default_factory=dict)
    clipped: dict[str, int] = field(default_factory=dict)
    objects: dict[str, Counts] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def total(cls, objects: Mapping[str, Counts]) -> Counts:
        """Add up what happened to objects by their names, or to the one that has none."""
        if "" in objects:
            return objects[""]
        total = cls(objects=dict(objects))
        numbers = ("rows", "lists", "moved", "elsewhere", "missing", "outside", "kept")
        for name in (*numbers, "weightless"):
            setattr(total, name, sum(getattr(each, name) for each in objects.values()))
        for name in ("refused", "beyond", "clipped"):
            added: Counter[str] = Counter()
            for each in objects.values():
                added.update(getattr(each, name))
            setattr(total, name, dict(added))
        return total

    def __str__(self) -> str:
        rows = f"elements in the lists of {self.lists} rows" if self.lists else "rows"
        parts = [
            f"{self.rows} {rows}: {self.moved} moved",
            f"{self.elsewhere} outside of the regions to move",
            f"{self.missing} with a missing value",
        ]
        if self.outside:
            parts.append(f"{self.outside} outside of declared bounds ({_listed(self.refused)})")
        if self.kept:
            parts.append(f"{self.kept} kept, because they lie beyond the range of the training")
        if self.weightless:
            parts.append(f"{self.weightless} of weight 0, whose condition the target never has")
        text = ", ".join(parts) + "; beyond the range of the training: "
        text += _listed(self.beyond) or "none"
        clipped = _listed(self.clipped)
        return text + (f"; clipped to the column's type: {clipped}" if clipped else "")


def _listed(counts: Mapping[str, int]) -> str:
    """Name the columns that have a count, of many those with the largest."""
    some = {name: count for name, count in counts.items() if count}
    if len(some) > MOST_LISTED:
        largest = sorted(some, key=some.__getitem__, reverse=True)[:MOST_LISTED]
        rest = f"fewer in {len(some) - MOST_LISTED} others"
        return ", ".join([f"{some[name]} in {name}" for name in largest] + [rest])
    return ", ".join(f"{count} in {name}" for name, count in some.items())


def move_files(
    transport: Transport,
    patterns: Sequence[str],
    path: str | PathLike,
    *,
    tree: str | None = None,
    format: str | None = None,
    output: Output | None = None,
    everywhere: bool = False,
    chunk_rows: int = 100_000,
) -> Counts:
    """Move the rows of a sample's files to one file, in the same format and order.

    Where features are lists, of equal lengths in a row, their elements are moved, and columns of
    lists are written; a condition or region's column may then have one number a row. A column
    ``flowmorph_moved`` (``flowmorph``, the object's name, if it has one, and the suffix) is 1 for
    rows, or elements, that were moved; others keep their values: 0 for rows outside of the
    transport's regions to apply, -1 for a missing value in a feature, condition, event or regions'
    column, or one that float32 does not hold or declared bounds exclude, -2 for a row beyond the
    range of the training, if such are kept. With folds, a row is moved by the training that has not
    seen it. Where the output has ``support``, a column ``flowmorph_support_moved`` has what
    `Transport.support` says of rows that were moved, and -1 for others. A transport with a balance
    writes ``flowmorph_weight``: what `Transport.weights` says of rows that were moved, and the
    weight that others have.

    Args:
        transport: what moves them.
        patterns: names or glob patterns of the sample's files.
        path: the file to write; its suffix is that of the input.
        tree: tree, HDF5 key or group; None where there is one only.
        format: of the input, a key of `flowmorph.formats.tables.FORMATS` or its part before the
            dash; None goes by the suffix.
        output: which columns the file has, which objects of a row are moved, and what happens to
            rows beyond the training's range.
        everywhere: whether to move the rows of every region.
        chunk_rows: rows in memory at a time, taken up to a multiple of `WINDOW`; the result does
            not depend on it.

    Raises:
        InputError: input that cannot be used, naming file, column and row; then there is no output.
    """
    output = replace(
        output or Output(), varied=transport.variations, weighted=transport.balance is not None
    )
    bands = [] if everywhere else transport.regions["apply"]
    region = [transport.regions["column"]] if bands else []
    others = [*transport.others, *region, *transport.weighed]
    check(output.objects, transport.features, others, transport.columns)
    files = open_sample(patterns, tree, format)
    _check_name(files, path, transport)
    notes = output.check_drop(files)
    whole = transport.preprocessing.integers
    categories = transport.preprocessing.categories
    check_output(files, transport.features, others, whole, output, categories)
    movers = [_Mover(transport, each, output, bands, others) for each in output.objects]
    kept, rows = output.kept(files), -(-chunk_rows // WINDOW) * WINDOW
    names = dict.fromkeys([*kept, *(name for mover in movers for name in mover.columns)])
    beside, titles = output.beside(transport.features), output.titles(transport.features)
    with open_writer(path, files, beside=beside, titles=titles) as writer:
        for place, first, chunk in files.located(list(names), rows):
            result = {name: chunk[name] for name in kept}
            try:
                for mover in movers:
                    result |= mover.move(files, chunk)
            except RowError as error:
                raise InputError(f"{place}: {error.at(first + error.row)}") from error
            except InputError as error:
                last = max(first + len(next(iter(chunk.values()))) - 1, first)
                raise InputError(f"{place}: rows {first} to {last}: {error}") from error
            writer.write(result)
    counts = Counts.total({mover.each.name: mover.counts for mover in movers})
    counts.notes = [*notes, *writer.notes]
    return counts


class _Mover:
    """Moves one object of each row, or the elements of its lists, chunk after chunk."""

    def __init__(
        self,
        transport: Transport,
        each: MovedObject,
        output: Output,
        bands: Sequence[Sequence[float]],
        others: list[str],
    ) -> None:
        self.transport, self.each, self.output = transport, each, output
        self.bands, self.others = bands, others
        self.noise = transport.dequantization(0, each.name)
        self.counts = Counts()

    @property
    def columns(self) -> list[str]:
        """Columns of the files that are read."""
        return [self.each.column(name) for name in (*self.transport.features, *self.others)]

    def move(self, files: SampleFiles, chunk: Chunk) -> dict[str, Column]:
        """Columns of the output for a chunk of the files; an error's row is one of the chunk."""
        features, known = self.transport.features, self.transport.preprocessing
        read = of_chunk(files, chunk, self.each, features, self.others, known.categories)
        status = self._status(read)
        chosen, result = status == MOVED, {}
        read.check_known(known.categories, chosen)
        try:
            moved, marks = self._moved(read, chosen)
            for name in features:
                column, values = self.each.column(name), [each[name] for each in moved]
                allowed = known.allowed(name)
                result[self.output.name(column)], clipped = files.moved(
                    chunk, column, values[0], chosen, allowed, self.output.replace
                )
                self.counts.clipped[column] = self.counts.clipped.get(column, 0) + clipped
                for new, varied in self.output.varied_values(column, values).items():
                    result[new], _ = files.moved(chunk, column, varied, chosen, allowed, False)
        except RowError as error:
            index = int(np.flatnonzero(chosen)[error.row])
            raise located(RowError(index, error.column, error.text), read.counts) from error
        like = chunk[self.each.column(features[0])]
        named = zip(self.output.marks(self.each), [status, *marks], strict=True)
        return result | {name: relisted(values, like) for name, values in named}

    def _status(self, read: Elements) -> np.ndarray:
        """Say what is to happen to each element (n,), and count them."""
        transport, counts, known = self.transport, self.counts, self.transport.preprocessing
        region = transport.regions["column"] if len(self.bands) else None
        keep = self.output.outside == "keep"
        status = status_of(read, known, transport.event, region, self.bands, keep)
        refused, chosen = known.out_of_bounds(read), (status == MOVED) | (status == BEYOND)
        for name, rows in transport.beyond_columns(read).items():
            self._add(counts.beyond, name, rows & chosen)
        used = [*known.columns, *transport.event, *([region] if region else [])]
        there = np.logical_and.reduce([np.isfinite(read[name]) for name in used])
        outside = there & np.logical_or.reduce([*refused.values()])
        for name, rows in refused.items():
            self._add(counts.refused, name, rows & outside)
        counts.rows += len(status)
        if read.counts is not None:
            counts.lists += read.rows
        counts.moved += int((status == MOVED).sum())
        counts.elsewhere += int((status == ELSEWHERE).sum())
        counts.missing += int((status == MISSING).sum() - outside.sum())
        counts.outside += int(outside.sum())
        counts.kept += int((status == BEYOND).sum())
        return status

    def _add(self, counts: dict[str, int], name: str, rows: np.ndarray) -> None:
        """Count rows (n,), bool, for a column of the transport's."""
        column = self.each.column(name)
        counts[column] = counts.get(column, 0) + int(rows.sum())

    def _moved(
        self, read: Elements, chosen: np.ndarray
    ) -> tuple[list[dict[str, np.ndarray]], list[np.ndarray]]:
        """New values of the features of the chosen elements, the nominal ones and each variation's.

        And, each if it is wanted, of all elements what `Transport.support` says, -1 for those that
        are not moved, and what `Transport.weights` says, the weight as given for these. An error's
        row is one of the chosen elements.
        """
        transport = self.transport
        varied = 0 if self.output.variations == "none" else self.output.varied
        parts, before, support = [], 0, np.full(len(chosen), -1, np.int8)
        given = [read[name] for name in transport.weighed]
        weights = math.prod(given, start=np.ones(len(chosen)))
        for window in read.windows(WINDOW):
            here = chosen[window]
            rows = {name: values[window][here] for name, values in read.items()}
            try:
                placed = transport.place(rows, self.noise)
                parts.append([transport.move_placed(placed, n) for n in range(varied + 1)])
                if self.output.support:
                    support[window][here] = transport.supported(rows, placed)
                if self.output.weighted:
                    found, before_it = transport.balanced(rows, placed), weights[window][here]
                    self.counts.weightless += int(((found == 0) & (before_it != 0)).sum())
                    weights[window][here] = found
            except RowError as error:
                column = self.each.column(error.column)
                raise RowError(before + error.row, column, error.text) from error
            before += int(here.sum())
        moved = [
            {name: np.concatenate([part[name] for part in each]) for name in transport.features}
            for each in zip(*parts, strict=True)
        ]
        wanted = (support, self.output.support), (weights, self.output.weighted)
        return moved, [values for values, there in wanted if there]


def _check_name(files: SampleFiles, path: str | PathLike, transport: Transport) -> None:
    for source in (*files.files, *filter(None, [transport.file])):
        if same(path, source):
            raise InputError(f"{path}: is an input too: choose another name for the output")
    suffix = suffix_of(files.files[0])
    if suffix_of(path).lower() != suffix.lower():
        raise InputError(
            f"{path}: the input is {files.format}, and so is the output: end its name with "
            f"{suffix!r}"
        )
