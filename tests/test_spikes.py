"""Spikes: values that many events share, from the preprocessing alone to whole runs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from scipy import stats
from test_workflow import OUT, Project
from transports import make

import flowmorph
from flowmorph.errors import InputError
from flowmorph.flows import setup
from flowmorph.metrics import comparison
from flowmorph.metrics.measures import CEILING, FLOOR, Measure
from flowmorph.plan import paths
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.preprocess.spikes import Spikes
from flowmorph.samples import moved
from flowmorph.samples.own_samples import Settings, prepare
from flowmorph.tables.measures import measure_table
from flowmorph.user.moved_files import move_files
from flowmorph.user.output import Output

KINDS = ("minmax", "quantile", "logit")
ROWS = 20_000
LARGEST = (float(np.finfo(np.float32).max), float(np.finfo(np.float64).max))


def mixed(other, spikes: dict, seed: int = 0) -> np.ndarray:
    """Other values (N,), a share of which is replaced by each spike."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(spikes) + 1, len(other), p=[1 - sum(spikes.values()), *spikes.values()])
    return np.choose(chosen, [other, *spikes])


def shapes() -> dict:
    """Values, the shares of their spikes, and options."""
    rng = np.random.default_rng(3)
    positive, normal = rng.exponential(2, ROWS), rng.normal(0, 3, ROWS)
    unit = rng.beta(2, 3, ROWS)
    cases = {
        "at the lower end": (positive, {0.0: 0.6}, {}),
        "in the middle": (normal, {1.0: 0.3}, {}),
        "far below": (positive, {-999.0: 0.2}, {}),
        "far above": (normal, {1e6: 0.2}, {}),
        "the largest of their types": (normal, {-LARGEST[0]: 0.2, LARGEST[1]: 0.1}, {}),
        "several": (positive, {-999.0: 0.1, -1.0: 0.2, 0.0: 0.3, 1.0: 0.1, 1e4: 0.1}, {}),
        "heavy tails": (rng.standard_cauchy(ROWS), {0.0: 0.5}, {}),
        "large numbers": (1e12 + 1e5 * normal, {1e12: 0.5}, {}),
        "nearly all": (normal, {0.0: 0.999}, {}),
        "hardly any": (normal, {0.5: 0.002}, {}),
        "at both bounds": (unit, {0.0: 0.2, 1.0: 0.4}, {"bounds": [0, 1]}),
        "beyond both bounds": (unit, {-1.0: 0.2, 2.0: 0.4}, {"bounds": [0, 1]}),
        "within bounds": (unit, {0.5: 0.5}, {"bounds": [0, 1]}),
    }
    return {
        name: (mixed(values, spikes), spikes, options)
        for name, (values, spikes, options) in cases.items()
    }


SHAPES = shapes()
# Bounds are those of logit.
FITS = [(name, kind) for name in SHAPES for kind in KINDS if kind == "logit" or not SHAPES[name][2]]


def fitted(name: str, kind: str, spread: bool = True) -> tuple[np.ndarray, dict, Preprocessor]:
    values, spikes, options = SHAPES[name]
    choice = {"transform": kind, "spike": list(spikes), **options}
    given = [] if spread else ["x"]
    return values, spikes, Preprocessor.fit([{"x": values}], {"x": choice}, conditions=given)


# --- the preprocessing alone


@pytest.mark.parametrize(("name", "kind"), FITS)
def test_spikes_come_back_exactly_and_the_rest_as_it_was(name, kind):
    values, spikes, fit = fitted(name, kind)
    y = fit.forward({"x": values}, 1)["x"]
    back = fit.inverse({"x": y})["x"]
    there = np.isin(values, list(spikes))
    assert np.array_equal(back[there], values[there])
    assert not np.isin(back[~there], list(spikes)).any()
    extent = np.ptp(values[~there])
    np.testing.assert_allclose(back[~there], values[~there], rtol=1e-9, atol=1e-7 * extent)
    assert y.min() == pytest.approx(-3, abs=0.3) and y.max() == pytest.approx(3, abs=0.3)
    assert not fit.beyond({"x": values})["x"].any() and fit.usable({"x": values}, 3.1).all()
    # As flows see them: hardly a row is rounded over an edge.
    short = fit.inverse({"x": y.astype(np.float32)})["x"]
    assert (np.isin(short, list(spikes)) != there).mean() < 2e-3


