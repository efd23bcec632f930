"""Tables and the distances that fill them."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from scripts_by_name import script

from flowmorph.errors import InputError
from flowmorph.figures import looks
from flowmorph.metrics.distances import (
    Summary,
    euclidean,
    per_feature,
    summarise,
)
from flowmorph.plan import tasks as plan_tasks
from flowmorph.plan.labels import label
from flowmorph.plan.methods import METHODS, PUBLISHED
from flowmorph.samples import moved
from flowmorph.tables import table as tables
from flowmorph.tables.table import FEATURES, Column, Table

ROOT = Path(__file__).parent.parent
PAPER = ROOT / "config/paper_numbers.yaml"


def test_distances_by_hand():
    reference = np.array([[0.0, 0.0], [1.0, 1.0]], dtype=np.float32)
    moved = np.array([[3.0, 4.0], [1.0, -1.0]], dtype=np.float32)
    np.testing.assert_array_equal(euclidean(moved, reference), [5.0, 2.0])
    np.testing.assert_array_equal(per_feature(moved, reference), [[3, 4], [0, 2]])
    assert euclidean(moved, reference).dtype == np.float64


def test_baseline_is_the_distance_to_the_paired_target():
    none, images = np.empty((2, 0)), {"flows_for_flows": np.array([[0.5], [0.0]])}
    sample = moved.MovedSample(np.zeros((2, 1)), np.array([[2.0], [-3.0]]), none, none, images)
    for name, expected in (("baseline", [2, 3]), ("flows_for_flows", [0.5, 0])):
        length = euclidean(sample.points(name), sample.reference)
        np.testing.assert_array_equal(length, expected)


def test_summary_and_its_errors():
    assert summarise(np.array([1.0, 3.0])) == Summary(2.0, 1.0, 2)
    with pytest.raises(InputError, match="empty"):
        summarise(np.array([]))
    with pytest.raises(InputError, match="equal shapes"):
        euclidean(np.zeros((2, 2)), np.zeros((3, 2)))


def test_methods_are_the_same_everywhere():
    """One registry, the words and looks of each in one place, and what the schema allows."""
    assert tuple(tables.HEURISTICS) == PUBLISHED
    assert {*METHODS, "baseline", "reference", "target"} <= set(looks.LOOKS)
    assert len({label(name) for name in METHODS}) == len(METHODS)
    schema = yaml.safe_load((PAPER.parent / "schema.yaml").read_text())
    assert tuple(schema["$defs"]["methods"]["items"]["enum"]) == PUBLISHED


def test_paper_numbers_are_the_published_ones():
    numbers = tables.paper_numbers(PAPER)
    assert numbers["fig9_science_sidebands"]["movement_penalty"] == {"mean": 0.223, "std": 0.064}
    assert numbers["fig6_toy_nonidentical"]["baseline"] == {"mean": 3.185, "std": 1.550}
    assert numbers["figA2_toy_identical"]["identity_initialization"] is None


def test_paper_numbers_without_a_block_are_refused(tmp_path):
    numbers = yaml.safe_load(PAPER.read_text())
    del numbers["fig6_toy_nonidentical"]
    (tmp_path / "paper.yaml").write_text(yaml.safe_dump(numbers))
    with pytest.raises(InputError, match="no block 'fig6_toy_nonidentical'"):
        tables.paper_numbers(tmp_path / "paper.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1,")
    with pytest.raises(InputError, match="broken.yaml: not valid YAML"):
        tables.paper_numbers(tmp_path / "broken.yaml")


def test_distance_table_puts_the_papers_numbers_beside_ours(tmp_path):
    ours = {
        "collider": {"baseline": [Summary(2.5, 1.0, 55753)]},
        "identical": {"identity_initialization": [Summary(0.1234567891, 0.05, 30)]},
    }
    table = tables.distance_table(ours, tables.paper_numbers(PAPER))
    table.save([tmp_path / "distances.csv", tmp_path / "distances.md"])
    with (tmp_path / "distances.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["method"] == "baseline" and rows[0]["paper_mean"] == "2.576"
    assert rows[1]["mean"] == "0.123456789" and rows[1]["paper_mean"] == ""
    assert (tmp_path / "distances.md").read_text().splitlines() == [
        "| sample                       | method                  | points |  mean |   std "
        "| paper mean | paper std |",
        "| ---------------------------- | ----------------------- | -----: | ----: | ----: "
        "| ---------: | --------: |",
        "| collider, sidebands (Fig. 9) | baseline                | 55,753 | 2.500 | 1.000 "
        "|      2.576 |     0.993 |",
        "| identical toys (Fig. A.2)    | identity initialization |     30 | 0.123 | 0.050 "
        "|          – |         – |",
    ]


def test_tables_are_the_same_bytes_and_formats_are_checked(tmp_path):
    for run in ("a", "b"):
        tables.method_table().save([tmp_path / f"{run}.csv", tmp_path / f"{run}.md"])
    for suffix in (".csv", ".md"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    assert r"| movement penalty " in (tmp_path / "a.md").read_text()
    with pytest.raises(InputError, match="table.tex"):
        tables.method_table().save([tmp_path / "table.tex"])


def test_the_page_of_a_table_has_full_numbers_for_sorting_and_tasks_in_words(tmp_path):
    columns = (Column("task", "task"), Column("auc", "AUC", 3), Column("what", "<what>"))
    tasks = ("rotated_fourcircles_to_star", "own_apply", "star_twin", "collider_signal", "star")
    rows = [{"task": task, "auc": 0.51234, "what": 'a "b" & c'} for task in tasks]
    rows.append({"task": "collider", "auc": None, "what": ""})
    Table(columns, rows, ["1 < 2."]).save([tmp_path / "two_sample.html"])
    page = ElementTree.fromstring(
        re.sub(r"<!DOCTYPE html>|<meta[^>]*>|<input[^>]*>|<script>.*</script>", "",
               (tmp_path / "two_sample.html").read_text(), flags=re.S)
    )  # fmt: skip
    assert page.findtext("title") == "two sample" and page.findtext("p") == "1 < 2."
    assert [head.text for head in page.iter("th")] == ["task", "AUC", "<what>"]
    cells = [[cell.text for cell in row.iter("td")] for row in page.iter("tr")][1:]
    assert [row[0] for row in cells] == [
        "rotated four circles → star", "own, where applied", "star, twin",
        "collider, signal region", "star", "collider",
    ]  # fmt: skip
    assert cells[0][1:] == ["0.512", 'a "b" & c'] and cells[-1][1] == "–"
    values = [cell.get("data-value") for cell in page.iter("td")]
    assert values[1] == "0.51234" and values[-2] == ""
    assert [head.get("class") for head in page.iter("th")] == [None, "number", None]


def test_the_page_of_a_table_has_the_papers_symbols(tmp_path):
    columns = (Column("task", "task"), Column("feature", "feature"))
    named = [("collider", "tau21_j1"), ("collider", ""), ("own", "pt"), ("collider", None)]
    rows = [dict(zip(("task", "feature"), row, strict=True)) for row in named]
    table = Table(columns, rows)
    assert all(f">{name}</td>" in table.html("x") for name in ("τ21(J1)", "pt"))
    assert "tau21_j1" in table.markdown()  # as in the data
    assert set(FEATURES) == set(plan_tasks.COLLIDER_FEATURES)


def test_distance_table_script_pools_the_tasks_of_a_block(tmp_path):
    given = np.zeros((2, 2)), np.full((2, 2), 3.0), np.empty((2, 0)), np.empty((2, 0))
    for length, name in ((1.0, "short"), (3.0, "long")):
        images = dict.fromkeys(PUBLISHED, np.array([[length, 0.0]] * 2))
        moved.MovedSample(*given, images).save(tmp_path / f"{name}.npz")
    short, long = str(tmp_path / "short.npz"), str(tmp_path / "long.npz")
    output = tmp_path / "tables/distances.csv"
    script("make_distance_table").main(
        ["--collider", short, "--different", short, long, "--identical", long]
        + ["--paper", str(PAPER), "--spreads", str(PAPER.parents[1] / "config/fidelity.csv")]
        + ["--output", str(output)]
    )
    with output.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3 * 6 + 2
    pooled = [row for row in rows if row["sample"].startswith("different")][3]
    assert (pooled["mean"], pooled["std"], pooled["points"]) == ("2", "1", "4")
    # The published baseline is one of points that are paired in the order in which they are drawn.
    in_order = [row for row in rows if row["method"] == "baseline in order"]
    for row in in_order:
        for ours, published in (("mean", "paper_mean"), ("std", "paper_std")):
            assert float(row[ours]) == pytest.approx(float(row[published]), abs=0.01)
    assert [row["paper_mean"] for row in in_order] == ["3.185", "2.47"]
