"""Events from Delphes' ROOT files: its energy-flow objects, or its calorimeter towers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import awkward as ak
import numpy as np

from flowmorph.collider.events import FIELDS, check_events, make_events
from flowmorph.errors import InputError
from flowmorph.formats import root
from flowmorph.formats.checks import check_readable, listed
from flowmorph.formats.tables import find_files

TREE = "Delphes"

#: Branches of the energy flow, each with the name of its transverse momentum; and the branch that
#: is read instead from files without any of them.
EFLOW = {"EFlowTrack": "PT", "EFlowPhoton": "ET", "EFlowNeutralHadron": "ET"}
TOWERS = {"Tower": "ET"}

#: The calorimeters of Delphes' cards end at this |eta| at most, except for that of FCC-hh. Tracks
#: of zero pT have an eta of 999.9.
ETA_MAX = 6.0

#: Events that are read at a time.
BLOCK_EVENTS = 2000


@dataclass
class Objects:
    """How many energy-flow objects were read, and why the others are not in the events."""

    kept: int = 0
    zero_pt: int = 0
    absurd_eta: int = 0
    branches: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.kept} objects of {', '.join(self.branches)}; left out: {self.zero_pt} with "
            f"zero pT, {self.absurd_eta} with |eta| > {ETA_MAX:g}"
        )


def count_events(patterns: str | Sequence[str]) -> list[tuple[Path, int]]:
    """Find a sample's files, in sorted order, and the number of events in each.

    Raises `InputError` for a pattern without match or a file without Delphes' tree.
    """
    found = []
    for path in find_files(patterns):
        check_readable(path)
        with root.opened(path) as file:
            found.append((path, int(_tree(path, file).num_entries)))
    return found


def read_delphes(
    files: Sequence[tuple[str | PathLike, int]], start: int, stop: int
) -> tuple[ak.Array, Objects]:
    """Read events ``start`` to ``stop`` (exclusive) of files that follow each other.

    ``files`` are those of `count_events`. The objects of EFlowTrack, EFlowPhoton and
    EFlowNeutralHadron, or those of Tower in a file without any of them, are massless particles as
    in `flowmorph.collider.events`; objects of zero pT or with an absurd pseudorapidity are left out
    and counted. Memory: the branches of 2,000 events beside the result. Raises `InputError` for
    events that are not there, a branch that is missing, or a particle whose momentum is not finite
    or whose pT is negative.
    """
    total = sum(events for _, events in files)
    if not 0 <= start < stop <= total:
        raise InputError(
            f"{listed([path for path, _ in files], 3)}: events {start} to {stop} asked for, "
            f"but there are {total}"
        )
    blocks, objects, first = [], Objects(), 0
    for path, events in files:
        low, high = max(start - first, 0), min(stop - first, events)
        first += events
        if low >= high:
            continue
        with root.opened(path) as file:
            tree = _tree(path, file)
            branches = _branches(path, tree)
            objects.branches += [name for name in branches if name not in objects.branches]
            for begin in range(low, high, BLOCK_EVENTS):
                end = min(begin + BLOCK_EVENTS, high)
                parts = [_particles(tree, *branch, begin, end) for branch in branches.items()]
                blocks.append(_clean(ak.concatenate(parts, axis=1), path, begin, objects))
    return ak.concatenate(blocks), objects


def _tree(path: str | PathLike, file):
    if TREE not in file:
        raise InputError(
            f"{path}: no tree {TREE!r} (it has {listed(file.keys(cycle=False))}): "
            "give Delphes' output"
        )
    return file[TREE]


def _branches(path: str | PathLike, tree) -> dict[str, str]:
    """Branches of the file to be read, each with the name of its transverse momentum."""
    there = {name: pt for name, pt in EFLOW.items() if f"{name}.{pt}" in tree}
    if 0 < len(there) < len(EFLOW):
        missing = next(name for name in EFLOW if name not in there)
        raise InputError(
            f"{path}: no branch {missing!r} beside {listed(there)}: a part of the event is "
            "missing: write all of the energy flow"
        )
    there = there or {name: pt for name, pt in TOWERS.items() if f"{name}.{pt}" in tree}
    if not there:
        raise InputError(f"{path}: no branch {listed([*EFLOW, *TOWERS])}: let Delphes write them")
    for name in there:
        for leaf in ("Eta", "Phi"):
            if f"{name}.{leaf}" not in tree:
                raise InputError(f"{path}: no branch '{name}.{leaf}': give Delphes' output")
    return there


def _particles(tree, name: str, pt: str, start: int, stop: int) -> ak.Array:
    leaves = zip(FIELDS, (pt, "Eta", "Phi"), strict=True)
    return ak.zip(
        {
            key: tree[f"{name}.{leaf}"].array(entry_start=start, entry_stop=stop)
            for key, leaf in leaves
        }
    )


def _clean(particles: ak.Array, path: str | PathLike, first: int, objects: Objects) -> ak.Array:
    """Leave out, and count, objects of zero pT or absurd eta; the others must be finite."""
    zero = particles.pt == 0
    absurd = ~zero & (np.abs(particles.eta) > ETA_MAX)
    objects.zero_pt += int(ak.sum(zero))
    objects.absurd_eta += int(ak.sum(absurd))
    particles = particles[~zero & ~absurd]
    objects.kept += int(ak.sum(ak.num(particles)))
    events = make_events(particles)
    check_events(events, path, first)
    return ak.to_packed(events)
