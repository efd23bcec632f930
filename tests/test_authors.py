"""The choices of the paper's authors: each changes the jobs that it concerns, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator

import figure_samples
import numpy as np
import pytest
from jobs import NETWORK, POINTS, RECIPE, density_options
from scripts_by_name import script
from test_config import SCHEMA, merged, read
from test_features import run
from test_workflow import Project

from flowmorph.errors import InputError
from flowmorph.metrics import measures
from flowmorph.plan import figures, paths, targets, tasks
from flowmorph.plan.config import check
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.jobs.data import ToyData
from flowmorph.plan.jobs.form import read as read_job
from flowmorph.plan.jobs.form import to_json
from flowmorph.plan.jobs.measuring import DensitiesJob, TrainedDensities
from flowmorph.plan.jobs.training import DensityJob
from flowmorph.samples import datasets

OUT = "results/any"


def every_job(config: dict) -> Iterator[tuple[tuple[str, str], str]]:
    """Each job of a run that draws or prepares points, moves them or trains: (kind, family)."""
    jobs = Jobs(config, OUT)
    yield ("prepare", "collider"), to_json(jobs.prepare())
    for dataset in targets.run_datasets(config):
        family = dataset.family.name
        yield ("density", family), to_json(jobs.density(dataset.name, 1))
        for width in targets.smoothing(dataset.family, config).widths:
            yield ("smoothed", family), to_json(jobs.smoothed(dataset.name, 1, str(width)))
    for task in targets.run_tasks(config):
        family = task.family.name
        for method in targets.transports(task.name, config):
            yield ("transport", family), to_json(jobs.transport(task.name, method, 1))
        for method in targets.alternatives(task.name, config):
            yield ("alternative", family), to_json(jobs.alternative(task.name, 1, method))
        for split in targets.splits(task, config):
            yield ("move", family), to_json(jobs.move(task.name, 1, split))


def changed(config: dict) -> set[tuple[str, str]]:
    """Kinds of jobs that are not those of the default."""
    check(config, SCHEMA)
    pairs = zip(every_job(read("config")), every_job(config), strict=True)
    return {kind for (kind, before), (_, after) in pairs if before != after}


def test_jobs_without_the_choices_have_no_word_of_them():
    text = "".join(job for _, job in every_job(read("config")))
    for name in ("train_angles", "reference_in_signal", '"fit"', '"ranges"', "fresh"):
        assert name not in text
    assert '"angles": [7.5, 15.0, 22.5, 30.0, 37.5, 45.0]' in text


@pytest.mark.parametrize(
    ("section", "choice", "jobs"),
    [
        ("toys", {"fresh_points": True}, {("transport", "toy")}),
        ("rotated", {"fresh_points": True}, {("transport", "rotated")}),
        (
            "rotated",
            {"train_angles_deg": [0, -1]},
            {(kind, "rotated") for kind in ("density", "smoothed", "transport", "move")},
        ),
        ("rotated", {"shown_angle_deg": 15}, set()),
        ("collider", {"fit": "reference"}, {("prepare", "collider")}),
        ("collider", {"ranges": {"m_j1": [0, 900]}}, {("prepare", "collider")}),
    ],
)
def test_a_choice_changes_the_jobs_that_it_concerns(section, choice, jobs):
    config = read("config")
    place = config[section]["scaling"] if section == "collider" else config[section]
    if "ranges" in choice:
        place["ranges"] |= choice["ranges"]
    else:
        place |= choice
    assert changed(config) == jobs


def test_a_reference_that_is_trained_on_in_the_signal_region_has_no_gap():
    config = read("config")
    config["collider"]["regions_tev"]["reference_in_signal"] = True
    with pytest.raises(InputError, match="search.draws: templates would be made of events that"):
        check(config, SCHEMA)
    config["search"]["draws"] = 0
    kinds = ("prepare", "density", "transport", "alternative", "move")
    assert changed(config) == {(kind, "collider") for kind in kinds}
    jobs = Jobs(config, OUT)
    reference, target = (jobs.data(dataset) for dataset in tasks.COLLIDER.datasets)
    assert reference.gaps == (0.0,)
    # 0.4 of 1.2 TeV are a third of the box, whose width is 6.
    assert target.gaps == pytest.approx((2.0,))
    config["collider"]["scaling"]["ranges"]["m_jj"] = [2700, 4300]
    assert Jobs(config, OUT).data(tasks.COLLIDER.target).gaps == pytest.approx((1.5,))


def test_fresh_points_are_shared_by_the_methods_of_a_task_and_by_no_others():
    config = read("config")
    config["toys"] |= {"fresh_points": True, "points": POINTS}
    jobs = Jobs(config, OUT)

    def drawn(task: str, method: str = "flows_for_flows", split: str = "train") -> np.ndarray:
        return datasets.load(jobs.transport(task, method, 2).reference, split)[0]

    one = drawn("star_to_checkerboard")
    assert np.array_equal(one, drawn("star_to_checkerboard", "unidirectional"))
    densities = datasets.load(jobs.density("star", 2).data, "train")[0]
    evaluated = datasets.load(jobs.move("star_to_checkerboard", 2, "evaluation").reference, "train")
    assert np.array_equal(densities, evaluated[0])
    for other in (densities, drawn("star_to_fourcircles"), drawn("star_to_star_twin")):
        assert one.shape == other.shape and not np.isin(one[:, 0], other[:, 0]).any()
    assert len(drawn("star_to_checkerboard", split="validation")) == POINTS["validation"]
    pair = jobs.transport("star_to_star_twin", "unidirectional", 1)
    ends = (datasets.load(data, "train")[0][:, 0] for data in (pair.reference, pair.target))
    assert not np.isin(*ends).any()


def test_flows_are_trained_at_other_angles_than_they_are_shown(tmp_path):
    shown, trained = (-7.5, -45.0), tuple(-float(angle) for angle in range(45))
    data = ToyData("rotated_star", "star", POINTS, 5, shown, trained)
    for split, angles in (("train", trained), ("validation", trained), ("evaluation", shown)):
        x, c = datasets.load(data, split)
        assert set(np.round(45 * c[:, 0], 3)) == {angle + 0.0 for angle in angles}
        assert np.isfinite(datasets.exact_log_density(data, x, c)).all()
    same = ToyData("rotated_star", "star", POINTS, 5, shown)
    for one, other in zip(
        datasets.load(data, "evaluation"), datasets.load(same, "evaluation"), strict=True
    ):
        assert np.array_equal(one, other)
    job = DensityJob(data, NETWORK, RECIPE, 3, "cpu")
    assert read_job(DensityJob, to_json(job)) == job
    script("train_density").main(density_options(job, tmp_path))
    measured = DensitiesJob((TrainedDensities(data, "evaluation", (1,)),), 1, "cpu", "eager")
    flow, table = tmp_path / "rotated_star.safetensors", tmp_path / "densities.csv"
    options = ["--job", to_json(measured), "--densities", str(flow), "--output", str(table)]
    script("evaluate_densities").main(options)
    numbers = {row.metric: row.value for row in measures.read([table])}
    assert numbers["points"] == POINTS["evaluation"] and numbers["divergence"] > 0
    # That of the star (its reference number is 1.286 nats), whose plane is made half as large.
    assert numbers["entropy"] == pytest.approx(1.286 - np.log(2), abs=0.15)


def test_figures_show_clockwise_angles(tmp_path, monkeypatch):
    config = merged("authors")
    one, each = (figures.FIGURES[name].options(config) for name in ("figB1", "figB5"))
    assert re.findall(r"--angles=(\S+)", one) == ["-15:-15"]
    assert re.findall(r"--angles=(\S+)", each)[::5] == ["-7.5:-7.5", "-45:-45"]
    monkeypatch.setattr(figure_samples, "ANGLES", (-7.5, -45.0))
    figure_samples.rotated_task().save(tmp_path / "moved.npz")
    scatter = ("plot_scatter.py", "--seed", 2)
    grid = ("plot_grid.py", "--titles", "four circles → four circles", "--angles=-45:-7.5")
    for name, *options in (scatter, grid):
        files = ("--moved", tmp_path / "moved.npz", "--output", tmp_path / f"{name}.png")
        assert run(name, *files, *options, "--angles=-7.5:-45") == 0
        assert (tmp_path / f"{name}.png").stat().st_size
        assert run(name, *files, *options, "--angles=7.5:45") == 1


@pytest.mark.workflow
def test_the_paper_and_the_authors_choices_are_runs(tmp_path):
    project = Project(tmp_path)
    target = paths.figure("results/authors", "figB3", "png")
    alone, chosen = (
        project.snakemake("--dry-run", "--printshellcmds", configs=configs).stdout
        for configs in (["config/paper.yaml"], ["config/paper.yaml", "config/authors.yaml"])
    )
    assert "results/paper" in alone and "reference_in_signal" not in alone
    assert target in chosen and "results/paper" not in chosen
    for text in (alone, chosen):
        counts = dict(re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE))
        assert counts["train_density"] == "14" and counts["train_transport"] == "77"
    prepared = re.search(r'prepare_samples\.py.*?"reference_in_signal": true', chosen, re.DOTALL)
    assert prepared and '"m_j1": [1.654, 882.257]' in chosen
    assert '"train_angles": [0.0, -1.0, ' in chosen
    assert re.search(r"plot_scatter\.py.*?--same-circle.*? --angles=-15:-15", chosen, re.DOTALL)
