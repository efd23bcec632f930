"""Metrics: right on cases with known answers."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from flowmorph.errors import InputError
from flowmorph.metrics import (
    comparison,
    distances,
    divergence,
    measures,
    optimal_transport,
    spectra,
    two_sample,
)
from flowmorph.samples import moved
from flowmorph.samples.quantile_bins import QuantileBins


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
    assert best - 0.03 < auc.value < auc.high < best + 0.03
    assert auc == two_sample.classifier_auc(sample, target, seed=3)


def test_classifier_cannot_tell_equal_samples_apart():
    rng = np.random.default_rng(4)
    auc = two_sample.classifier_auc(rng.normal(size=(4000, 3)), rng.normal(size=(4000, 3)), seed=1)
    assert auc.low < auc.value < auc.high
    assert auc.value == pytest.approx(0.5, abs=2 * (auc.high - auc.low))
    # Of five folds: a fold's AUC has the variance of Mann and Whitney's statistic, and they share
    # the points that classifiers are trained on.
    by_scores = np.sqrt(1601 / (12 * 800 * 800) / 5)
    assert auc.high - auc.low == pytest.approx(1.25 * 3.92 * by_scores, rel=0.2)


def test_trees_of_quantile_bins_are_the_trees_of_the_values():
    rng = np.random.default_rng(4)
    few, many = rng.integers(0, 9, (3000, 1)) ** 2, rng.normal(size=(3000, 2))
    x = np.concatenate([few, many, np.ones((3000, 1))], axis=1)
    y = x[:, 0] + 20 * x[:, 1] * x[:, 2] > rng.normal(20, 20, 3000)
    bins = QuantileBins(x)
    of_values, of_bins = (
        HistGradientBoostingClassifier(max_iter=20, early_stopping=False).fit(each, y)
        for each in (x, bins(x))
    )
    assert bins(x).max() == 254
    assert (of_values.predict_proba(x) == of_bins.predict_proba(bins(x))).all()
    far = np.array([[-5.0, -50.0, 50.0, 2.0]])
    assert (of_values.predict_proba(far) == of_bins.predict_proba(bins(far))).all()


def test_classifier_uses_the_condition():
    rng = np.random.default_rng(5)
    condition = rng.normal(size=(3000, 1))
    independent = rng.normal(size=(3000, 1))
    x = condition + 0.5 * rng.normal(size=(3000, 1))
    options = {"condition_sample": condition, "condition_target": independent}
    marginal = x[rng.permutation(3000)]
    assert two_sample.classifier_auc(x, marginal, seed=1).value < 0.53
    assert two_sample.classifier_auc(x, marginal, seed=1, **options).value > 0.7


SCORES = st.lists(st.integers(0, 5), min_size=2)


@settings(deadline=None)  # cores may be shared
@given(SCORES, SCORES)
def test_auc_agrees_with_scikit_learn(negative, positive):
    labels = np.repeat([0, 1], [len(negative), len(positive)])
    expected = roc_auc_score(labels, negative + positive)
    rng = np.random.default_rng(0)
    values = two_sample._bootstrapped(np.array(negative), np.array(positive), 3, rng)
    assert values[0] == pytest.approx(expected, abs=1e-12)
    assert len(values) == 4 and ((values >= 0) & (values <= 1)).all()


def test_bootstrap_interval_is_the_spread_over_experiments():
    rng = np.random.default_rng(8)
    values, widths = [], []
    for _ in range(200):
        scores = rng.normal(size=150), rng.normal(0.5, 1, size=250)
        first, *resampled = two_sample._bootstrapped(*scores, 100, rng)
        values.append(first)
        widths.append(np.std(resampled))
    assert np.mean(widths) == pytest.approx(np.std(values), rel=0.15)
    assert np.mean(values) == pytest.approx(stats.norm.cdf(0.5 / np.sqrt(2)), abs=0.01)


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


def test_sliced_wasserstein_of_a_shift_is_its_mean_projection():
    sample = np.random.default_rng(9).normal(size=(500, 2))
    shifted = sample + [3.0, 0.0]
    distance = optimal_transport.sliced_wasserstein(sample, shifted, seed=1, projections=4000)
    assert distance == pytest.approx(3 * 2 / np.pi, rel=0.02)  # the mean of |cos|
    reordered = sample[::-1]
    assert optimal_transport.sliced_wasserstein(sample, reordered, seed=1) < 1e-12
    with pytest.raises(InputError, match="equal shapes"):
        optimal_transport.sliced_wasserstein(sample, shifted[1:], seed=1)


def test_assignment_of_a_permuted_shift_costs_the_shift():
    rng = np.random.default_rng(10)
    start = rng.uniform(size=(200, 3))
    # A constant shift, being monotone in each feature, is optimal.
    end = rng.permutation(start + [0.5, -0.25, 1.0])
    assert optimal_transport.assignment_cost(start, end) == pytest.approx(1.75, rel=1e-9)
    assert optimal_transport.marginal_bound(start, end) == pytest.approx(1.75, rel=1e-9)
    crossed = np.array([[0.0], [1.0]]), np.array([[1.0], [0.0]])
    assert optimal_transport.assignment_cost(*crossed) == 0.0
    with pytest.raises(InputError, match="equal shapes"):
        optimal_transport.assignment_cost(start, end[1:])


def test_marginals_bound_every_assignment_from_below():
    rng = np.random.default_rng(11)
    start, end = rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) @ [[1, 0.9], [0, 0.4]]
    bound = optimal_transport.marginal_bound(start, end)
    cost = optimal_transport.assignment_cost(start, end)
    assert 0 < bound < cost < np.abs(start - end).sum(axis=1).mean()


def shifted_task(shift: float, condition: np.ndarray | None = None) -> moved.MovedSample:
    """A task whose target is the reference's distribution, shifted along the first feature."""
    rng = np.random.default_rng(12)
    reference = rng.uniform(-1, 1, size=(1200, 2))
    images = {"good": reference + [shift, 0.0], "far": reference + [9, 0]}
    target = rng.uniform(-1, 1, size=(1200, 2)) + [shift, 0.0]
    c = np.empty((1200, 0)) if condition is None else condition
    return moved.MovedSample(reference, target, c, c, images)