@pytest.mark.parametrize("name", SHAPES)
def test_the_events_of_a_spike_lie_evenly_in_an_interval_without_others(name):
    values, spikes, fit = fitted(name, "logit" if "bound" in name else "minmax")
    z = fit.spread("x", values, np.random.default_rng(2))
    for value, (low, high) in zip(sorted(spikes), fit.spikes["x"].intervals, strict=True):
        inside = (z >= low) & (z < high)
        assert np.array_equal(inside, values == value)
        assert stats.kstest((z[inside] - low) / (high - low), "uniform").pvalue > 1e-3
    others = ~np.isin(values, list(spikes))
    assert (np.diff(z[others][np.argsort(values[others])]) >= 0).all()


@pytest.mark.parametrize("name", ["at the lower end", "in the middle", "several", "nearly all"])
def test_by_quantiles_values_and_spikes_together_are_a_gaussian(name):
    values, _, fit = fitted(name, "quantile")
    y = fit.forward({"x": values}, 3)["x"]
    assert stats.kstest(y / y.std(), "norm").statistic < 0.015


def test_an_interval_is_as_dense_as_what_is_beside_it_or_as_the_mean():
    values, _, fit = fitted("at the lower end", "minmax")
    z = fit.spread("x", values, np.random.default_rng(4))
    ((low, high),) = fit.spikes["x"].intervals
    within = (z < high).mean() / (high - low)
    beside = ((z >= high) & (z < high + 0.1)).mean() / 0.1
    assert within == pytest.approx(beside, rel=0.15)
    # Beside the end of a Gaussian there is next to nothing.
    values, _, fit = fitted("far above", "minmax")
    ((low, high),) = fit.spikes["x"].intervals
    others = values[values < 1e6]
    assert 0.2 / (high - low) == pytest.approx(0.8 / np.ptp(others), rel=0.05)
    assert low == pytest.approx(others.max(), abs=1e-3) and low > others.max()


def test_both_samples_count_alike_and_by_their_weights():
    rng = np.random.default_rng(5)
    many, few = (mixed(rng.uniform(0, 1, n), {-1.0: 0.5}, n) for n in (50_000, 5000))
    equal = Spikes.fit("x", [-1], [many], [np.full(50_000, 1 / 50_000)])
    weights = np.where(few == -1, 0.0, 1.0)
    shares = [np.full(50_000, 1 / 50_000), weights / weights.sum()]
    half = Spikes.fit("x", [-1], [many, few], shares)
    # Shares of 1/2 and 0 have a mean of 1/4: a third of the rest, not as much.
    assert equal.widths[0] == pytest.approx(1, rel=0.15)
    assert half.widths[0] == pytest.approx(1 / 3, rel=0.15)


def test_values_beside_an_edge_stay_on_their_side():
    rng = np.random.default_rng(6)
    normal, positive, large = rng.normal(size=999), rng.exponential(size=999), rng.random(999)
    for spike, others in ((0.0, normal), (0.0, positive), (0.3, normal), (1e5, 1e5 * large)):
        values = mixed(others, {spike: 0.5})
        fit = Preprocessor.fit([{"x": values}], {"x": {"spike": [spike]}})
        ends = np.nextafter(spike, np.inf), np.nextafter(spike, -np.inf)
        beside = np.array([*ends, spike + 1e-300, spike - 1e-300])
        beside = beside[beside != spike]
        spikes = fit.spikes["x"]
        back = spikes.inverse(spikes.forward(beside, 0.5))
        assert (back != spike).all() and np.allclose(back, beside, rtol=1e-9, atol=1e-12)
        edges = np.concatenate([spikes.forward(np.full(3, spike), u) for u in (0.0, 1 - 2**-53)])
        assert (spikes.inverse(edges) == spike).all()


