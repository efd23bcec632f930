"""Transforms of features: invertible, increasing, finite everywhere, range, persistence, input."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmorph.errors import InputError
from flowmorph.preprocess.preprocessor import Preprocessor

KINDS = ("minmax", "quantile", "logit")


def two(values, other=None):
    other = values if other is None else other
    return [{"x": np.asarray(values, float)}, {"x": np.asarray(other, float)}]


def fit(values, **options):
    return Preprocessor.fit(two(values), {"x": options})


def distributions(rng, rows):
    return {
        "normal": rng.normal(5, 2, rows),
        "cauchy": rng.standard_cauchy(rows),
        "lognormal": rng.lognormal(0, 5, rows),
        "spike": np.where(rng.random(rows) < 0.3, 0.0, rng.exponential(10, rows)),
        "spike inside": np.where(rng.random(rows) < 0.3, 1.0, rng.normal(0, 3, rows)),
        "huge": 1e12 + rng.normal(0, 1e5, rows),
        "tiny": rng.exponential(1e-20, rows),
        "few values": rng.integers(0, 3, rows).astype(float),
        "two values": np.where(rng.random(rows) < 0.5, -1.0, 1.0),
        "uniform": rng.random(rows),
    }


SHAPES = tuple(distributions(np.random.default_rng(1), 2))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(shape=st.sampled_from(SHAPES), rows=st.sampled_from([3, 50, 3000]), seed=st.integers(0, 99))
def test_round_trip_increasing_and_finite(kind, shape, rows, seed):
    """Inside the fitted range and far beyond it, to 1e-9 of the range."""
    values = distributions(np.random.default_rng(seed), rows)[shape]
    if values.min() == values.max():
        return
    transform = fit(values, transform=kind)
    low, high = values.min(), values.max()
    x = np.concatenate([values, np.linspace(low - 5 * (high - low), high + 5 * (high - low), 301)])
    x.sort()
    y = transform.forward({"x": x})["x"]
    assert np.isfinite(y).all()
    assert (np.diff(y) >= 0).all()
    separate = np.diff(x) > 1e-6 * (high - low)
    assert (np.diff(y)[separate] > 0).all()
    back = transform.inverse({"x": y})["x"]
    np.testing.assert_allclose(back, x, rtol=1e-9, atol=1e-9 * (high - low))
    inside = transform.forward({"x": values})["x"]
    assert not transform.beyond({"x": values})["x"].any()
    assert transform.beyond({"x": [low - (high - low), high + (high - low)]})["x"].all()
    assert Preprocessor.from_json(transform.to_json(), "text") == transform
    assert inside.min() == pytest.approx(-3, abs=1e-9)
    assert inside.max() == pytest.approx(3, abs=1e-9)


def test_minmax_is_the_papers():
    """The range is over both samples; columns without a map are left alone."""
    tables = [{"m": np.array([2900.0, 3500]), "label": np.zeros(2)}, {"m": np.array([4100.0])}]
    transform = Preprocessor.fit(tables, {"m": {}})
    assert transform.forward({"m": [2900, 3500, 4100, 4300], "label": [0] * 4})["m"] == (
        pytest.approx([-3, 0, 3, 4], abs=1e-14)
    )
    assert list(transform.forward(tables[0])) == ["m"]


@pytest.mark.parametrize("kind", KINDS)
def test_slope_is_the_derivative(kind):
    rng = np.random.default_rng(5)
    values = rng.gamma(2, 3, 2000)
    transform = fit(values, transform=kind)
    span = np.ptp(values)
    x = np.concatenate([values[:500], values.max() + span * rng.random(20)])
    step = 1e-6
    ends = [transform.forward({"x": x + sign * step})["x"] for sign in (-1, 1)]
    slope = np.exp(transform.log_slope({"x": x}))
    np.testing.assert_allclose((ends[1] - ends[0]) / (2 * step), slope, rtol=1e-4)


def test_quantile_makes_heavy_tails_gaussian():
    values = np.random.default_rng(2).standard_cauchy(20_000)
    y = fit(values, transform="quantile").forward({"x": values})["x"]
    y = y / y.std()
    assert abs((y**4).mean() - 3) < 0.1 and abs((y**3).mean()) < 0.1
    plain = fit(values).forward({"x": values})["x"]
    assert np.quantile(plain, 0.95) - np.quantile(plain, 0.05) < 0.02


def test_unequal_samples_count_alike_and_weights_count():
    rng = np.random.default_rng(3)
    large, small = rng.normal(0, 1, 90_000), rng.normal(10, 1, 1000)
    choice = {"x": {"transform": "quantile"}}
    transform = Preprocessor.fit(two(large, small), choice)
    assert abs(transform.forward({"x": np.array([5.0])})["x"][0]) < 0.2
    weights = [np.ones(90_000), (small > 10).astype(float)]
    weighted = Preprocessor.fit(two(large, small), choice, weights=weights)
    y = weighted.forward({"x": np.array([9.9, np.median(small[small > 10])])})["x"]
    reach = 3 / 4.40  # a Gaussian's quantile at 1/2 of 91,000 rows is where the box ends
    assert y[1] == pytest.approx(0.674 * reach, abs=0.05)  # three quarters are below


def test_whole_numbers_come_back(tmp_path):
    rng = np.random.default_rng(4)
    counts = rng.poisson(3, 5000).astype(float)
    for options in ({}, {"transform": "quantile"}, {"transform": "logit", "bounds": [0, 30]}):
        transform = fit(counts, integer=True, **options)
        y = transform.forward({"x": counts}, rng)["x"]
        assert len(np.unique(y)) == 5000
        assert (transform.inverse({"x": y})["x"] == counts).all()
        assert (
            transform.forward({"x": counts}, 7)["x"] == transform.forward({"x": counts}, 7)["x"]
        ).all()
        moved = transform.inverse({"x": rng.uniform(-15, 15, 999)})["x"]
        assert (moved == np.floor(moved)).all()
        if "bounds" in options:
            assert moved.min() == 0 and moved.max() == 30
    with pytest.raises(
        InputError, match="column 'x': row 1: 0.5 is no whole number, .*declared integer"
    ):
        fit([0, 0.5, 1], integer=True)


def test_declared_bounds_hold():
    values = np.random.default_rng(5).beta(2, 5, 1000)
    transform = fit(np.append(values, [0.0, 1.0]), transform="logit", bounds=[0, 1])
    back = transform.inverse({"x": np.array([-50.0, -3, 0, 3, 50])})["x"]
    assert back.min() >= 0 and back.max() <= 1
    assert back[[0, -1]] == pytest.approx([0, 1], abs=1e-15)
    with pytest.raises(InputError, match=r"'x': row 1: 1.2 lies outside its bounds \[0, 1\]"):
        transform.forward({"x": np.array([0.2, 1.2])})
    with pytest.raises(InputError, match=r"-0.5 lies outside the bounds \[0, 1\]"):
        fit([-0.5, 0.5], transform="logit", bounds=[0, 1])
    with pytest.raises(InputError, match="are no interval"):
        fit([0.1, 0.5], transform="logit", bounds=[1, 0])


@pytest.mark.parametrize("far", [1e3, 1e6, 9e8])
def test_bounds_far_from_the_values_cost_no_digit_that_flows_see(far):
    values = np.random.default_rng(5).exponential(1, 1000)
    transform = fit(values, transform="logit", bounds=[0, far])
    y = transform.forward({"x": values})["x"]
    assert [y.min(), y.max()] == pytest.approx([-3, 3])
    back = transform.inverse({"x": y})["x"]
    assert back == pytest.approx(values, abs=1e-8 * values.max())
    assert 0 <= transform.inverse({"x": np.array([-50.0])})["x"] < 1e-8


@pytest.mark.parametrize("spike", [{}, {"spike": [0.0]}])
@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ([0, 1e10], r"bounds \[0, 1e\+10\] are more than 1e\+09 times as far .* 0 to 3: give near"),
        ([-1e308, 1e308], "are more than"),
        ([0, np.inf], r"bounds \[0, inf\] are no interval: give two numbers, the lower first"),
        ([np.nan, 4], "are no interval"),
    ],
)
def test_bounds_between_which_values_cannot_be_told_apart_are_refused(bounds, message, spike):
    values = [0, 1, 2, 3] if not spike else [-0.0, 0, 1e-9, 3]
    if spike:
        message = message.replace("0 to 3", "1e-09 to 3")
    with pytest.raises(InputError, match=message):
        fit(values, transform="logit", bounds=bounds, **spike)


def test_saved_fit_is_the_same(tmp_path):
    rng = np.random.default_rng(6)
    table = {"a": rng.normal(0, 1, 500), "b": rng.standard_cauchy(500), "c": rng.random(500)}
    table["n"] = rng.poisson(4, 500).astype(float)
    choices = {
        "a": {},
        "b": {"transform": "quantile"},
        "c": {"transform": "logit", "bounds": [0, 1]},
        "n": {"integer": True},
    }
    transform = Preprocessor.fit([table], choices)
    transform.save(tmp_path / "p.json")
    loaded = Preprocessor.load(tmp_path / "p.json")
    assert loaded == transform and loaded.columns == ("a", "b", "c", "n")
    for name, values in transform.forward(table, 1).items():
        assert (loaded.forward(table, 1)[name] == values).all()
    assert list(loaded.inverse({"c": np.zeros(2)})) == ["c"]


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"columns": [{"name": "x"}]})])
def test_other_files_are_named(tmp_path, text):
    path = tmp_path / "scaling.json"
    with pytest.raises(InputError, match="no such file"):
        Preprocessor.load(path)
    path.write_text(text)
    with pytest.raises(InputError, match="scaling.json: no preprocessing"):
        Preprocessor.load(path)


def alterations(value):
    """The JSON value with each of its parts, in turn, of another kind or missing."""
    for other in (None, "a", [], {}, True, -1, 1e400, float("nan"), 10**400):
        if type(other) is not type(value) or not isinstance(value, str | bool):
            yield other
    if isinstance(value, dict):
        for key in value:
            yield {k: v for k, v in value.items() if k != key}
            for other in alterations(value[key]):
                yield value | {key: other}
        yield value | {"more": 1}
    elif isinstance(value, list):
        for i in {0, len(value) // 2, len(value) - 1} if value else ():
            yield value[:i] + value[i + 1 :]
            yield value[:i] + value[i : i + 1] + value[i:]
            for other in alterations(value[i]):
                yield [*value[:i], other, *value[i + 1 :]]


def test_an_edited_fit_is_refused_or_still_one():
    """No text gives an error of another kind, then or when it is used."""
    rng = np.random.default_rng(8)
    table = {"a": rng.normal(0, 1, 50), "b": rng.random(50), "c": rng.poisson(4, 50).astype(float)}
    table["d"] = np.repeat([0.0, 0.5, 2.0], [20, 20, 10]) * table["b"]
    choices = {"a": {"transform": "quantile"}, "b": {"transform": "logit"}, "c": {"integer": True}}
    choices["d"] = {"transform": "logit", "bounds": [0, 9], "spike": [0]}
    note = json.loads(Preprocessor.fit([table], choices).to_json())
    refused = 0
    for other in alterations(note):
        try:
            found = Preprocessor.from_json(json.dumps(other), "edited.json")
        except InputError as error:
            assert str(error).startswith("edited.json: no preprocessing") and error.__cause__
            assert "\n" not in str(error)
            refused += 1
            continue
        used = {name: table.get(name, np.ones(3)) for name in found.columns}
        found.usable(used, 1e15), found.beyond(used)
        found.inverse({name: np.zeros(3) for name in used})
    assert refused > 300


def test_a_fit_that_is_no_text_is_named(tmp_path):
    (tmp_path / "fit.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="fit.json: no preprocessing as saved"):
        Preprocessor.load(tmp_path / "fit.json")


def test_bad_input_is_named():
    with pytest.raises(InputError, match="'x' has zero range .always 80.: leave it out"):
        fit([80.0, 80.0])
    with pytest.raises(InputError, match="'x': no events"):
        fit([])
    with pytest.raises(InputError, match="'x' has values that are not finite"):
        fit([1.0, np.nan])
    with pytest.raises(InputError, match="low must be below high"):
        Preprocessor.fit(two([1, 2]), {"x": {}}, low=3, high=-3)
    with pytest.raises(InputError, match="unknown transform 'log'"):
        fit([1, 2], transform="log")
    with pytest.raises(InputError, match="no option 'bounds'"):
        fit([1, 2], bounds=[0, 1])
    with pytest.raises(InputError, match="weights of a sample are all zero"):
        Preprocessor.fit(two([1, 2]), {"x": {}}, weights=[np.zeros(2), None])
