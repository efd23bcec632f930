"""The user's own samples: splits, weights, unweighting, and few points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from closures import prepare_all
from jobs import measure_job
from scripts_by_name import script

from flowmorph.errors import InputError
from flowmorph.figures import features
from flowmorph.metrics import comparison, divergence, measures, two_sample
from flowmorph.metrics.distances import summarise
from flowmorph.plan.jobs.form import to_json
from flowmorph.samples import moved
from flowmorph.samples.own_rows import Settings
from flowmorph.samples.own_samples import prepare
from flowmorph.samples.unweighting import (
    accepted,
    effective_number,
    effective_points,
    relative,
    resampled,
)
from flowmorph.tables.measures import measure_table
from flowmorph.transfer.batches import Points, Sample, equal_weights

REGIONS = {"column": "m", "train": [[0, 1], [2, 3]]}


def settings(**changes) -> Settings:
    values = {
        "features": {"x": {}, "k": {"integer": True}}, "condition": {"m": {}}, "regions": REGIONS,
        "missing": "drop", "rows": (300, 100), "scaling": (-3.0, 3.0), "fraction": 0.2, "seed": 1,
    }  # fmt: skip
    return Settings(**(values | changes))


@pytest.fixture
def samples(tmp_path) -> dict:
    """A weighted reference of 1,000 rows, sorted by m, and a target of 500."""
    rng = np.random.default_rng(2)
    result = {}
    for name, rows in (("reference", 1000), ("target", 500)):
        m = np.sort(rng.uniform(0, 3, rows))
        table = {"x": rng.normal(m), "k": rng.poisson(3, rows), "m": m, "w": rng.gamma(2, 1, rows)}
        pd.DataFrame(table).to_csv(tmp_path / f"{name}.csv", index=False)
        result[name] = {"files": str(tmp_path / f"{name}.csv"), "tree": None, "format": None}
        result[name]["weights"] = "w" if name == "reference" else None
    return result


# --- preparation


def test_rows_are_dealt_by_region_shuffled_and_scaled(samples):
    prepared, preprocessing, rows, elsewhere = prepare_all(samples, settings())
    arrays = prepared["reference"]
    m = np.sort(pd.read_csv(samples["reference"]["files"])["m"])
    inside = int((m < 1).sum() + (m >= 2).sum())
    assert rows.rows[0] == {
        "sample": "reference", "read": 1000, "missing": 0, "region": inside, "train": 300,
        "validation": 100, "effective": rows.rows[0]["effective"],
    }  # fmt: skip
    weighted = elsewhere.rows[0].pop("effective")
    assert elsewhere.rows[0] == {"sample": "reference", "region": 1000 - inside, "apply": 100}
    assert 50 < weighted < 85
    assert 150 < rows.rows[0]["effective"] < 250  # Gamma(2): 2/3 of the rows
    assert rows.rows[1]["effective"] == rows.rows[1]["train"]
    for split, size in (("train", 300), ("validation", 100), ("apply", 100)):
        assert arrays[f"{split}.points"].shape == (size, 2)
        assert arrays[f"{split}.weights"].shape == (size,)
        given = preprocessing.inverse({"m": arrays[f"{split}.condition"][:, 0]})["m"]
        assert (((given > 1) & (given < 2)) == (split == "apply")).all()
        assert abs(np.corrcoef(given, np.arange(size))[0, 1]) < 0.3  # the file is sorted
    assert "train.weights" not in prepared["target"]
    both = np.concatenate([prepared[name]["train.points"][:, 0] for name in prepared])
    assert (both.min(), both.max()) == pytest.approx((-3, 3), abs=1e-5)
    again, *_ = prepare_all(samples, settings())
    assert all(np.array_equal(again["reference"][key], arrays[key]) for key in arrays)


def test_without_regions_every_row_is_used(samples):
    regions = {"column": None, "train": []}
    prepared, _, rows = prepare(samples, settings(regions=regions, condition={}, rows=(9999, 9999)))
    assert set(prepared["target"]) == {
        f"{split}.{kind}" for split in ("train", "validation") for kind in ("points", "condition")
    } | {"condition.gaps", "train.rows", "train.told"}
    assert [row["train"] + row["validation"] for row in rows.rows] == [1000, 500]
    assert prepared["target"]["train.condition"].shape == (400, 0)


def test_a_region_without_events_says_what_to_do(samples):
    with pytest.raises(InputError, match="0 events for apply .*closure: false"):
        prepare_all(samples, settings(), [[7, 8]])
    assert "apply.points" not in prepare(samples, settings(), [[7, 8]])[0]["target"]
    with pytest.raises(InputError, match="events for train in the training region"):
        prepare(samples, settings(regions=REGIONS | {"train": [[7, 8]]}))


# --- weights


def test_the_gap_of_the_training_region_is_known_in_scaled_units(samples):
    """m from 0 to 3 is scaled to -3 to 3, and nothing is trained between 1 and 2."""
    for prepared in prepare(samples, settings())[0].values():
        assert prepared["condition.gaps"] == pytest.approx([2.0], abs=0.02)
    nowhere = REGIONS | {"train": []}
    for regions in (nowhere, REGIONS | {"train": [[0, 3]]}):
        assert not prepare(samples, settings(regions=regions))[0]["target"]["condition.gaps"].any()
    quantiles = {"condition": {"m": {"transform": "quantile"}}}
    assert prepare(samples, settings(**quantiles))[0]["target"]["condition.gaps"] < 0.5
    assert prepare(samples, settings(condition={}))[0]["target"]["condition.gaps"].shape == (0,)


def test_equal_weights_stand_for_the_given_ones():
    weights = torch.tensor([0.0, 1.0, 2.5, 0.5, 4.0], dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    expected = 5 * weights / weights.sum()
    total = torch.zeros(5)
    for _ in range(100):
        counts = torch.bincount(equal_weights(weights, generator), minlength=5)
        assert ((counts >= expected.floor()) & (counts <= expected.ceil())).all()
        total += counts
    torch.testing.assert_close(total / 100, expected.float(), atol=0.2, rtol=0)


def test_batches_have_the_weighted_mean_and_none_without_weights_changes():
    x = torch.arange(1000.0)[:, None]
    weights = torch.linspace(0, 1, 1000, dtype=torch.float64) ** 4
    sample = Sample(Points(x, None, weights), 100, 4)
    drawn = torch.cat([sample.draw()[0][0] for _ in range(50)])
    expected = float((x[:, 0].double() * weights).sum() / weights.sum())
    assert drawn.mean().item() == pytest.approx(expected, rel=1e-3)
    first = drawn[:1000]
    assert abs(np.corrcoef(first, np.arange(1000))[0, 1]) < 0.15  # not in row order
    plain = Sample(Points(x, None), 100, 4)
    order = torch.randperm(1000, generator=torch.Generator().manual_seed(4))
    assert torch.equal(plain.draw()[0][0], x[order[:100], 0])


def test_a_weighted_sample_goes_on_where_it_stopped():
    x, weights = torch.arange(100.0)[:, None], torch.rand(100, dtype=torch.float64)
    whole = Sample(Points(x, None, weights), 20, 5)
    drawn = [whole.draw()[0] for _ in range(12)]
    part = Sample(Points(x, None, weights), 20, 5)
    for _ in range(7):
        part.draw()
    resumed = Sample(Points(x, None, weights), 20, 0)
    resumed.resume(part.before, part.position, part.drawn)
    assert all(torch.equal(resumed.draw()[0], batch) for batch in drawn[7:])


def test_unweighting_keeps_fair_rows_once():
    rng = np.random.default_rng(6)
    x = rng.normal(size=20_000)
    weights = np.exp(0.5 * x)  # moves a unit Gaussian by 0.5
    rows = accepted(np.minimum(weights, 5), rng)
    assert len(np.unique(rows)) == len(rows)
    assert x[rows].mean() == pytest.approx(0.5, abs=0.05) and x[rows].std() == pytest.approx(
        1, abs=0.05
    )
    assert effective_number(20_000, weights) == pytest.approx(20_000 * np.exp(-0.25), rel=0.05)
    assert effective_number(7, None) == 7


def test_the_target_is_unweighted_and_the_rest_keeps_its_weights():
    rng = np.random.default_rng(7)
    rows = np.arange(500.0)[:, None]
    weights = {"weight_reference": rows[:, 0], "weight_target": rng.gamma(2, 1, 500)}
    sample = moved.MovedSample(rows, -rows, rows, -rows, {"base_transfer": rows}, **weights)
    result = sample.target_unweighted(rng)
    assert 50 < len(result.reference) == len(result.target) < 400
    assert np.array_equal(result.reference, result.points("base_transfer"))
    assert np.array_equal(result.reference, result.condition_reference)
    assert np.array_equal(result.reference[:, 0], result.weights("base_transfer"))
    assert np.array_equal(result.target, result.condition_target)
    assert result.weights("target") is None


def test_resampled_rows_have_the_weighted_mean():
    rng = np.random.default_rng(9)
    x = rng.normal(size=20_000)
    weights = np.exp(x)  # moves a unit Gaussian by 1
    rows = resampled(weights, rng)
    assert len(rows) == effective_number(20_000, weights)
    assert x[rows].mean() == pytest.approx(1, abs=0.05)
    assert x[rows[:1000]].mean() == pytest.approx(1, abs=0.15)  # in random order


def test_measures_of_a_weighted_reference_are_those_of_the_repeated_one():
    """A reference whose weights make it the target: no measure may see a difference."""
    rng = np.random.default_rng(10)
    x, target = rng.normal(size=(3000, 2)), rng.normal((0.5, 0), size=(3000, 2))
    none, weights = np.empty((3000, 0)), np.exp(0.5 * x[:, 0])
    images = {"base_transfer": x + [0.1, 0]}
    sample = moved.MovedSample(x, target, none, none, images, weight_reference=weights)
    setting = comparison.Setting(["base_transfer"], ["a", "b"], None, False, 4.0, 1, 3000, 100)
    found = {(m.method, m.feature, m.metric): m.value for m in comparison.measure(sample, setting)}
    assert found["ceiling", "", "auc"] == pytest.approx(0.5, abs=0.03)
    assert found["ceiling", "a", "ks_pvalue"] > 0.01
    assert found["base_transfer", "a", "distance_mean"] == pytest.approx(0.1)
    assert found["base_transfer", "", "l1_mean"] == pytest.approx(0.1)
    assert found["base_transfer", "", "bound_marginals"] < 0.1  # 0.5 without weights


def test_weighted_means_and_errors():
    rng = np.random.default_rng(8)
    values, weights = rng.normal(size=400), rng.integers(1, 4, 400).astype(float)
    repeated = np.repeat(values, weights.astype(int))
    estimate = divergence.mean(values, weights)
    assert estimate.value == pytest.approx(repeated.mean())
    equal = divergence.mean(values, np.full(400, 2.5))
    assert equal.error == pytest.approx(divergence.mean(values).error, rel=2e-3)
    summary = summarise(values, weights)
    assert (summary.mean, summary.std) == pytest.approx((repeated.mean(), repeated.std()))


# --- weights far from one


SCALES = (1e-300, 1e-310, 1e300)


@pytest.mark.parametrize("scale", SCALES)
def test_weights_matter_only_relative_to_each_other(scale):
    rng = np.random.default_rng(11)
    x, target, weights = rng.normal(size=(300, 2)), rng.normal(size=(200, 2)), rng.gamma(2, 1, 300)
    scaled = weights * scale
    assert effective_points(scaled) == pytest.approx(effective_points(weights))
    assert effective_number(300, scaled) == effective_number(300, weights)
    for choose in (accepted, resampled):
        expected = choose(weights, np.random.default_rng(1))
        assert np.array_equal(choose(scaled, np.random.default_rng(1)), expected)
    assert divergence.mean(x[:, 0], scaled) == pytest.approx(divergence.mean(x[:, 0], weights))
    assert summarise(x[:, 0], scaled).std == pytest.approx(summarise(x[:, 0], weights).std)
    for a, b in zip(
        two_sample.compare_features(x, target, weights=scaled),
        two_sample.compare_features(x, target, weights=weights),
        strict=True,
    ):
        assert a == pytest.approx(b)
    none = np.empty((200, 0))
    sample = moved.MovedSample(x[:200], target, none, none, {"f": x[:200] + 0.1})
    setting = comparison.Setting(["f"], ["a", "b"], None, False, 4.0, 1, 100, 30)
    values = [
        [m.value for m in comparison.measure(replace(sample, weight_reference=each[:200]), setting)]
        for each in (weights, scaled)
    ]
    assert values[0] == pytest.approx(values[1], abs=1e-12)


def test_a_unit_of_weights_changes_no_digit():
    weights = np.random.default_rng(12).gamma(2, 1, 1000)
    assert 0.5 <= relative(weights).max() < 1
    ratio = relative(weights) / weights
    assert (ratio == ratio[0]).all() and np.log2(ratio[0]) % 1 == 0
    assert not relative(np.zeros(3)).any() and effective_points(np.zeros(3)) == 0
    assert relative(np.array([1e-300, 1e300])).tolist() == [0, relative(np.array([1e300]))[0]]


@pytest.mark.parametrize("kind", ["all", "half", "of the target", "all but one"])
def test_tiny_weights_go_through_the_preparation(samples, kind):
    for name, sample in samples.items():
        table = pd.read_csv(sample["files"])
        if kind != "of the target" or name == "target":
            tiny = slice(None) if kind != "half" else slice(None, None, 2)
            table.loc[table.index[tiny], "w"] *= 1e-300
        if kind == "all but one":
            table.loc[0, "w"] = 1.0
        table.to_csv(sample["files"], index=False)
        sample["weights"] = "w"
    before, *_ = prepare_all(samples, settings())
    for arrays in before.values():
        for split in ("train", "validation", "apply"):
            weights = arrays[f"{split}.weights"]
            assert 0.5 <= weights.max() < 1 and np.isfinite(effective_points(weights))
            rows = equal_weights(torch.from_numpy(weights), torch.Generator().manual_seed(1))
            assert (weights[rows.numpy()] > 0).all()


# --- few points


def few(points: int, weighted: bool) -> moved.MovedSample:
    rng = np.random.default_rng(13)
    x, y, images = rng.normal(size=(3, points, 2))
    none = np.empty((points, 0))
    sample = moved.MovedSample(x, y, none, none, {"f": images})
    if not weighted:
        return sample
    one_large = np.eye(points)[0] + 1e-9
    return replace(sample, weight_reference=rng.gamma(2, 1, points), weight_target=one_large)


@pytest.mark.parametrize(("points", "weighted"), [(2, False), (19, False), (60, True), (5, True)])
def test_few_points_have_distances_and_nothing_to_compare_with(tmp_path, capsys, points, weighted):
    """Of a target with one large weight, unweighting leaves a single row."""
    sample = few(points, weighted)
    sample.save(tmp_path / "m.npz")
    script("measure_task").main(
        ["--job", to_json(measure_job(("f",), ("a", "b"))), "--moved", str(tmp_path / "m.npz")]
        + ["--output", str(tmp_path / "m.csv")]
    )
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "cannot be compared with the target: fewer than 20" in said
    found = measures.read([tmp_path / "m.csv"])
    assert {m.method for m in found} == {"f", measures.TARGET}
    assert all(np.isfinite(m.value) for m in found)
    mean = next(m.value for m in found if (m.metric, m.feature) == ("distance_mean", ""))
    length = np.linalg.norm(sample.points("f") - sample.reference, axis=1)
    assert mean == pytest.approx(np.average(length, weights=sample.weights("f")))
    tables = {kind: measure_table(kind, found) for kind in ("two_sample", "marginals", "movement")}
    assert [len(table.rows) for table in tables.values()] == [0, 0, 1]
    for table in tables.values():
        note = f"own: {points} points, or what unweighting leaves of them, are too few"
        assert table.markdown().count(note) == 1
        table.save([tmp_path / "t.csv", tmp_path / "t.md"])
    assert not measure_table("costs", found).notes


def test_a_figure_of_few_points_says_so():
    figure = features.feature_ratios(
        few(6, False), names=("reference",), labels=["a", "b"], limits=(-3, 3)
    )
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert texts.count("too few events") == 2 and not any("nan" in text for text in texts)


def test_twenty_points_are_enough():
    setting = comparison.Setting(["f"], ["a", "b"], None, False, 4.0, 1, 100, 30)
    numbers = comparison.measure(few(20, False), setting)
    found = [measures.Measure("own", "validation", "1", *number) for number in numbers]
    assert {"auc", "ks", "bound_target"} <= {m.metric for m in found}
    assert not measure_table("two_sample", found).notes
