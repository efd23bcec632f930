"""The form of a job: a frozen dataclass that goes to its script, and into its results, as JSON."""

from __future__ import annotations

import json
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from flowmorph.errors import InputError

Job = TypeVar("Job")


def choice(default: Any) -> Any:
    """Give a field that is written only where it is not ``default``.

    A job without the choice keeps its text, so that what it made need not be made again.
    """
    return Field(default, exclude_if=lambda value: value == default)


@dataclass_transform(frozen_default=True, field_specifiers=(choice,))
def job(cls: type[Job]) -> type[Job]:
    """Make a frozen dataclass of a class; it refuses unknown fields and values of other types."""
    return dataclass(cls, frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=True))


def as_dict(given: Any) -> dict[str, Any]:
    """A job as dictionaries, lists, numbers and texts."""
    return TypeAdapter(type(given)).dump_python(given, mode="json")


def to_json(given: Any) -> str:
    """Write a job in one line, the same for equal jobs."""
    return json.dumps(as_dict(given), sort_keys=True)


def read(cls: type[Job], text: str) -> Job:
    """Read a job that `to_json` wrote; raises InputError that names the key at fault."""
    try:
        return TypeAdapter(cls).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole"
        what = "no such key" if first["type"] == "unexpected_keyword_argument" else first["msg"]
        raise InputError(f"--job: {key}: {what}") from error
