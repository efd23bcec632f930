"""Figures of points in the plane: scatters and grids."""

from __future__ import annotations

import numpy as np
import pytest
from figure_samples import (
    ANGLES,
    ROTATED_SEED,
    TOY_SEED,
    texts,
)
from matplotlib.colors import LogNorm

from flowmorph.errors import InputError
from flowmorph.figures import (
    grids,
    looks,
    scatter,
)
from flowmorph.plan import tasks
from flowmorph.plan.methods import POINTWISE, PUBLISHED
from flowmorph.samples import geometry, moved, toy_parts


def circles(sample: moved.MovedSample, seed: int) -> np.ndarray:
    """The circle that each point of a sample's reference was drawn from."""
    return toy_parts.drawn_circles(len(sample), np.random.default_rng(seed))


# --- scatter


@pytest.mark.parametrize("rotation", [None, 22.5])
def test_circle_and_angle_find_where_a_point_lies(rotation):
    circle, angle = np.array([0, 1, 2, 3]), np.array([0.3, -1.2, 2.5, -2.9])
    x = geometry.CENTRES + geometry.RADIUS * np.column_stack([np.cos(angle), np.sin(angle)])
    if rotation is not None:
        c, s = np.cos(np.deg2rad(rotation)), np.sin(np.deg2rad(rotation))
        x = geometry.ROTATED_SCALE * x @ np.array([[c, s], [-s, c]])
    found, where = toy_parts.circle_and_angle(x, rotation)
    np.testing.assert_array_equal(found, circle)
    np.testing.assert_allclose(where, angle, atol=1e-12)


def test_colours_tell_places_apart():
    circle, angle = np.meshgrid(np.arange(4), np.linspace(-3, 3, 13))
    colours = scatter.ring_colours(circle.ravel(), angle.ravel())
    assert ((colours >= 0) & (colours <= 1)).all()
    gaps = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    assert gaps[~np.eye(len(colours), dtype=bool)].min() > 0.01


def test_scatter_keeps_a_points_colour_in_every_panel(toy):
    fig = scatter.transport_scatter(toy, circles(toy, TOY_SEED), points=100)
    assert [ax.get_title() for ax in fig.axes] == ["reference", "base transfer", "flows for flows"]
    assert fig.axes[0].get_ylabel() == "$x_2$"
    for ax, name in zip(fig.axes, scatter.COLUMNS, strict=True):
        (dots,) = ax.collections
        np.testing.assert_allclose(dots.get_offsets(), toy.points(name)[:100])
        np.testing.assert_array_equal(
            dots.get_facecolors(), fig.axes[0].collections[0].get_facecolors()
        )
        assert ax.get_xlim() == ax.get_ylim() == (-3, 3)


def test_scatter_has_the_colour_of_the_circle_that_a_point_was_drawn_from():
    crossing = np.array([[1 + np.sqrt(3), 0.0]] * 2)  # of the circles around (1, 1) and (1, -1)
    none = np.empty((2, 0))
    sample = moved.MovedSample(crossing, crossing, none, none, dict.fromkeys(POINTWISE, crossing))
    circle = np.array([0, 1])
    dots = scatter.transport_scatter(sample, circle).axes[0].collections[0]
    angle = np.deg2rad([-30, 30])
    np.testing.assert_allclose(dots.get_facecolors()[:, :3], scatter.ring_colours(circle, angle))
    assert np.ptp(dots.get_facecolors(), axis=0).max() > 0.2
    with pytest.raises(InputError, match="not drawn from these circles"):
        scatter.transport_scatter(sample, np.array([0, 2]))


def test_scatter_shows_as_many_points_as_the_paper():
    x = np.tile([[3.0, 1.0]], (8000, 1))
    none = np.empty((8000, 0))
    sample = moved.MovedSample(x, x, none, none, dict.fromkeys(POINTWISE, x))
    fig = scatter.transport_scatter(sample, np.zeros(8000, int))
    assert {len(ax.collections[0].get_offsets()) for ax in fig.axes} == {7000}


