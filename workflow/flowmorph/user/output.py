"""What a file of moved rows is like, and whether its format can hold it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from flowmorph.errors import InputError
from flowmorph.formats import SampleFiles, open_writer
from flowmorph.formats.base import CHECKED_ROWS, LEAVE_OUT, READABLE, listed
from flowmorph.formats.columns import Chunk, Column, describe
from flowmorph.plan.suffixes import suffix_of


@dataclass(frozen=True)
class Output:
    """What a moved file is like.

    ``columns`` are appended, with ``suffix``, or replace the features; columns that ``drop`` names
    (or matches, as a shell does) are left out. Rows ``outside`` of the range of the training are
    moved or keep their values.
    """

    columns: str = "append"
    suffix: str = "_moved"
    drop: Sequence[str] = ()
    outside: str = "move"

    @property
    def replace(self) -> bool:
        """Whether new values take the place of the old ones."""
        return self.columns == "replace"

    @property
    def status(self) -> str:
        """Name of the column that says what happened to a row."""
        return f"flowmorph{self.suffix}"

    def name(self, feature: str) -> str:
        """Column of a feature's new values."""
        return feature if self.replace else feature + self.suffix

    def kept(self, files: SampleFiles) -> list[str]:
        """Columns of a sample that are in the output."""
        return [
            name
            for name in files.columns
            if not any(_matches(name, pattern) for pattern in self.drop)
        ]

    def check_drop(self, files: SampleFiles) -> None:
        """Raise `InputError` for a pattern in ``drop`` that matches no column."""
        for pattern in self.drop:
            if not any(_matches(name, pattern) for name in files.columns):
                raise InputError(
                    f"{files.files[0]}: {pattern!r} matches no column that could be dropped (there "
                    f"are {listed(files.columns)}): correct own.output.drop"
                )


def _matches(name: str, pattern: str) -> bool:
    # A name with brackets, which are part of patterns, must match itself, too.
    return name == pattern or fnmatchcase(name, pattern)


def check_output(
    files: SampleFiles,
    features: Sequence[str],
    needed: Sequence[str],
    whole: Set[str],
    output: Output,
) -> dict[str, str]:
    """Write the first rows, for a trial, as they would be written after moving.

    Args:
        files: the sample.
        features: names of the columns to move.
        needed: names of further columns that are read.
        whole: those of the features that hold whole numbers.
        output: what the moved file is like.

    Returns:
        What each column of the output will be, in words, by its name.

    Raises:
        InputError: something could not be read or written; the message names the columns at fault.
    """
    files.require([*features, *needed], hint=READABLE)
    kept = output.kept(files)
    new = {name: output.name(name) for name in features}
    for name in [*(() if output.replace else new.values()), output.status]:
        if name in files.columns:
            raise InputError(
                f"{files.files[0]}: column {name!r} is there already: choose another suffix "
                "(own.output.suffix, --suffix)"
            )
    for name in features:
        if output.replace and name not in kept:
            raise InputError(
                f"column {name!r} is dropped and replaced: take it out of own.output.drop"
            )
    names = list(dict.fromkeys([*kept, *features, *needed]))
    results = []
    for chunk in _first_chunks(files, names):
        for name in needed:
            files.numbers(chunk, name)
        nowhere = np.zeros(len(next(iter(chunk.values()))), bool)
        result = {name: chunk[name] for name in kept}
        for name in features:
            try:
                result[new[name]], _ = files.moved(
                    chunk, name, np.empty(0), nowhere, name in whole, output.replace
                )
            except InputError as error:
                raise InputError(f"{files.files[0]}: {error}") from error
        results.append(result | {output.status: nowhere.astype(np.int8)})
    _rehearse(files, results)
    return {name: describe(column) for name, column in results[0].items()}


def _first_chunks(files: SampleFiles, names: Sequence[str]) -> Iterator[Chunk]:
    """The first rows of the sample's first and last file."""
    for found in {id(found): found for found in (files.facts[0], files.facts[-1])}.values():
        yield next(SampleFiles(files.module, [found]).chunks(names, CHECKED_ROWS))


def _rehearse(files: SampleFiles, chunks: Sequence[Chunk]) -> None:
    """Write chunks to a file that is read back and deleted; an error names the columns at fault."""
    error = _refusal(files, chunks)
    if error is None:
        return
    alone = {name: _refusal(files, [{name: chunk[name]} for chunk in chunks]) for name in chunks[0]}
    bad = [f"{name!r} ({files.types.get(name, 'new')})" for name in alone if alone[name]]
    if not bad:
        raise error
    reason = next(text for text in alone.values() if text)
    raise InputError(
        f"{files.files[0]}: the output could not hold {', '.join(bad)}: {LEAVE_OUT} ({reason})"
    ) from error


def _refusal(files: SampleFiles, chunks: Sequence[dict[str, Column]]) -> InputError | None:
    """Why these chunks cannot be written in the sample's format; None if they can."""
    with TemporaryDirectory() as folder:
        name = "output" + suffix_of(files.files[0])
        try:
            with open_writer(Path(folder) / name, files, trial=True) as writer:
                for chunk in chunks:
                    writer.write(chunk)
        except InputError as error:
            return InputError(str(error).replace(f"{folder}/", "the moved "))
    return None
