"""What a run draws, and its schematics."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from figure_samples import (
    texts,
)

from flowmorph.errors import InputError
from flowmorph.figures import (
    looks,
    schematics,
)
from flowmorph.plan import figures
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.methods import PUBLISHED
from flowmorph.samples import datasets, geometry, toy_parts

ROOT = Path(__file__).parent.parent


def config(**rotated) -> dict:
    """The default configuration with few points."""
    made = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    for section in ("toys", "rotated"):
        made[section]["points"]["evaluation"] = 600
    made["rotated"] |= rotated
    return made


@pytest.mark.parametrize("name", ["fig5", "figA1", "figB2", "figB4"])
def test_rows_of_the_grids_are_in_the_papers_order(name):
    rows = ["star → star", "four circles → four circles", "checkerboard → checkerboard"]
    if name in ("fig5", "figB4"):
        rows = [
            "star → four circles",
            "four circles → star",
            "four circles → checkerboard",
            "checkerboard → four circles",
            "checkerboard → star",
            "star → checkerboard",
        ]
    figure = figures.FIGURES[name]
    assert [task.title for task in figure.tasks] == rows
    assert "--titles " + " ".join(f"'{row}'" for row in rows) in figure.options(config())


@pytest.mark.parametrize(
    ("name", "rotated", "angles"),
    [
        ("figB3", {}, "--angles=15:15 --shared"),
        ("figB4", {"angles_deg": [5, 10, 20]}, "--angles=10:10 --shared"),
        ("figB4", {"shown_angle_deg": 45}, "--angles=45:45 --shared"),
        ("figB4", {"mode": {"identical": "shared", "different": "concat"}}, "--angles=15:15"),
        ("figB1", {}, "--angles=7.5:45"),
        ("figB1", {"mode": {"identical": "shared", "different": "shared"}}, "=15:15 --shared"),
        ("figB2", {"mode": {"identical": "shared", "different": "shared"}}, "=15:15 --shared"),
    ],
)
def test_figures_of_one_angle_show_the_papers(name, rotated, angles):
    assert figures.FIGURES[name].options(config(**rotated)).endswith(angles)


@pytest.mark.parametrize("name", ["fig3", "fig4", "figB1", "figB3"])
def test_the_circles_of_a_runs_points_are_told_by_the_seed(name):
    figure = figures.FIGURES[name]
    made = config()
    points, condition = datasets.load(Jobs(made, "").data(figure.tasks[0].reference), "evaluation")
    start = geometry.degrees(condition) if condition.shape[1] else None
    seed = int(re.search(r"--seed (\d+)", figure.options(made)).group(1))
    circle = toy_parts.drawn_circles(len(points), np.random.default_rng(seed))
    toy_parts.angle_on(points, circle, start)
    nearest, _ = toy_parts.circle_and_angle(points, start)
    assert 0.8 < np.mean(nearest == circle) < 1  # not where circles cross
    other = toy_parts.drawn_circles(len(points), np.random.default_rng(seed + 1))
    with pytest.raises(InputError, match="not drawn from these circles: give the seed"):
        toy_parts.angle_on(points, other, start)


def test_axes_of_distance_and_features_end_where_the_papers_do():
    made = config()
    assert "--linear 10" in figures.FIGURES["fig6"].options(made)
    assert "--linear 10" in figures.FIGURES["figA2"].options(made)
    assert "--linear 0.7 " in figures.FIGURES["fig9"].options(made)
    made["collider"]["scaling"] |= {"low": 0.0, "high": 1.0}
    assert "--limits 0 1 " in figures.FIGURES["fig8"].options(made)
    assert f"--linear {0.7 / 6:g} " in figures.FIGURES["fig_signal_distances"].options(made)


# --- schematics and table 1


def test_schematics_name_every_part():
    plain = texts(schematics.architecture())
    for part in (
        "p_R(x)",
        "p_T(y)",
        r"\mathcal{N}(0, 1)",
        r"f_{\phi_1}",
        r"f_{\phi_2}",
        r"f_\gamma",
    ):
        assert part in plain
    conditional = texts(schematics.conditional_architecture())
    for part in ("$c_x$", "$c_y$", r"f_{\gamma(c_x,\,c_y)}", "c_x - c_y", "c = c_x = c_y"):
        assert part in conditional


def test_method_table_has_a_line_for_each_method():
    fig = schematics.method_table()
    drawn = [line.get_color() for line in fig.axes[0].lines if line.get_color() != "black"]
    assert drawn == [looks.LOOKS[method].colour for method in PUBLISHED]
    assert "identity initialization" in texts(fig)
