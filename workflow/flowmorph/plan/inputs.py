"""The user's files that a run reads: where they are, and that no rule writes there.

Snakemake deletes the outputs of a job before it runs, so one of the user's files among them would
be gone before the job could refuse it. All of this is therefore checked when the Snakefile is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cache, reduce
from operator import getitem
from pathlib import Path

from flowmorph.errors import InputError
from flowmorph.plan import own_config, paths

#: Keys with files of the user's own samples, and of each source of collider events.
OWN = ("own.reference.files", "own.target.files", "apply")
SOURCES = {
    source: tuple(f"collider.{source}.files.{sample}" for sample in ("reference", "target"))
    for source in ("lhco", "lhco_features", "delphes")
}
DOWNLOADS = "collider.download.folder"


def expand_home(config: dict) -> None:
    """Replace a leading ``~`` in every key that names files, in place."""
    for key in (*OWN, *sum(SOURCES.values(), ()), DOWNLOADS):
        above, last = _place(config, key)
        value = above[last]
        if isinstance(value, str):
            above[last] = os.path.expanduser(value)
        elif value is not None:
            above[last] = [os.path.expanduser(name) for name in value]


def check_apart(config: dict, out: str) -> None:
    """Raise InputError, naming key and file, if one of the user's files lies where the run writes.

    ``out`` is the run's folder. Symbolic links are followed: to files, to the folder, and inside of
    it.
    """
    folders, identity = _written_folders(out), cache(_identity)
    for key, pattern in _named(config):
        for name in own_config.matching(pattern):
            real = Path(name).resolve()
            for place in (real, *real.parents):
                if folder := folders.get(identity(place)):
                    link = "" if real == Path(os.path.abspath(name)) else f" (it is {real})"
                    raise InputError(
                        f"config: {key}: {name}{link}: lies in {folder}, where this run writes: "
                        "copy it elsewhere, or choose another name for the run (key run)"
                    )


def check_patterns(config: dict, written: Iterable[str]) -> None:
    """Raise InputError for a pattern that will match a file once the run has ``written`` it.

    Checked before such a file is there: a pattern that is corrected later is another setting, with
    which everything is trained again.
    """
    made = [(name, _parts(name)) for name in written]
    for key, pattern in _named(config):
        parts = _parts(pattern)
        for name, of_name in made:
            if _covers(parts, of_name):
                raise InputError(
                    f"config: {key}: {pattern}: matches {name}, which this run writes: choose a "
                    "pattern that does not, or another name for the run (key run)"
                )


def _place(config: dict, key: str) -> tuple[dict, str]:
    *above, last = key.split(".")
    return reduce(getitem, above, config), last


def _named(config: dict) -> Iterator[tuple[str, str]]:
    """Key and name or pattern of all files that the run may read; of one source of events only."""
    for key in (*OWN, *SOURCES.get(config["collider"]["source"], ())):
        above, last = _place(config, key)
        for pattern in own_config.patterns(above[last]):
            yield key, pattern


def _written_folders(out: str) -> dict[tuple[int, int], str]:
    """Folders in which rules, Snakemake and the compiler of flows write, by their identity."""
    names = [out, ".snakemake", paths.compiled()]
    for folder, below, _ in os.walk(out):
        names += [path for name in below if os.path.islink(path := os.path.join(folder, name))]
    found = {_identity(Path(name)): name for name in names}
    found.pop(None, None)
    return found


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode, the same for all names of one folder; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _parts(name: str) -> tuple[str, ...]:
    return Path(os.path.abspath(name)).parts


def _covers(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """Whether a pattern matches a path, part by part; ``**`` stands for any number of folders."""
    if not pattern or not path:
        return not pattern and not path
    if pattern[0] == "**":
        return any(_covers(pattern[1:], path[skipped:]) for skipped in range(len(path)))
    return fnmatchcase(path[0], pattern[0]) and _covers(pattern[1:], path[1:])
