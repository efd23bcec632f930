"""Errors that are meant for people: one line, no traceback, non-zero exit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import numpy as np


class InputError(Exception):
    """A file, key or value that the user gave cannot be used; the message says what to do."""


class RowError(InputError):
    """A value that cannot be used; its row is counted from the first one of the table at hand."""

    def __init__(self, row: int, column: str, text: str) -> None:
        self.row, self.column, self.text = row, column, text
        super().__init__(self.at(row))

    @classmethod
    def first(cls, rows: np.ndarray, column: str, text: str, advice: str = "") -> Self:
        """An error about the first of the ``rows`` at fault, which says how many there are."""
        more = f": {advice}" if advice else ""
        return cls(int(rows[0]), column, f"{text} ({len(rows)} such rows){more}")

    def at(self, row: int) -> str:
        """The message with another number for the row, such as its number in the whole file."""
        return f"column {self.column!r}: row {row}{self.text}"


def cli(main: Callable[[], None]) -> None:
    """Run a script's ``main`` and turn an expected failure into one line and exit status 1.

    Programming errors keep their traceback: hiding those would hide our bugs, not the user's.
    """
    try:
        main()
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