def measured(sample: moved.MovedSample, **changes) -> dict[tuple, float]:
    setting = {"methods": ["good", "far"], "features": ["x1", "x2"], "mode": None}
    setting |= {"discrete": False, "half_width": 4.0, "seed": 5} | changes
    return {
        (m.method, m.feature, m.metric): m.value
        for m in comparison.measure(sample, comparison.Setting(**setting))
    }


def test_a_task_is_measured_against_its_floor_and_ceiling():
    numbers = measured(shifted_task(0.5))
    auc = {name: numbers[name, "", "auc"] for name in ("floor", "good", "ceiling", "far")}
    assert auc["good"] < 0.55 < auc["ceiling"] < 0.99 < auc["far"]
    assert abs(auc["floor"] - 0.5) < 0.06
    width = {n: numbers[n, "", "auc_high"] - numbers[n, "", "auc_low"] for n in ("floor", "good")}
    # Halves of half as many points, but the mean of five ways to cut: sqrt(2 / 5).
    assert width["floor"] < 0.75 * width["good"]
    assert numbers["good", "", "sliced_wasserstein"] < numbers["ceiling", "", "sliced_wasserstein"]
    assert numbers["ceiling", "x1", "ks"] == pytest.approx(0.25, abs=0.05)
    assert numbers["ceiling", "x2", "ks_pvalue"] > 1e-3 > numbers["ceiling", "x1", "ks_pvalue"]
    assert numbers["ceiling", "x1", "chi2_ndf"] > 5 > numbers["good", "x1", "chi2_ndf"]


def test_movement_is_held_against_its_bounds():
    numbers = measured(shifted_task(0.5))
    assert numbers["good", "", "distance_mean"] == pytest.approx(0.5)
    assert numbers["good", "", "l1_mean"] == pytest.approx(0.5)
    assert numbers["good", "", "bound_marginals"] == pytest.approx(0.5, abs=0.05)
    assert numbers["good", "", "ratio_images"] == pytest.approx(1.0)
    assert numbers["good", "", "bound_noise"] < numbers["good", "", "bound_target"]
    assert numbers["good", "x1", "distance_median"] == pytest.approx(0.5)
    assert numbers["good", "x2", "distance_mean"] == 0.0
    assert (numbers["good", "", "left_box"], numbers["far", "", "left_box"]) == (0.0, 1.0)
    assert numbers["baseline", "", "distance_mean"] > numbers["good", "", "distance_mean"]
    assert ("baseline", "", "auc") not in numbers and ("floor", "", "l1_mean") not in numbers


