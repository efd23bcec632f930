"""Divergences and two-sample tests: right on cases with known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from flowmorph.metrics import divergence, two_sample


def test_divergence_of_two_gaussians():
    x = np.random.default_rng(0).normal(size=200_000)
    estimate = divergence.kl_divergence(stats.norm.logpdf(x), stats.norm.logpdf(x, 0.3, 1.2))
    exact = np.log(1.2) + (1 + 0.3**2) / (2 * 1.2**2) - 0.5
    assert estimate.value == pytest.approx(exact, abs=4 * estimate.error)
    assert 1e-4 < estimate.error < 1e-2


def test_divergence_from_itself_is_exactly_zero():
    log_p = np.linspace(-5, 1, 100)
    assert divergence.kl_divergence(log_p, log_p) == (0.0, 0.0)


def test_divergence_error_is_the_spread_over_experiments():
    rng = np.random.default_rng(1)
    estimates = []
    for _ in range(300):
        x = rng.normal(size=500)
        estimates.append(
            divergence.kl_divergence(stats.norm.logpdf(x), stats.norm.logpdf(x, 0.3, 1.2))
        )
    values, errors = np.array(estimates).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.15)


def test_divergence_refuses_points_not_drawn_from_p():
    with pytest.raises(ValueError, match="drawn from p"):
        divergence.kl_divergence(np.array([0.0, -np.inf]), np.zeros(2))
    with pytest.raises(ValueError, match="pair up"):
        divergence.kl_divergence(np.zeros(3), np.zeros((3, 1)))


def test_classifier_finds_the_shift_of_a_gaussian():
    rng = np.random.default_rng(2)
    sample, target = rng.normal(size=(6000, 2)), rng.normal(size=(4000, 2)) + [0.5, 0]
    auc = two_sample.classifier_auc(sample, target, seed=3)
    best = stats.norm.cdf(0.5 / np.sqrt(2))  # the likelihood ratio's AUC
    assert best - 0.03 < auc.value < best + 3 * auc.error
    assert auc == two_sample.classifier_auc(sample, target, seed=3)


def test_classifier_cannot_tell_equal_samples_apart():
    rng = np.random.default_rng(4)
    auc = two_sample.classifier_auc(rng.normal(size=(4000, 3)), rng.normal(size=(4000, 3)), seed=1)
    assert auc.value == pytest.approx(0.5, abs=4 * auc.error)
    assert 0.004 < auc.error < 0.01


def test_classifier_uses_the_condition():
    rng = np.random.default_rng(5)
    condition = rng.normal(size=(3000, 1))
    independent = rng.normal(size=(3000, 1))
    x = condition + 0.5 * rng.normal(size=(3000, 1))
    options = {"condition_sample": condition, "condition_target": independent}
    marginal = x[rng.permutation(3000)]
    assert two_sample.classifier_auc(x, marginal, seed=1).value < 0.53
    assert two_sample.classifier_auc(x, marginal, seed=1, **options).value > 0.7


@settings(deadline=None)  # cores may be shared
@given(st.lists(st.integers(0, 5), min_size=2), st.lists(st.integers(0, 5), min_size=2))
def test_auc_agrees_with_scikit_learn(negative, positive):
    labels = np.repeat([0, 1], [len(negative), len(positive)])
    expected = roc_auc_score(labels, negative + positive)
    result = two_sample._auc(np.array(negative), np.array(positive))
    assert result.value == pytest.approx(expected, abs=1e-12)
    assert np.isfinite(result.error)


def test_feature_comparison_has_uniform_p_values_for_equal_distributions():
    rng = np.random.default_rng(6)
    results = two_sample.compare_features(
        rng.normal(size=(3000, 200)), rng.normal(size=(2000, 200))
    )
    assert stats.kstest([r.chi2_pvalue for r in results], "uniform").pvalue > 1e-3
    assert stats.kstest([r.ks_pvalue for r in results], "uniform").pvalue > 1e-3
    assert {r.degrees for r in results} == {19}


def test_feature_comparison_sees_the_one_feature_that_differs():
    rng = np.random.default_rng(7)
    sample, target = rng.normal(size=(5000, 2)), rng.normal(size=(7000, 2)) * [1, 1.2]
    same, wider = two_sample.compare_features(sample, target)
    assert same.chi2_pvalue > 1e-3 and same.ks_pvalue > 1e-3
    assert wider.chi2_pvalue < 1e-10 and wider.ks_pvalue < 1e-5


def test_feature_comparison_of_constants_and_few_values():
    constant = np.ones((10, 1))
    (result,) = two_sample.compare_features(constant, constant)
    assert result == (0.0, 1.0, 0.0, 0, 1.0)
    few = np.repeat([[0.0], [1.0]], 50, axis=0)
    (result,) = two_sample.compare_features(few, few)
    assert (result.chi2, result.degrees) == (0.0, 1)
