"""Which of our modules a script runs, read from its import statements, and the C++ that they name.

Snakemake reruns a job when a declared input changes, and knows nothing of imports; this closes
the gap without lists that someone would have to keep.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def modules_of(script: str | Path) -> list[str]:
    """Files of this package that ``script`` runs, directly or not, relative to the package."""
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
    if path.suffix != ".py":
        return ()
    names: list[str] = []
    others: list[Path] = []
    for node in _run(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and str(node.value).endswith(".cpp"):
            others.append(path.with_name(node.value))
    files = [file for name in names if (file := _file_of(name)) is not None]
    return (*files, *(file for file in others if file.is_file()))


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """What a module has, but for what only readers of its types see."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        hidden = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        waiting += node.orelse if hidden else ast.iter_child_nodes(node)


def _file_of(name: str) -> Path | None:
    parts = name.split(".")
    if parts[0] != PACKAGE.name or len(parts) == 1:
        return None
    place = PACKAGE.joinpath(*parts[1:])
    # A package's own file counts where it holds code: most are empty.
    for file in (place.with_suffix(".py"), place / "__init__.py"):
        if file.is_file() and file.stat().st_size:
            return file
    return None
