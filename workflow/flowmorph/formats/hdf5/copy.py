"""What of HDF5 files is no column: attributes, single values, other groups; copied by h5py."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

import h5py
import numpy as np

from flowmorph.errors import InputError
from flowmorph.formats.checks import reading
from flowmorph.formats.hdf5.opening import check_survives, opened_plain
from flowmorph.formats.hdf5.plain import (
    check_dataset,
    dataset_problem,
    filters,
    memory_type,
    type_problem,
)
from flowmorph.formats.hdf5.tree import SEARCH, link_problem

#: Bytes of datasets that are compared at a time.
PIECE = 16 << 20

#: Groups and datasets that are looked at: groups may contain each other.
NODES = 20_000

#: What has attributes.
Place = h5py.Group | h5py.Dataset


class Copier:
    """Copies to one file what several have alike, and is no column; ``notes`` names the rest.

    ``taken`` are the nodes of columns: nothing of them, or below them, is looked at, except for
    attributes. A ``trial`` takes the first file's attributes, and copies nothing else.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        taken: Collection[str],
        notes: list[str],
        stack: ExitStack,
        trial: bool = False,
    ) -> None:
        self.path = paths[0]
        if not trial:
            check_survives(paths[0], lambda: _look(paths[0], taken))
        self.first = stack.enter_context(opened_plain(paths[0]))
        self.taken, self.notes, self.trial = frozenset(taken), notes, trial
        #: Groups that columns are in.
        self.above = {str(one) for place in taken for one in PurePosixPath(place).parents}
        #: Why a node, or an attribute (its node and name), is not the same in another file.
        self.differs: dict[str | tuple[str, str], str] = {}
        for path in () if trial else paths[1:]:
            with opened_plain(path) as other, reading(path, "HDF5"):
                for place, node in self._nodes():
                    if not isinstance(node, str):
                        self._compare(place, node, _at(other, place), path)

    def _nodes(self) -> Iterator[tuple[str, object]]:
        """Path and node of all that may be copied; a text instead of a node says why not."""
        yield "/", self.first
        waiting, seen = [("/", self.first, frozenset({_address(self.first)}))], 0
        while waiting:
            path, group, above = waiting.pop(0)
            for name in group:
                place = f"{path.rstrip('/')}/{name}"
                node = link_problem(group, name) or group[name]
                seen += 1
                if seen > NODES:
                    yield place, f"there are more than {NODES} groups and datasets"
                    return
                table = f"{path.rstrip('/')}/{name.removeprefix(SEARCH)}"
                if name.startswith(SEARCH) and table in self.taken:
                    node = "PyTables' index to search the table: make it again"
                if isinstance(node, h5py.Group) and _address(node) in above:
                    node = "a group in itself"
                if place not in self.taken or not isinstance(node, str):
                    yield place, node
                if isinstance(node, h5py.Group) and place not in self.taken:
                    waiting.append((place, node, above | {_address(node)}))

    def _compare(self, place: str, node: object, other: object, path: Path) -> None:
        columns = place in self.taken
        if other is None or type(other) is not type(node):
            self.differs[place] = f"{path} does not have it"
            return
        if isinstance(node, h5py.Dataset) and not columns and not _equal(path, node, other):
            self.differs[place] = f"it is another one in {path}"
        for name in node.attrs if isinstance(node, Place) else ():
            if _attribute(node, name) != _attribute(other, name):
                self.differs[place, name] = f"it is another one in {path}"

    def others(self, target: h5py.File) -> None:
        """Copy all that is no column."""
        with _damage(self.path):
            self._others(target)

    def _others(self, target: h5py.File) -> None:
        for place, node in self._nodes():
            above, _, name = place.rpartition("/")
            parent = target.get(above or "/")
            if place in self.taken or (place != "/" and parent is None):
                continue
            reason = node if isinstance(node, str) else self._problem(place, node)
            if place == "/" or place in self.above:
                made = target if place == "/" else parent.get(name)
                made = new_group(node, parent, name) if made is None else made
                self.attributes(place, made)
            elif reason or name in parent:
                self._leave(place, reason or "a new column has its name")
            elif isinstance(node, h5py.Group):
                self.attributes(place, new_group(node, parent, name))
            else:
                source, leaf = self.first[above or "/"], name.encode()
                h5py.h5o.copy(source.id, leaf, parent.id, leaf, _without_attributes())
                self.attributes(place, parent[name])

    def _problem(self, place: str, node: object) -> str | None:
        """Why a node is not copied, if so."""
        if isinstance(node, h5py.Dataset):
            if node.is_virtual or node.external:
                return dataset_problem(node)
            if _refers(node.id.get_type()):
                return "HDF5 references to other objects"
        return self.differs.get(place)

    def tree(self, place: str, target: h5py.File) -> None:
        """Copy the first file's group at a place, whatever the others have, if it is there."""
        with _damage(self.path):
            if _at(self.first, place) is not None:
                above, _, name = place.rpartition("/")
                parent = target.require_group(above)
                h5py.h5o.copy(self.first.id, place.encode(), parent.id, name.encode())

    def attributes(
        self,
        place: str,
        target: h5py.Group | h5py.Dataset,
        skip: Collection[str] = (),
        first: bool = False,
    ) -> None:
        """Copy the attributes at a place that the target does not have yet.

        They are those of the ``first`` file, or those that all files have alike.
        """
        with _damage(self.path):
            self._attributes(place, target, skip, first)

    def _attributes(
        self, place: str, target: h5py.Group | h5py.Dataset, skip: Collection[str], first: bool
    ) -> None:
        source = self.first[place]
        for name in source.attrs if isinstance(source, Place) else ():
            if name in skip or name in target.attrs:
                continue
            kind = h5py.h5a.open(source.id, name.encode()).get_type()
            reason = "HDF5 references to other objects" if _refers(kind) else type_problem(kind)
            if not first:
                reason = reason or self.differs.get((place, name))
            if reason:
                self._leave(f"attribute {name!r} of {place}", reason)
            else:
                copy_attribute(source, target, name)

    def _leave(self, place: str, reason: str) -> None:
        if not self.trial:
            self.notes.append(f"{place} is not copied: {reason}")


