"""Errors that are meant for people: one line, no traceback, non-zero exit."""

from __future__ import annotations

import sys
from collections.abc import Callable


class InputError(Exception):
    """A file, key or value that the user gave cannot be used; the message says what to do."""


def cli(main: Callable[[], None]) -> None:
    """Run a script's ``main`` and turn an expected failure into one line and exit status 1.

    Programming errors keep their traceback: hiding those would hide our bugs, not the user's.
    """
    try:
        main()
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
