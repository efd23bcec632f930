"""Columns of categories as numbers: a code for each, from which the flows get one input each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flowmorph.errors import InputError, RowError

if TYPE_CHECKING:
    from flowmorph.formats.labels import Label  # which imports what reads files

#: Categories that a column may have: each is one more input of every flow.
MOST = 50


class Vocabulary:
    """The categories of a column, in the order in which they are met."""

    def __init__(self, name: str) -> None:
        """``name`` is that of the column."""
        self.name = name
        self.places: dict[Label, int] = {}

    @property
    def labels(self) -> list[Label]:
        """The categories that were met, whose places are their codes."""
        return list(self.places)

    def codes(self, places: np.ndarray, labels: Sequence[Label]) -> np.ndarray:
        """Codes of rows, (N,) float64, NaN for a place of -1; ``places`` (N,) are of ``labels``.

        Raises `InputError` for more than `MOST` categories.
        """
        new = [self.places.setdefault(label, len(self.places)) for label in labels]
        if len(self.places) > MOST:
            raise InputError(
                f"column {self.name!r} has more than {MOST} categories (such as "
                f"{shown(self.labels[:3])}): join some, or take out categorical"
            )
        return np.array([*new, np.nan])[places]


@dataclass(frozen=True)
class Categories:
    """The categories of a column that flows know, whose places are their codes.

    Whole numbers come first, ascending, then texts.
    """

    labels: tuple[Label, ...]

    @classmethod
    def of(cls, labels: Collection[Label]) -> Categories:
        """Bring categories in order."""
        return cls(tuple(sorted(labels, key=_order)))

    def codes(self, places: np.ndarray, labels: Sequence[Label]) -> tuple[np.ndarray, list[Label]]:
        """Codes of rows, (N,) float64, and categories that are not known.

        ``places`` (N,) are of ``labels``, and -1 gives NaN. The code of the i-th category that is
        not known is -1 - i.
        """
        known = {label: i for i, label in enumerate(self.labels)}
        unknown = [label for label in labels if label not in known]
        known |= {label: -1 - i for i, label in enumerate(unknown)}
        return np.array([*(known[label] for label in labels), np.nan])[places], unknown

    def refuse(self, rows: np.ndarray, column: str, label: Label) -> RowError:
        """An error about the first of the ``rows`` of a column that have none of the categories.

        ``label`` is what the first has instead.
        """
        return RowError(
            int(rows[0]), column,
            f" has the category {label!r}, which the training has not seen (but "
            f"{shown(self.labels)}; {len(rows)} such rows): leave these rows out, or train with "
            "them",
        )  # fmt: skip

    def has(self, codes: np.ndarray) -> np.ndarray:
        """Rows (N,), bool, whose codes are those of categories."""
        return np.isin(codes, np.arange(len(self.labels)))

    def forward(self, codes: np.ndarray) -> np.ndarray:
        """One number a category, (N, K): 1 for that of the row, else 0."""
        return (np.asarray(codes)[:, None] == np.arange(len(self.labels))).astype(np.float64)

    @classmethod
    def from_parameters(cls, labels: list) -> Categories:
        """Make categories of a file's list; raises ValueError for one that `of` never gives."""
        if not 2 <= len(labels) <= MOST or any(type(each) not in (int, str) for each in labels):
            raise ValueError(f"categories {labels}")
        if len(set(labels)) < len(labels) or cls.of(labels).labels != tuple(labels):
            raise ValueError(f"categories {labels}: not in order")
        return cls(tuple(labels))


def shown(labels: Sequence[Label]) -> str:
    """Categories for a message."""
    return ", ".join(map(repr, labels))


def _order(label: Label) -> tuple:
    return isinstance(label, str), label
