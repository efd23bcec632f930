"""Weights to the target's spectrum of the condition: what is learnt, and what samples get."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from closures import prepare_all
from scipy.stats import beta
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from flowmorph.errors import InputError
from flowmorph.metrics import spectra
from flowmorph.metrics.two_sample import classifier_auc
from flowmorph.preprocess.categories import Categories
from flowmorph.samples import own_categories, row_hashes
from flowmorph.samples.balance import Balance
from flowmorph.samples.balancing import FOLDS, Spectrum, fit, from_sklearn
from flowmorph.samples.moved import MovedSample
from flowmorph.samples.own_rows import Settings
from flowmorph.samples.own_samples import prepare
from flowmorph.samples.unweighting import effective_points

ROWS = 15_000
NAMES = ["c", "k", "k"]
#: Shapes of the continuous condition and the share of the first category, of reference and target.
SHAPES, SHARES = ((1, 2), (2, 2)), (0.3, 0.6)


def conditions(sample: int, rows: int, seed: int) -> np.ndarray:
    """A number in [-3, 3] and a category as flows are given them, (N, 3); 1 is the target."""
    rng = np.random.default_rng(seed)
    number = 6 * rng.beta(*SHAPES[sample], rows) - 3
    first = rng.random(rows) < SHARES[sample]
    return np.column_stack([number, first, ~first]).astype(np.float32)


def spectrum(values: np.ndarray, weights: np.ndarray | None = None) -> Spectrum:
    columns = {str(i): column for i, column in enumerate(values.T)}
    found = row_hashes.hashes(columns | {"row": np.arange(len(values))}, [*columns, "row"])
    return Spectrum(values, weights, found)


def exact(values: np.ndarray) -> np.ndarray:
    """Ratio of the target's density of the conditions to the reference's."""
    number = (values[:, 0].astype(float) + 3) / 6
    first = SHARES[1] / SHARES[0], (1 - SHARES[1]) / (1 - SHARES[0])
    return (
        beta.pdf(number, *SHAPES[1])
        / beta.pdf(number, *SHAPES[0])
        * np.where(values[:, 1] == 1, *first)
    )


@pytest.fixture(scope="module")
def learnt() -> tuple[Spectrum, Spectrum, Balance]:
    start, end = spectrum(conditions(0, ROWS, 1)), spectrum(conditions(1, ROWS, 2))
    return start, end, fit(start, end, NAMES)[0]


# --- what is learnt


def test_weights_are_the_exact_ratio_of_densities(learnt):
    start, end, balance = learnt
    new = spectrum(conditions(0, 5000, 3))
    for each in (start, new):
        factors, truth = balance.factors(each.condition, each.found), exact(each.condition)
        # Weights of 0 to 6, with a standard deviation of 1.1: a tenth of that.
        assert np.sqrt(np.mean((factors - truth) ** 2)) < 0.15
        found, expected = (np.average(values, weights=truth) for values in (factors, truth))
        assert found == pytest.approx(expected, rel=0.04)  # the mean over the target
        assert effective_points(factors) == pytest.approx(effective_points(truth), rel=0.05)
    assert balance.factors(start.condition, start.found).mean() == pytest.approx(1)


def test_the_weighted_spectrum_is_the_targets(learnt):
    start, end, balance = learnt
    factors = balance.factors(start.condition, start.found)
    for category in (0, 1):
        chosen, of_target = start.condition[:, 1] == category, end.condition[:, 1] == category
        share = factors[chosen].sum() / factors.sum()
        assert share == pytest.approx(of_target.mean(), abs=1e-9)  # between categories exactly
        bins = np.linspace(-3, 3, 13)
        found, squares = (
            np.histogram(start.condition[chosen, 0], bins, weights=factors[chosen] ** power)[0]
            for power in (1, 2)
        )
        counts, _ = np.histogram(end.condition[of_target, 0], bins)
        scale = found.sum() / counts.sum()
        # Statistics, and a twentieth: what the estimate of the ratio may be off.
        errors = np.sqrt(squares + scale**2 * (counts + (0.05 * counts) ** 2))
        assert np.mean(((found - scale * counts) / errors) ** 2) < 2
    ends = start.condition[:6000], end.condition[:6000]
    bare, balanced = (classifier_auc(*ends, weights=w, seed=1) for w in (None, factors[:6000]))
    assert balanced.low < 0.5 < bare.low


def test_a_row_has_the_odds_that_were_fitted_without_its_fold(learnt):
    start, end, balance = learnt
    fold = row_hashes.folds(start.found, FOLDS)
    assert len(balance.odds) == FOLDS
    changed = start.condition.copy()
    changed[fold == 2, 0] = 2.5  # whatever these rows hold, their own odds do not know it
    other, _ = fit(Spectrum(changed, None, start.found), end, NAMES)
    some = end.condition[:50].astype(float)
    assert np.array_equal(other.odds[2](some), balance.odds[2](some))
    assert not np.array_equal(other.odds[1](some), balance.odds[1](some))
    factors = balance.factors(start.condition, start.found)
    rows = np.flatnonzero((fold == 2) & (factors > 0))
    values = start.condition[rows].astype(float)
    parts = balance.odds[2](values) / factors[rows]
    for category in (0, 1):
        assert np.ptp(parts[values[:, 1] == category]) < 1e-9  # the table of categories is left


def test_weights_that_are_given_are_part_of_the_spectrum(learnt):
    _, end, _ = learnt
    values = conditions(0, ROWS, 5)
    given = exact(values)
    balance, _ = fit(spectrum(values, given), end, NAMES)
    factors = balance.factors(values, spectrum(values).found)
    assert np.sqrt(np.average((factors - 1) ** 2, weights=given)) < 0.1


def test_discrete_conditions_have_the_exact_ratio():
    rng = np.random.default_rng(1)
    shares = [0.5, 0.3, 0.2, 0.0], [0.2, 0.2, 0.5999, 0.0001]
    start, end = (
        spectrum(rng.choice([-3.0, -1.0, 1.0, 3.0], 5000, p=p).astype(np.float32)[:, None])
        for p in shares
    )
    balance, uncovered = fit(start, end, ["jets"])
    factors = balance.factors(start.condition)
    assert not balance.odds and uncovered == (end.condition == 3).mean()
    inside = (end.condition < 3).mean()
    for value in (-3, -1, 1):
        weighted = factors[start.condition[:, 0] == value].sum() / factors.sum()
        assert weighted == pytest.approx((end.condition == value).mean() / inside, abs=1e-12)
    # A value that no training row has, and one that the target never has.
    assert balance.factors(np.array([[2.0]])) == 0


def test_a_discrete_value_is_the_same_in_float32_and_in_float64():
    rng = np.random.default_rng(1)
    levels = 0.05 + 0.1 * np.arange(11)
    box = 6 * (levels - levels[0]) / np.ptp(levels) - 3
    again = 6 * (levels.astype(np.float32).astype(float) - levels[0]) / np.ptp(levels) - 3
    box, again = box.astype(np.float32), again.astype(np.float32)
    assert (box != again).sum() > 3
    ends = [spectrum(rng.choice(box, 5000)[:, None]) for _ in range(2)]
    balance, _ = fit(*ends, ["m"])
    expected = balance.factors(box[:, None])
    assert (expected > 0).all() and np.array_equal(balance.factors(again[:, None]), expected)
    assert not balance.factors(box[:, None] + 0.01 * (box[1] - box[0])).any()


def test_a_gap_between_training_intervals_is_crossed_smoothly():
    rng = np.random.default_rng(1)

    def sidebands(slope: float) -> Spectrum:
        x = rng.exponential(1 / slope, 30_000)
        x = x[(x < 1) | ((x > 2) & (x < 3))]
        return spectrum((2 * x - 3).astype(np.float32)[:, None])

    balance, _ = fit(sidebands(1.0), sidebands(0.5), ["m"], endless=[True])
    x = np.linspace(1, 2, 50)
    found = balance.factors((2 * x - 3)[:, None], np.arange(50, dtype=np.uint64))
    assert found / found[0] == pytest.approx(np.exp(0.5 * (x - 1)), rel=0.1)
    beyond = balance.factors(np.array([[10.0]]), np.zeros(1, np.uint64))
    assert 0 < beyond < 10  # no row is beyond the target's spectrum outside of training intervals


def test_where_the_target_has_nothing_weights_are_zero(learnt):
    start, end, _ = learnt
    narrow = end.condition[np.abs(end.condition[:, 0]) < 1]
    balance, uncovered = fit(start, spectrum(narrow), NAMES)
    factors = balance.factors(start.condition, start.found)
    outside = np.abs(start.condition[:, 0]) > 1
    assert uncovered == 0 and not factors[outside].any() and (factors[~outside] > 0).mean() > 0.999


def test_a_target_that_the_reference_does_not_cover_is_refused(learnt):
    start, end, _ = learnt
    for chosen in (start.condition[:, 0] < 1.0, np.abs(start.condition[:, 0]) > 0.5):
        with pytest.raises(InputError, match=r"own.balance: \d\d.\d% of the target.*most in 'c'"):
            fit(spectrum(start.condition[chosen]), end, NAMES)
    few = spectrum(start.condition[start.condition[:, 0] < 2.6])
    _, uncovered = fit(few, end, NAMES)
    assert uncovered == pytest.approx((end.condition[:, 0] > 2.6).mean(), abs=0.006)


def test_trees_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4000, 3))
    y = rng.random(4000) < 1 / (1 + np.exp(-x[:, 0] * x[:, 1]))
    with threadpool_limits(1):
        model = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=8).fit(x, y)
    new = rng.normal(size=(9000, 3))  # more than are evaluated at a time
    for number, expected in enumerate(model.staged_decision_function(new), start=1):
        np.testing.assert_allclose(from_sklearn(model, number)(new), expected, atol=1e-12)
    assert not from_sklearn(model, 0)(new).any()


def test_numbers_of_a_file_are_the_same_or_refused(learnt):
    start, _, balance = learnt
    arrays = balance.to_arrays()
    again = Balance.from_arrays(arrays, 3)
    found = again.factors(start.condition, start.found)
    assert np.array_equal(found, balance.factors(start.condition, start.found))
    leaf = arrays["fold_1.left"].copy()
    leaf[-1] = 0
    for change in (
        {"fold_1.left": leaf},
        {"fold_1.roots": arrays["fold_1.roots"] + 10**6},
        {"fold_1.feature": arrays["fold_1.feature"] + 3},
        {"fold_1.value": arrays["fold_1.value"][1:]},
        {"fold_2.terms": arrays["fold_2.terms"] + 9},
        {"fold_2.width": -arrays["fold_2.width"]},
        {"ratios": -arrays["ratios"]},
        {"ratios": arrays["ratios"] * np.nan},
        {"ratios": arrays["ratios"].astype(np.float32)},
        {"cells": arrays["cells"][:, :1]},
        {"discrete": np.ones(3, bool)},
        {"more": arrays["low"]},
        {"low": None},
        {"fold_1.center": None},
    ):
        bad = {k: v for k, v in (arrays | change).items() if v is not None}
        with pytest.raises(ValueError, match="balance: "):
            Balance.from_arrays(bad, 3)
    for number in (0, 2):
        with pytest.raises(ValueError, match="balance: "):
            Balance.from_arrays(arrays, number)


# --- samples


def write(path, sample: int, rows: int, seed: int, **more) -> dict:
    """A file whose feature depends on its conditions; reference and target have the same map."""
    rng = np.random.default_rng(seed)
    values = conditions(sample, rows, seed)
    frame = pd.DataFrame({"c": values[:, 0].astype(float), "k": np.where(values[:, 1], "a", "b")})
    frame["x"] = rng.normal(values[:, 0] * (1 + values[:, 1]), 1)
    for name, column in more.items():
        frame[name] = column
    frame.to_parquet(path)
    return {"files": str(path), "tree": None, "format": None, "weights": None}


def own(**changes) -> Settings:
    given = {
        "features": {"x": {}},
        "condition": {"c": {}, "k": {"categorical": True}},
        "regions": {"column": None, "train": []},
        "missing": "error",
        "rows": (10**6, 10**5),
        "scaling": (-3.0, 3.0),
        "fraction": 0.3,
        "seed": 1,
        "balance": True,
    }
    return Settings(**given | changes)


def test_a_prepared_reference_has_the_weights_and_a_right_map_is_at_the_floor(tmp_path):
    files = {
        name: write(tmp_path / f"{name}.parquet", i, ROWS, i + 1)
        for i, name in enumerate(("reference", "target"))
    }
    prepared, preprocessing, rows = prepare(files, own())
    plain, _, _ = prepare(files, own(balance=False))
    reference, target = prepared["reference"], prepared["target"]
    assert "train.weights" not in target and "train.weights" not in plain["reference"]
    for split in ("validation", "train"):
        values = reference[f"{split}.condition"].astype(float)
        values[:, 0] = preprocessing.maps["c"].inverse(values[:, 0])
        truth = exact(values)
        assert np.corrcoef(reference[f"{split}.weights"], truth)[0, 1] > 0.98
    (first, second) = rows.rows
    assert first["effective"] == first["train"] and second["balanced"] is None
    assert first["balanced"] == pytest.approx(effective_points(truth), rel=0.05)
    assert any("spectrum of c, k" in note for note in rows.notes)
    # The map is the identity, which is right: both have the same p(x | c).
    x, c, w = (reference[f"validation.{kind}"] for kind in ("points", "condition", "weights"))
    y, c_y = (target[f"validation.{kind}"] for kind in ("points", "condition"))
    balanced = classifier_auc(x, y, condition_sample=c, condition_target=c_y, weights=w, seed=1)
    bare = classifier_auc(x, y, condition_sample=c, condition_target=c_y, seed=1)
    assert balanced.low < 0.5 < bare.low
    sample = MovedSample(x, y, c, c_y, {}, w)
    again = spectra.balanced(sample, seed=1)
    assert effective_points(again.weight_reference) == pytest.approx(effective_points(w), rel=0.05)


def test_signs_and_effective_numbers(tmp_path):
    sign = np.where(np.random.default_rng(3).random(ROWS) < 0.2, -1.0, 1.0)
    files = {
        "reference": write(tmp_path / "r.parquet", 0, ROWS, 1, w=sign) | {"weights": "w"},
        "target": write(tmp_path / "t.parquet", 1, ROWS, 2),
    }
    prepared, _, rows = prepare(files, own(negative="absolute", folds=3))
    reference = prepared["reference"]
    assert np.abs(reference["train.signed"]) == pytest.approx(reference["train.weights"])
    assert (reference["train.signed"] < 0).mean() == pytest.approx(0.2, abs=0.02)
    first = rows.rows[0]
    assert first["balanced"] == int(effective_points(reference["train.signed"]))
    assert first["balanced"] < first["effective"] < first["train"]
    assert "fold_3.roots" in {n.removeprefix("balance.") for n in reference} and (
        "balance.fold_4.roots" not in reference
    )


def test_rows_outside_of_the_training_region_have_weights_too(tmp_path):
    files = {
        name: write(tmp_path / f"{name}.parquet", i, 6000, i + 1)
        for i, name in enumerate(("reference", "target"))
    }
    regions = {"column": "c", "train": [[-3, -1], [1, 3]]}
    prepared, preprocessing, *_ = prepare_all(files, own(regions=regions), [[-1, 1]])
    values = prepared["reference"]["apply.condition"].astype(float)
    values[:, 0] = preprocessing.maps["c"].inverse(values[:, 0])
    assert np.abs(values[:, 0]).max() < 1.01
    weights, truth = prepared["reference"]["apply.weights"], exact(values)
    assert (weights > 0).all()
    # Nothing was learnt in there: the ratio is carried across.
    ratio = weights / truth
    assert ratio.std() / ratio.mean() < 0.25


def test_a_category_with_few_rows_is_named():
    train = {"reference": np.repeat([0, 1], [500, 99]), "target": np.repeat([0, 1], [100, 300])}
    (note,) = own_categories.few("era", Categories((2016, "late")), train)
    assert note.startswith("Warning: condition 'era': the category 'late' has few training rows")
    assert "99 of the reference and 300 of the target" in note
