"""Which of our modules a script runs, read from its import statements.

Snakemake reruns a job when a declared input changes, and knows nothing of imports; this closes
the gap without lists that someone would have to keep.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent


def modules_of(script: str | Path) -> list[str]:
    """Files of this package that ``script`` imports, directly or not, relative to the package."""
    found: set[Path] = set()
    waiting = list(_imports(Path(script)))
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += _imports(module)
    return sorted(str(path.relative_to(PACKAGE)) for path in found)


@cache
def _imports(path: Path) -> tuple[Path, ...]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(file for name in names for file in _files_of(name))


def _files_of(name: str) -> list[Path]:
    """The module of this name, and the packages that are imported on the way to it."""
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return []
    folders = [PACKAGE.joinpath(*parts[1:end]) for end in range(2, len(parts) + 1)]
    files = [folder / "__init__.py" for folder in folders] + [
        folder.with_suffix(".py") for folder in folders
    ]
    return [file for file in files if file.is_file() and file.stat().st_size]
