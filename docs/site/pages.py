"""Pages of the site that lie elsewhere in the project, with their links as the site needs them."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

PROJECT = Path(__file__).parents[2]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "config/README.md": "configurations.md",
}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    from mkdocs.structure.files import File

    for path, page in PAGES.items():
        text = relinked((PROJECT / path).read_text(), PurePosixPath(path).parent)
        files.append(File.generated(config, page, content=text))
    return files


def relinked(text: str, folder: PurePosixPath) -> str:
    """Lead the links of a page in ``folder`` to where the site has their targets."""

    def moved(match: re.Match[str]) -> str:
        target = normpath(folder / match[1])
        return PAGES.get(target, relpath(target, "docs"))

    return LINK.sub(moved, text)
