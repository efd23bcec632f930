"""The pictures of the docs: drawn from the tables on their pages, and no older than those."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from flowmorph.errors import InputError

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import pictures  # noqa: E402
import rule_graph  # noqa: E402


def grey(path: Path) -> np.ndarray:
    """A picture's brightness, 0 to 255."""
    return 255 * imread(path)[..., :3].mean(axis=2)


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_a_picture_shows_the_table_of_its_page(name, tmp_path):
    pictures.main([name, "--output", str(tmp_path)])
    drawn, kept = (grey(folder / f"{name}.png") for folder in (tmp_path, ROOT / "docs"))
    assert drawn.shape == kept.shape, f"run benchmarks/pictures.py {name}"
    # Letters may differ by a shade between builds of the font library; a moved point does not.
    different = np.mean(np.abs(drawn - kept) > 64)
    assert different < 1e-4, f"run benchmarks/pictures.py {name}"


def test_a_changed_number_changes_the_picture(tmp_path, monkeypatch):
    for page in (ROOT / "docs").glob("*.md"):
        (tmp_path / page.name).write_text(page.read_text().replace("| 48 |", "| 90 |"))
    monkeypatch.setattr(pictures, "DOCS", tmp_path)
    pictures.main(["quality", "--output", str(tmp_path)])
    drawn, kept = (grey(folder / "quality.png") for folder in (tmp_path, ROOT / "docs"))
    assert np.mean(np.abs(drawn - kept) > 64) > 1e-4


def test_what_is_not_there_is_named():
    with pytest.raises(InputError, match="no picture 'engin'"):
        pictures.main(["engin"])
    with pytest.raises(InputError, match="engine.md: no table that begins with"):
        pictures.table("engine.md", "nothing")


def test_the_graph_of_the_rules_is_that_of_the_workflow():
    text = rule_graph.PAGE.read_text(encoding="utf-8")
    drawing = rule_graph.drawing()
    assert "train_transport --> move_samples" in drawing
    assert rule_graph.BEGIN + drawing + rule_graph.END in text, "run benchmarks/rule_graph.py"


def test_what_follows_from_other_arrows_is_left_out():
    graph = "id0[all] id1[train_density] id2[train_transport] id3[move_samples] id4[fig9]\n"
    graph += "id4 --> id0\nid1 --> id2\nid2 --> id3\nid1 --> id3\nid3 --> id4\n"
    assert rule_graph.edges(graph) == [
        ("move_samples", "figures"),
        ("train_density", "train_transport"),
        ("train_transport", "move_samples"),
    ]