def test_a_detour_exceeds_the_bound_of_its_own_images():
    sample = shifted_task(0.0)
    numbers = measured(sample.with_alternative("good", -sample.reference))
    assert numbers["good", "", "ratio_images"] > 3
    assert numbers["good", "", "auc"] < 0.55


@pytest.mark.parametrize("length", [0.02, 0.5])
def test_a_translation_is_minimal_and_random_directions_are_not_however_short(length):
    sample = shifted_task(length)
    angle = np.random.default_rng(14).uniform(0, 2 * np.pi, size=len(sample))
    directions = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for weights in (None, np.linspace(0.5, 1.5, len(sample))):
        weighted = replace(sample, weight_reference=weights)
        numbers = measured(weighted.with_alternative("far", sample.reference + length * directions))
        assert numbers["good", "", "ratio_marginals"] == pytest.approx(1.0, rel=1e-6)
        assert numbers["far", "", "ratio_marginals"] > 3
    # Points that move less than their neighbours are away are their own best images.
    assert (numbers["far", "", "ratio_images"] < 1.05) == (length == 0.02)


def test_a_map_that_moves_nothing_is_minimal():
    numbers = measured(shifted_task(0.0))
    assert numbers["good", "", "l1_mean"] == 0
    assert numbers["good", "", "ratio_marginals"] == 1


def test_the_distance_between_trainings_is_that_of_the_images_of_one_point():
    points = np.random.default_rng(15).normal(size=(50, 2))
    shifts = [np.array(shift) for shift in ([0.0, 0.0], [3.0, 4.0], [0.0, 0.0])]
    images = [points + shift for shift in shifts]
    assert distances.between_trainings(images) == pytest.approx(10 / 3)  # pairs: 5, 0, 5
    assert distances.between_trainings([points, points]) == 0
    # Only the first point, which alone counts, goes elsewhere.
    elsewhere = points + [[6.0, 8.0]] * np.eye(50)[:, :1]
    assert distances.between_trainings([points, elsewhere]) == pytest.approx(0.2)
    assert distances.between_trainings([points, elsewhere], np.eye(50)[0]) == pytest.approx(10)
    with pytest.raises(InputError, match="two or more"):
        distances.between_trainings([points])


def test_points_are_compared_at_equal_conditions():
    rng = np.random.default_rng(13)
    condition = rng.choice([0.0, 1.0], size=(1200, 1))
    sample = shifted_task(0.0, condition)
    # Right for one condition, far off for the other.
    sample = sample.with_alternative("good", sample.reference + 2.0 * condition)
    numbers = measured(sample, mode="shared", discrete=True)
    assert numbers["good", "", "condition_spread"] > 0.5
    # One of two conditions is nearly right: the range is almost twice the mean.
    assert 1.5 < numbers["good", "", "condition_ratio"] < 2
    # As wrong at both conditions.
    assert numbers["far", "", "condition_ratio"] < 0.1
    assert numbers["good", "", "auc"] > 0.6
    without = measured(sample, mode="shared")
    assert ("good", "", "condition_spread") not in without