def test_a_spike_is_one_in_every_floating_type_and_with_either_sign_of_zero():
    rng = np.random.default_rng(7)
    values = mixed(rng.normal(0, 1, 2000), {0.1: 0.2, 0.0: 0.3})
    fit = Preprocessor.fit([{"x": values}], {"x": {"spike": [0.1, -0.0]}})
    same = np.array([0.1, np.float32(0.1), np.float16(0.1), -0.0, 0.0], float)
    back = fit.inverse(fit.forward({"x": same}, 1))["x"]
    assert back.tolist() == [0.1, 0.1, 0.1, 0.0, 0.0] and not np.signbit(back).any()
    others = np.array([0.1 + 1e-6, 0.1 - 1e-6, 1e-9, 1e-320])
    assert not np.isin(fit.inverse(fit.forward({"x": others}, 1))["x"], [0.1, 0.0]).any()
    # What a type is too short for it does not hold: in float16, 1e-9 is 0 and 1e6 infinite.
    tiny = Spikes((1e-9, 1e6), (1e-9, 1e6), (1.0, 1.0))
    assert tiny.inverse(tiny.forward(np.array([0.0, 1e-9, 1e6]), 0.5)).tolist() == [0, 1e-9, 1e6]
    # The longest type decides: in float16, 1000.1 is 1000.
    near = Spikes((1000.0, 1000.1), (1000.0, 1000.1), (1.0, 1.0))
    assert near.inverse(near.forward(np.array([1000, 1000.1]), 0.5)).tolist() == [1000, 1000.1]


@pytest.mark.parametrize("name", ["at both bounds", "beyond both bounds", "within bounds"])
def test_nothing_leaves_declared_bounds_but_to_a_spike_beyond(name):
    values, spikes, fit = fitted(name, "logit")
    y = np.concatenate([np.linspace(-50, 50, 10_001), np.linspace(-3, 3, 100_001)])
    back = fit.inverse({"x": y})["x"]
    outside = (back < 0) | (back > 1)
    assert np.isin(back[outside], list(spikes)).all()
    assert set(spikes) <= set(back.tolist())
    bad = {"x": np.array([0.5, 1.5, -0.5, np.nan, *spikes])}
    assert fit.usable(bad, 1e15).tolist() == [True, False, False, False] + [True] * len(spikes)
    assert fit.beyond(bad)["x"].tolist() == [False, True, True, False] + [False] * len(spikes)
    with pytest.raises(InputError, match=r"'x': 1.5 in row 1 lies outside its bounds \[0, 1\]"):
        fit.forward(bad)


def test_values_beyond_the_training_are_told_next_to_a_spike_far_away():
    values, _, fit = fitted("far below", "minmax")
    lowest = values[values > -999].min()
    asked = np.array([-999.0, lowest, lowest - 1, -998, -1000, values.max() + 1, np.nan])
    assert fit.beyond({"x": asked})["x"].tolist() == [False, False, True, True, True, True, False]
    back = fit.inverse(fit.forward({"x": asked}, 1))["x"]
    np.testing.assert_allclose(back, asked, rtol=1e-9)


def test_a_condition_stays_in_the_middle_of_its_interval():
    values, spikes, fit = fitted("several", "quantile", spread=False)
    first, again = (fit.forward({"x": values}, seed)["x"] for seed in (1, 2))
    assert np.array_equal(first, again)
    assert len(np.unique(first[np.isin(values, list(spikes))])) == len(spikes)
    back = fit.inverse({"x": first})["x"]
    assert np.array_equal(np.isin(back, list(spikes)), np.isin(values, list(spikes)))


