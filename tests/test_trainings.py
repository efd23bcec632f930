"""Trainings that are repeated with other seeds: their names, tables, ensembles and bands."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from figure_samples import regions, science_task, toy_task
from scripts_by_name import script

from flowmorph.errors import InputError
from flowmorph.figures import closure, distances, features
from flowmorph.metrics import measures
from flowmorph.metrics.distances import Summary
from flowmorph.metrics.measures import Measure
from flowmorph.plan import targets, tasks
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.jobs.form import as_dict, to_json
from flowmorph.plan.jobs.measuring import CostsJob, CountedTraining
from flowmorph.plan.jobs.training import Recipe
from flowmorph.plan.methods import PUBLISHED
from flowmorph.plan.seeds import key, seed_for
from flowmorph.samples import moved
from flowmorph.tables import table as tables
from flowmorph.tables.measures import measure_table, with_own_divergences

ROOT = Path(__file__).parents[1]
PAPER = ROOT / "config/paper_numbers.yaml"


# --- trainings


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())


def test_one_training_makes_no_ensemble(config):
    assert {sample.training for sample in targets.moved(config)} == {1}
    assert targets.moved(config, ensembles=True) == []


def test_further_trainings_have_numbers(config):
    config["seeds"]["collider"] = 3
    collider = [sample for sample in targets.moved(config) if sample.task == "collider"]
    assert collider == [
        ("collider", number, split) for split in ("validation", "signal") for number in (1, 2, 3)
    ]
    ensembles = targets.moved(config, ensembles=True)
    assert ensembles == [("collider", "ensemble", "validation"), ("collider", "ensemble", "signal")]
    assert [
        number for each, number in targets.densities_trained(config) if each.name == "target"
    ] == [1, 2, 3]


def test_seeds_are_derived_from_names_that_stay(config):
    """Another seed is another result."""
    assert key("collider") == "science" and key("collider", 2, "signal") == "science_seed2_signal"
    assert key("own", 3, "apply") == "own_apply_seed3" and key("star", 1, "evaluation") == "star"
    jobs, base = Jobs(config, "out"), config["seed"]
    names = {
        jobs.density("star_twin", 2).seed: ("density", "star_twin_seed2"),
        jobs.transport("collider", "movement_penalty", 1).seed: (
            "transport", "science", "movement_penalty",
        ),
        jobs.scan_transport("0.2").seed: ("transport", "science", "movement_penalty_w0.2"),
        jobs.move("collider", 3, "signal").seed: ("moved", "science_seed3_signal"),
        jobs.scan_move().seed: ("moved", "science_penalty_scan"),
        jobs.measure("collider", 3, "signal").seed: ("measure_task", "science_signal"),
        jobs.scan_measure().seed: ("measure_task", "science"),
        jobs.mixing_seed("collider", "signal"): ("ensemble", "science_signal"),
        jobs.alternative("collider", 2, "reweighting").seed: (
            "alternative", "science_seed2", "reweighting",
        ),
    }  # fmt: skip
    for seed, name in names.items():
        assert seed == seed_for(base, *name), name


def test_a_name_says_where_the_points_are():
    assert tasks.named("collider", "validation") == "collider"
    assert tasks.named("collider", "signal") == "collider_signal"


# --- tables

MEASURES = [
    Measure("t", "", training, method, "", metric, value)
    for training, value in (("1", 0.5), ("2", 0.6), ("3", 0.7), ("ensemble", 0.55))
    for method in ("floor", "flows_for_flows")
    for metric in ("auc", "points")
]


def test_tables_give_mean_and_spread_and_a_row_for_the_ensemble():
    table = measure_table("two_sample", MEASURES)
    keys = [column.key for column in table.columns]
    assert keys[:3] == ["task", "method", "trainings"]
    assert keys.index("auc_spread") == keys.index("auc") + 1
    assert "points_spread" not in keys
    assert [(row["task"], row["method"], row["trainings"]) for row in table.rows] == [
        ("t", "floor", 3),
        ("t", "flows for flows", 3),
        ("t", "flows for flows, ensemble", 1),
    ]
    assert table.rows[1]["auc"] == pytest.approx(0.6)
    assert table.rows[1]["auc_spread"] == pytest.approx(0.1)
    assert table.rows[2]["auc"] == 0.55 and table.rows[2]["auc_spread"] is None
    assert "±" in table.markdown()


def test_without_repetition_a_table_has_no_columns_for_it():
    table = measure_table("two_sample", [m for m in MEASURES if m.training == "1"])
    assert not [column for column in table.columns if "train" in column.key + column.heading]
    assert table.rows[0]["auc"] == 0.5


def test_the_distance_table_gives_the_spread_of_the_mean():
    trainings = [Summary(1.0, 0.5, 10), Summary(2.0, 0.7, 10)]
    ours = {"collider": {"baseline": [Summary(3.0, 1.0, 10)], "flows_for_flows": trainings}}
    table = tables.distance_table(ours, tables.paper_numbers(PAPER))
    assert table.rows[1]["mean"] == 1.5 and table.rows[1]["std"] == pytest.approx(0.6)
    assert table.rows[1]["mean_spread"] == pytest.approx(0.5**0.5)
    assert table.rows[0]["mean_spread"] is None and table.rows[0]["off"] is None
    spread = (0.5 * 1.5) ** 0.5  # of a mean of two and the paper's one training, 0.313
    assert table.rows[1]["off"] == pytest.approx((1.5 - 0.313) / spread)
    assert not table.notes
    assert "mean_spread" in [column.key for column in table.columns]


def test_a_single_training_has_the_known_scatter_beside_it(tmp_path):
    several = {"collider": {"flows_for_flows": [Summary(1.0, 0.5, 10), Summary(2.0, 0.7, 10)]}}
    paper = tables.paper_numbers(PAPER)
    tables.distance_table(several, paper).save([tmp_path / "known.csv"])
    known = tables.known_spreads(tmp_path / "known.csv")
    one = {"collider": {method: [Summary(1.2, 0.5, 10)] for method in PUBLISHED}}
    table = tables.distance_table(one, paper, known)
    spreads = {row["method"]: row["known_spread"] for row in table.rows}
    assert spreads.pop("flows for flows") == pytest.approx(0.5**0.5)
    assert set(spreads.values()) == {None}
    assert "2 trainings" in table.notes[0] and "± known" in table.markdown()
    assert not tables.distance_table(several, paper, known).notes
    (tmp_path / "known.csv").write_text("sample,method\na,b\n")
    with pytest.raises(InputError, match="not a distance table of several trainings"):
        tables.known_spreads(tmp_path / "known.csv")


def test_a_moved_density_is_held_against_the_one_that_it_comes_from():
    task = "star_to_checkerboard"
    measures = [
        Measure("star", "", "2", "density", "", "divergence", 0.01),
        Measure("checkerboard", "", "2", "density", "", "divergence", 0.03),
        Measure("star", "", "1", "density", "", "divergence", 9.0),
        Measure(task, "", "2", "base_transfer", "", "divergence", 0.03),
        Measure(task, "", "2", "unidirectional", "", "divergence", 0.04),
        Measure("collider", "", "2", "unidirectional", "", "log_likelihood", -5.0),
    ]
    rows = measure_table("divergences", with_own_divergences(measures)).rows
    own = {row["method"]: row["own_divergence"] for row in rows if "_to_" in row["task"]}
    assert own == {"base transfer": 0.03, "unidirectional": 0.01}


def test_a_training_far_worse_than_others_of_the_same_toy_is_said_to_have_failed():
    def table(*values: float):
        names = ("checkerboard", "checkerboard_twin", "rotated_checkerboard", "star")
        return measure_table(
            "divergences",
            [
                Measure(name, "", "1", "density", "", "divergence", value)
                for name, value in zip(names, values, strict=True)
            ],
        )

    assert not table(0.012, 0.007, 0.05, 0.002).notes
    table = table(0.133, 0.007, 0.05, 0.002)
    assert table.notes == [
        "checkerboard: training 1 failed. Its density is 0.1330 nats from the exact one, "
        "that of checkerboard_twin, training 1, 0.0070 nats."
    ]
    assert table.notes[0] in table.markdown()


# --- ensembles


def shifted(sample: moved.MovedSample, by: float) -> moved.MovedSample:
    return replace(sample, methods={name: x + by for name, x in sample.methods.items()})


def mixing(files: list[str], output: Path) -> list[str]:
    """Arguments that mix moved samples of the collider task into ``output``, npz and CSV."""
    return [
        "--moved", *files, "--seed", "7", "--task", "collider", "--split", "validation",
        "--output", f"{output}.npz", "--measures", f"{output}.csv",
    ]  # fmt: skip


def test_an_ensemble_takes_each_image_from_one_of_its_trainings(tmp_path):
    first = science_task()
    for name, sample in (("a", first), ("b", shifted(first, 10.0))):
        sample.save(tmp_path / f"{name}.npz")
    files = [str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]
    for run in ("first", "again"):
        script("mix_ensemble").main(mixing(files, tmp_path / run))
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    mixed = moved.MovedSample.load(tmp_path / "first.npz")
    assert mixed.same_points(first)
    shift = mixed.points("unidirectional") - first.points("unidirectional")
    from_second = np.isclose(shift, 10.0).all(axis=1)
    assert (from_second | np.isclose(shift, 0.0).all(axis=1)).all()
    assert 0.4 < from_second.mean() < 0.6
    # Each point's images are 10 apart in each of five features.
    found = measures.read([tmp_path / "first.csv"])
    assert {m.method for m in found} == set(first.methods)
    for m in found:
        assert m[:3] == ("collider", "validation", "ensemble") and m.metric == "training_spread"
        assert m.value == pytest.approx(10 * 5**0.5)
    # All methods of a point come from the same training.
    np.testing.assert_allclose(mixed.points("base_transfer") - first.points("base_transfer"), shift)


def test_an_ensemble_of_weighted_points_keeps_their_weights(tmp_path):
    weights = {name: np.linspace(0.5, 2.0, 600) for name in moved.WEIGHTS}
    files = [str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]
    for file in files:
        replace(science_task(), **weights).save(file)
    script("mix_ensemble").main(mixing(files, tmp_path / "c"))
    mixed = moved.MovedSample.load(tmp_path / "c.npz")
    for name in moved.WEIGHTS:
        np.testing.assert_array_equal(getattr(mixed, name), weights[name])


def test_trainings_on_other_points_make_no_ensemble(tmp_path):
    science_task().save(tmp_path / "a.npz")
    replace(science_task(), reference=np.zeros((600, 5))).save(tmp_path / "b.npz")
    files = [str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]
    with pytest.raises(InputError, match="b.npz: its points are not those"):
        script("mix_ensemble").main(mixing(files, tmp_path / "c"))
    assert not (tmp_path / "c.npz").exists()


# --- figures


def bands(fig) -> int:
    return sum(
        getattr(patch, "get_alpha", lambda: None)() == 0.25
        for ax in fig.axes
        for patch in ax.patches
    )


def test_bands_are_drawn_for_what_varies_between_trainings():
    toy, science = toy_task(), science_task()
    again = [[shifted(toy, 0.3)], [shifted(toy, 0.6)]]
    fig = distances.distance_figure([toy], further_trainings=again)
    assert bands(fig) == len(PUBLISHED)  # the baseline is the same in every training
    assert "3 trainings" in fig.legends[0].get_title().get_text()
    assert bands(distances.distance_figure([toy])) == 0
    others = [shifted(science, 0.25)]
    assert bands(distances.feature_distance_figure(science, further_trainings=others)) == 5 * 5
    ratios = features.feature_ratios(science, further_trainings=others)
    assert bands(ratios) == 2 * 5 * len(PUBLISHED)
    assert bands(features.feature_ratios(science)) == 0


def test_the_numbers_of_a_figure_are_means_over_trainings():
    toy = toy_task()
    toy = replace(toy, methods=dict.fromkeys(PUBLISHED, toy.reference + [0.5, 0.0]))
    fig = distances.distance_figure([toy], further_trainings=[[shifted(toy, 0.0)]])
    assert "0.500 ± 0.000" in fig.legends[0].get_texts()[1].get_text()


def test_closure_marks_the_spread_over_trainings():
    measures = regions()
    lines = [len(ax.lines) for ax in closure.closure_figure(measures).axes]
    again = {
        region: each + [m._replace(training="2", value=1.02 * m.value) for m in each]
        for region, each in measures.items()
    }
    fig = closure.closure_figure(again)
    rows = len(closure.ROWS)
    more = [len(ax.lines) - before for ax, before in zip(fig.axes, lines, strict=True)]
    assert more == [2 * rows, 2 * rows, 2 * len(PUBLISHED)]


def test_files_are_grouped_by_training(tmp_path):
    for name in "abcd":
        x, none = np.full((2, 1), ord(name)), np.empty((2, 0))
        moved.MovedSample(x, x, none, none, {"x": x}).save(tmp_path / f"{name}.npz")
    files = [tmp_path / f"{name}.npz" for name in "abcd"]
    trainings = moved.load_trainings(files, 2, ["x"])
    assert [[chr(int(task.points("x")[0, 0])) for task in t] for t in trainings] == [
        ["a", "b"],
        ["c", "d"],
    ]
    with pytest.raises(InputError, match="4 files are not the same tasks in 3 trainings"):
        moved.load_trainings(files, 3, ["x"])


def test_costs_are_counted_from_histories_and_weights(tmp_path):
    from safetensors.numpy import save_file

    recipe = Recipe(256, 1.0, 1e-3, 0, 5.0, far_nats=0.1)
    note = {"config": {"recipe": as_dict(recipe)}}
    save_file({"w": np.zeros(3)}, tmp_path / "w", metadata={"flowmorph": json.dumps(note)})
    counted = partial(_costs, tmp_path)
    head = "step,steps_taken,returns,restarts"
    assert counted(f"{head}\n20,20,0,0\n40,60,1,0\n") == {
        "steps": 60, "points_shown": 15360, "returns": 1, "restarts": 0,
    }  # fmt: skip
    # The kept parameters are those of the second row.
    near = counted(f"{head},above_lowest\n20,20,0,0,0.3\n20,40,0,1,0.09\n20,60,0,2,nan\n")
    assert near["above_lowest"] == 0.09 and near["restarts"] == 2 and "too_far" not in near
    far = counted(f"{head},above_lowest\n20,20,0,0,0.3\n20,40,0,1,0.11\n")
    assert far["above_lowest"] == far["too_far"] == 0.11
    table = measure_table("costs", measures.read([tmp_path / "costs.csv"]))
    assert table.rows[0]["above_lowest"] == 0.11
    assert table.notes == [
        "collider, unidirectional: training 1 failed. Its loss is 0.110 nats above the lowest "
        "possible one."
    ]
    with pytest.raises(InputError, match="not a loss history"):
        counted("nothing\n")


def _costs(folder, history: str) -> dict[str, float]:
    (folder / "loss.csv").write_text(history)
    job = to_json(CostsJob((CountedTraining("collider", "unidirectional", 1),)))
    script("count_costs").main(
        ["--job", job, "--flows", str(folder / "w"), "--histories", str(folder / "loss.csv")]
        + ["--output", str(folder / "costs.csv")]
    )
    return {m.metric: m.value for m in measures.read([folder / "costs.csv"])}