def _look(path: Path, taken: Collection[str]) -> None:
    """Copy the small things of a file to memory, for `check_survives`."""
    with ExitStack() as stack:
        copier = Copier([path], taken, [], stack, trial=True)
        file = h5py.File("memory", "w", driver="core", backing_store=False)
        target = stack.enter_context(file)
        for place, node in copier._nodes():
            if isinstance(node, h5py.Dataset) and place not in taken:
                if node.id.get_storage_size() < PIECE:
                    leaf = place.rpartition("/")[2].encode()
                    h5py.h5o.copy(node.parent.id, leaf, target.id, place.encode(), lcpl=_above())
            for name in node.attrs if isinstance(node, Place) else ():
                _attribute(node, name)


def _above() -> h5py.h5p.PropLCID:
    properties = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    properties.set_create_intermediate_group(True)
    return properties


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Tell what the HDF5 library cannot copy from what it cannot write, such as on a full disk."""
    try:
        with reading(path, "HDF5"):
            yield
    except InputError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and "write failed" in str(cause):
            raise cause from None
        raise


def new_group(source: h5py.Group, target: h5py.Group, name: str) -> h5py.Group:
    """An empty group that keeps the order of its members as another does."""
    order = source.id.get_create_plist().get_link_creation_order()
    return target.create_group(name, track_order=bool(order))


def copy_attribute(source: Place, target: Place, name: str) -> None:
    """Copy an attribute in its exact type."""
    old = h5py.h5a.open(source.id, name.encode())
    space, kind = old.get_space(), old.get_type().copy()
    new = h5py.h5a.create(target.id, name.encode(), kind, space)
    if space.get_simple_extent_type() != h5py.h5s.NULL:
        values, between = np.empty(old.shape, old.dtype), memory_type(kind, old.dtype)
        old.read(values, between)
        new.write(values, between)


def _attribute(node: Place, name: str) -> object:
    """What is compared of an attribute."""
    if name not in node.attrs:
        return None
    old = h5py.h5a.open(node.id, name.encode())
    if type_problem(old.get_type()):
        return None
    if old.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        return (str(old.dtype), None)
    values = np.empty(old.shape, old.dtype)
    old.read(values)
    return (str(old.dtype), old.shape, _bytes(values))


def _bytes(values: np.ndarray) -> object:
    return repr(values.tolist()) if values.dtype.hasobject else values.tobytes()


def _refers(kind: h5py.h5t.TypeID) -> bool:
    """Whether values of a type refer to other objects of their file."""
    family = kind.get_class()
    if family == h5py.h5t.COMPOUND:
        return any(_refers(kind.get_member_type(i)) for i in range(kind.get_nmembers()))
    if family in (h5py.h5t.ARRAY, h5py.h5t.VLEN):
        return _refers(kind.get_super())
    return family == h5py.h5t.REFERENCE


def _address(node: Place) -> tuple:
    info = h5py.h5o.get_info(node.id)
    return (info.fileno, info.addr)


def _at(file: h5py.File, place: str) -> object | None:
    """What a file has at a place, without following links."""
    node = file
    for name in place.strip("/").split("/") if place.strip("/") else []:
        if not isinstance(node, h5py.Group) or name not in node or link_problem(node, name):
            return None
        node = node[name]
    return node


def _without_attributes() -> h5py.h5p.PropCopyID:
    properties = h5py.h5p.create(h5py.h5p.OBJECT_COPY)
    properties.set_copy_object(h5py.h5o.COPY_WITHOUT_ATTR_FLAG)
    return properties


def _equal(path: Path, first: h5py.Dataset, second: h5py.Dataset) -> bool:
    """Whether two datasets are of one type and have the same bytes."""
    if first.shape != second.shape or not first.id.get_type().equal(second.id.get_type()):
        return False
    if first.shape is None:
        return True
    if dataset_problem(first) or dataset_problem(second):
        return False
    for node in (first, second):
        if node.shape:
            check_dataset(path, node)
    readable = all(h5py.h5z.filter_avail(code) for code in filters(first) + filters(second))
    if not readable or type_problem(first.id.get_type()):
        both = first.chunks is not None and second.chunks is not None
        return both and _chunks(first) == _chunks(second)
    return all(
        _bytes(one) == _bytes(other)
        for one, other in zip(_pieces(first), _pieces(second), strict=True)
    )


def _chunks(node: h5py.Dataset) -> list[tuple]:
    """What a dataset's chunks are in the file, in short."""
    places = (node.id.get_chunk_info(i).chunk_offset for i in range(node.id.get_num_chunks()))
    return [
        (place, hashlib.sha256(node.id.read_direct_chunk(place)[1]).digest()) for place in places
    ]


def _pieces(node: h5py.Dataset) -> Iterator[np.ndarray]:
    if not node.shape:
        yield np.asarray(node[()])
        return
    row_bytes = node.id.get_type().get_size() * int(np.prod(node.shape[1:], dtype=object))
    rows = max(PIECE // max(row_bytes, 1), 1)
    for low in range(0, node.shape[0], rows):
        yield node[low : low + rows]