@pytest.mark.parametrize(
    ("name", "kind"), [("several", "minmax"), ("several", "quantile"), ("at both bounds", "logit")]
)
def test_a_fit_is_read_as_it_was_written(name, kind, tmp_path):
    values, _, fit = fitted(name, kind)
    fit.save(tmp_path / "fit.json")
    loaded = Preprocessor.load(tmp_path / "fit.json")
    assert loaded == fit
    ends = [each.forward({"x": values}, 1)["x"].tobytes() for each in (loaded, fit)]
    assert ends[0] == ends[1]
    plain = Preprocessor.fit([{"x": values}], {"x": {}})
    assert "spikes" not in json.loads(plain.to_json())["columns"][0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"widths": [1.0]}, "not one of each"),
        ({"widths": [1.0, 0.0]}, "widths: not increasing"),
        ({"values": [1.0, 0.0]}, "values: not increasing"),
        ({"places": [1.0, 0.0]}, "no intervals"),
        ({"places": [1e300, 1e300]}, "no intervals"),
        ({"bounds": [1, 0]}, "bounds: not increasing"),
        ({"spread": 1}, "neither true nor false"),
        ({"more": 1}, "unexpected keyword"),
    ],
)
def test_edited_spikes_are_refused(change, reason):
    values = mixed(np.random.default_rng(8).normal(0, 1, 100), {0.0: 0.3, 1.0: 0.2})
    fit = Preprocessor.fit([{"x": values}], {"x": {"spike": [0, 1]}})
    note = json.loads(fit.to_json())
    note["columns"][0]["spikes"] |= change
    with pytest.raises(InputError, match=f"edited.json: no preprocessing .*{reason}"):
        Preprocessor.from_json(json.dumps(note), "edited.json")
    note = json.loads(fit.to_json())
    note["columns"][0]["integer"] = True
    with pytest.raises(InputError, match="edited.json: no preprocessing .*have no spikes"):
        Preprocessor.from_json(json.dumps(note), "edited.json")


HALF_ZERO = np.repeat([0.0, 1.0, 2.0, 3.0], [10, 4, 3, 3])


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (HALF_ZERO, {"spike": [0.5]}, "no event of either sample has the spike 0.5"),
        (HALF_ZERO, {"spike": [0.0], "integer": True}, "'x': whole numbers have an interval each"),
        (HALF_ZERO, {"spike": [0.0, np.nan]}, "a spike is a number, not nan"),
        (HALF_ZERO, {"spike": [-np.inf]}, "a spike is a number, not -inf"),
        (HALF_ZERO, {"spike": [0.0, 0]}, "the spikes 0.0 and 0.0 are one"),
        (HALF_ZERO, {"spike": [0.0, -0.0]}, "the spikes 0.0 and 0.0 are one"),
        (HALF_ZERO, {"spike": [0.1, 0.1 + 1e-12]}, "are one in float32: take one out"),
        (HALF_ZERO, {"spike": [0, 1, 2]}, "'x' has zero range beside its spikes"),
        (HALF_ZERO, {"spike": [0, 1, 2, 3]}, "'x' has zero range beside its spikes"),
        (1e12 + 1e-3 * HALF_ZERO, {"spike": [1e12]}, "'x' has zero range beside its spikes"),
        (HALF_ZERO, {"spike": [0], "bounds": [0, 3]}, "no option 'bounds'"),
        (
            HALF_ZERO, {"spike": [0], "transform": "logit", "bounds": [0, 2]},
            r"'x': 3 lies outside the bounds \[0, 2\]: correct them, or name it as a spike",
        ),
        (
            HALF_ZERO, {"spike": [0], "transform": "logit", "bounds": [4, 2]},
            r"'x': bounds \[4, 2\] are no interval",
        ),
        (np.zeros(5), {"spike": [0.0]}, "'x' has zero range .always 0.: leave it out"),
    ],
)  # fmt: skip
def test_spikes_that_cannot_be_are_named(values, options, message):
    with pytest.raises(InputError, match=message) as caught:
        Preprocessor.fit([{"x": values}], {"x": options})
    assert "\n" not in str(caught.value)


def test_a_spike_of_one_sample_only_is_one():
    rng = np.random.default_rng(9)
    none, half = rng.exponential(1, 1000), mixed(rng.exponential(1, 1000), {0.0: 0.5})
    tables = [{"x": none}, {"x": half}]
    fit = Preprocessor.fit(tables, {"x": {"spike": [0.0]}})
    (interval,) = fit.spike_intervals()["x"]
    y = [fit.forward(table, 1)["x"] for table in tables]
    inside = [((each >= interval[0]) & (each < interval[1])).mean() for each in y]
    assert inside == [0, (half == 0).mean()]
    without = [np.zeros(1000), np.where(half == 0, 0.0, 1.0)]
    with pytest.raises(InputError, match="no event of either sample has the spike 0"):
        Preprocessor.fit(tables, {"x": {"spike": [0]}}, weights=[np.ones(1000), without[1]])


# --- a transport, whose flows have random weights


