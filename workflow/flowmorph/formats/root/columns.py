"""Columns of a TTree or RNTuple: which there are, and their values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import awkward as ak
import numpy as np
import uproot
from uproot.interpretation.identify import UnknownInterpretation

from flowmorph.errors import InputError
from flowmorph.formats.checks import one_line
from flowmorph.formats.columns import Chunk, Column, native
from flowmorph.formats.sample_files import FileFacts

#: RNTuple types whose reading needs no try; all others are tried on one entry.
_SIMPLE = re.compile(
    r"(std::vector<|std::optional<|std::array<|std::u?int\d+_t|std::string|bool|char|float|double"
    r"|[<>,\d ])+"
)

#: Texts of a leaf that ROOT puts into its branch's title.
TEXTS = ("fName", "fTitle")

#: The same of TTree, by how uproot interprets them.
_PLAIN = (uproot.AsDtype, uproot.AsFloat16, uproot.AsDouble32)


@dataclass(frozen=True)
class Layout:
    """What a tree has beside its columns.

    ``counters`` has, for a jagged column, the name and type of the branch that counts its elements.
    ``parents`` has the object and its class for a member of a split object, and the branch and its
    leaves for one of several. ``titles`` say what columns are about, where somebody wrote that.
    ``lost`` names what else there is, which uproot does not read.
    """

    title: str
    weight: float = 1.0
    counters: dict[str, tuple[str, np.dtype]] = field(default_factory=dict)
    parents: dict[str, tuple[str, str]] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    lost: str = ""


@dataclass(frozen=True)
class Part:
    """Where a column's values are: in a field, or a branch, or one of several leaves of a branch.

    A branch that is ``alone`` shares its name with another one, so it cannot be read with others.
    """

    source: Any
    type: str
    leaf: str | None = None
    alone: bool = False

    def read(self, **entries: int) -> ak.Array:
        """Read entries (``entry_start``, ``entry_stop``) of all leaves."""
        if is_ntuple(self.source) and "." in self.source.name:
            # By itself uproot would look for it in another field.
            fields = {"filter_field": lambda one: one is self.source}
            return self.source.ntuple.arrays(**fields, **entries)[self.source.name]
        return self.source.array(library="ak", **entries)


def is_ntuple(source) -> bool:
    """Whether an object of a file is an RNTuple, not a TTree."""
    return isinstance(source, uproot.behaviors.RNTuple.HasFields)


def parts(source) -> tuple[dict[str, Part], dict[str, str]]:
    """Find the columns in their order, and those of one name with another, which cannot be read.

    A member of a split object that shares its name with another one has its path as name, and a
    branch of several leaves gives one column for each.
    """
    found: dict[str, Part] = {}
    twice: dict[str, str] = {}
    for name, part in _fields(source) if is_ntuple(source) else _leaves(source):
        if name in found:
            twice[name] = "there are two of this name"
        found[name] = part
    return found, twice


def _fields(ntuple) -> Iterator[tuple[str, Part]]:
    for one in ntuple.fields:
        yield one.name, Part(one, one.typename)


def _leaves(tree) -> Iterator[tuple[str, Part]]:
    every = list(tree.iteritems(recursive=True, full_paths=True))
    branches = [(key, branch) for key, branch in every if not len(branch.branches)]
    shared = Counter(branch.name for _, branch in every)
    often = Counter(branch.name for _, branch in branches)
    for key, branch in branches:
        name = branch.name if often[branch.name] == 1 else key
        alone = shared[branch.name] > 1
        leaves = branch.member("fLeaves")
        if len(leaves) == 1 and leaves[0].classname == "TLeafC":
            branch._interpretation = _Texts()
        how = branch.interpretation
        if type(how) is uproot.AsDtype and how.to_dtype.names:
            for leaf in how.to_dtype.names:
                single = uproot.AsDtype(how.to_dtype[leaf].newbyteorder(">")).typename
                yield f"{name}.{leaf}", Part(branch, single, leaf, alone)
        else:
            yield name, Part(branch, _typename(branch), None, alone)


class _Texts(uproot.AsStrings):
    """C strings, of which ROOT writes not one byte when they are empty; uproot expects a length."""

    def basket_array(self, data, byte_offsets, *others, **named):
        if byte_offsets is not None:
            empty = byte_offsets[1:] == byte_offsets[:-1]
            data = np.insert(data, byte_offsets[:-1][empty], 0)
            byte_offsets = byte_offsets + np.concatenate([[0], np.cumsum(empty)])
        return super().basket_array(data, byte_offsets, *others, **named)


def _typename(branch) -> str:
    """Type of a branch, of which uproot may know no more than its class or its leaves."""
    how = branch.interpretation
    if not isinstance(how, UnknownInterpretation):
        plain = how.content if isinstance(how, uproot.AsJagged) else how
        if type(plain) is uproot.AsDtype and plain.from_dtype.base == np.dtype(">f4"):
            if plain.to_dtype.base == np.float64:
                return branch.typename.replace("float", "Double32_t")
        return branch.typename
    name = branch.member("fClassName", none_if_missing=True)
    return str(name) if name else f"leaves {branch.title!r}"


def _title(source) -> str:
    """What a field or branch is about; of a split object's member without a title, the object.

    Empty where the title only lists leaves or repeats the name, as ROOT makes it.
    """
    if not isinstance(source, uproot.TBranch):
        return getattr(source, "description", "")
    names = {source.name, *(leaf.member(key) for leaf in source.member("fLeaves") for key in TEXTS)}
    plain = "|".join(re.escape(name) for name in names)
    leaf = rf"({plain})(\[[^\]]*\])*(/\w)?"
    if re.fullmatch(rf"({leaf}(:{leaf})*|)", source.title):
        return _title(source.parent)
    return source.title


def _lost(tree, key) -> str:
    """What a tree has beside branches, if anything, of what uproot neither reads nor writes."""
    lost = ["aliases"] if tree.member("fAliases", none_if_missing=True) else []
    # A tree ends with the lengths of its index and pointers to more, which are mostly 0; an ntuple
    # has the number of its columns after them.
    data = key.get_uncompressed_chunk_cursor()[0].raw_data
    end = bytes(data[-24:] if key.fClassName == "TTree" else data[-28:-4])
    if tree.has_member("fAliases") and end.strip(b"\0"):
        lost.append("user info, index or friends")
    return ", ".join(lost)


def layout_of(source, key, found: Mapping[str, Part]) -> Layout:
    """Describe a tree, which lies at a key of its file and whose columns are ``found``."""
    titles = {name: title for name, part in found.items() if (title := _title(part.source))}
    if is_ntuple(source):
        return Layout(source.description, titles=titles)
    weight = float(source.member("fWeight", none_if_missing=True) or 1)
    layout = Layout(source.title, weight, titles=titles, lost=_lost(source, key))
    flat = {
        id(part.source.member("fLeaves")[0]): (name, part.source.interpretation.to_dtype)
        for name, part in found.items()
        if part.leaf is None and type(part.source.interpretation) is uproot.AsDtype
    }
    names = set(found)
    groups: dict[int, tuple[str, np.dtype]] = {}
    for name, part in found.items():
        branch, parent = part.source, part.source.parent
        if isinstance(parent, uproot.TBranch):
            while isinstance(parent.parent, uproot.TBranch):
                parent = parent.parent
            kind = parent.member("fClassName", none_if_missing=True) or parent.typename
            layout.parents[name] = (parent.name.rstrip("."), str(kind))
        elif part.leaf is not None:
            layout.parents[name] = (branch.name, branch.title)
        if not isinstance(branch.interpretation, uproot.AsJagged):
            continue
        count = branch.member("fLeaves")[0].member("fLeafCount")
        if id(count) in flat:
            layout.counters[name] = flat[id(count)]
            continue
        # Members of one collection share a counter; a vector has one of its own.
        shared = id(branch if count is None else count)
        if shared not in groups:
            label = name if count is None else branch.parent.name.rstrip(".")
            groups[shared] = (_unused(label, names), np.dtype(np.int32))
        layout.counters[name] = groups[shared]
    return layout


def _unused(label: str, names: set[str]) -> str:
    """Name of a counter that no column has."""
    name = "n" + re.sub(r"[^\w.]", "_", label)
    while name in names:
        name += "_"
    names.add(name)
    return name


def unreadable(found: Mapping[str, Part], rows: int) -> dict[str, str]:
    """Find the columns that uproot cannot read, each with the reason.

    One entry is read of a column of each type that is not simple: no table of what uproot reads
    would be true for long.
    """
    bad: dict[str, str] = {}
    reads: dict[str, bool] = {}
    for name, part in found.items():
        how = getattr(part.source, "interpretation", None)
        if part.source.num_entries != rows:
            bad[name] = f"of {part.source.num_entries} entries, where the tree has {rows}"
            continue
        if how is None:
            kind, simple = part.type, _SIMPLE.fullmatch(part.type)
        else:
            plain = how.content if type(how) is uproot.AsJagged else how
            kind = f"{part.type} {type(how)}"
            simple = type(plain) in _PLAIN or isinstance(how, uproot.AsStrings)
        if not simple and kind not in reads:
            reads[kind] = not isinstance(how, UnknownInterpretation) and _reads(part)
        if not simple and not reads[kind]:
            bad[name] = f"of type {part.type}, which uproot does not read"
    return bad


def _reads(part: Part) -> bool:
    try:
        part.read(entry_stop=1)
    except Exception:  # of many kinds, also NotImplementedError and AssertionError
        return False
    return True


def chunks(found: FileFacts, source, columns: Sequence[str], size: int) -> Iterator[Chunk]:
    """Read columns of an open tree in chunks of at most ``size`` entries; at least one chunk."""
    where, _ = parts(source)
    wanted = {name: where[name] for name in columns}
    start = 0
    pieces = (_ntuple_pieces if is_ntuple(source) else _tree_pieces)(found, source, wanted, size)
    while True:
        try:
            chunk = next(pieces, None)
        except InputError:
            raise
        except Exception as error:
            bad = _damaged(found, wanted, start, size)
            if not bad:
                raise
            raise InputError(
                f"{found.path}: {bad} cannot be read in the {min(size, found.rows)} rows from "
                f"{start}: damaged, or stored in a way that uproot does not read? make the file "
                "again, or leave them out (own.output.drop, --drop)"
            ) from error
        if chunk is None:
            return
        yield chunk
        start += size


def _tree_pieces(found, tree, wanted: Mapping[str, Part], size: int) -> Iterator[Chunk]:
    chosen = {id(part.source) for part in wanted.values() if not part.alone}
    options = {"filter_branch": lambda branch: id(branch) in chosen, "library": "ak", "how": dict}
    together = tree.iterate(step_size=size, **options) if chosen and found.rows else None
    for start in range(0, max(found.rows, 1), size):
        entries = {"entry_start": start, "entry_stop": min(start + size, found.rows)}
        arrays = next(together) if together else tree.arrays(**options, **entries)
        chunk = {}
        for name, part in wanted.items():
            if part.alone:
                values = part.read(**entries)
            else:
                values = arrays[part.source.name]
            chunk[name] = _plain(values if part.leaf is None else values[part.leaf])
        yield chunk


def _ntuple_pieces(found, ntuple, wanted: Mapping[str, Part], size: int) -> Iterator[Chunk]:
    first = [cluster.num_first_entry for cluster in ntuple.cluster_summaries]
    for start in range(0, max(found.rows, 1), size):
        stop = min(start + size, found.rows)
        # uproot takes a variant's place in its cluster for that in all that is read.
        edges = [start, *(edge for edge in first if start < edge < stop), stop]
        chunk = {}
        for name, part in wanted.items():
            ends = edges if "variant<" in part.type else [start, stop]
            pieces = [
                _tidy(part.read(entry_start=low, entry_stop=high), found, name)
                for low, high in pairwise(ends)
            ]
            chunk[name] = _plain(ak.concatenate(pieces) if len(pieces) > 1 else pieces[0])
        yield chunk


def _tidy(values: ak.Array, found: FileFacts, name: str) -> ak.Array:
    """An RNTuple's values in the types that its writer gave them."""

    def change(layout, **_):
        if isinstance(layout, ak.contents.NumpyArray) and layout.dtype == np.float16:
            # The file holds them in 16 bits, the program that wrote them in 32.
            return ak.contents.NumpyArray(layout.data.astype(np.float32))
        if isinstance(layout, ak.contents.UnionArray):
            return _variant(layout, found, name)
        return None

    return ak.transform(change, values)


