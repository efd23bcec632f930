"""What is in an HDF5 file: its groups and datasets, links that are not followed, data frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py

from flowmorph.errors import InputError
from flowmorph.formats.checks import listed

#: Groups in groups, and nodes in all, that are looked at: groups may contain themselves.
DEPTH, NODES = 8, 20_000

#: How the name of a table begins in the name of PyTables' group to search it.
SEARCH = "_i_"


def pandas_type(node: object) -> str | None:
    """What pandas says of a group that is its own: frame, frame_table, series, ..."""
    if not isinstance(node, h5py.Group) or "pandas_type" not in node.attrs:
        return None
    value = node.attrs["pandas_type"]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def link_problem(group: h5py.Group, name: str) -> str | None:
    """Why what has a name in a group is not looked at, if so: other files are never opened."""
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.SoftLink):
        return f"a link to {link.path!r}, which is not followed"
    if isinstance(link, h5py.ExternalLink):
        return f"a link to {link.path!r} in {link.filename!r}, which is not followed"
    return None


def walk(group: h5py.Group) -> Iterator[tuple[str, object]]:
    """Path and object of all nodes below a group, and not of those inside a data frame.

    Of a link that is not followed there is a text that says so. Left out are what PyTables keeps
    to search a table.
    """
    waiting, seen = [(group.name, group, 0)], 0
    while waiting:
        path, node, depth = waiting.pop(0)
        if seen:
            yield path, node
        seen += 1
        if seen > NODES or depth > DEPTH:
            raise InputError(
                f"{group.file.filename}: groups nest deeper than {DEPTH} or hold more than "
                f"{NODES} nodes: name the group"
            )
        if isinstance(node, h5py.Group) and pandas_type(node) is None:
            for name in node:
                if name.startswith(SEARCH) and name.removeprefix(SEARCH) in node:
                    continue
                child = link_problem(node, name) or node[name]
                waiting.append((f"{path.rstrip('/')}/{name}", child, depth + 1))


def find(path: Path, file: h5py.File, tree: str | None) -> h5py.Group | h5py.Dataset:
    """The group or dataset that a sample's ``tree`` names; the only data frame, or the root."""
    if tree is None:
        keys = _frames(file)
        if len(keys) > 1:
            raise InputError(f"{path}: has several keys ({listed(keys)}): name one")
        return file[keys[0]] if keys else file
    place = file
    for name in tree.strip("/").split("/") if tree.strip("/") else []:
        if not isinstance(place, h5py.Group) or name not in place:
            known = _frames(file) or [name for name, _ in walk(file)]
            raise InputError(f"{path}: no key {tree!r} (it has {listed(known)})")
        problem = link_problem(place, name)
        if problem:
            raise InputError(f"{path}: key {tree!r} is {problem}: name the group itself")
        place = place[name]
    if not isinstance(place, h5py.Group | h5py.Dataset):
        raise InputError(f"{path}: key {tree!r} is a type, not a group or dataset: name another")
    return place


def _frames(file: h5py.File) -> list[str]:
    return [name for name, node in walk(file) if pandas_type(node) is not None]