def test_measures_are_the_same_bytes_and_read_back(tmp_path):
    for name in ("a", "b"):
        numbers = comparison.measure(
            shifted_task(0.5),
            comparison.Setting(["good"], ["x1", "x2"], None, False, 4.0, 5),
        )
        found = (measures.Measure("t", "signal", "2", *number) for number in numbers)
        measures.write(found, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    first, *others = measures.read([tmp_path / "a", tmp_path / "b"])
    assert first == ("t", "signal", "2", "floor", "", "points", 600.0)
    assert first.name == "t_signal"
    assert len(others) > 2 * 2 * 20 - 1


@pytest.mark.parametrize(
    "text", ["", "a,b\n", "task,split,training,method,feature,metric,value\nt,,1,m,,auc,x\n"]
)
def test_other_files_are_no_measures(tmp_path, text):
    (tmp_path / "other.csv").write_text(text)
    with pytest.raises(InputError, match="other.csv: not a file of measures"):
        measures.read([tmp_path / "other.csv"])


# --- spectra of the condition


def with_spectra(seed: int, discrete: bool = False, like: bool = False, weighted: bool = False):
    """Samples of one x | c: the identity is right; their c differ unless they are ``like``."""
    rng = np.random.default_rng(seed)
    size = 4000
    start, end = rng.uniform(0, 1, (size, 1)), rng.beta(*((1, 1) if like else (2, 1)), (size, 1))
    if discrete:
        start, end = np.round(2 * start), np.round(2 * end)
    x, y = (rng.normal(c, 0.3) for c in (start, end))
    weights = 1 + start[:, 0] if weighted else None
    return moved.MovedSample(x, y, start, end, {"right": x}, weight_reference=weights)


@pytest.mark.parametrize("discrete", [False, True], ids=["continuous", "discrete"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_a_right_map_is_at_the_floor_whatever_the_spectra(discrete, weighted):
    sample = with_spectra(3, discrete, weighted=weighted)
    setting = {"methods": ["right"], "features": ["x"], "discrete": discrete, "half_width": 4.0}
    found = {
        (m.method, m.metric): m.value
        for m in comparison.measure(
            sample, comparison.Setting(**setting, mode="shared", seed=5, assignment_points=100)
        )
    }
    assert found["right", "auc_low"] < 0.51 and found["right", "auc"] < 0.53
    assert found["right", "ks"] < 0.05
    assert found["right", "effective_points"] < 3900
    # The same without looking at the condition's spectrum.
    start, end = (np.concatenate([p, c], axis=1) for p, c in (
        (sample.reference, sample.condition_reference), (sample.target, sample.condition_target)
    ))  # fmt: skip
    assert two_sample.classifier_auc(start, end, seed=5).value > 0.57


def test_like_spectra_are_left_alone():
    for discrete in (False, True):
        sample = with_spectra(4, discrete, like=True)
        ends = sample.condition_reference, sample.condition_target
        assert spectra.balancing(*ends, discrete, 1) is None
    assert spectra.balancing(np.empty((5, 0)), np.empty((5, 0)), False, 1) is None


def test_spectra_that_hardly_overlap_give_weights_that_can_be_used():
    rng = np.random.default_rng(6)
    start, end = rng.normal(0, 1, (2000, 1)), rng.normal(4, 1, (2000, 1))
    weights = spectra.balancing(start, end, False, 1)
    assert np.isfinite(weights).all() and (weights >= 0).all() and weights.any()
    assert spectra.balancing(np.zeros((50, 1)), np.ones((50, 1)), True, 1) is None


@pytest.mark.parametrize("discrete", [False, True], ids=["continuous", "discrete"])
def test_too_few_points_get_no_weights(discrete):
    """Few in number or, where one weight is large, in effect."""
    start, end = np.repeat([0.0, 1.0], [60, 40])[:, None], np.repeat([0.0, 1.0], [3, 97])[:, None]
    assert spectra.balancing(start, end, discrete, 1) is not None
    assert spectra.balancing(start, end[:19], discrete, 1) is None
    assert spectra.balancing(start[:19], end, discrete, 1) is None
    assert spectra.balancing(start, end, discrete, 1, np.eye(100)[0] + 1e-9) is None


def test_a_balanced_sample_has_other_weights_of_the_reference_only():
    plain = with_spectra(3)
    weighing = np.linspace(1, 2, len(plain))  # of a method that has learnt the spectrum itself
    plain = plain.with_alternative("weighs", plain.reference, weighing)
    result = spectra.balanced(plain, seed=1)
    for name in ("reference", "right"):
        mean = np.average(plain.condition_reference[:, 0], weights=result.weights(name))
        assert mean == pytest.approx(2 / 3, abs=0.03)  # 1/2 before
    assert result.weights("weighs") is weighing and result.weights("target") is None
    assert replace(result, weight_reference=None).same_points(plain)
    alike = with_spectra(4, like=True)
    assert spectra.balanced(alike) is alike


def test_the_spectrum_to_balance_to_is_that_of_the_weighted_target():
    flat = with_spectra(4, like=True)
    tilted = replace(flat, weight_target=flat.condition_target[:, 0])
    weights = spectra.balanced(tilted, seed=1).weight_reference
    mean = np.average(flat.condition_reference[:, 0], weights=weights)
    assert mean == pytest.approx(2 / 3, abs=0.04)
    # The density of c in the reference is 2 c, and with its weights in the target, too.
    rising = replace(tilted, condition_reference=with_spectra(3).condition_target)
    assert spectra.balanced(rising, seed=1) is rising
    assert spectra.balanced(replace(rising, weight_target=None), seed=1) is not rising