def table(rows: int, seed: int = 0, kind=np.float32) -> dict[str, np.ndarray]:
    """Spikes of -1 and 0.1 in a column of some type, and of 0 in a condition."""
    rng = np.random.default_rng(seed)
    return {
        "x": mixed(rng.exponential(1, rows), {-1.0: 0.2, 0.1: 0.4}, seed).astype(kind),
        "y": rng.normal(0, 1, rows),
        "m": mixed(rng.uniform(0, 2, rows), {0.0: 0.5}, seed + 1),
    }


SPIKES = {"x": {"transform": "quantile", "spike": [-1, 0.1]}, "y": {}, "m": {"spike": [0.0]}}


@pytest.fixture(scope="module")
def spiked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spiked")
    make(folder, ("x", "y"), ("m",), train=table(4000), **SPIKES)
    return flowmorph.load(str(folder), device="cpu")


@pytest.mark.parametrize("columns", ["append", "replace"])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_a_moved_file_has_exactly_the_spike_in_its_columns_type(spiked, tmp_path, kind, columns):
    start = table(8000, 5, kind)
    pa.parquet.write_table(pa.table(start), tmp_path / "in.parquet")
    for name in ("out", "again"):
        path = tmp_path / f"{name}.parquet"
        move_files(spiked, [str(tmp_path / "in.parquet")], path, output=Output(columns))
    after = pa.parquet.read_table(path)
    assert after.equals(pa.parquet.read_table(tmp_path / "out.parquet"))
    x = after["x" if columns == "replace" else "x_moved"].to_numpy()
    assert x.dtype == kind and np.isfinite(x).all()
    entered = {}
    for spike in (kind(-1), kind(0.1)):
        before, now = start["x"] == spike, x == spike
        assert before.sum() > 500 and now.sum() > 100
        entered[spike] = (now & ~before).sum(), (before & ~now).sum()
    assert all(count > 0 for counts in entered.values() for count in counts)
    by_hand = spiked.move(start)["x"]
    assert by_hand.dtype == kind and np.array_equal(by_hand, x)


def test_rows_in_pieces_move_to_the_same_bytes(spiked, monkeypatch):
    monkeypatch.setattr(setup, "CHUNK", 64)
    start = {name: values.astype(float) for name, values in table(1000).items()}
    at_once = spiked.move_columns(start, spiked.dequantization(3))
    for size in (64, 320):
        noise = spiked.dequantization(3)
        parts = [
            spiked.move_columns({n: v[low : low + size] for n, v in start.items()}, noise)
            for low in range(0, 1000, size)
        ]
        for name in ("x", "y"):
            joined = np.concatenate([part[name] for part in parts])
            assert joined.tobytes() == at_once[name].tobytes()


@pytest.mark.parametrize("of", ["moved", "reference", "target"])
def test_probability_of_spikes_and_density_beside_them_add_up_to_one(tmp_path, of):
    train = table(4000)
    transport = flowmorph.load(str(make(tmp_path, ("x",), (), train=train, x=SPIKES["x"])))
    parts = []
    for spike in (-1.0, 0.1):
        at = {"x": np.full(60_000, spike)}
        parts.append(np.exp(transport.log_prob(at, of=of)).mean())
    place = transport.preprocessing.spikes["x"].places[0]  # where values begin, -1 aside
    away = np.geomspace(1e-9, 50, 20_001)
    for x in (place - away[::-1], np.linspace(place, 0.1, 20_001)[1:-1], 0.1 + away):
        parts.append(np.trapezoid(np.exp(transport.log_prob({"x": x}, of=of)), x))
    assert min(parts[:2]) > 0.05 and sum(parts) == pytest.approx(1, abs=0.02)


# --- samples and measures


