"""The figures: what they show."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import yaml
from figure_samples import (
    ANGLES,
    LOSS_CSV,
    ROTATED_SEED,
    TOY_SEED,
    events,
)
from matplotlib.colors import LogNorm
from scripts_by_name import script
from test_metrics import with_spectra

from flowmorph.errors import InputError
from flowmorph.figures import (
    correlations,
    distances,
    features,
    grids,
    looks,
    losses,
    scatter,
    schematics,
    style,
)
from flowmorph.metrics import spectra
from flowmorph.plan import figures, tasks
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.methods import POINTWISE, PUBLISHED
from flowmorph.samples import datasets, geometry, moved, toy_parts
from flowmorph.samples.regions import COLUMNS

ROOT = Path(__file__).parent.parent


def texts(fig) -> str:
    """All that is written in a figure."""
    return "\n".join(t.get_text() for t in fig.findobj(matplotlib.text.Text) if t.get_visible())


def circles(sample: moved.MovedSample, seed: int) -> np.ndarray:
    """The circle that each point of a sample's reference was drawn from."""
    return toy_parts.drawn_circles(len(sample), np.random.default_rng(seed))


# --- what a run draws


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


# --- distances


def test_distance_legend_states_pooled_mean_and_deviation(toy):
    longer = toy.with_alternative("flows_for_flows", toy.reference + [0.0, 0.5])
    fig = distances.distance_figure([toy, longer], units="scaled features", note="sidebands")
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert [label.split("\n")[0] for label in labels] == [
        looks.LOOKS[name].label for name in distances.COLUMNS
    ]
    assert "base transfer\n0.100 ± 0.000" in labels
    assert "flows for flows\n0.400 ± 0.100" in labels  # 0.3 and 0.5, pooled
    baseline = np.linalg.norm(toy.target - toy.reference, axis=1)
    assert labels[0] == f"baseline\n{baseline.mean():.3f} ± {baseline.std():.3f}"
    (ax,) = fig.axes
    assert ax.get_xlabel() == "distance travelled (scaled features)"
    assert "sidebands" in texts(fig)


def test_distance_histograms_hold_every_point_and_the_baseline_is_hatched(toy):
    # Zero on a logarithmic axis.
    still = toy.with_alternative("identity_initialization", toy.reference)
    (ax,) = distances.distance_figure([still]).axes
    assert len(ax.patches) == 6
    for steps in ax.patches:
        assert steps.get_data().values.sum() == pytest.approx(1.0)
    assert [bool(steps.get_hatch()) for steps in ax.patches] == [True] + 5 * [False]


def test_a_linear_axis_of_distance_counts_what_lies_beyond_it(toy):
    left, right = distances.distance_figure([toy], linear=0.35).axes
    assert left.get_xlim() == (0.0, 0.35) and left.get_xscale() == "linear"
    assert right.get_xscale() == "log"
    shares = {  # of methods that move by 0.1, 0.2, ...
        name: steps.get_data().values.sum()
        for name, steps in zip(distances.COLUMNS, left.patches, strict=True)
    }
    assert [shares[method] for method in PUBLISHED] == pytest.approx([1, 1, 1, 0, 0])
    baseline = np.linalg.norm(toy.target - toy.reference, axis=1)
    assert shares["baseline"] == pytest.approx(np.mean(baseline <= 0.35))
    assert all(steps.get_data().values.sum() == pytest.approx(1.0) for steps in right.patches)
    assert left.get_xlabel() == right.get_xlabel() and len(right.patches) == 6


def test_numbers_of_a_feature_lie_above_the_histograms(science):
    fig = distances.feature_distance_figure(science)
    fig.canvas.draw()
    for ax in fig.axes[:5]:
        lowest = min(text.get_window_extent().y0 for text in ax.texts)
        right = max(text.get_window_extent().x1 for text in ax.texts)
        for steps in ax.patches:
            values, edges, _ = steps.get_data()
            corners = ax.transData.transform(np.column_stack([edges[:-1], values]))
            assert corners[corners[:, 0] < right, 1].max(initial=0) < lowest


def test_feature_distances_have_five_panels_with_means(science):
    fig = distances.feature_distance_figure(science, note="sidebands")
    panels = [ax for ax in fig.axes if ax.get_xlabel()]
    assert len(panels) == 5
    assert all(ax.get_xlabel().endswith("(scaled)") for ax in panels)
    assert [text.get_text() for text in panels[2].texts[1:]] == [
        "0.020",
        "0.040",
        "0.060",
        "0.080",
        "0.100",
    ]
    assert r"\Delta R_{JJ}" in panels[4].get_xlabel()


