"""Where points go on the toys, the penalty scan, and what a run's time went into."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scripts_by_name import script

from flowmorph.errors import InputError
from flowmorph.figures import pareto, style
from flowmorph.metrics import divergence, measures, mixing
from flowmorph.metrics.measures import Measure
from flowmorph.plan import targets
from flowmorph.plan.methods import PUBLISHED
from flowmorph.samples import geometry, moved, toy_parts, toys
from flowmorph.tables import times
from flowmorph.tables.measures import penalty_table

CIRCLES = ("fourcircles", "fourcircles")
ROOT = Path(__file__).parents[1]


# --- parts of toys


def test_circles_and_arms_are_found_at_any_angle():
    rng = np.random.default_rng(1)
    angles = np.array([7.5, 45.0])
    for name, find in (
        ("fourcircles", lambda *a: toy_parts.circle_and_angle(*a)[0]),
        ("star", toy_parts.arm),
    ):
        x = toys.sample_toy(name, 4000, rng)
        plain = find(x)
        assert set(plain) == {0, 1, 2, 3}
        angle = rng.choice(angles, 4000)
        turned = geometry.rotated(x, angle)
        assert (find(turned, angle) == plain).mean() > 0.999
        assert (find(turned) == plain).mean() < 0.95


def test_mutual_information_is_zero_for_nothing_and_log_k_for_all():
    rng = np.random.default_rng(2)
    a, b = rng.integers(4, size=(2, 40_000))
    assert mixing.mutual_information(a, a) == pytest.approx(np.log(4), abs=1e-3)
    # The bias of frequencies: (4 - 1)^2 / 2N.
    assert mixing.mutual_information(a, b) == pytest.approx(9 / 80_000, abs=3e-4)
    half = np.where(rng.random(40_000) < 0.5, a, b)
    assert 0.1 < mixing.mutual_information(a, half) < 0.5


def mixed(toys: tuple[str, str], mode: str | None = None, **arrays: np.ndarray) -> dict[str, float]:
    none = np.empty((len(arrays["reference"]), 0))
    given = {"condition_reference": none, "condition_target": none} | arrays
    sample = moved.MovedSample.from_arrays(given | {"target": arrays["reference"]})
    return {m.metric: m.value for m in mixing.measure(sample, toys, ["m"], mode)}


def test_a_map_that_keeps_circles_together_is_told_from_one_that_does_not():
    rng = np.random.default_rng(3)
    reference = toys.sample_toy("fourcircles", 4000, rng)
    assert mixed(CIRCLES, reference=reference, m=reference) == {"same_circle": 1.0}
    other = toys.sample_toy("fourcircles", 4000, rng)
    kept = mixed(CIRCLES, reference=reference, m=other)["same_circle"]
    assert kept == pytest.approx(0.25, abs=0.03)
    star, arms = toys.sample_toy("star", 4000, rng), ("fourcircles", "star")
    spread = mixed(arms, reference=reference, m=star)["arm_information"]
    circle, _ = toy_parts.circle_and_angle(reference)
    kept = mixed(arms, reference=reference, m=2.0 * geometry.ARMS[circle])
    assert spread < 0.01 and kept["arm_information"] == pytest.approx(np.log(4), abs=1e-3)
    assert mixed(("star", "fourcircles"), reference=star, m=reference) == {}


def test_points_of_rotated_toys_arrive_at_their_own_or_the_targets_angle():
    rng = np.random.default_rng(4)
    x = toys.sample_toy("fourcircles", 2000, rng)
    start, end = np.full((2000, 1), 0.5), np.full((2000, 1), 1.0)

    def turned(by: np.ndarray) -> np.ndarray:
        return geometry.rotated(x, 45 * by[:, 0])

    given = {"reference": turned(start), "condition_reference": start, "condition_target": end}
    for mode, at in (("shared", start), ("difference", end)):
        assert mixed(CIRCLES, mode, m=turned(at), **given)["same_circle"] > 0.999
    assert mixed(CIRCLES, "shared", m=turned(end), **given)["same_circle"] < 0.95


# --- likelihoods


def test_likelihoods_come_with_divergences_where_a_density_is_exact():
    log_q = np.array([-1.0, -2.0, -3.0, -2.0])
    assert set(divergence.likelihood_numbers(log_q, None)) == {
        "points", "log_likelihood", "log_likelihood_error"
    }  # fmt: skip
    numbers = divergence.likelihood_numbers(log_q, log_q + 0.25)
    assert numbers["divergence"] == pytest.approx(0.25) and numbers["divergence_error"] < 1e-12
    assert numbers["log_likelihood"] == -2.0 and numbers["entropy"] == pytest.approx(1.75)


# --- the penalty scan

STRENGTHS = targets.scan({"penalty_scan": [0.02, 0.05, 1.0], "penalty": {"collider": 0.05}})


def scan() -> list[Measure]:
    """Stronger penalties move less and match worse."""
    names = {**{name: s for s, name in STRENGTHS.items()}, "floor": 0.0, "ceiling": 2.0}
    names |= {name: 0.1 for name in PUBLISHED if name not in names}
    return [
        Measure("collider", "", "1", name, "", metric, value)
        for name, s in names.items()
        for metric, value in {
            "auc": 0.5 + 0.05 * s, "auc_low": 0.49 + 0.05 * s, "auc_high": 0.51 + 0.05 * s,
            "sliced_wasserstein": 0.02 + 0.1 * s, "distance_mean": 0.3 / (1 + s),
        }.items()
    ]  # fmt: skip


def test_the_configured_strength_is_the_method_of_every_run():
    assert STRENGTHS == {
        0.02: "movement_penalty_w0.02",
        0.05: "movement_penalty",
        1.0: "movement_penalty_w1",
    }
    config = {"penalty_scan": [1], "penalty": {"collider": 0.05}}
    assert targets.scan(config)[0.05] == "movement_penalty" and targets.scanned(config) == [1]


def test_the_penalty_table_marks_this_runs_and_the_papers_strength():
    rows = penalty_table(scan(), STRENGTHS, configured=1.0, paper=0.05).rows
    marks = [(row["strength"], row["mark"]) for row in rows]
    assert marks[:3] == [(0.02, ""), (0.05, "the paper's"), (1.0, "this run's")]
    assert all(strength is None and mark == "" for strength, mark in marks[3:])
    assert [row["method"] for row in rows].count("movement penalty") == 3


def test_the_penalty_figure_draws_every_strength_and_marks_two(tmp_path):
    for run in ("a", "b"):
        fig = pareto.penalty_figure(scan(), STRENGTHS, configured=0.05, paper=0.05)
        style.save(fig, [tmp_path / f"{run}.png"])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    for ax in fig.axes:
        texts = [text.get_text() for text in ax.texts]
        assert texts[:3] == ["0.02", "0.05", "1"]
        marked = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
        assert [len(line.get_xdata()) for line in marked] == [1, 1]
        assert marked[0].get_xdata()[0] == marked[1].get_xdata()[0] == pytest.approx(0.3 / 1.05)
    with pytest.raises(InputError, match="no measure 'distance_mean' of movement_penalty_w1"):
        missing = [
            m for m in scan() if (m.method, m.metric) != ("movement_penalty_w1", "distance_mean")
        ]
        pareto.penalty_figure(missing, STRENGTHS, configured=0.05, paper=0.05)


def test_the_scan_script_writes_figure_and_table(tmp_path):
    measures.write(scan(), tmp_path / "measures.csv")
    script("plot_penalty_scan").main(
        ["--measures", str(tmp_path / "measures.csv"), "--configured", "0.05"]
        + ["--strengths", *map(str, STRENGTHS), "--methods", *STRENGTHS.values()]
        + ["--paper", str(ROOT / "config/paper_numbers.yaml")]
        + ["--output", str(tmp_path / "fig.pdf"), "--table", str(tmp_path / "scan.md")]
    )
    assert (tmp_path / "fig.pdf").read_bytes().startswith(b"%PDF")
    assert "this run's, the paper's" in (tmp_path / "scan.md").read_text()


# --- times


@pytest.fixture
def benchmarks(tmp_path) -> Path:
    """Benchmark files of a run of three minutes, a tenth of them for evidence."""
    jobs = {
        "densities/train_density/star/1": 52.0,
        "densities/train_smoothed_density/star/1/0.03": 8.0,
        "transports/train_transport/collider/flows_for_flows/2": 90.0,
        "transports/train_transport/rotated_star_to_star_twin/unidirectional/1": 12.0,
        "measures/measure_task/collider/1/signal": 10.0,
        "figures/fig9": 5.0,
        "figures/two_sample": 3.0,
    }
    for name, seconds in jobs.items():
        path = tmp_path / "benchmarks" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:00\t-\n")
    return tmp_path / "benchmarks"


def test_times_are_added_by_stage_rule_and_training(benchmarks):
    jobs = times.read(benchmarks)
    stages = {row["stage"]: row for row in times.stage_table(jobs).rows}
    assert stages["all"]["total"] == 180.0 and stages["all"]["jobs"] == 7
    assert stages["measures and figures"]["share"] == pytest.approx(10.0)
    assert times.rule_table(jobs).rows[0]["rule"] == "train_transport"
    trainings = {row["training"]: row["each"] for row in times.training_table(jobs).rows}
    assert trainings == {
        "toys, density": 52.0,
        "toys, smoothed density": 8.0,
        "collider data, flows for flows": 90.0,
        "rotated toys, unidirectional": 12.0,
    }


def test_every_rule_that_is_timed_says_its_stage():
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    stages = re.findall(r'paths\.benchmark\(\s*OUT,\s*"(\w+)"', text)
    assert len(stages) == text.count("paths.benchmark(") and set(stages) == set(times.STAGES)


def test_the_times_script_prints_and_a_folder_without_benchmarks_is_named(benchmarks, tmp_path):
    def run(folder: Path) -> subprocess.CompletedProcess:
        command = [sys.executable, str(ROOT / "workflow/scripts/measure/sum_times.py")]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
        return subprocess.run(
            [*command, "--benchmarks", str(folder)], env=environment, text=True, capture_output=True
        )

    assert "| measures and figures |" in run(benchmarks).stdout
    empty = run(tmp_path / "nowhere")
    assert empty.returncode == 1 and "nowhere: no benchmark files" in empty.stderr
