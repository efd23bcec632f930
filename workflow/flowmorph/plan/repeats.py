"""Trainings repeated with other seeds, as a part of the names of data sets and tasks.

``science_seed2`` is the task ``science`` with flows that were trained a second time, on the same
points, and ``science_seed2_signal`` what they do in the signal region. ``science_ensemble`` sends
each point through one of the repeated flows, chosen at random. The first training has no such part,
so that a run without repetition has plain names only.
"""

from __future__ import annotations

import re

SEED = "_seed[0-9]+"
ENSEMBLE = "_ensemble"
SIGNAL = "_signal"
_PART = re.compile(f"({SEED}|{ENSEMBLE})(?={SIGNAL}$|$)")


def plain(name: str) -> str:
    """The name of what is repeated: ``science_signal`` for ``science_seed2_signal``."""
    return _PART.sub("", name)


def part(name: str) -> str:
    """Which repetition a name stands for: nothing, ``_seed2`` or ``_ensemble``."""
    found = _PART.search(name)
    return found.group(1) if found else ""


def named(name: str, repetition: str) -> str:
    """The plain ``name`` with a part for its repetition."""
    signal = SIGNAL if name.endswith(SIGNAL) else ""
    return name.removesuffix(SIGNAL) + repetition + signal


def repeated(name: str, seeds: int) -> list[str]:
    """The names of a data set's or a task's trainings, the first one plain."""
    return [name, *(named(name, f"_seed{number}") for number in range(2, seeds + 1))]


def ensemble(name: str, seeds: int) -> list[str]:
    """The name of the ensemble, where there is one."""
    return [named(name, ENSEMBLE)] if seeds > 1 else []