# --- features


def test_observables_carry_units_and_the_signal_region_is_marked():
    fig = features.feature_distributions(events(1), events(2), signal=(3.3, 3.7))
    assert [ax.get_xlabel() for ax in fig.axes] == [
        "$M$ [GeV]",
        "$m_{J_1}$ [GeV]",
        r"$\Delta m_{JJ}$ [GeV]",
        r"$\tau^{21}_{J_1}$",
        r"$\tau^{21}_{J_2}$",
        r"$\Delta R_{JJ}$",
    ]
    (span,) = [patch for patch in fig.axes[0].patches if hasattr(patch, "get_x")]
    assert (span.get_x(), span.get_x() + span.get_width()) == pytest.approx((3300, 3700))
    assert fig.axes[0].get_xlim() == (2900, 4100)
    legend = [text.get_text() for text in fig.axes[1].get_legend().get_texts()]
    assert legend == ["reference", "target"]


def test_features_are_those_of_the_regions_or_of_all_masses():
    table = {name: np.full(4, 0.5) for name in COLUMNS}
    table |= {"m_jj": np.array([2500.0, 3000.0, 3500.0, 5000.0]), "m_j1": np.arange(4) * 100.0 + 5}
    for all_masses, filled in ((False, [0.5, 0.5]), (True, [0.25] * 4)):
        fig = features.feature_distributions(table, table, all_masses=all_masses)
        shares = fig.axes[1].patches[0].get_data().values
        assert shares[shares > 0].tolist() == filled
        assert fig.axes[0].get_xlim() == (2900, 4100)


def test_columns_are_those_of_the_feature_table():
    wanted = [feature.column for feature in (*features.FEATURES, features.MASS)]
    assert wanted == list(COLUMNS)


def test_ratio_and_its_poisson_error():
    edges = np.array([0.0, 1.0, 2.0, 3.0])
    values = np.repeat([0.5, 1.5], [40, 60])
    target = np.repeat([0.5, 1.5, 2.5], [100, 50, 50])
    ratio, error = features.ratio_to_target(values, target, edges)
    np.testing.assert_allclose(ratio, [0.8, 2.4, np.nan])
    np.testing.assert_allclose(
        error[:2], [0.8 * np.sqrt(1 / 40 + 1 / 100), 2.4 * np.sqrt(11 / 300)]
    )


def test_chi2_per_bin_is_one_for_equal_parents():
    rng = np.random.default_rng(4)
    edges = np.linspace(-2, 2, 21)
    chi2 = [
        features.chi2_per_bin(rng.normal(size=3000), rng.normal(size=2000), edges)
        for _ in range(200)
    ]
    assert np.mean(chi2) == pytest.approx(1.0, abs=0.08)
    assert features.chi2_per_bin(rng.normal(0.3, 1, 3000), rng.normal(size=2000), edges) > 3


def test_ratio_figure_has_a_strip_for_reference_and_each_method(science):
    fig = features.feature_ratios(science, note="sidebands")
    assert len(fig.axes) == 7 * 5
    assert all(ax.get_xlabel().endswith("(scaled)") for ax in fig.axes[-5:])
    strips = [ax.get_ylabel().replace("-\n", "").replace("\n", " ") for ax in fig.axes[5::5]]
    assert strips == [looks.LOOKS[name].label for name in ("reference", *PUBLISHED)]
    assert all("χ²/bin" in ax.texts[0].get_text() for ax in fig.axes[5:])
    assert all(ax.get_xlim() == pytest.approx((-3.2, 3.2)) for ax in fig.axes)
    assert all(ax.get_ylim() == (0, 3) for ax in fig.axes[5:])


def test_ratios_have_the_papers_bins_and_points_that_leave_the_scaled_range(science):
    many = science.select(np.tile(np.arange(600), 6))
    many.methods["unidirectional"][:] = 3.1
    left = features.feature_ratios(many).axes[0]
    shares = [steps.get_data().values for steps in left.patches]
    assert {len(values) for values in shares} == {39}
    assert shares[3].sum() == pytest.approx(1.0)


def test_empty_sample_is_an_error():
    nothing = {name: values[:0] for name, values in events(1).items()}
    with pytest.raises(InputError, match="sample 'reference' has no events"):
        features.feature_distributions(nothing, events(2))


# --- correlations