def test_samples_are_prepared_with_the_spikes_of_features_and_conditions(tmp_path):
    """The gap of a condition's training region is the scaled one, spike and all."""
    rng, samples = np.random.default_rng(11), {}
    for name, share in (("reference", 0.6), ("target", 0.3)):
        m = mixed(rng.uniform(0, 3, 3000), {0.0: 0.2}, 1)
        columns = {"x": mixed(rng.normal(1, 1, 3000), {0.0: share}, 2), "m": m}
        columns["w"] = np.where(columns["x"] == 0, 2.0, 1.0)
        pd.DataFrame(columns).to_csv(tmp_path / f"{name}.csv", index=False)
        samples[name] = {"files": str(tmp_path / f"{name}.csv"), "tree": None, "format": None}
        samples[name]["weights"] = "w"
    regions = {"column": "m", "train": [[0, 1], [2, 4]], "apply": [[1, 2]], "closure": True}
    settings = Settings(
        {"x": {"spike": [0.0]}}, {"m": {"spike": [0.0]}}, regions, "error", (9999, 999), (-3, 3),
        0.2, 1,
    )  # fmt: skip
    prepared, fit, _ = prepare(samples, settings)
    intervals = fit.spike_intervals()
    for arrays, share in zip(prepared.values(), (0.6, 0.3), strict=True):
        for split in ("train", "validation", "apply"):
            x, weights = arrays[f"{split}.points"][:, 0], arrays[f"{split}.weights"]
            low, high = intervals["x"][0]
            inside = (x >= low) & (x < high)
            assert inside.mean() == pytest.approx(share, abs=0.05)
            assert (weights[inside] == 2 * weights[~inside].max()).all()
        m = arrays["train.condition"][:, 0]
        low, high = intervals["m"][0]
        assert (m[m < high] == np.float32((low + high) / 2)).all()
        assert (m < high).mean() == pytest.approx(0.2 / (0.2 + 0.8 * 2 / 3), abs=0.05)
        ends = fit.forward({"x": np.zeros(2), "m": np.array([1.0, 2.0])})["m"]
        assert arrays["condition.gaps"] == pytest.approx(np.diff(ends))
    settings = replace(settings, features={"x": {"spike": [0.5]}})
    with pytest.raises(InputError, match="'x': no event of either sample has the spike 0.5"):
        prepare(samples, settings)


def test_shares_in_spikes_are_measured_with_weights():
    rng = np.random.default_rng(10)
    rows = 4000
    start, end = (
        mixed(rng.exponential(1, rows), {0.0: share}, i) for i, share in enumerate((0.6, 0.4))
    )
    fit = Preprocessor.fit([{"x": start}, {"x": end}], {"x": {"spike": [0.0]}})
    points = [fit.forward({"x": x}, seed)["x"][:, None] for seed, x in ((7, start), (8, end))]
    weights = np.where(start == 0, 4 / 6, 6 / 4)  # those that make the shares 4 to 6
    none = np.empty((rows, 0))
    sample = moved.MovedSample(*points, none, none, {"f": points[1]})
    setting = comparison.Setting(
        ["f"], ["x"], None, False, 4.0, 1, 1000, 50, spikes=fit.spike_intervals()
    )

    def measured(sample):
        return [Measure("own", "validation", "1", *n) for n in comparison.measure(sample, setting)]

    found = measured(sample)
    numbers = {(m.method, m.metric): m.value for m in found if m.feature}
    assert numbers[CEILING, "spike_1"] == (start == 0).mean()
    for method in ("f", CEILING):
        assert numbers[method, "spike_1_target"] == (end == 0).mean()
    assert numbers["f", "spike_1"] == (end == 0).mean() and numbers["f", "ks"] == 0
    assert numbers[FLOOR, "spike_1"] + numbers[FLOOR, "spike_1_target"] == pytest.approx(
        2 * (end == 0).mean()
    )
    # The shares differ by 0.2: so do the distributions.
    assert numbers[CEILING, "ks"] == pytest.approx(0.2, abs=0.03)
    weighted = measured(replace(sample, weight_reference=weights))
    numbers = {(m.method, m.metric): m.value for m in weighted if m.feature}
    assert numbers[CEILING, "spike_1"] == pytest.approx(0.4, abs=0.02)
    assert numbers[CEILING, "ks_pvalue"] > 0.01
    text = measure_table("marginals", found).markdown()
    assert "in spike 1 | of the target" in text and "spike 2" not in text
    plain = comparison.measure(sample, replace(setting, spikes={}))
    text = measure_table("marginals", [Measure("own", "validation", "1", *n) for n in plain])
    assert "spike" not in text.markdown()


# --- a whole run


