"""How the flows of a family of tasks are trained, beside the paper's recipe."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from flowmorph.plan import defaults, tasks


def as_in(path: str | os.PathLike, config: Mapping) -> list[str]:
    """Families whose networks, trainings and penalty are those of a configuration file."""
    other = defaults.changed(
        defaults.config(), yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    )
    families = {task.family.name for task in tasks.PAPER.values()}
    return sorted(name for name in families if _recipe(config, name) == _recipe(other, name))


def _recipe(config: Mapping, family: str) -> tuple:
    training = config["training"]
    return config["flows"], training[family], training["methods"], config["penalty"][family]
