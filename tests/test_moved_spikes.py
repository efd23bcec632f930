"""Spikes in transports, in measures and in whole runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from closures import prepare_all
from test_spikes import mixed
from test_workflow import OUT, Project
from transports import make

import flowmorph
from flowmorph.errors import InputError
from flowmorph.flows import setup
from flowmorph.metrics import comparison
from flowmorph.metrics.measures import CEILING, FLOOR, Measure
from flowmorph.plan import paths
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import moved
from flowmorph.samples.own_rows import Settings
from flowmorph.samples.own_samples import prepare
from flowmorph.tables.measures import measure_table
from flowmorph.user.moved_files import move_files
from flowmorph.user.output import Output

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
    regions = {"column": "m", "train": [[0, 1], [2, 4]]}
    settings = Settings(
        {"x": {"spike": [0.0]}}, {"m": {"spike": [0.0]}}, regions, "error", (9999, 999), (-3, 3),
        0.2, 1,
    )  # fmt: skip
    prepared, fit, *_ = prepare_all(samples, settings)
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
