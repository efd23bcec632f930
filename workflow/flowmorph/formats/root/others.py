"""What else is in ROOT files beside the tree of events, copied to the output or named.

Histograms of several files are added and trees are chained, as ROOT's hadd does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from flowmorph.errors import InputError
from flowmorph.formats.checks import one_line
from flowmorph.formats.root.histograms import HISTOGRAM, Sum
from flowmorph.formats.root.opening import CLASSES, describe, iterate, opened
from flowmorph.formats.root.write import Target, refused
from flowmorph.formats.sample_files import FileFacts

_ROWS = 20_000


def copy_others(
    facts: Sequence[FileFacts], file, path: Path, notes: list[str]
) -> list[tuple[FileFacts, list[str]]]:
    """Copy all but the tree of events; gives the trees that were copied, and their columns.

    This comes first in the output: beyond 2 GB a key is longer, and an object that was copied byte
    by byte would not find its parts. ``notes`` gets a line for each thing that is not copied.
    """
    #: Of each thing its class in each of the files that have it.
    things: dict[str, dict[int, str]] = {}
    for number, found in enumerate(facts):
        with opened(found.path) as source:
            for name in source.keys(cycle=False):
                things.setdefault(name, {})[number] = source.key(name).fClassName
    del things[facts[0].tree]
    trees, others = {}, {}
    for name, classes in things.items():
        kind, *more = sorted(set(classes.values()))
        if more:
            notes.append(
                f"{name!r} is not copied: it is a {kind} in one file, a {more[0]} in others"
            )
        elif kind in ("TDirectory", "TDirectoryFile"):
            file.mkdir(name)
        elif kind in CLASSES:
            trees[name] = kind, [facts[number] for number in classes]
        else:
            others[name] = kind, list(classes)
    _copy_objects(facts, others, file, notes)
    copied = [_copy_tree(name, *tree, file, path, notes) for name, tree in trees.items()]
    return [each for each in copied if each]


def _copy_objects(
    facts: Sequence[FileFacts], others: Mapping[str, tuple[str, list[int]]], file, notes: list[str]
) -> None:
    sums: dict[str, Sum] = {}
    contents: dict[str, set[bytes]] = {}
    for number, found in enumerate(facts):
        with opened(found.path) as source:
            whole = []
            for name, (kind, having) in others.items():
                if number not in having:
                    continue
                if len(having) > 1 and HISTOGRAM.fullmatch(kind):
                    sums.setdefault(name, Sum()).add(source[name])
                    continue
                if len(having) > 1:
                    contents.setdefault(name, set()).add(_digest(source, name))
                if number < having[-1]:
                    continue
                if len(contents.get(name, ())) > 1:
                    notes.append(f"{name!r} ({kind}) is not copied: it differs between the files")
                else:
                    whole.append(name)
            _copy_bytes(source, whole, file, notes)
    for name, total in sums.items():
        reason = total.reason or _write(file, name, total.model)
        if reason:
            notes.append(f"{name!r} ({others[name][0]}) is not copied: {reason}")
        elif total.lost:
            notes.append(f"{name!r} ({others[name][0]}) is the sum of the files', {total.lost}")


def _write(file, name: str, model) -> str | None:
    """Write a histogram; gives the reason if that cannot be done."""
    try:
        file[name] = model
    except (NotImplementedError, TypeError, ValueError) as error:
        return f"uproot cannot write the sum of the files' ({one_line(error)})"


def _digest(source, name: str) -> bytes:
    chunk, _ = source.key(name).get_uncompressed_chunk_cursor()
    return hashlib.sha256(chunk.raw_data).digest()


def _copy_bytes(source, names: Sequence[str], file, notes: list[str]) -> None:
    """Copy objects as they are, with the descriptions of their classes.

    uproot's copy_from does so, but leaves a folder without a name in the output.
    """
    streamers = set()
    for name in names:
        key, needed = source.key(name), []
        try:
            for streamer in source.file.streamers_named(key.fClassName):
                streamer._dependencies(source.file.streamers, needed)
        except KeyError as error:
            notes.append(
                f"{name!r} ({key.fClassName}) is not copied: its file does not describe {error}"
            )
            continue
        streamers.update(needed)
        begin = key.data_cursor.index
        chunk = source.file.source.chunk(begin, begin + key.data_compressed_bytes)
        folder = file.mkdir(name.rpartition("/")[0]) if "/" in name else file
        folder._cascading.add_object(
            file.file.sink, key.fClassName, key.fName, key.fTitle, chunk.raw_data.tobytes(),
            key.data_uncompressed_bytes, big=key.fVersion > 1000 or None,
        )  # fmt: skip
    described = [source.file.streamer_named(*each) for each in sorted(streamers)]
    file.file._cascading.streamers.update_streamers(file.file.sink, described)


def _copy_tree(
    name: str, kind: str, facts: Sequence[FileFacts], file, path: Path, notes: list[str]
) -> tuple[FileFacts, list[str]] | None:
    """Copy a tree, chained if it is in several files; gives it and the columns that were copied."""
    trees = []
    try:
        for found in facts:
            with opened(found.path) as source:
                trees.append(describe(found.path, source, name, kind))
    except InputError as error:
        notes.append(f"{name!r} is not copied: {error}")
        return None
    first = trees[0]
    if any(tree.columns != first.columns for tree in trees):
        notes.append(f"{name!r} is not copied: its columns differ between the files")
        return None
    bad = {column for tree in trees for column in tree.unreadable}
    target = None
    try:
        names = _writable(first, [column for column in first.columns if column not in bad])
        for tree in trees if names else ():
            for chunk in iterate(tree, names, _ROWS):
                target = target or Target(file, first, chunk, path)
                if tree.rows:
                    target.extend(chunk)
    except InputError as error:
        if target:
            del file[name]
        notes.append(f"{name!r} is not copied: {error}")
        return None
    if not names:
        notes.append(f"{name!r} is not copied: it has no column that uproot can copy")
        return None
    missing = [f"{each!r} ({kind})" for each, kind in first.columns.items() if each not in names]
    if missing:
        notes.append(f"{name!r} is copied without {', '.join(missing)}: uproot cannot copy them")
    return first, names


def _writable(found: FileFacts, names: Sequence[str]) -> list[str]:
    """Those of the columns that can be written."""
    if not names:
        return []
    bad = refused(found.format, next(iterate(found, names, 1)))
    return [name for name in names if name not in bad]
