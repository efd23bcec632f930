"""Spikes: values that many events share, in the preprocessing alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from flowmorph.errors import InputError
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.preprocess.spikes import Spikes

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
    with pytest.raises(InputError, match=r"'x': row 1: 1.5 lies outside its bounds \[0, 1\]"):
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