def test_correlations_of_known_columns():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 20_000))
    points, condition = np.stack([a, 0.6 * a + 0.8 * b, np.ones_like(a)], axis=1), b[:, None]
    found = correlations.correlations(points, condition)
    expected = [[1, 0.6, 0, 0], [0.6, 1, 0, 0.8], [0, 0, 0, 0], [0, 0.8, 0, 1]]
    assert found == pytest.approx(np.array(expected), abs=0.03)
    weights = (a > 0).astype(float)
    half = correlations.correlations(points[a > 0], condition[a > 0])
    assert correlations.correlations(points, condition, weights) == pytest.approx(half)


def test_correlation_figure_has_the_target_and_differences(science):
    names = ("reference", "flows_for_flows")
    fig = correlations.correlation_figure([science], names=names, note="sidebands")
    titles = [ax.get_title() for ax in fig.axes if ax.get_visible()]
    assert titles == ["target, sidebands", "reference", "flows for flows"]
    ends = [ax.images[0].get_clim() for ax in fig.axes if ax.get_visible()]
    assert ends[0] == (-100, 100) and ends[1] == ends[2] and ends[1][1] < 100
    with pytest.raises(InputError, match="5 features and 0 conditions were named, the sample has"):
        correlations.correlation_figure([science], names=names, conditions=())


def test_correlation_figure_leaves_out_categories_and_says_so(science):
    eras = np.eye(3)[np.arange(len(science)) % 3]
    condition = np.concatenate([science.condition_reference, eras], axis=1)
    sample = replace(science, condition_reference=condition, condition_target=condition)
    names = ("reference", "movement_penalty")
    fig = correlations.correlation_figure([sample], names=names, categories=["era"])
    assert fig.get_suptitle() == "without the categories era"
    plain = correlations.correlation_figure([science], names=names)
    for one, other in zip(fig.axes, plain.axes, strict=True):
        assert len(one.get_xticklabels()) == len(other.get_xticklabels())
    with pytest.raises(InputError, match="5 features and 4 conditions were named, the sample"):
        correlations.correlation_figure([sample], names=names, categories=["era", "of", "it"])


# --- spectra of the condition


def ratios(fig, strip: int) -> tuple[np.ndarray, float]:
    """Ratios of one strip with an error below 0.1, and its chi2 per bin."""
    ax = fig.axes[strip]
    points, _, (errors,) = ax.containers[0].lines
    sizes = np.array([np.ptp(bar[:, 1]) if len(bar) else np.inf for bar in errors.get_segments()])
    sure = sizes < 0.2
    assert sure.sum() > 5
    return points.get_ydata()[sure], float(ax.texts[0].get_text().split()[-1])


def test_a_right_map_has_ratios_of_one_whatever_the_spectra():
    plain = with_spectra(3)
    how = {"names": ["reference", "right"], "labels": ["x"], "limits": (-1.0, 2.0)}
    how["known"] = looks.with_spares(["right"])
    weighted = features.feature_ratios(spectra.balanced(plain), balanced=True, **how)
    unweighted = features.feature_ratios(plain, **how)
    for strip in (1, 2):
        near, chi2 = ratios(weighted, strip)
        off, chi2_before = ratios(unweighted, strip)
        assert np.abs(near - 1).max() < 0.25 < 0.4 < np.abs(off - 1).max()
        assert chi2 < 2 < 10 < chi2_before
    assert features.BALANCED in texts(weighted) and features.BALANCED not in texts(unweighted)


def test_a_right_map_has_the_targets_correlations_whatever_the_spectra():
    plain, how = with_spectra(3), {"names": ["reference"], "labels": ["x"], "conditions": ["c"]}
    differences = []
    for sample in (plain, spectra.balanced(plain)):
        fig = correlations.correlation_figure([sample], **how, balanced=sample is not plain)
        differences.append(abs(fig.axes[1].images[0].get_array()[0, 1]))
        assert (features.BALANCED in texts(fig)) == (sample is not plain)
    assert differences[1] < 2 < 4 < differences[0]


@pytest.mark.parametrize("like", [True, False], ids=["alike", "different"])
def test_scripts_weight_to_the_targets_spectrum_where_spectra_differ(tmp_path, monkeypatch, like):
    sample = with_spectra(4 if like else 3, like=like)
    x, y = (np.tile(points, 5) for points in (sample.reference, sample.target))
    conditions = sample.condition_reference, sample.condition_target
    path = str(tmp_path / "m.npz")
    moved.MovedSample(x, y, *conditions, dict.fromkeys(PUBLISHED, x)).save(path)
    figures = []
    monkeypatch.setattr(style, "save", lambda fig, paths: figures.append(fig))
    for name, options in (
        ("plot_ratios", [path]),
        ("plot_correlations", [path]),
        ("plot_alternatives", ["--drawing", "ratios", "--methods", *PUBLISHED]),
    ):
        script(name).main(["--output", "fig.png", "--moved", path, *options])
    assert [features.BALANCED in texts(fig) for fig in figures] == 3 * [not like]
    for fig in (figures[0], figures[2]):
        chi2 = [float(word) for word in re.findall(r"χ²/bin (\S+)", texts(fig))]
        assert len(chi2) == 6 * 5 and max(chi2) < 2.5
    for ax in figures[1].axes[1:7]:
        assert np.abs(ax.images[0].get_array()).max() < 4  # percent; 7 without weights


