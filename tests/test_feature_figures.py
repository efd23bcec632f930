"""Figures of the collider's features: histograms, ratios and correlations."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from figure_samples import (
    events,
    texts,
)
from scripts_by_name import script
from test_metrics import with_spectra

from flowmorph.errors import InputError
from flowmorph.figures import (
    correlations,
    features,
    looks,
    style,
)
from flowmorph.metrics import spectra
from flowmorph.plan.methods import PUBLISHED
from flowmorph.samples import moved
from flowmorph.samples.regions import COLUMNS

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
