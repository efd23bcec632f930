"""The objects of an event that one transport moves, such as two leptons, and their columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from flowmorph.errors import InputError

#: What an object may be called: its name becomes a part of a column's.
NAME = re.compile(r"[A-Za-z0-9_]+")

#: How columns are renamed, for messages.
AS_MAPPING = "give a dict such as {'pt': 'lead_pt'}, of the table's columns by the transport's"


@dataclass(frozen=True)
class MovedObject:
    """One object of each row: the transport's columns, and what they are called in a table.

    Attributes:
        name: that of the object; empty for a single one, which needs none.
        columns: columns of the table by those of the transport; one that is not there has the
            transport's name.
    """

    name: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)

    def column(self, name: str) -> str:
        """The table's column for one of the transport's."""
        return self.columns.get(name, name)


def moved_objects(
    rename: Mapping[str, str] | None = None,
    objects: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[MovedObject, ...]:
    """Give the objects by their names, or, if none is named, the one without a name.

    ``rename`` has columns of the table by the transport's; it holds for every object that does not
    name the column itself. Raises InputError for what is no mapping.
    """
    if not isinstance(rename or {}, Mapping):
        raise InputError(f"rename: {rename!r}: {AS_MAPPING}")
    if not isinstance(objects or {}, Mapping):
        raise InputError(f"objects: {objects!r}: give a dict such as {{'lead': {{...}}}}")
    for name, columns in (objects or {}).items():
        if not isinstance(columns, Mapping):
            raise InputError(f"object {name!r}: {columns!r}: {AS_MAPPING}")
    if not objects:
        return (MovedObject("", dict(rename or {})),)
    return tuple(
        MovedObject(name, {**(rename or {}), **columns}) for name, columns in objects.items()
    )


def check(
    objects: Sequence[MovedObject],
    features: Sequence[str],
    others: Sequence[str],
    known: Collection[str],
) -> None:
    """Hold objects to a transport's columns and to each other.

    ``features`` are moved, ``others`` are read, and ``known`` are all that the transport has.
    Raises InputError for a name that no column can have, for a column that the transport does not
    have, for a table's column that would be a feature and something else, and for one that two
    objects would move.
    """
    written: dict[str, str] = {}
    for each in objects:
        one = f"object {each.name!r}: " if each.name else ""
        if each.name and not (isinstance(each.name, str) and NAME.fullmatch(each.name)):
            raise InputError(f"{one}its name needs letters, digits and underscores: choose another")
        for name in each.columns:
            if name not in known:
                names = ", ".join(dict.fromkeys(known))
                raise InputError(f"{one}the transport has no column {name!r} (it has {names})")
        used = list(dict.fromkeys([*features, *others]))
        for number, name in enumerate(used):
            for other in used[:number]:
                both = each.column(name) == each.column(other)
                if both and (name in features or other in features):
                    raise InputError(
                        f"{one}{other!r} and {name!r} of the transport would both be column "
                        f"{each.column(name)!r}: name another for one of them"
                    )
        for name in features:
            column = each.column(name)
            if column in written:
                raise InputError(
                    f"objects {written[column]!r} and {each.name!r} would both move column "
                    f"{column!r}: name another for one of them"
                )
            written[column] = each.name


def typed(
    rename: Iterable[str], objects: Iterable[Sequence[str]], known: Collection[str]
) -> tuple[MovedObject, ...]:
    """Give the objects that a command's options name.

    Args:
        rename: texts ``COLUMN=COLUMN``, a transport's column and the table's, for all objects.
        objects: for each, its name and such texts.
        known: the transport's columns; names may have equals signs too.

    Raises:
        InputError: a text that is no such pair, or could be two; an object that is named twice.
    """
    named: dict[str, dict[str, str]] = {}
    for name, *texts in objects:
        if not NAME.fullmatch(name):
            raise InputError(
                f"--object {name!r}: the object's name comes first, of letters, digits and "
                "underscores"
            )
        if name in named:
            raise InputError(f"--object {name}: is named twice: give all its columns at once")
        named[name] = _pairs(texts, known, f"--object {name}")
    return moved_objects(_pairs(rename, known, "--rename"), named)


def _pairs(texts: Iterable[str], known: Collection[str], option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        found = [name for name in known if text.startswith(f"{name}=")]
        if len(found) > 1:
            raise InputError(f"{option} {text!r}: may mean {' or '.join(map(repr, found))}")
        if not found or text == f"{found[0]}=":
            raise InputError(
                f"{option} {text!r}: give a column of the transport ({', '.join(known)}), an "
                "equals sign and a column of the file"
            )
        if found[0] in pairs:
            raise InputError(f"{option} {text!r}: {found[0]!r} is named twice: once is enough")
        pairs[found[0]] = text[len(found[0]) + 1 :]
    return pairs
