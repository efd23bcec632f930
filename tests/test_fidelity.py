"""The comparison with the paper over several trainings, and the page that holds it."""

from __future__ import annotations

import copy
import csv
from pathlib import Path

import pytest
import yaml
from figure_samples import toy_task
from scripts_by_name import script

from flowmorph.errors import InputError
from flowmorph.figures import overview
from flowmorph.metrics import measures
from flowmorph.metrics.distances import Summary
from flowmorph.metrics.measures import Measure
from flowmorph.plan import tables as run_tables
from flowmorph.plan import targets, tasks
from flowmorph.plan.labels import label
from flowmorph.plan.methods import PUBLISHED
from flowmorph.tables import fidelity
from flowmorph.tables import table as tables

ROOT = Path(__file__).parents[1]
PAPER = tables.paper_numbers(ROOT / "config/paper_numbers.yaml")
REASONS = fidelity.read_reasons(ROOT / "config/fidelity_reasons.yaml")
HEADINGS = {name: heading for name, (heading, _) in tables.DISTANCE_BLOCKS.items()}


@pytest.fixture(scope="module")
def config():
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())


@pytest.fixture
def distances(tmp_path):
    """Two trainings: flows for flows at the paper's distance on average, the others far from it."""
    ours = {}
    for block, (_, key) in tables.DISTANCE_BLOCKS.items():
        published = PAPER[key]["flows_for_flows"]["mean"]
        ours[block] = {"baseline": [Summary(PAPER[key]["baseline"]["mean"], 1.0, 10)] * 2}
        ours[block] |= {name: [Summary(8.0, 1.0, 10), Summary(8.1, 1.0, 10)] for name in PUBLISHED}
        ours[block]["flows_for_flows"] = [
            Summary(published + shift, 1.0, 10) for shift in (-0.1, 0.1)
        ]
    path = tmp_path / "distances.csv"
    tables.distance_table(ours, PAPER).save([path])
    return path


def _measured(task: tasks.Task, split: str) -> list[Measure]:
    return [
        Measure(task.name, split, str(training), method, "", metric, value)
        for training, shift in ((1, 0.0), (2, 0.02))
        for method, auc in (("floor", 0.5), ("ceiling", 0.9), ("flows_for_flows", 0.55))
        for metric, value in (
            ("auc", auc + shift + 0.1 * (task.name == "checkerboard_to_star")),
            ("distance_mean", 1.0 + shift),
            ("distance_std", 0.3),
            *((("divergence", 0.2 + shift),) if task.family.name == "toy" else ()),
        )
    ]


def test_the_table_has_means_spreads_and_verdicts(distances, tmp_path):
    found = []
    for task in (*tasks.DIFFERENT, *tasks.IDENTICAL):
        found += _measured(task, "evaluation")
    for split in ("validation", "signal"):
        found += _measured(tasks.COLLIDER, split)
    measures.write(found, tmp_path / "measures.csv")
    reasons = {"different": {"unidirectional": {"verdict": "explained", "reason": "It was short."}}}
    (tmp_path / "reasons.yaml").write_text(yaml.safe_dump(reasons))
    script("make_fidelity_table").main(
        ["--distances", str(distances), "--measures", str(tmp_path / "measures.csv")]
        + ["--reasons", str(tmp_path / "reasons.yaml")]
        + ["--output", str(tmp_path / "fidelity.csv"), str(tmp_path / "fidelity.md")]
    )
    with (tmp_path / "fidelity.csv").open(newline="") as stream:
        rows = {(row["sample"], row["method"]): row for row in csv.DictReader(stream)}
    row = rows[HEADINGS["different"], "flows for flows"]
    assert row["verdict"] == "reproduced" and float(row["off"]) == pytest.approx(0, abs=1e-6)
    # Six tasks, one of which is worse by 0.1; two trainings, one of which is worse by 0.02.
    assert float(row["auc"]) == pytest.approx(0.55 + 0.01 + 0.1 / 6)
    assert float(row["auc_spread"]) == pytest.approx(0.02 / 2**0.5)
    assert float(row["auc_largest"]) == pytest.approx(0.67)
    assert float(row["divergence"]) == pytest.approx(0.21)
    assert float(row["divergence_largest"]) == pytest.approx(0.22)
    assert rows[HEADINGS["different"], "baseline"]["verdict"] == "reproduced"
    assert rows[HEADINGS["different"], "unidirectional"]["verdict"] == "explained"
    assert rows[HEADINGS["identical"], "unidirectional"]["verdict"] == "not explained"
    assert rows[HEADINGS["different"], "identity initialization"]["verdict"] == ""
    # The paper has no distances of the signal region, and ours are measured there, too.
    signal = rows["collider, signal region", "flows for flows"]
    assert float(signal["mean"]) == pytest.approx(1.01) and signal["paper_mean"] == ""
    assert signal["divergence"] == "" and signal["trainings"] == "2"
    assert rows[HEADINGS["collider"], "floor"]["auc"] == "0.51"
    assert "It was short." in (tmp_path / "fidelity.md").read_text()


