"""Min-max scaling: range, round trip, persistence, bad input."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmorph.errors import InputError
from flowmorph.scaling import MinMaxScaler

COLUMNS = ("m_j1", "m_jj")


@pytest.fixture
def samples():
    rng = np.random.default_rng(5)
    return [
        {"m_j1": rng.gamma(2, 60, n), "m_jj": rng.uniform(2900, 4100, n), "label": np.zeros(n)}
        for n in (400, 700)
    ]


def test_range_is_over_both_samples(samples):
    scaler = MinMaxScaler.fit(samples, COLUMNS)
    for name in COLUMNS:
        scaled = np.concatenate([scaler.scale(sample)[name] for sample in samples])
        assert scaled.min() == pytest.approx(-3, abs=1e-14)
        assert scaled.max() == pytest.approx(3, abs=1e-14)
    assert "label" not in scaler.scale(samples[0])


def test_known_numbers():
    scaler = MinMaxScaler(("m_jj",), (2900.0,), (4100.0,))
    assert scaler.scale({"m_jj": [2900, 3500, 4100, 4300]})["m_jj"] == pytest.approx(
        [-3, 0, 3, 4], abs=1e-14
    )


def test_saved_fit_undoes_the_scaling(samples, tmp_path):
    scaler = MinMaxScaler.fit(samples, COLUMNS)
    scaler.save(tmp_path / "scaling.json")
    loaded = MinMaxScaler.load(tmp_path / "scaling.json")
    assert loaded == scaler
    for sample in samples:
        back = loaded.unscale(scaler.scale(sample))
        for name in COLUMNS:
            np.testing.assert_allclose(back[name], sample[name], rtol=1e-14, atol=1e-12)


@given(
    low=st.floats(-1e6, 1e6),
    width=st.floats(1e-3, 1e6),
    value=st.floats(-2, 3),
)
def test_round_trip_to_float64_precision(low, width, value):
    scaler = MinMaxScaler(("x",), (low,), (low + width,))
    x = low + value * width
    back = scaler.unscale(scaler.scale({"x": np.array([x])}))["x"][0]
    assert abs(back - x) <= 8 * np.finfo(float).eps * (abs(low) + 4 * width)


def test_unscale_takes_a_part_of_the_columns(samples):
    scaler = MinMaxScaler.fit(samples, COLUMNS)
    assert list(scaler.unscale({"m_jj": np.zeros(3)})) == ["m_jj"]


def test_zero_range_is_named(samples):
    for sample in samples:
        sample["m_j1"] = np.full(len(sample["m_jj"]), 80.0)
    with pytest.raises(InputError, match="'m_j1' has zero range .always 80.: leave it out"):
        MinMaxScaler.fit(samples, COLUMNS)


def test_empty_and_not_finite_are_named(samples):
    with pytest.raises(InputError, match="'m_j1': no events"):
        MinMaxScaler.fit([{"m_j1": np.zeros(0), "m_jj": np.zeros(0)}], COLUMNS)
    samples[1]["m_jj"][3] = np.nan
    with pytest.raises(InputError, match="'m_jj' has values that are not finite"):
        MinMaxScaler.fit(samples, COLUMNS)


def test_reversed_range(samples):
    with pytest.raises(InputError, match="low must be below high"):
        MinMaxScaler.fit(samples, COLUMNS, low=3, high=-3)


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"columns": ["x"], "minimum": [0]})])
def test_other_files_are_named(tmp_path, text):
    path = tmp_path / "scaling.json"
    with pytest.raises(InputError, match="no such file"):
        MinMaxScaler.load(path)
    path.write_text(text)
    with pytest.raises(InputError, match="scaling.json: no scaling"):
        MinMaxScaler.load(path)
