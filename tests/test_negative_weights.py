"""Negative weights: local means against known ones, the check, tables, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from closures import prepare_all
from scipy import stats
from scipy.spatial import cKDTree
from signed_weights import (
    SIGNAL_MEAN,
    SIGNAL_WIDTH,
    next_to_leading_order,
    signal_and_background,
)
from test_own_config import configured
from test_own_samples import settings

from flowmorph.errors import InputError
from flowmorph.figures import correlations, features
from flowmorph.metrics import comparison, distances, spectra, two_sample
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.jobs.data import FileData
from flowmorph.plan.jobs.events import OwnJob
from flowmorph.plan.jobs.form import to_json
from flowmorph.samples import datasets, moved, negative_weights
from flowmorph.samples.negative_weights import (
    FEWEST_ROWS,
    histogram_chi2,
    local_mean,
    non_negative,
)
from flowmorph.samples.own_samples import prepare
from flowmorph.samples.unweighting import effective_points, relative

NOWHERE = {"column": None, "train": [], "apply": [], "closure": True}


def made(table: dict, how: str, seed: int = 1):
    columns = {name: values for name, values in table.items() if name != "w"}
    return non_negative(columns, table["w"], how, seed, "reference: weights 'w'")


def pull(values: np.ndarray, weights: np.ndarray, signed: np.ndarray, truth) -> float:
    """chi2 per bin of a weighted histogram against a known distribution of equal bins."""
    edges = truth.ppf(np.linspace(0, 1, 21))
    shares, errors = (np.histogram(values, edges, weights=each)[0] for each in (weights, signed**2))
    difference = shares / weights.sum() - 1 / 20
    return float(np.mean(difference**2 / (errors / signed.sum() ** 2)))


# --- weights


def test_local_means_of_s_weights_are_probabilities_of_the_signal():
    table, truth = signal_and_background(10_000, 10_000, np.random.default_rng(1))
    x = np.column_stack([table["x"], table["y"]])
    means = local_mean(x, table["w"], 1)
    assert np.sqrt(np.mean((means - truth) ** 2)) < 0.06
    assert np.array_equal(means, local_mean(x, table["w"], 1))
    assert np.std(table["w"] - truth) > 0.5  # what the means are estimated from


def test_resampling_has_the_true_signal_where_the_others_have_not():
    """Over several samples, so that the agreement is no chance."""
    found = {how: [] for how in ("resample", "absolute", "drop")}
    for seed in range(5):
        table, _ = signal_and_background(10_000, 10_000, np.random.default_rng(seed))
        for how, pulls in found.items():
            weights, report = made(table, how)
            assert (weights >= 0).all() and bool(report.warning) == (how != "resample")
            pulls += [
                pull(table[name], weights, table["w"], stats.norm(mean, SIGNAL_WIDTH))
                for name, mean in zip("xy", SIGNAL_MEAN, strict=True)
            ]
    assert np.mean(found["resample"]) < 1.3
    assert min(np.mean(found[how]) for how in ("absolute", "drop")) > 20


def test_weights_of_a_generator_at_next_to_leading_order():
    table, truth = next_to_leading_order(20_000, 0.4, np.random.default_rng(2))
    weights, report = made(table, "resample")
    assert report.negative == (table["w"] < 0).sum() and report.clipped == 0
    scaled = weights * (truth.sum() / weights.sum())
    assert np.sqrt(np.mean((scaled - truth) ** 2)) < 0.06
    assert report.change == pytest.approx(1, abs=0.02) and report.warning is None
    assert str(report).startswith(
        f"{report.negative:,} of 20,000 rows ({report.negative / 2e4:.1%}"
    )


def test_a_negative_density_is_set_to_zero_and_counted():
    table, truth = next_to_leading_order(20_000, 0.8, np.random.default_rng(3))
    weights, report = made(table, "resample")
    below = truth < 0
    assert report.clipped == pytest.approx(below.sum(), rel=0.15)
    assert report.clipped_sum == pytest.approx(-truth[below].sum() / truth.sum(), rel=0.2)
    assert weights[np.abs(table["x"]) < 0.2].max() == 0
    assert report.change == pytest.approx(1 + report.clipped_sum, abs=0.02)
    assert "give more rows" in report.warning and "distribution of x" in report.warning
    assert "the local mean is below zero, and set to zero, for " in str(report)


def test_absolute_weights_and_no_weights():
    table, _ = next_to_leading_order(1000, 0.5, np.random.default_rng(4))
    negative = table["w"] < 0
    weights, report = made(table, "absolute")
    assert np.array_equal(weights, relative(np.abs(table["w"])))
    assert report.change == pytest.approx(1000 / (1000 - 2 * negative.sum()))
    assert report.clipped is report.clipped_sum is None
    weights, report = made(table, "drop")
    assert np.array_equal(weights > 0, ~negative) and report.negative == negative.sum()
    assert report.change == pytest.approx((1000 - negative.sum()) / (1000 - 2 * negative.sum()))


@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**1000])
@pytest.mark.parametrize("how", ["resample", "absolute", "drop"])
def test_the_unit_of_weights_does_not_matter(how, scale):
    table, _ = next_to_leading_order(1000, 0.4, np.random.default_rng(5))
    expected, report = made(table, how)
    found, other = made(table | {"w": table["w"] * scale}, how)
    assert np.array_equal(found, expected) and other == report


# --- the check


@pytest.mark.parametrize(("rows", "largest"), [(2000, 0.4), (20_000, 0.4), (20_000, 0.1)])
def test_the_check_is_a_chi2_where_means_are_right(rows, largest):
    """And rather a bit smaller, where few weights of a bin are negative."""
    found = []
    for seed in range(200):
        table, truth = next_to_leading_order(rows, largest, np.random.default_rng(seed))
        chi2, degrees = histogram_chi2(table["x"], table["w"], truth)
        assert degrees == 19
        found.append(chi2 * degrees)
    assert 0.8 * 19 < np.mean(found) < 1.03 * 19
    assert 0.7 * np.sqrt(38) < np.std(found) < 1.1 * np.sqrt(38)
    assert np.mean(np.array(found) > stats.chi2.isf(0.01, 19)) <= 0.01


def test_the_check_finds_wrong_weights():
    table, truth = signal_and_background(10_000, 10_000, np.random.default_rng(6))
    limit = stats.chi2.isf(0.005, 19) / 19
    wrong = {
        "of other rows": truth[::-1], "all the same": np.ones(20_000),
        "absolute": np.abs(table["w"]), "too steep": truth**1.5,
    }  # fmt: skip
    assert histogram_chi2(table["x"], table["w"], truth)[0] < limit
    for means in wrong.values():
        assert histogram_chi2(table["x"], table["w"], means)[0] > limit
    assert histogram_chi2(np.ones(20_000), table["w"], truth) == (0.0, 0)
    chi2, degrees = histogram_chi2(np.round(table["x"]), table["w"], truth)
    assert degrees < 19 and chi2 < limit


# --- what is refused


@pytest.mark.parametrize(
    ("weights", "how", "message"),
    [
        (np.repeat([-1.0, 1.0], [500, 400]), "absolute", "900 rows that are used add up to zero"),
        (np.repeat([-1.0, 1.0], [500, 500]), "resample", "add up to zero or less: a density needs"),
        (np.repeat([-1.0, 1.0], [40, 100]), "resample", f"140 rows are too few .*{FEWEST_ROWS}"),
    ],
)
def test_weights_that_give_no_density(weights, how, message):
    rows = np.linspace(-1, 1, len(weights))
    with pytest.raises(InputError, match=f"^reference: weights 'w'.*{message}"):
        made({"x": rows, "w": weights}, how)


def test_no_local_mean_above_zero(monkeypatch):
    """Which estimates of weights with a sum above zero hardly ever are."""
    monkeypatch.setattr(negative_weights, "local_mean", lambda x, weights, seed: -np.abs(weights))
    table, _ = next_to_leading_order(1000, 0.4, np.random.default_rng(1))
    with pytest.raises(InputError, match="^reference: weights 'w': no local mean is above zero"):
        made(table, "resample")


@pytest.fixture
def samples(tmp_path) -> dict:
    """Both samples with sWeights, in files."""
    result = {}
    for seed, (name, rows) in enumerate((("reference", 1500), ("target", 1000))):
        table, _ = signal_and_background(rows, rows, np.random.default_rng(seed))
        m = np.random.default_rng(seed).uniform(0, 3, 2 * rows)
        pd.DataFrame(table | {"m": m}).to_parquet(tmp_path / f"{name}.parquet")
        where = {"files": str(tmp_path / f"{name}.parquet"), "tree": None, "format": None}
        result[name] = where | {"weights": "w"}
    return result


def assert_same(one: dict, other: dict) -> None:
    assert set(one) == set(other) and all(np.array_equal(one[key], other[key]) for key in one)


def chosen(**changes):
    given = {"features": {"x": {}, "y": {}}, "rows": (9999, 9999), "negative": "resample"}
    return settings(**(given | changes))


def test_all_splits_have_weights_of_one_estimate(samples):
    prepared, preprocessing, rows, elsewhere = prepare_all(samples, chosen())
    for (name, arrays), row in zip(prepared.items(), rows.rows, strict=True):
        table = pd.read_parquet(samples[name]["files"])
        given = cKDTree(table[["x", "y"]])
        for split in ("train", "validation", "apply"):
            signed, weights = (arrays[f"{split}.{kind}"] for kind in ("signed", "weights"))
            x = preprocessing.inverse(dict(zip("xy", arrays[f"{split}.points"].T, strict=True)))
            _, at = given.query(np.column_stack([x["x"], x["y"]]))
            assert len(np.unique(signed / table["w"].to_numpy()[at])) == 1  # in another unit
            assert signed.min() < 0 <= weights.min() and 0.5 <= weights.max() < 1
        tested = elsewhere.rows[list(prepared).index(name)]
        assert row["negative"] + tested["negative"] == (table["w"] < 0).sum()
        assert row["chi2"] < 2 and tested["chi2"] < 2
        assert tested["effective"] == int(effective_points(arrays["apply.signed"]))
        assert row["effective"] == int(effective_points(arrays["train.signed"]))
    again, *_ = prepare_all(samples, chosen())
    assert_same(again["target"], prepared["target"])


def test_a_sample_without_negative_weights_stays_as_it_is(samples):
    table = pd.read_parquet(samples["target"]["files"])
    table.assign(w=table["w"].abs()).to_parquet(samples["target"]["files"])
    prepared, _, rows = prepare(samples, chosen())
    assert not any("signed" in key for key in prepared["target"])
    assert rows.rows[0]["negative"] > 0 and rows.rows[1]["negative"] is None
    (line,) = [note for note in rows.notes if "negative weights" in note]
    assert line.startswith("reference: ") and "trainings take local means" in line
    reference = rows.markdown().splitlines()[3]
    assert reference.count("–") == 6, rows.markdown()
    alone, _, plain = prepare({**samples, "reference": samples["target"]}, chosen())
    assert [column.key for column in plain.columns][-1] == "validation"
    expected, _, _ = prepare({**samples, "reference": samples["target"]}, chosen(negative="error"))
    assert_same(alone["target"], expected["target"])


def test_the_wrong_choice_is_a_warning_in_the_table(samples):
    _, _, rows = prepare(samples, chosen(negative="absolute"))
    warnings = [note for note in rows.notes if note.startswith("Warning: ")]
    assert len(warnings) == 2 and all("set own.negative: resample" in each for each in warnings)
    assert warnings[0] in rows.markdown()
    assert [row["clipped"] for row in rows.rows] == [None, None]


def test_negative_weights_are_refused_unless_told(samples):
    with pytest.raises(
        InputError, match="weight 'w' of row 12 is negative .*or let own.negative do so$"
    ):
        prepare(samples, chosen(negative="error"))


def test_few_rows_to_compare_may_add_up_to_nothing(samples):
    """What trainings see has a density; of the rows outside of their region most are negative."""
    table = pd.read_parquet(samples["reference"]["files"])
    elsewhere = (table["m"] >= 1) & (table["m"] < 2)
    table["w"] = np.where(elsewhere & (table.index % 5 > 0), -1.0, 1.0)
    table.to_parquet(samples["reference"]["files"])
    with pytest.raises(InputError, match="^reference: weights .w. of .* rows .* add up to"):
        prepare_all(samples, chosen(negative="drop"))
    prepare(samples, chosen(negative="drop"))


def test_arrays_of_a_prepared_sample(tmp_path):
    np.savez(tmp_path / "p.npz", **{"train.weights": np.ones(3), "train.signed": -np.ones(3)})
    data = FileData("r", str(tmp_path / "p.npz"), ("x",), (), True)
    assert datasets.signed_weights(data, "train").tolist() == [-1, -1, -1]
    assert datasets.signed_weights(data, "validation") is None
    assert datasets.signed_weights(replace(data, weights=False), "train") is None
    with pytest.raises(InputError, match="no readable weights of validation"):
        datasets.weights(data, "validation")


def test_a_job_without_the_choice_keeps_its_text(tmp_path):
    config = configured()
    config["own"]["reference"]["weights"] = "w"
    plain = to_json(Jobs(config, "results/x").prepare_own())
    config["own"]["negative"] = "resample"
    job = Jobs(config, "results/x").prepare_own()
    assert "negative" not in plain and form.read(OwnJob, to_json(job)).negative == "resample"
    with pytest.raises(InputError, match="--job: negative: "):
        form.read(OwnJob, to_json(job).replace("resample", "keep"))


# --- tables and figures


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
