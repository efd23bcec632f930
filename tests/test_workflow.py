"""One whole run in a copy of the project, then what reruns after each kind of change."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from flowmorph.plan import defaults, figures, methods, paths, tables, targets, tasks
from flowmorph.tables import times

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "rules", "workflow", "config", "profiles", "envs")
OUT = paths.run_folder("tiny")
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
COLLIDER = ("collider", 1, "validation")
PENALTY = paths.transport(OUT, "collider", "movement_penalty", 1)
# One task from events to figures: every kind of job and every kind of file that they write.
CHAIN = [
    paths.figure(OUT, "fig9", "png"),
    paths.measures(OUT, *COLLIDER),
    paths.table(OUT, "medians", "csv"),
]

pytestmark = pytest.mark.workflow


class Project:
    """A copy of the project in which snakemake is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(
                    source,
                    folder / part,
                    ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
                )
            else:
                shutil.copy(source, folder / part)
        shutil.copy(ROOT / "tests" / "tiny.yaml", folder / "tiny.yaml")

    def snakemake(
        self,
        *arguments: str,
        check: bool = True,
        override: dict | None = None,
        configs: Sequence[str] = ("tiny.yaml",),
    ) -> subprocess.CompletedProcess:
        (self.folder / "override.yaml").write_text(yaml.safe_dump(override or {}))
        command = [sys.executable, "-m", "snakemake", *arguments]
        command += ["--configfile", *configs, "override.yaml"]
        result = subprocess.run(
            command, cwd=self.folder, text=True, capture_output=True, timeout=1500
        )
        if check:
            assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
        return result

    def artefacts(self) -> dict[str, str]:
        """Checksum of every result by its name; logs and benchmarks tell times, and are none."""
        out = self.folder / OUT
        names = (path.relative_to(out) for path in sorted(out.rglob("*")) if path.is_file())
        return {
            str(name): hashlib.sha256((out / name).read_bytes()).hexdigest()
            for name in names
            if name.parts[0] not in ("logs", "benchmarks")
        }

    def pending(self, *arguments: str, override: dict | None = None) -> Counter:
        """Rules that would run, with the number of their jobs."""
        output = self.snakemake("--dry-run", *arguments, override=override).stdout
        table = re.search(r"^job +count\n[- ]+\n((?:\w+ +\d+\n)+)", output, re.MULTILINE)
        if table is None:
            assert "Nothing to be done" in output
            return Counter()
        rows = (line.split() for line in table.group(1).splitlines())
        return Counter({name: int(count) for name, count in rows if name not in ("all", "total")})


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = Project(tmp_path_factory.mktemp("project with a space"))
    project.snakemake("--cores", "2")
    return project


@pytest.fixture
def edited(project):
    """Append to files of the project and put them back."""
    before: dict[Path, bytes] = {}

    def edit(name: str, text: str = "\n# edited\n") -> None:
        path = project.folder / name
        before[path] = path.read_bytes()
        path.write_text(path.read_text() + text)

    yield edit
    for path, content in before.items():
        path.write_bytes(content)


def test_everything_is_there_and_nothing_is_left_to_do(project):
    missing = [
        name for name in targets.results(OUT, CONFIG) if not (project.folder / name).stat().st_size
    ]
    assert not missing
    assert project.pending() == Counter()


def test_one_core_and_two_give_the_same_bytes(project, chain):
    once, again = chain.artefacts(), project.artefacts()
    kinds = {".parquet", ".root", ".safetensors", ".npz", ".json"}
    kinds |= {".csv", ".md", ".html", ".pdf", ".png"}
    assert {Path(name).suffix for name in once} == kinds
    assert {name: again[name] for name in once} == once


def test_the_distance_table_covers_every_method_and_block(project):
    lines = (project.folder / paths.table(OUT, "distances", "csv")).read_text().splitlines()
    assert len(lines) == 1 + 3 * 6 + 2  # the toys have two baselines


def test_a_moved_file_holds_the_reference_and_every_method(project):
    import numpy as np

    moved = np.load(project.folder / paths.moved(OUT, *COLLIDER))
    assert moved["reference"].shape[1] == 5
    for method in ("base_transfer", *methods.TRAINED):
        assert moved[method].shape == moved["reference"].shape
        assert np.isfinite(moved[method]).all()


