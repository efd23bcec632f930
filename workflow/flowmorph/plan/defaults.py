"""The default configuration and its schema, as the library has them.

The files are those of the folder ``config``: links here take them into the installed package.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

HERE = Path(__file__).parent
SCHEMA = HERE / "schema.yaml"


def config() -> dict:
    """Every key with its default."""
    return yaml.safe_load((HERE / "config.yaml").read_text(encoding="utf-8"))


def changed(given: Mapping, changes: Mapping) -> dict:
    """Give a configuration with other values, key by key, as Snakemake joins two of its files."""
    result = dict(given)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = changed(result[key], value) if nested else value
    return result
