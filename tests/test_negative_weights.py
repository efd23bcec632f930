"""Negative weights: what becomes of them, and what is refused."""

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
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.jobs.data import FileData
from flowmorph.plan.jobs.events import OwnJob
from flowmorph.plan.jobs.form import to_json
from flowmorph.samples import datasets, negative_weights
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
