"""Errors of the library's functions, which have arguments where the workflow has keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from flowmorph.errors import InputError

#: Before the name of a key: no letter of a longer name, and no quote of a column's.
APART = r"(?<![\w.'\"])"


@contextmanager
def named_as_arguments() -> Iterator[None]:
    """Call what errors call keys of the configuration by the names of arguments."""
    try:
        yield
    except InputError as error:
        text = re.sub(APART + r"own\.methods(\.0)?\b", "method", str(error))
        text = text.removeprefix("config: ").removeprefix("own: ")
        text = re.sub(APART + r"own\.", "", text)
        text = re.sub(APART + r"(penalty|training)\.own\b", r"\1", text)
        raise InputError(text) from error