def events(rows: int, role: str, seed: int) -> pd.DataFrame:
    """An isolation, 0 for 60 % of the reference and 40 % of the target, by c, and y by it."""
    rng = np.random.default_rng(seed)
    c = rng.uniform(0, 1, rows)
    share, scale = {"reference": (0.5 + 0.2 * c, 1.0), "target": (0.6 - 0.4 * c, 1.5)}[role]
    zero = rng.random(rows) < share
    isolation = np.where(zero, 0.0, rng.gamma(2, scale, rows))
    shift = 0.0 if role == "reference" else 0.4
    y = rng.normal(np.where(zero, 0.0, 1.5) + shift, 1)
    return pd.DataFrame({"iso": isolation.astype(np.float32), "y": y, "c": c})


RUN = {
    "own": {
        "reference": {"files": "data/reference.parquet"},
        "target": {"files": "data/target.parquet"},
        "features": [{"column": "iso", "spike": [0.0], "preprocess": "quantile"}, "y"],
        "condition": ["c"],
        "methods": ["base_transfer", "flows_for_flows"],
    },
    "training": {
        "own": {
            "density": {"batch": 256, "epochs": 60, "learning_rate": 3.0e-3},
            "transport": {"batch": 256, "epochs": 60, "learning_rate": 3.0e-3},
        }
    },
    "flows": {
        "density": {"layers": 4, "blocks": 1, "width": 32, "bins": 16},
        "transport": {"layers": 4, "blocks": 1, "width": 32, "bins": 16},
    },
    "measures": {"two_sample_points": 2000, "assignment_points": 50},
    "apply": "data/more.parquet",
}


@pytest.mark.workflow
def test_a_trained_transport_moves_the_share_of_a_spike_and_what_is_beside_it(tmp_path):
    project = Project(tmp_path)
    (tmp_path / "data").mkdir()
    sizes = {"reference": 16_000, "target": 16_000, "more": 30_000}
    for seed, (name, rows) in enumerate(sizes.items()):
        role = "target" if name == "target" else "reference"
        events(rows, role, seed).to_parquet(tmp_path / f"data/{name}.parquet")
    truth = events(200_000, "target", 9)
    marginals = paths.table(OUT, "marginals", "csv")
    ratios = paths.figure(OUT, "fig_own_ratios", "png")
    project.snakemake("--cores", "2", marginals, ratios, "apply", override=RUN)
    for method in RUN["own"]["methods"]:
        after = pd.read_parquet(tmp_path / paths.applied(OUT, method, "more.parquet"))
        assert after["iso_moved"].dtype == np.float32
        for low in (0.0, 0.25, 0.5, 0.75):
            ours, theirs = (t[(t["c"] >= low) & (t["c"] < low + 0.25)] for t in (after, truth))
            there, zero = ours["iso_moved"] == 0, theirs["iso"] == 0
            assert there.mean() == pytest.approx(zero.mean(), abs=0.04), (method, low)
            for name, rows, like in (
                ("iso", ours["iso_moved"][~there], theirs["iso"][~zero]),
                ("y in the spike", ours["y_moved"][there], theirs["y"][zero]),
                ("y beside it", ours["y_moved"][~there], theirs["y"][~zero]),
            ):
                assert rows.mean() == pytest.approx(like.mean(), abs=0.25), (method, low, name)
                assert rows.std() == pytest.approx(like.std(), rel=0.15), (method, low, name)
            levels = np.quantile(ours["iso_moved"][~there], [0.1, 0.5, 0.9])
            expected = np.quantile(theirs["iso"][~zero], [0.1, 0.5, 0.9])
            np.testing.assert_allclose(levels, expected, rtol=0.12, atol=0.05)
        assert not (after["iso_moved"] < -0.3).any()
    rows = pd.read_csv(tmp_path / marginals).set_index(["method", "feature"])
    assert rows.loc[("ceiling", "iso"), "spike_1"] == pytest.approx(0.6, abs=0.03)
    for method in ("base transfer", "flows for flows"):
        row = rows.loc[(method, "iso")]
        assert row["spike_1"] == pytest.approx(row["spike_1_target"], abs=0.03)
        assert row["spike_1_target"] == pytest.approx(0.4, abs=0.03)
        assert np.isnan(rows.loc[(method, "y"), "spike_1"])
    assert (tmp_path / ratios).stat().st_size