@pytest.mark.parametrize("figure", figures.FIRST)
def test_a_first_figure_shows_points_that_the_moved_file_has(project, figure):
    import numpy as np

    (task,) = figures.FIGURES[figure].tasks
    shown, every = (
        np.load(project.folder / place)
        for place in (
            paths.moved_pointwise(OUT, task.name, task.family.held_out),
            paths.moved(OUT, task.name, 1, task.family.held_out),
        )
    )
    assert set(methods.POINTWISE) < set(shown) < set(every)
    for name in shown:
        np.testing.assert_array_equal(shown[name], every[name])


def test_weights_carry_the_configuration_that_made_them(project):
    from safetensors import safe_open

    path = project.folder / paths.flow(PENALTY)
    with safe_open(path, framework="numpy") as file:
        note = json.loads(file.metadata()["flowmorph"])
    assert note["config"]["penalty"] == defaults.config()["penalty"]["collider"]
    assert note["config"]["recipe"]["batch"] == 100
    assert note["versions"]["nflows"] == "0.14"


def test_the_style_of_one_kind_of_figure_redraws_that_kind(project, edited):
    edited("workflow/flowmorph/figures/scatter.py")
    pending = project.pending()
    assert {"fig3", "fig4", "figB1", "figB3"} <= set(pending)
    # The schematics borrow the scatter's drawing; nothing that computes is touched.
    assert all(re.match("fig|table1", rule) for rule in pending)


def test_one_methods_parameter_retrains_that_method(project):
    override = {"training": {"methods": {"unidirectional": {"epochs": 3}}}}
    pending = project.pending(override=override)
    assert pending["train_transport"] == len(tasks.PAPER)
    assert not set(pending) & {"train_density", "generate_events", "build_features", "fig1", "fig7"}


@pytest.mark.parametrize("name", ["spline.py", "kernels.cpp"])
def test_a_flow_module_reruns_flows_and_not_events(project, edited, name):
    edited(f"workflow/flowmorph/flows/{name}")
    pending = project.pending()
    assert pending["train_density"] == len(targets.run_datasets(CONFIG))
    # One further flow method is trained on the collider task.
    assert pending["train_transport"] == len(tasks.PAPER) * len(methods.TRAINED) + 1
    assert not set(pending) & {"generate_events", "build_features", "merge_features", "fig1"}


def test_a_transports_loss_reruns_no_density(project, edited):
    edited("workflow/flowmorph/transfer/morph.py")
    pending = project.pending()
    assert pending["train_transport"] and pending["move_samples"]
    assert not set(pending) & {"train_density", "evaluate_densities", "generate_events"}


def test_a_deleted_figure_is_rebuilt_alone(project):
    path = project.folder / paths.figure(OUT, "fig9", "png")
    content = path.read_bytes()
    path.unlink()
    assert project.pending() == Counter({"fig9": 1})
    project.snakemake("--cores", "1")
    assert path.read_bytes() == content


def test_a_method_is_added_by_a_module_and_an_entry(project):
    text = (ROOT / "docs/methods.md").read_text()
    (module,) = re.findall(r"```python\n(.+?)```", text, re.DOTALL)
    (entry,) = re.findall(r"```yaml\n(.+?)```", text, re.DOTALL)
    path = project.folder / "workflow/flowmorph/alternatives/mean_shift.py"
    path.write_text(module)
    target = paths.table(OUT, "two_sample", "csv")
    assert project.pending() == Counter()
    before = (project.folder / target).read_text()
    project.snakemake("--cores", "2", target, override=yaml.safe_load(entry))
    after = (project.folder / target).read_text()
    path.unlink()
    new = [line for line in after.splitlines() if line not in before.splitlines()]
    assert [line.split(",")[:2] for line in new] == [
        ["collider", "mean shift"],
        ["collider_signal", "mean shift"],
    ]
    project.snakemake("--cores", "2")
    assert (project.folder / target).read_text() == before


@pytest.mark.parametrize(
    ("mode", "angles"), [("difference", "7.5:45"), ("shared", "15:15")], ids=["turned", "shared"]
)
def test_identical_toys_are_shown_at_the_angles_that_they_have(tmp_path, mode, angles):
    override = {"rotated": {"mode": {"identical": mode}}}
    names = [paths.figure(OUT, name, "png") for name in ("figB1", "figB2")]
    project = Project(tmp_path)
    printed = project.snakemake("--dry-run", "--printshellcmds", *names, override=override).stdout
    shown = re.findall(r"plot/plot_(?:scatter|grid)\.py.*?--angles=(\S+)", printed, re.DOTALL)
    assert shown == [angles, angles]


