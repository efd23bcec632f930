"""ROOT files, TTree and RNTuple, by uproot."""

from __future__ import annotations

from collections.abc import Sequence

from flowmorph.errors import InputError
from flowmorph.formats.checks import listed
from flowmorph.formats.columns import Chunk, moved, numbers
from flowmorph.formats.flat_root import fixed_date
from flowmorph.formats.labels import labels
from flowmorph.formats.root.opening import describe, inspect, iterate, opened
from flowmorph.formats.root.others import copy_others
from flowmorph.formats.root.write import Target, create, refused
from flowmorph.formats.sample_files import LEAVE_OUT, FileFacts
from flowmorph.formats.writer import ChunkWriter

__all__ = ["Writer", "inspect", "iterate", "labels", "moved", "numbers", "opened"]


class Writer(ChunkWriter):
    """Write a TTree or RNTuple, straight to disk, after copies of what else the files have."""

    def _start(self, chunk: Chunk) -> None:
        found = self.like.facts[0]
        bad = refused(found.format, chunk)
        if bad:
            which = ", ".join(f"{name!r} ({found.columns.get(name, 'new')})" for name in bad)
            raise InputError(
                f"{self.path}: uproot cannot write columns of these types to a {found.format} "
                f"file: {which}: {LEAVE_OUT}"
            )
        stream = self.open.enter_context(open(self.part, "w+b"))
        with fixed_date():
            self.file = create(stream)
            self.others = (
                [] if self.trial
                else copy_others(self.like.facts, self.file, self.path, self.notes)
            )  # fmt: skip
            self.target = Target(self.file, found, chunk, self.path, self.beside, self.titles)

    def _append(self, chunk: Chunk, rows: int) -> None:
        with fixed_date():
            self.target.extend(chunk)

    def _finish(self) -> None:
        with fixed_date():
            self.file.close()
        self.open.close()
        for before, names in [*self.others, (self.like.facts[0], self.names)]:
            with opened(self.part) as file:
                kind = file.key(before.tree).fClassName
                after = describe(self.part, file, before.tree, kind)
            one = "" if before.tree == self.like.tree else f"{before.tree!r}: "
            self.notes += [one + line for line in _changes(before, after, names)]


def _changes(before: FileFacts, after: FileFacts, names: Sequence[str]) -> list[str]:
    """Lines on what is kept of a tree, but in another way, and on what is not kept."""
    layout, lines = before.layout, []
    changed: dict[tuple[str, str], dict[str, str]] = {}
    parents: dict[str, None] = {}
    for name in names:
        if name not in before.columns:
            continue
        old, new = before.columns[name], after.columns[name]
        if name in layout.parents:
            parents["{!r} ({})".format(*layout.parents[name])] = None
        if old != new:
            counter = layout.counters.get(name, ("",))[0]
            written = new.replace("[]", f"[{counter}]") or "a type without the names of its classes"
            changed.setdefault((old, new), {})[repr(name)] = written
    for (old, _), columns in changed.items():
        which, kinds = listed(columns), listed(dict.fromkeys(columns.values()))
        one = f"column {which} ({old}) is" if len(columns) == 1 else f"columns {which} ({old}) are"
        lines.append(f"{one} written as {kinds}")
    if parents:
        lines.append(f"the members of {listed(parents)} are written as columns of their own")
    untitled = [
        repr(name)
        for name, title in layout.titles.items()
        if name in names and after.layout.titles.get(name) != title
    ]
    if untitled:
        lines.append(f"the titles of {listed(untitled)} are not kept")
    if layout.lost:
        lines.append(f"the tree's {layout.lost} are not copied: uproot does not write them")
    return lines
