"""The workflow's scripts, found by their names: as files, and as modules."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

SCRIPTS = Path(__file__).parents[1] / "workflow/scripts"


def path_of(name: str) -> Path:
    """File of a script, whose name is without suffix, in the folder of its stage."""
    (path,) = SCRIPTS.glob(f"*/{name}.py")
    return path


def script(name: str) -> ModuleType:
    """A script as a module, whose ``main`` can be called."""
    return importlib.import_module(f"scripts.{path_of(name).parent.name}.{name}")
