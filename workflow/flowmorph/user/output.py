"""What a file of moved rows is like, and whether its format can hold it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from flowmorph.errors import InputError
from flowmorph.formats.allowed import Allowed
from flowmorph.formats.checks import listed
from flowmorph.formats.columns import Chunk, Column, describe
from flowmorph.formats.lists import relisted
from flowmorph.formats.sample_files import LEAVE_OUT, READABLE
from flowmorph.formats.tables import SampleFiles, open_writer
from flowmorph.formats.writer import CHECKED_ROWS
from flowmorph.plan.objects import MovedObject
from flowmorph.plan.suffixes import suffix_of
from flowmorph.preprocess.categories import Categories
from flowmorph.user.elements import Elements, of_chunk

#: What columns of the largest and the least value of all variations are called.
ENVELOPE = ("up", "down")

#: What columns of status, support and weight are about.
STATUS = (
    "1: moved, 0: outside of the regions to apply, -1: a value is missing or outside of declared "
    "bounds, -2: kept, as it lies beyond the range of the training"
)
SUPPORT = (
    "0: where the map is to be trusted, 1: beyond the range of the training, 2: where the target, "
    "3: where the reference has almost no events, -1: not moved"
)
WEIGHT = "weight that gives the target's spectrum of the condition"

#: What a suffix may be, as in the configuration's schema.
SUFFIX = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True)
class Output:
    """What a moved file is like.

    ``columns`` are appended, with ``suffix``, or replace the features; columns that ``drop`` names
    (or matches, as a shell does) are left out. Rows ``outside`` of the range of the training are
    moved or keep their values. ``objects`` are what is moved of each row. The transport's
    ``variations``, ``varied`` in number, are written each, or as the ``envelope`` of these and the
    nominal one, or none is. ``support`` adds a column that says where the map is to be trusted, and
    ``weighted`` one of the weights that give the file the target's spectrum of the condition. Where
    a file ``may_lack`` columns, such as data those that only simulation has, not all of ``drop``
    need be there.
    """

    columns: str = "append"
    suffix: str = "_moved"
    drop: Sequence[str] = ()
    outside: str = "move"
    objects: Sequence[MovedObject] = (MovedObject(),)
    variations: str = "each"
    varied: int = 0
    support: bool = False
    weighted: bool = False
    may_lack: bool = False

    def __post_init__(self) -> None:
        if not SUFFIX.fullmatch(self.suffix):
            raise InputError(
                f"suffix {self.suffix!r}: give letters, digits and underscores, which new columns' "
                "names end with (own.output.suffix, --suffix)"
            )

    @property
    def replace(self) -> bool:
        """Whether new values take the place of the old ones."""
        return self.columns == "replace"

    def status(self, each: MovedObject) -> str:
        """Name of the column that says what happened to an object."""
        return "_".join(filter(None, ["flowmorph", each.name])) + self.suffix

    def weight(self, each: MovedObject) -> str:
        """Name of the column of an object's weight."""
        return "_".join(filter(None, ["flowmorph", each.name, "weight"]))

    def marks(self, each: MovedObject) -> dict[str, type]:
        """Columns of numbers about an object, with their types: its status, support and weight."""
        support = "_".join(filter(None, ["flowmorph", each.name, "support"])) + self.suffix
        result: dict[str, type] = {self.status(each): np.int8}
        result |= {support: np.int8} if self.support else {}
        return result | ({self.weight(each): np.float64} if self.weighted else {})

    def name(self, column: str) -> str:
        """Column of the new values of a column."""
        return column if self.replace else column + self.suffix

    def varied_names(self, column: str) -> list[str]:
        """Columns of the variations of a column's new values."""
        if not self.varied or self.variations == "none":
            return []
        kinds = ENVELOPE if self.variations == "envelope" else range(1, self.varied + 1)
        return [f"{column}{self.suffix}_{kind}" for kind in kinds]

    def varied_values(self, column: str, values: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """What is written of a column's nominal values and those of each variation, (n,) each."""
        shown = values[1:]
        if self.variations == "envelope":
            shown = np.max(values, axis=0), np.min(values, axis=0)
        names = self.varied_names(column)
        return dict(zip(names, shown, strict=True)) if names else {}

    def beside(self, features: Sequence[str]) -> dict[str, str]:
        """Columns that are written, each with the one of the sample that its lists are like.

        Raises `InputError` where two of them would have one name.
        """
        result: dict[str, str] = {}
        for each in self.objects:
            columns = [each.column(name) for name in features]
            written = [(self.name(column), column) for column in columns]
            written += [(name, column) for column in columns for name in self.varied_names(column)]
            written += [(name, columns[0]) for name in self.marks(each)]
            for name, column in written:
                if name in result:
                    raise InputError(
                        f"two columns of the output would be named {name!r}: choose another suffix "
                        "(own.output.suffix, --suffix)"
                    )
                result[name] = column
        return result

    def titles(self, features: Sequence[str]) -> dict[str, str]:
        """What the columns that are written are about, in words, by their names."""
        result: dict[str, str] = {}
        for each in self.objects:
            for column in (each.column(name) for name in features):
                result[self.name(column)] = f"{column}, moved"
                result |= {name: f"{column}, moved, varied" for name in self.varied_names(column)}
            shown = [STATUS, *[SUPPORT] * self.support, *[WEIGHT] * self.weighted]
            result |= dict(zip(self.marks(each), shown, strict=True))
        return result

    def kept(self, files: SampleFiles) -> list[str]:
        """Columns of a sample that are in the output."""
        return [
            name
            for name in files.columns
            if not any(_matches(name, pattern) for pattern in self.drop)
        ]

    def check_drop(self, files: SampleFiles) -> list[str]:
        """Raise `InputError` for a pattern in ``drop`` that matches no column.

        Where columns may be lacking, gives a line for the log about each such pattern instead.
        """
        notes = []
        for pattern in self.drop:
            if any(_matches(name, pattern) for name in files.columns):
                continue
            notes.append(f"{pattern!r} matches no column that could be dropped")
            if not self.may_lack:
                raise InputError(
                    f"{files.files[0]}: {notes[-1]} (there are {listed(files.columns)}): correct "
                    "the name or pattern (own.output.drop, --drop)"
                )
        return notes


def _matches(name: str, pattern: str) -> bool:
    # A name with brackets, which are part of patterns, must match itself, too.
    return name == pattern or fnmatchcase(name, pattern)


def check_output(
    files: SampleFiles,
    features: Sequence[str],
    needed: Sequence[str],
    whole: Set[str],
    output: Output,
    categories: Mapping[str, Categories] | None = None,
) -> dict[str, str]:
    """Write the first rows, for a trial, as they would be written after moving.

    Args:
        files: the sample.
        features: names of the columns to move, as the transport has them.
        needed: names of further columns that are read, likewise.
        whole: those of the features that hold whole numbers.
        output: what the moved file is like.
        categories: of those columns that are read as such.

    Returns:
        What each column of the output will be, in words, by its name.

    Raises:
        InputError: something could not be read or written; the message names the columns at fault.
    """
    used = [each.column(name) for each in output.objects for name in (*features, *needed)]
    for name in used:
        if name not in files.columns:
            raise InputError(
                f"{files.files[0]}: no column {name!r} (it has {listed(files.columns)}): correct "
                "the name, or say which one it is (own.output.objects, --object, --rename)"
            )
    files.require(used, hint=READABLE)
    kept, beside = output.kept(files), output.beside(features)
    for name, column in beside.items():
        if name in files.columns and name != column:
            hint = "choose another suffix (own.output.suffix, --suffix)"
            if output.weighted and name in map(output.weight, output.objects):
                hint = "rename it in the file, as the balanced weights are written to it"
            raise InputError(f"{files.files[0]}: column {name!r} is there already: {hint}")
        if name == column and name not in kept:
            raise InputError(
                f"column {name!r} is dropped and replaced: take it out of own.output.drop"
            )
    results = []
    for path, chunk in _first_chunks(files, list(dict.fromkeys([*kept, *used]))):
        result = {name: chunk[name] for name in kept}
        for each in output.objects:
            try:
                read = of_chunk(files, chunk, each, features, needed, categories or {})
                result |= _unmoved(files, chunk, read, features, whole, output, each)
            except InputError as error:
                raise InputError(f"{path}: {error}") from error
        results.append(result)
    _rehearse(files, results, beside)
    return {name: describe(column) for name, column in results[0].items()}


def _unmoved(
    files: SampleFiles,
    chunk: Chunk,
    read: Elements,
    features: Sequence[str],
    whole: Set[str],
    output: Output,
    each: MovedObject,
) -> dict[str, Column]:
    """What is written of an object none of which was moved."""
    nowhere = np.zeros(len(read[features[0]]), bool)
    result = {}
    for name in features:
        column = each.column(name)
        for new in (output.name(column), *output.varied_names(column)):
            replaced = output.replace and new == column
            result[new], _ = files.moved(
                chunk, column, np.empty(0), nowhere, Allowed(name in whole), replaced
            )
    like = chunk[each.column(features[0])]
    marks = output.marks(each).items()
    return result | {name: relisted(nowhere.astype(kind), like) for name, kind in marks}


def _first_chunks(files: SampleFiles, names: Sequence[str]) -> Iterator[tuple[Path, Chunk]]:
    """The first rows of the sample's first and last file, with the file's name."""
    for found in {id(found): found for found in (files.facts[0], files.facts[-1])}.values():
        yield found.path, next(SampleFiles(files.module, [found]).chunks(names, CHECKED_ROWS))


def _rehearse(files: SampleFiles, chunks: Sequence[Chunk], beside: Mapping[str, str]) -> None:
    """Write chunks to a file that is read back and deleted; an error names the columns at fault."""
    error = _refusal(files, chunks, beside)
    if error is None:
        return
    alone = {
        name: _refusal(files, [{name: chunk[name]} for chunk in chunks], beside)
        for name in chunks[0]
    }
    bad = [f"{name!r} ({files.types.get(name, 'new')})" for name in alone if alone[name]]
    if not bad:
        raise error
    reason = next(text for text in alone.values() if text)
    raise InputError(
        f"{files.files[0]}: the output could not hold {', '.join(bad)}: {LEAVE_OUT} ({reason})"
    ) from error


def _refusal(
    files: SampleFiles, chunks: Sequence[Chunk], beside: Mapping[str, str]
) -> InputError | None:
    """Why these chunks cannot be written in the sample's format; None if they can."""
    with TemporaryDirectory() as folder:
        name = "output" + suffix_of(files.files[0])
        try:
            with open_writer(Path(folder) / name, files, True, beside) as writer:
                for chunk in chunks:
                    writer.write(chunk)
        except InputError as error:
            return InputError(str(error).replace(f"{folder}/", "the moved "))
    return None
