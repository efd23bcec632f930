"""Own samples from files to measures and figures, at both ends of the number of features."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from jobs import density_options, measure_job
from scripts_by_name import script
from signed_weights import HALF, s_weights

import flowmorph
from flowmorph.metrics import measures
from flowmorph.plan import own_config
from flowmorph.plan.jobs.data import FileData
from flowmorph.plan.jobs.events import OwnFiles, OwnJob
from flowmorph.plan.jobs.form import to_json
from flowmorph.plan.jobs.moving import BundleJob, MoveJob
from flowmorph.plan.jobs.training import DensityJob, Network, Recipe, TransportJob
from flowmorph.user.transport import Transport

NETWORK = Network(layers=2, blocks=1, width=20, bins=4, tail_bound=4.0)
RECIPE = Recipe(batch=100, epochs=4, learning_rate=5e-3, warmup_steps=2, clip=5.0)
NOWHERE = {"column": None, "train": [], "apply": [], "closure": True}


def write(path: Path, rows: int, columns: int, shift: float, seed: int) -> str:
    rng = np.random.default_rng(seed)
    table = {f"c{i}": rng.normal(shift, 1, rows) for i in range(columns)}
    table |= {"a": rng.uniform(0, 1, rows), "b": rng.uniform(0, 1, rows)}
    table["w"] = rng.gamma(3, 1, rows)
    if path.suffix == ".npz":
        np.savez(path, **table)
    else:
        pd.DataFrame(table).to_parquet(path)
    return str(path)


@pytest.mark.parametrize(
    ("columns", "condition", "suffix", "weights"),
    [(1, [], ".parquet", None), (20, ["a", "b"], ".npz", "w")],
    ids=["one feature", "twenty weighted features, two conditions"],
)
def test_from_files_to_figures(tmp_path, columns, condition, suffix, weights):
    features = [f"c{i}" for i in range(columns)]
    files = {
        name: write(tmp_path / f"{name}{suffix}", rows, columns, shift, seed)
        for name, rows, shift, seed in (("reference", 800, 0, 1), ("target", 500, 0.7, 2))
    }
    found, loaded = run(tmp_path, files, features, condition, weights)
    assert {m.feature for m in found if m.metric == "ks"} == set(features)
    assert (loaded.features, loaded.conditions) == (tuple(features), tuple(condition))
    rng = np.random.default_rng(9)
    rows = {name: rng.normal(0, 1, 300) for name in features} | {"a": np.full(300, 0.5)}
    moved = loaded.move(rows | {"b": np.full(300, 0.5)})
    # Even a short training takes the mean some way from 0 to 0.7.
    assert 0.1 < np.mean([moved[name].mean() - rows[name].mean() for name in features]) < 1.2


def write_mixture(path: Path, rows: int, shift: float, seed: int) -> str:
    """Signal around ``shift``, and as much background, which moves the other way.

    The background's weights are zero on average.
    """
    rng = np.random.default_rng(seed)
    mass = np.concatenate([rng.normal(size=rows), rng.uniform(-HALF, HALF, rows)])
    table = {
        name: np.concatenate([rng.normal(shift, 1, rows), rng.normal(1 - 2 * shift, 1, rows)])
        for name in ("c0", "c1")
    }
    table["w"] = s_weights(mass, (rows, rows))
    pd.DataFrame(table).to_parquet(path)
    return str(path)


def test_signed_weights_from_files_to_figures(tmp_path):
    """Both samples are mixtures: their signals are what is compared, and what is moved."""
    files = {
        name: write_mixture(tmp_path / f"{name}.parquet", rows, shift, seed)
        for name, rows, shift, seed in (("reference", 3000, 0, 1), ("target", 2500, 0.7, 2))
    }
    found, loaded = run(tmp_path, files, ["c0", "c1"], [], "w", "resample")
    with np.load(tmp_path / "moved.npz") as arrays:
        for name in files:
            assert arrays[f"signed_{name}"].min() < 0 <= arrays[f"weight_{name}"].min()
    rows = (tmp_path / "rows.csv").read_text().splitlines()
    assert rows[0].endswith("validation,negative,change,clipped,clipped_sum,column,chi2")
    assert (tmp_path / "rows.md").read_text().count("trainings take local means") == 2
    numbers = {(m.method, m.feature, m.metric): m.value for m in found}
    for feature in ("c0", "c1"):
        before, after = (
            numbers[name, feature, "chi2_ndf"] for name in ("ceiling", "identity_initialization")
        )
        assert after < 0.5 * before
    rng = np.random.default_rng(9)
    signal = {name: rng.normal(0, 1, 1000) for name in ("c0", "c1")}
    moved = loaded.move(signal)
    for name, values in signal.items():
        assert 0.5 < moved[name].mean() - values.mean() < 0.9  # 0.7 is right


ERA = {"column": "era", "categorical": True}
SHIFTS = {"2017": 1.0, "2016 post": -1.0}


def write_eras(path: Path, rows: int, first: float, moved: bool, seed: int) -> str:
    """A normal feature, which the target has shifted one way in one era, the other in the other."""
    rng = np.random.default_rng(seed)
    eras = np.where(rng.random(rows) < first, *SHIFTS)
    table = pd.DataFrame({"c0": rng.normal(0, 1, rows), "c1": rng.normal(0, 1, rows), "era": eras})
    table["c0"] += moved * table["era"].map(SHIFTS)
    table.to_parquet(path)
    return str(path)


def test_categories_whose_maps_differ(tmp_path):
    """Each category has its own map, though their spectra differ, and comparisons allow for it."""
    files = {
        name: write_eras(tmp_path / f"{name}.parquet", 4000, first, name == "target", seed)
        for name, first, seed in (("reference", 0.7, 1), ("target", 0.4, 2))
    }
    found, loaded = run(tmp_path, files, ["c0", "c1"], [ERA], None)
    table = pd.read_parquet(files["reference"])
    moved = loaded.move(table)
    assert moved["era"].equals(table["era"])
    for era, shift in SHIFTS.items():
        rows = table["era"] == era
        # In each era alone; over both the mean moves by 0.4 only.
        assert (moved["c0"] - table["c0"])[rows].mean() == pytest.approx(shift, abs=0.2)
        assert moved["c0"][rows].std() == pytest.approx(1, abs=0.15)
        assert moved["c1"][rows].mean() == pytest.approx(0, abs=0.15)
    with np.load(tmp_path / "moved.npz") as arrays:
        assert set(np.unique(arrays["condition_reference"])) == {0, 1}
        # 2017 is a whole number, which comes before texts.
        assert arrays["condition_reference"].mean(axis=0) == pytest.approx([0.7, 0.3], abs=0.03)
    numbers = {(m.method, m.feature, m.metric): m.value for m in found}
    method = "identity_initialization"
    assert numbers[method, "c0", "chi2_ndf"] < 2 < 5 < numbers["ceiling", "c0", "chi2_ndf"]
    # Weighted to the target's spectrum, by factors of 0.4 / 0.7 and 0.6 / 0.3.
    points = numbers[method, "", "effective_points"] / numbers[method, "", "points"]
    assert points == pytest.approx(1 / (0.4**2 / 0.7 + 0.6**2 / 0.3), abs=0.05)


def run(
    folder: Path,
    files: dict[str, str],
    features: list[str],
    condition: list[str | dict],
    weights: str | None,
    negative: str = "error",
) -> tuple[list[measures.Measure], Transport]:
    """Every script once, on small networks; gives the measures and the transport."""
    at = {name: str(folder / name) for name in ("pre.json", "moved.npz", "own.csv")}
    columns_of = (list(own_config.choices(each).items()) for each in (features, condition))
    samples = (OwnFiles(files[name], None, None, weights) for name in ("reference", "target"))
    how = NOWHERE, "error", (5000, 1000), (-3, 3), 0.3, 1, negative
    own = OwnJob(*samples, *columns_of, *how)
    script("prepare_own_samples").main(
        ["--job", to_json(own), "--output-reference", str(folder / "r.npz"), "--output-target",
         str(folder / "t.npz"), "--output-preprocessing", at["pre.json"],
         "--output-rows", str(folder / "rows.csv"), str(folder / "rows.md")]
    )  # fmt: skip
    names = tuple(features), tuple(own_config.columns(condition))
    data = [FileData(name, str(folder / f"{name}.npz"), *names, bool(weights)) for name in "rt"]
    for each in data:
        job = DensityJob(each, NETWORK, RECIPE, 3, "cpu")
        script("train_density").main(density_options(job, folder))
    ends = ["--reference-density", str(folder / "r.safetensors")]
    ends += ["--target-density", str(folder / "t.safetensors")]
    method, transport = "identity_initialization", str(folder / "f.safetensors")
    mode = "shared" if condition else None
    job = TransportJob("own", method, mode, 0, *data, NETWORK, RECIPE, 4, "cpu")
    script("train_transport").main(
        ["--job", to_json(job), *ends, "--checkpoint", str(folder / "checkpoint"),
         "--output", transport, "--history", str(folder / "f.loss")]
    )  # fmt: skip
    move = MoveJob("own", "validation", "1", mode, *data, (method,), 4, "cpu")
    script("move_samples").main(
        ["--job", to_json(move), *ends, "--transports", transport, "--output", at["moved.npz"],
         "--flow-measures", str(folder / "m.csv")]
    )  # fmt: skip
    methods = ["--methods", "base_transfer", method]
    job = replace(measure_job(("base_transfer", method), names[0]), mode=mode)
    script("measure_task").main(
        ["--job", to_json(job), "--moved", at["moved.npz"], "--output", at["own.csv"]]
    )
    labels = ["--labels", *features]
    conditions = shlex.split(own_config.condition_options({"own": {"condition": condition}}))
    figures = {
        "plot_ratios": [*labels, "--limits", "-3", "3"], "plot_distances_per_feature": labels,
        "plot_distances": [], "plot_correlations": [*labels, *conditions],
    }  # fmt: skip
    for name, options in figures.items():
        picture = folder / f"{name}.png"
        script(name).main(
            ["--moved", at["moved.npz"], *methods, *options, "--output", str(picture)]
        )
        assert picture.stat().st_size
    bundle = to_json(BundleJob(method, *names, NOWHERE, (), 1, 0))
    ends = [each.replace("density", "densities") for each in ends]
    script("bundle_transport").main(
        ["--job", bundle, "--transports", transport, *ends, "--preprocessing", at["pre.json"],
         "--output", str(folder / "transport.safetensors")]
    )  # fmt: skip
    return measures.read([at["own.csv"]]), flowmorph.load(str(folder), device="cpu")
