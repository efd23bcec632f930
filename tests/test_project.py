"""What a visitor meets first: licence, citation, version, links, targets of make, the catalogue."""

import importlib.util
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path, PurePosixPath

import jsonschema
import pytest
import yaml
from test_envs import pins

import flowmorph

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "config/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.M | re.S)
PERSON = {
    "type": "object",
    "required": ["family-names", "given-names"],
    "additionalProperties": {"type": "string"},
}
# The part of the Citation File Format 1.2.0 that CITATION.cff uses.
CITATION = {
    "type": "object",
    "required": ["cff-version", "message", "title", "authors", "version", "preferred-citation"],
    "properties": {
        "cff-version": {"const": "1.2.0"},
        "type": {"enum": ["software", "dataset"]},
        "authors": {"type": "array", "minItems": 1},
        "license": {"const": "BSD-3-Clause"},
        "preferred-citation": {
            "type": "object",
            "required": ["type", "title", "year", "authors", "identifiers"],
            "properties": {
                "type": {"const": "article"},
                "year": {"type": "integer"},
                "authors": {"type": "array", "items": PERSON, "minItems": 5, "maxItems": 5},
            },
        },
    },
}


def load(path):
    return yaml.safe_load((ROOT / path).read_text())


def test_citation_is_of_the_paper_and_of_this_version():
    citation = load("CITATION.cff")
    jsonschema.validate(citation, CITATION)
    assert citation["version"] == flowmorph.__version__
    paper = citation["preferred-citation"]
    names = [author["family-names"] for author in paper["authors"]]
    assert names == ["Golling", "Klein", "Mastandrea", "Nachman", "Raine"]
    assert [each["value"] for each in paper["identifiers"]] == ["arXiv:2309.06472"]
    assert paper["title"] in re.sub(r"\s+", " ", (ROOT / "README.md").read_text())


def test_version_stands_in_one_place_and_everything_has_it():
    assert metadata.version("flowmorph") == flowmorph.__version__
    assert not re.search(r"^version\s*=\s*\"", (ROOT / "pyproject.toml").read_text(), re.M)
    command = [sys.executable, "-m", "flowmorph", "--version"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == f"flowmorph {flowmorph.__version__}\n"
    assert f"\n## {flowmorph.__version__} - " in (ROOT / "CHANGELOG.md").read_text()


def test_licence_is_the_declared_one():
    assert (ROOT / "LICENSE").read_text().startswith("BSD 3-Clause License\n")
    assert 'license = "BSD-3-Clause"' in (ROOT / "pyproject.toml").read_text()


def test_help_lists_every_target():
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split()
    assert [line.split()[0] for line in listed.splitlines()] == targets
    assert all(len(line.split(maxsplit=1)[1]) > 5 for line in listed.splitlines())


def test_make_does_without_a_home_that_it_cannot_write(tmp_path):
    home = tmp_path / "home"
    home.touch()  # a file: no folder can be made in it, not even by root
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    for more in ({}, {"XDG_CACHE_HOME": str(tmp_path / "cache")}):
        shown = subprocess.run(
            ["make", "--no-print-directory", "help"],
            cwd=ROOT, capture_output=True, text=True, env=environment | more, check=True,
        ).stderr  # fmt: skip
        said = f"{home}/.cache cannot be written, so caches are in .cache here: export XDG_CACHE"
        assert (said in shown) is not bool(more)


def test_hooks_before_a_commit_are_the_pinned_programs():
    (repository,) = load(".pre-commit-config.yaml")["repos"]
    programs = {hook["entry"].split()[0] for hook in repository["hooks"]}
    assert programs == {"ruff", "snakefmt", "mypy"}
    assert programs <= pins("requirements.in").keys()
    assert all(hook["language"] == "system" for hook in repository["hooks"])


def test_catalogue_finds_what_it_asks_for():
    usage = load(".snakemake-workflow-catalog.yml")["usage"]
    assert usage["mandatory-flags"]["flags"] == [] and usage["report"] is True
    assert (ROOT / "workflow/Snakefile").is_file()
    files = {path.name for path in (ROOT / "config").glob("*.yaml")}
    named = re.findall(r"`([a-z_]+\.yaml)`", (ROOT / "config/README.md").read_text())
    assert set(named) <= files


def test_workflow_under_its_other_name_has_the_same_plan():
    """All of it, also where there are results already."""
    plans = []
    for snakefile in ("Snakefile", "workflow/Snakefile"):
        command = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--nolock"]
        command += ["fig9", "--snakefile", snakefile, "--configfile", "config/quick.yaml"]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result.stdout + result.stderr
        plans.append(re.findall(r"^total +\d+$|^[a-z_0-9]+ +\d+$", result.stdout, re.M))
    assert plans[0] and plans[0] == plans[1]


def anchors(page):
    """Anchors of the headings as GitHub and the site both make them."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.M)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for text in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            assert link.startswith("https://"), f"{link} is not secure"
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT) and target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{target.name} has no heading {anchor}"


def prose(text):
    """Lines of a page with their numbers, without code, tables and lines that cannot be broken."""
    text = re.sub(
        r"^( *)```.*?^ *```$", lambda code: "\n" * code[0].count("\n"), text, flags=re.M | re.S
    )
    for number, line in enumerate(text.splitlines(), start=1):
        words = re.sub(r"`[^`]*`", "code", re.sub(r"^ *([-*]|\d+\.) ", "", line)).split()
        if len(words) > 1 and not line.lstrip().startswith("|") and not line.startswith("    "):
            yield number, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_of_prose_are_at_most_120_wide(page):
    wide = [number for number, line in prose(page.read_text()) if len(line) > 120]
    assert not wide, f"{page.name}: wrap the lines {wide}"


def test_prose_is_told_from_code_and_tables():
    text = "a b\n```\ncode of mine\n```\n\n| a | b |\n- `one piece of code`\n    more code\n- c d\n"
    assert list(prose(text)) == [(1, "a b"), (9, "- c d")]


def test_site_has_every_page_and_fetches_nothing():
    site = load("mkdocs.yml")
    assert site["theme"]["font"] is False
    named = [page for part in site["nav"] for page in leaves(part)]
    assert len(named) == len(set(named))
    made = set(site_pages().PAGES.values())
    assert set(named) == made | {path.name for path in (ROOT / "docs").glob("*.md")}


def leaves(part):
    if isinstance(part, str):
        return [part]
    parts = part if isinstance(part, list) else part.values()
    return [page for each in parts for page in leaves(each)]


def test_links_of_pages_from_elsewhere_follow_them_to_the_site():
    text = (
        "[a](docs/own-data.md#how) [b](CHANGELOG.md) [c](https://x.org/) [d](#here) ![](docs/a.png)"
    )
    moved = "[a](own-data.md#how) [b](changelog.md) [c](https://x.org/) [d](#here) ![](a.png)"
    relinked = site_pages().relinked
    assert relinked(text, PurePosixPath(".")) == moved
    assert relinked("[a](../docs/files.md)", PurePosixPath("config")) == "[a](files.md)"


def site_pages():
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "docs/site/pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
