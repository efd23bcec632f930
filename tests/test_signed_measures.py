"""Tables and figures of samples with negative weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flowmorph.figures import correlations, features
from flowmorph.metrics import comparison, distances, spectra, two_sample
from flowmorph.samples import moved
from flowmorph.samples.unweighting import effective_points


def cancelling(rng: np.random.Generator, rows: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """A unit Gaussian: others, with weights +1 and -1, cancel each other on average."""
    other = rng.normal(2, 0.7, size=rows)
    return np.concatenate([rng.normal(size=rows), other]), np.repeat(
        [1.0, 1.0, -1.0], [rows, rows // 2, rows // 2]
    )


def test_features_with_signed_weights_compare_as_what_they_stand_for():
    chi2, ks = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, weights = cancelling(rng)
        y, target_weights = cancelling(rng)
        plain = rng.normal(size=3000)
        for other, given in ((plain, None), (y, target_weights)):
            (found,) = two_sample.compare_features(
                x[:, None], other[:, None], weights=weights, target_weights=given
            )
            (turned,) = two_sample.compare_features(
                other[:, None], x[:, None], weights=given, target_weights=weights
            )
            assert found == pytest.approx(turned)
            chi2.append(found.chi2_per_degree)
            ks.append(found.ks_pvalue)
        (wrong,) = two_sample.compare_features(x[:, None], plain[:, None], weights=np.abs(weights))
        assert wrong.chi2_per_degree > 10
    assert np.mean(chi2) == pytest.approx(1, abs=0.1)
    assert np.median(ks) > 0.1


def test_equal_weights_of_the_target_change_nothing_but_the_formula():
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(500, 2)), rng.normal(0.1, 1, size=(400, 2))
    for plain, weighted in zip(
        two_sample.compare_features(x, y, weights=np.ones(500)),
        two_sample.compare_features(x, y, weights=np.ones(500), target_weights=np.ones(400)),
        strict=True,
    ):
        assert weighted == pytest.approx(plain)


def signed_sample(rows: int = 4000) -> moved.MovedSample:
    """Both samples with signed weights; the method takes the reference to the target."""
    rng = np.random.default_rng(8)
    parts = [[cancelling(rng, rows // 2) for _ in range(2)] for _ in range(2)]
    (x, s_x), (y, s_y) = (
        (np.column_stack([each[0] for each in part]), part[0][1]) for part in parts
    )
    order = rng.permutation(rows)
    x, s_x, y, s_y = x[order], s_x[order], y[order] + 1, s_y[order]
    none = np.empty((rows, 0))
    weights = np.abs(s_x), np.abs(s_y)
    return moved.MovedSample(x, y, none, none, {"base_transfer": x + 1}, *weights, s_x, s_y)


def test_measures_of_features_are_those_of_signed_weights():
    sample = signed_sample()
    setting = comparison.Setting(["base_transfer"], ["a", "b"], None, False, 4.0, 1, 500, 50)
    some = sample.target_unweighted(np.random.default_rng(1))
    found = {
        (m.method, m.feature, m.metric): m.value
        for m in comparison.measure(some, setting, whole=sample)
    }
    for name in ("floor", "base_transfer"):
        assert found[name, "a", "chi2_ndf"] < 1.8 and found[name, "b", "chi2_ndf"] < 1.8
    assert found["ceiling", "a", "chi2_ndf"] > 20
    assert found["base_transfer", "", "effective_points"] == pytest.approx(
        effective_points(some.signed_reference)
    )
    length = distances.euclidean(some.points("base_transfer"), some.reference)
    assert found["base_transfer", "", "distance_mean"] == pytest.approx(
        np.average(length, weights=some.signed_reference)
    )


def test_a_spectrum_is_balanced_before_features_are_compared():
    """Conditions rise in the target only; given these, the method is right."""
    rng = np.random.default_rng(11)
    rows = 4000
    c, d = rng.uniform(size=(rows, 1)), rng.beta(2, 1, size=(rows, 1))
    signed = [np.where(rng.random(rows) < 0.2, -1.0, 1.0) for _ in "xy"]
    x, y = rng.normal(4 * c), rng.normal(4 * d)
    weights = [np.full(rows, 0.6)] * 2  # the mean of the signs everywhere
    sample = moved.MovedSample(x, y, c, d, {"base_transfer": x}, *weights, *signed)
    setting = comparison.Setting(["base_transfer"], ["a"], "shared", False, 9.0, 1, 500, 50)
    some = sample.target_unweighted(rng)
    for whole in (sample, None):
        found = [
            m for m in comparison.measure(some, setting, whole=whole) if m.metric == "chi2_ndf"
        ]
        assert {m.method for m in found} == {"floor", "ceiling", "base_transfer"}
        assert max(m.value for m in found) < 1.8
    (plain,) = two_sample.compare_features(x, y, weights=signed[0], target_weights=signed[1])
    assert plain.chi2_per_degree > 4


def test_signed_weights_are_of_the_rows_that_are_selected():
    sample = signed_sample(200)
    assert np.array_equal(sample.signed("baseline"), sample.signed_reference * sample.signed_target)
    assert np.array_equal(sample.weights("base_transfer"), np.abs(sample.signed("base_transfer")))
    some = sample.select([3, 5], [7, 9])
    assert np.array_equal(some.signed("base_transfer"), sample.signed_reference[[3, 5]])
    assert np.array_equal(some.signed("target"), sample.signed_target[[7, 9]])
    unweighted = sample.target_unweighted(np.random.default_rng(1))
    assert unweighted.signed("target") is None
    plain = replace(sample, signed_reference=None, signed_target=None)
    for name in ("reference", "target", "base_transfer", "baseline"):
        assert np.array_equal(plain.signed(name), plain.weights(name))


def test_a_spectrum_is_balanced_for_signed_weights_too():
    rng = np.random.default_rng(9)
    c, target = rng.uniform(size=(3000, 1)), rng.beta(2, 1, size=(3000, 1))
    signed = np.where(rng.random(3000) < 0.2, -1.0, 1.0)
    sample = moved.MovedSample(c, target, c, target, {}, np.maximum(signed, 0), None, signed)
    result = spectra.balanced(sample, seed=1)
    assert np.average(c[:, 0], weights=result.signed("reference")) == pytest.approx(2 / 3, abs=0.04)
    ratio = result.signed_reference / result.weight_reference.clip(1e-300)
    kept = signed > 0
    assert ratio[kept] == pytest.approx(np.full(kept.sum(), ratio[kept][0]))
    assert (result.signed_reference[~kept] < 0).all()


def test_ratios_correlations_and_means_of_signed_weights():
    edges = np.array([0.0, 1.0, 2.0, 3.0])
    values, weights = np.array([0.5, 0.5, 1.5, 1.5]), np.array([3.0, -1.0, 1.0, -2.0])
    target = np.repeat([0.5, 1.5, 2.5], 2)
    ratio, error = features.ratio_to_target(values, target, edges, weights)
    np.testing.assert_allclose(ratio, [6, -3, np.nan])
    np.testing.assert_allclose(error[:2], [6 * np.sqrt(10 / 4 + 0.5), 3 * np.sqrt(5 + 0.5)])
    turned, _ = features.ratio_to_target(target, values, edges, None, weights)
    np.testing.assert_allclose(turned, [1 / 6, np.nan, np.nan])
    rng = np.random.default_rng(10)
    c = rng.normal(size=20_000)
    x = np.concatenate([c + rng.normal(size=20_000), rng.normal(size=20_000)])
    c = np.concatenate([c, rng.normal(size=20_000)])
    signed = np.repeat([1.0, 0.5, -0.5], [20_000, 10_000, 10_000])
    found = correlations.correlations(x[:, None], c[:, None], signed)
    assert found[0, 1] == pytest.approx(np.sqrt(0.5), abs=0.03)
    summary = distances.summarise(np.abs(x), signed)
    assert summary.mean == pytest.approx(np.sqrt(4 / np.pi), abs=0.03)
    assert distances.summarise(np.array([1.0, 2.0]), np.array([3.0, -1.0])).std == 0


def test_a_figure_of_signed_weights_is_drawn():
    sample = signed_sample()
    figure = features.feature_ratios(
        sample, names=("reference", "base_transfer"), labels=["a", "b"]
    )
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    chi2 = [float(text.split()[-1]) for text in texts]
    assert min(chi2[:2]) > 10 and max(chi2[2:]) < 1.8  # reference, then method