def test_a_single_training_is_refused(config, tmp_path):
    with pytest.raises(InputError, match="several trainings"):
        targets.fidelity_measures("out", config)
    path = tmp_path / "one.csv"
    one = {"collider": {"flows_for_flows": [Summary(1.0, 0.5, 10)]}}
    tables.distance_table(one, PAPER).save([path])
    with pytest.raises(InputError, match="one training has no spread"):
        fidelity.read_distances(path)


def test_the_table_is_made_of_every_training_of_its_tasks(config):
    changed = copy.deepcopy(config)
    changed["seeds"] |= yaml.safe_load((ROOT / "config/fidelity.yaml").read_text())["seeds"]
    files = targets.fidelity_measures("out", changed)
    assert len(files) == len(set(files)) == 2 * 5 * (6 + 3 + 2)
    assert not [file for file in files if "rotated" in file]


@pytest.mark.parametrize("entry", [{"verdict": "fine", "reason": "x"}, {"verdict": "explained"}])
def test_a_verdict_needs_a_known_word_and_a_reason(entry, tmp_path):
    path = tmp_path / "reasons.yaml"
    path.write_text(yaml.safe_dump({"identical": {"base_transfer": entry}}))
    with pytest.raises(InputError, match="identical.base_transfer needs a reason"):
        fidelity.read_reasons(path)


def test_reasons_are_about_published_numbers():
    for block, methods in REASONS.items():
        for method in methods:
            assert PAPER[tables.DISTANCE_BLOCKS[block][1]][method], (block, method)


# --- the picture


def _rows(ceiling: float, methods=PUBLISHED) -> list[dict[str, str]]:
    known = [
        {"method": name, "auc": f"{auc}"} for name, auc in (("floor", 0.5), ("ceiling", ceiling))
    ]
    return known + [
        {"method": label(name), "mean": f"{place}", "mean_spread": "0.1"}
        | {"auc": f"{0.5 + 0.01 * place}", "auc_spread": "0.002"}
        for place, name in enumerate(methods, start=1)
    ]


def test_the_overview_shows_each_method_where_its_distance_and_accuracy_are():
    fig = overview.overview_figure("toy", toy_task(), {"near": _rows(0.57), "far": _rows(0.95)})
    near, far = fig.axes[-2:]
    for place, bar in enumerate(near.containers, start=1):
        assert bar.lines[0].get_xydata()[0] == pytest.approx([place, 0.5 + 0.01 * place])
    assert len(near.containers) == len(PUBLISHED)
    words = [[text.get_text() for text in ax.texts] for ax in (near, far)]
    assert words[0] == ["equal samples", "reference, as it is"]
    # A reference that is far off is said, and leaves the methods their room.
    assert "0.95" in words[1][1] and far.get_ylim()[1] < 0.6
    shapes = fig.axes[:-2]
    assert len(shapes) == 2 + len(PUBLISHED) and all(len(ax.images) == 1 for ax in shapes)


def test_the_overview_names_what_the_table_lacks():
    with pytest.raises(InputError, match="no mean of identity initialization"):
        overview.overview_figure("toy", toy_task(), {"near": _rows(0.57, PUBLISHED[:-1])})


# --- the page of results


def test_the_page_of_results_has_the_tables_and_what_made_them(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.md").write_text(f"| {name} |\n\n{'word ' * 30}{name}.\n")
    page = tmp_path / "results.md"
    arguments = ["--run", "default", "--seed", "7", "--trainings", "toy=3", "collider=1"]
    tables = ["--tables", str(tmp_path / "one.md"), str(tmp_path / "two.md")]
    script("make_results_page").main(
        [*arguments, *tables, "--titles", "First", "Second", "--output", str(page)]
    )
    text = page.read_text()
    assert text.index("## First\n\n| one |") < text.index("## Second\n\n| two |")
    assert max(len(line) for line in text.splitlines()) <= 120
    assert f"{'word ' * 30}two." in " ".join(text.split())
    assert "Base seed 7; trainings: toy 3, collider 1. Commit " in text
    with pytest.raises(InputError, match="2 files"):
        script("make_results_page").main(
            [*arguments, *tables, "--titles", "First", "--output", str(page)]
        )


def test_tables_of_the_page_are_made_by_the_run(config):
    for searched in (True, False):
        assert set(run_tables.of_page(config, searched)) < set(run_tables.of_run(config, searched))
        assert ("search" in run_tables.of_page(config, searched)) == searched
