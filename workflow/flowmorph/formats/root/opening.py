"""Trees of a ROOT file: found, described and read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import uproot

from flowmorph.errors import InputError
from flowmorph.formats.checks import listed, reading
from flowmorph.formats.columns import Chunk
from flowmorph.formats.root.columns import chunks, layout_of, parts, unreadable
from flowmorph.formats.sample_files import FileFacts

#: The class of RNTuples before their format was final, which uproot does not read.
EXPERIMENTAL = "ROOT::Experimental::RNTuple"

#: Formats of the classes that hold columns.
CLASSES = {"TTree": "root-ttree", "TNtuple": "root-ttree", "TNtupleD": "root-ttree"}
CLASSES |= {"ROOT::RNTuple": "root-rntuple", EXPERIMENTAL: "root-rntuple"}


@contextmanager
def opened(path: str | PathLike) -> Iterator[uproot.ReadOnlyDirectory]:
    """Open a file whose end is there, which uproot does not ask before it reads what is not."""
    with reading(Path(path), "ROOT"), uproot.open(path) as file:
        missing = file.file.fEND - Path(path).stat().st_size
        if missing > 0:
            raise ValueError(f"its last {missing} bytes are missing")
        yield file


def inspect(paths: Sequence[Path], tree: str | None) -> list[FileFacts]:
    """Find tree, columns and entries of each file."""
    return [_inspect(path, tree) for path in paths]


def _inspect(path: Path, tree: str | None) -> FileFacts:
    with opened(path) as file:
        classes = {
            name: kind for name, kind in file.classnames(cycle=False).items() if kind in CLASSES
        }
        if tree is None:
            if len(classes) != 1:
                many = f"several trees ({listed(classes)}): name one" if classes else "no tree"
                raise InputError(f"{path}: has {many}")
            (tree,) = classes
        if tree not in classes:
            raise InputError(f"{path}: no tree {tree!r} (it has {listed(classes)})")
        return describe(path, file, tree, classes[tree])


def describe(path: Path, file, tree: str, kind: str) -> FileFacts:
    """Describe the tree of a name, the latest of those in an open file, and its class."""
    if kind == EXPERIMENTAL:
        raise InputError(
            f"{path}: RNTuple {tree!r} was written before that format was final ({kind}), which "
            "uproot does not read: write it again with ROOT 6.34 or newer"
        )
    source = file[tree]
    found, twice = parts(source)
    columns = {name: part.type for name, part in found.items()}
    layout = layout_of(source, file.key(tree), found)
    rows = int(source.num_entries)
    return FileFacts(
        path, CLASSES[kind], tree, columns, rows, layout, unreadable(found, rows) | twice
    )  # fmt: skip


def iterate(found: FileFacts, columns: Sequence[str], size: int) -> Iterator[Chunk]:
    """Read the columns of one file in chunks of at most ``size`` entries."""
    if not columns:
        return
    with opened(found.path) as file:
        yield from chunks(found, file[found.tree], columns, size)