@pytest.mark.parametrize(("source", "flag"), [("pythia", False), ("lhco", True)])
def test_features_are_shown_at_all_masses_where_events_have_them(tmp_path, source, flag):
    configs = ["tiny.yaml", *(["config/lhco.yaml"] if source == "lhco" else [])]
    printed = (
        Project(tmp_path).snakemake("--dry-run", "--printshellcmds", "fig7", configs=configs).stdout
    )
    (command,) = re.findall(r"plot/plot_features\.py.*?--output", printed, re.DOTALL)
    assert ("--all-masses" in command) == flag


def test_pictures_of_trainings_are_titled_in_the_words_of_figures(tmp_path):
    task, method = "rotated_star_to_star_twin", "movement_penalty"
    picture = paths.loss_picture(paths.transport(OUT, task, method, 1))
    density = paths.loss_picture(paths.density(OUT, "star_twin", 1))
    printed = Project(tmp_path).snakemake("--dry-run", "--printshellcmds", picture, density).stdout
    assert "'rotated star → star, movement penalty'" in printed
    assert "'density of star, twin'" in printed


def test_a_flow_method_is_added_by_one_line_in_the_registry(tmp_path):
    project = Project(tmp_path)
    registry = tmp_path / "workflow/flowmorph/plan/methods.py"
    line = '        Method("twice", BOTH, penalised=True, published=False),\n'
    text = registry.read_text()
    end = text.index("    )\n}\n")
    registry.write_text(text[:end] + line + text[end:])
    override = {"alternatives": {"methods": {"twice": {"epochs": 1}}}}
    printed = project.snakemake("--dry-run", "--printshellcmds", override=override).stdout
    made = [command for command in printed.split("rule ") if "twice" in command]
    rules = {command.partition(":")[0] for command in made}
    shown = {"fig_alternatives", "fig_alternative_ratios", "count_costs"}
    assert {"train_transport", "move_samples", "measure_task", *shown} <= rules
    (trained,) = (command for command in made if command.startswith("train_transport"))
    penalty = defaults.config()["penalty"]["collider"]
    for setting in ('"method": "twice"', '"epochs": 1.0', f'"penalty": {penalty}'):
        assert setting in trained


def test_without_alternatives_nothing_of_them_is_made(project):
    pending = project.pending(override={"alternatives": {"tasks": []}})
    # What named them is made again without them.
    assert pending["measure_task"] == pending["move_samples"] == 2
    assert not set(pending) & {"train_transport", "morph_by_alternative"}


def test_more_events_keep_the_chunks_that_exist(project):
    override = {"collider": {"pythia": {"events": {"target": 1500}}}}
    pending = project.pending(override=override)
    assert pending["generate_events"] == 1
    assert pending["build_features"] == 1


def test_every_training_is_in_the_table_of_times(project):
    jobs = times.read(project.folder / OUT / "benchmarks")
    made = [job for job in jobs if job.stage in ("densities", "transports")]
    rows = times.training_table(jobs).rows
    histories = list((project.folder / OUT).rglob("loss.csv"))
    assert sum(row["jobs"] for row in rows) == len(made) == len(histories)
    assert {"toys, smoothed density", "toys, density"} <= {row["training"] for row in rows}


def test_the_report_holds_every_figure_and_table_and_the_data_of_another_run(project, chain):
    def results(html: str) -> dict:
        """What the report shows; the times of the jobs are elsewhere in it."""
        start = re.search(r'var results = (?={")', html).end()
        return json.JSONDecoder().raw_decode(html, start)[0]

    report = project.folder / "report.html"
    project.snakemake("--report", str(report))
    html = report.read_text()
    again = chain.folder / "report.html"
    chain.snakemake(*CHAIN, "--report", str(again))
    shown = results(again.read_text())
    assert shown and {name: results(html)[name] for name in shown} == shown
    for figure in figures.of_run(CONFIG, (), True):
        assert f"{figure.name}.png" in html
    for name in tables.PAPER:
        assert f"{name}.html" in html
    words = [word for each in results(html).values() for word in each["labels"].values()]
    assert "rotated four circles → star" in words
    assert not [word for word in words if "_" in word or "fourcircles" in word]