# --- losses


def test_loss_curve_shows_the_table(tmp_path):
    (tmp_path / "loss.csv").write_text(LOSS_CSV)
    fig = losses.loss_curve(losses.read_losses(tmp_path / "loss.csv"), title="density of star")
    training, validation, kept = fig.axes[0].lines
    np.testing.assert_array_equal(training.get_ydata(), [3.5, 2.5, 2.25])
    np.testing.assert_array_equal(validation.get_xdata(), [50, 100])
    lowest = validation.get_ydata().min()
    assert kept.get_ydata() == [lowest] and kept.get_label() == f"kept, {lowest:.4f}"
    assert fig.axes[0].get_ylabel() == "loss [nats]" and "density of star" in texts(fig)


def test_a_long_title_of_a_loss_curve_stays_within_the_picture(history):
    title = "rotated checkerboard → checkerboard, identity initialization, training 2"
    fig = losses.loss_curve(history, title=title)
    fig.canvas.draw()
    box = fig.axes[0].title.get_window_extent()
    assert box.x0 > 0 and box.x1 < fig.bbox.x1 and box.y1 <= fig.bbox.y1
    assert fig.axes[0].get_title().replace("\n", " ") == title


def test_loss_curve_shows_where_a_training_went_back(tmp_path):
    (tmp_path / "loss.csv").write_text(LOSS_CSV + "100,1,2,0,2.2,2.3,0,1\n")
    lines = losses.loss_curve(losses.read_losses(tmp_path / "loss.csv")).axes[0].lines
    back = lines[3]
    assert back.get_label() == "went back"
    assert (*back.get_xdata(), *back.get_ydata()) == (100, 2.375)


def test_loss_curve_shows_where_a_phase_ends(tmp_path):
    (tmp_path / "loss.csv").write_text(LOSS_CSV + "150,1.5,2,1,2.9,2.3,0,0\n")
    lines = losses.loss_curve(losses.read_losses(tmp_path / "loss.csv")).axes[0].lines
    (end,) = [line for line in lines if line.get_linestyle() == ":"]
    assert list(end.get_xdata()) == [100, 100]


def test_loss_curve_shows_the_other_starts_in_grey(tmp_path):
    head, *rows = LOSS_CSV.splitlines(keepends=True)
    others = "30,0.3,1,0,3.1,3,0.001,0\n50,0.5,1,0,2.9,2.8,0.001,0\n10,0.1,3,0,4,4,0.001,0\n"
    (tmp_path / "loss.csv").write_text(head + others + "".join(rows))
    lines = losses.loss_curve(losses.read_losses(tmp_path / "loss.csv")).axes[0].lines
    grey = [list(line.get_ydata()) for line in lines if line.get_color() == "0.7"]
    assert grey == [[3.1, 2.9], [4.0]]
    assert [line.get_label() for line in lines][-1] == "kept, 2.3750"


def test_loss_curve_shows_the_lowest_possible_loss(tmp_path):
    head, *rows = LOSS_CSV.splitlines()
    above = [f"{float(row.split(',')[5]) - 1.25}" if row.split(",")[5] else "" for row in rows]
    table = [f"{head},above_lowest", *map(",".join, zip(rows, above, strict=True))]
    (tmp_path / "loss.csv").write_text("\n".join(table) + "\n")
    axis = losses.loss_curve(losses.read_losses(tmp_path / "loss.csv")).axes[0]
    (line,) = [line for line in axis.lines if line.get_label() == "lowest possible"]
    assert line.get_ydata() == pytest.approx([1.25, 1.25]) and axis.get_ylim()[0] < 1.25


def test_loss_curve_without_validation(history):
    history["validation_loss"][:] = np.nan
    assert len(losses.loss_curve(history).axes[0].lines) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("step,epoch\n1,2\n", "no column 'start'"),
        (LOSS_CSV.splitlines()[0] + "\n", "no rows"),
        (LOSS_CSV.replace("2.5,", "x,"), "not a number"),
    ],
)
def test_bad_loss_tables_are_named(tmp_path, content, message):
    (tmp_path / "loss.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        losses.read_losses(tmp_path / "loss.csv")