def _variant(layout: ak.contents.UnionArray, found: FileFacts, name: str):
    """A std::variant without uproot's first alternative, that of having no value."""
    first = layout.contents[0]
    if not (first.is_option and first.content.is_unknown):
        return None
    tags = np.asarray(layout.tags)
    if (tags == 0).any():
        raise InputError(
            f"{found.path}: column {name!r} ({found.columns[name]}): a row has no value (is "
            "valueless): give it one, or leave the column out"
        )
    contents, index = [], np.asarray(layout.index)[: len(tags)].copy()
    for tag in range(1, len(layout.contents)):
        chosen = layout.project(tag)
        contents.append(chosen.project() if chosen.is_option else chosen)
        index[tags == tag] = np.arange(len(contents[-1]))
    return ak.contents.UnionArray(
        ak.index.Index8((tags - 1).astype(np.int8)), ak.index.Index64(index), contents
    )


def _damaged(found: FileFacts, wanted: Mapping[str, Part], start: int, size: int) -> str:
    """Name the columns that cannot be read from a row on."""
    bad = []
    for name, part in wanted.items():
        try:
            part.read(entry_start=start, entry_stop=start + size)
        except Exception as reason:
            bad.append(f"{name!r} ({found.columns[name]}: {one_line(reason)})")
    if len(bad) > 1:
        return f"{len(bad)} columns, such as {bad[0]},"
    return "column " + bad[0] if bad else ""


def _plain(values: ak.Array) -> Column:
    """Numbers as numpy; lists, texts and records stay awkward arrays."""
    kind = values.type.content
    while isinstance(kind, ak.types.RegularType) and not kind.parameters:
        kind = kind.content
    if isinstance(kind, ak.types.NumpyType) and not kind.parameters:
        return native(ak.to_numpy(values, allow_missing=False))
    return values