def test_scatter_prints_angles_and_the_share_that_stays(rotated):
    rows, target_rows = rotated.rows_at_angles(*ANGLES)
    turned = rotated.select(rows, target_rows)
    circle = circles(rotated, ROTATED_SEED)[rows]
    fig = scatter.transport_scatter(turned, circle, angles=ANGLES, same_circle=True)
    assert [[text.get_text() for text in ax.texts] for ax in fig.axes] == [["7.5°"]] + 2 * [["45°"]]
    assert [ax.get_title() for ax in fig.axes] == [
        "reference",
        "base transfer, same circle: 100 %",
        "flows for flows, same circle: 100 %",
    ]


# --- grids


def test_grid_has_a_panel_for_each_task_and_sample_on_one_scale(toy):
    fig = grids.density_grid([("four circles → star", toy), ("star → star", toy)])
    panels = [ax for ax in fig.axes if ax.images]
    assert len(panels) == 2 * 7
    assert {ax.images[0].norm for ax in panels} == {panels[0].images[0].norm}
    assert isinstance(panels[0].images[0].norm, LogNorm)
    assert panels[0].images[0].get_extent() == [-4, 4, -4, 4]
    headings = [ax.get_title().replace("\n", " ").strip() for ax in panels[:7]]
    assert headings == [looks.LOOKS[name].label for name in grids.COLUMNS]
    assert panels[0].get_ylabel() == "four circles →\nstar"
    assert "probability per unit area" in texts(fig)


def test_grid_shows_a_density_and_leaves_empty_bins_empty():
    x = np.array([[1.05, -3.9]] * 3 + [[9.0, 0.0]])  # the last point lies outside the box
    none = np.empty((4, 0))
    sample = moved.MovedSample(x, x, none, none, dict.fromkeys(PUBLISHED, x))
    image = grids.density_grid([("task", sample)]).axes[0].images[0].get_array()
    side = 8.0 / image.shape[0]
    assert image.count() == 1  # one bin is drawn
    row, column = np.argwhere(~np.ma.getmaskarray(image))[0]
    assert -4 + row * side <= -3.9 < -4 + (row + 1) * side
    assert -4 + column * side <= 1.05 < -4 + (column + 1) * side
    assert image[row, column] == pytest.approx(0.75 / side**2)


def test_grid_prints_the_angle_of_each_sample(rotated):
    turned = rotated.select(*rotated.rows_at_angles(*ANGLES))
    fig = grids.density_grid([("four circles → four circles", turned)], angles=[ANGLES])
    assert [ax.texts[0].get_text() for ax in fig.axes[:7]] == ["7.5°"] + ["45°"] * 6


def test_angles_that_no_point_has_are_named(rotated):
    with pytest.raises(InputError, match="from 15 to 45 degrees; there are 7.5:7.5, 7.5:45"):
        rotated.rows_at_angles(15.0, 45.0)
    with pytest.raises(InputError, match="from 7.5 to 45 degrees; there are 7.5:7.5, 45:45$"):
        rotated.rows_at_angles(7.5, 45.0, shared=True)


def test_points_that_share_an_angle_are_kept_whatever_the_targets_in_their_row(rotated):
    start, end = map(geometry.degrees, (rotated.condition_reference, rotated.condition_target))
    rows, target_rows = rotated.rows_at_angles(45.0, 45.0, shared=True)
    assert (start[rows] == 45).all() and (end[target_rows] == 45).all()
    assert len(rows) == len(target_rows) == min((start == 45).sum(), (end == 45).sum())
    paired, _ = rotated.rows_at_angles(45.0, 45.0)
    assert len(rows) > 1.8 * len(paired)  # of two angles; the default run has six


def test_angles_are_read_as_a_pair_or_as_one_for_both():
    assert moved.angle_pair("7.5:45") == ANGLES
    assert moved.angle_pair("15") == (15.0, 15.0)
    for text in ("", "15:", "a:b", "1:2:3"):
        with pytest.raises(InputError, match=f"'{text}' is not FROM:TO in degrees"):
            moved.angle_pair(text)


def test_tasks_have_titles():
    titles = {
        "fourcircles_to_star": "four circles → star",
        "rotated_star_to_star_twin": "star → star",
        "collider": "collider",
    }
    assert {name: tasks.PAPER[name].title for name in titles} == titles