@pytest.mark.parametrize(
    ("override", "word"),
    [
        ({"typo": 1}, "typo"),
        ({"seed": -1}, "seed"),
        ({"training": {"toy": {"density": {"batch": -5}}}}, "training.toy.density.batch"),
        ({"collider": {"regions_tev": {"signal": [3.7, 3.3]}}}, "collider.regions_tev"),
        ({"device": "gpu"}, "device"),
    ],
)
def test_bad_configuration_is_one_line_that_names_the_key(project, override, word):
    result = project.snakemake("--dry-run", check=False, override=override)
    assert result.returncode != 0
    output = result.stdout + result.stderr
    lines = [line for line in output.splitlines() if line.startswith("config:")]
    assert len(lines) == 1 and word in lines[0]
    assert "Traceback" not in output


def test_missing_lhc_olympics_files_are_named(project):
    collider = {"source": "lhco", "lhco": {"files": {"target": "nowhere.h5"}}}
    result = project.snakemake(
        "--cores", "1", paths.events(paths.run_folder("lhco"), "target", "0000"),
        check=False, override={"run": "lhco", "collider": collider},
    )  # fmt: skip
    assert result.returncode != 0
    assert "nowhere.h5: no such file" in result.stdout + result.stderr


def test_a_second_seed_of_the_collider_task_adds_its_trainings_and_reruns_none(project):
    weights, second = (
        project.folder / paths.flow(paths.transport(OUT, "collider", "flows_for_flows", number))
        for number in (1, 2)
    )
    before, override = weights.read_bytes(), {"seeds": {"collider": 2}}
    pending = project.pending(override=override)
    again = ("train_density", "train_transport", "move_samples", "mix_ensemble", "measure_task")
    flows = len(targets.transports("collider", CONFIG))
    assert [pending[rule] for rule in again] == [2, flows, 2, 2, 4]
    assert {"fig8", "fig9", "fig10", "fig_closure", "two_sample", "distances"} <= set(pending)
    untouched = {"generate_events", "build_features", "prepare_samples", "fig3", "fig6", "fig7"}
    assert not set(pending) & untouched
    project.snakemake("--cores", "2", "fig8", "movement", override=override)
    assert weights.read_bytes() == before != second.read_bytes()
    rows = (project.folder / paths.table(OUT, "movement", "csv")).read_text().splitlines()
    trainings = {line.split(",")[1]: line.split(",")[2] for line in rows if "collider," in line}
    assert trainings["base transfer"] == "2"
    assert any(line.startswith('collider,"flows for flows, ensemble",1,') for line in rows)


def test_the_penalty_scan_trains_the_strengths_that_no_run_has(project):
    in_use = defaults.config()["penalty"]["collider"]
    pending = project.pending("penalty_scan", override={"penalty_scan": [in_use, 0.5, 1.0]})
    assert pending["train_scanned_transport"] == 2
    for rule in ("move_scanned_samples", "measure_scan", "fig_penalty_scan"):
        assert pending[rule] == 1
    assert "train_transport" not in pending
    assert not set(pending) & {"train_density", "generate_events", "two_sample"}


def test_a_demanded_gpu_that_is_not_there_is_said(project):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    target = paths.flow(paths.density(OUT, "star", 1))
    result = project.snakemake(
        "--cores", "1", target, "--forcerun", "train_density",
        check=False, override={"device": "cuda"},
    )  # fmt: skip
    # This test is the last one: a failed job leaves no output.
    assert result.returncode != 0
    assert "no GPU is usable" in result.stdout + result.stderr
    # The training has failed, in spite of the pipe behind it.
    assert "non-zero exit" in result.stderr and "MissingOutput" not in result.stderr


@pytest.mark.parametrize(("dataset", "width"), [("star", "0.5"), ("target", "0.3")])
def test_a_width_of_noise_that_no_transport_begins_with_has_no_rule(tmp_path, dataset, width):
    """The toys' transports of tiny.yaml begin with 0.3 and 0.1, the collider's with none."""
    wanted = paths.flow(paths.smoothed(OUT, dataset, 1, width))
    refused = Project(tmp_path).snakemake("--dry-run", wanted, check=False)
    said = refused.stdout + refused.stderr  # a dry run's errors are on stdout
    assert refused.returncode and "MissingRuleException" in said
    assert "Traceback" not in said
