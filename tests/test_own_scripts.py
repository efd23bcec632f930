"""Own samples from files to measures and figures, at both ends of the number of features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from jobs import density_options, measure_job
from scripts_by_name import script

import flowmorph
from flowmorph.metrics import measures
from flowmorph.plan import own_config
from flowmorph.plan.jobs.data import FileData
from flowmorph.plan.jobs.events import OwnFiles, OwnJob
from flowmorph.plan.jobs.form import to_json
from flowmorph.plan.jobs.moving import BundleJob, MoveJob
from flowmorph.plan.jobs.training import DensityJob, Network, Recipe, TransportJob

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
    samples = {
        name: {"files": write(tmp_path / f"{name}{suffix}", rows, columns, shift, seed)}
        | {"tree": None, "format": None, "weights": weights}
        for name, rows, shift, seed in (("reference", 800, 0, 1), ("target", 500, 0.7, 2))
    }
    at = {name: str(tmp_path / name) for name in ("pre.json", "rows.csv", "moved.npz", "own.csv")}
    columns_of = (list(own_config.choices(each).items()) for each in (features, condition))
    files = (OwnFiles(**samples[name]) for name in ("reference", "target"))
    own = OwnJob(*files, *columns_of, NOWHERE, "error", (1000, 1000), (-3, 3), 0.3, 1)
    script("prepare_own_samples").main(
        ["--job", to_json(own), "--output-reference", str(tmp_path / "r.npz"), "--output-target",
         str(tmp_path / "t.npz"), "--output-preprocessing", at["pre.json"],
         "--output-rows", at["rows.csv"]]
    )  # fmt: skip
    names = tuple(features), tuple(condition)
    data = [FileData(name, str(tmp_path / f"{name}.npz"), *names, bool(weights)) for name in "rt"]
    for each in data:
        job = DensityJob(each, NETWORK, RECIPE, 3, "cpu")
        script("train_density").main(density_options(job, tmp_path))
    ends = ["--reference-density", str(tmp_path / "r.safetensors")]
    ends += ["--target-density", str(tmp_path / "t.safetensors")]
    method, transport = "identity_initialization", str(tmp_path / "f.safetensors")
    mode = "shared" if condition else None
    job = TransportJob("own", method, mode, 0, *data, NETWORK, RECIPE, 4, "cpu")
    script("train_transport").main(
        ["--job", to_json(job), *ends, "--checkpoint", str(tmp_path / "checkpoint"),
         "--output", transport, "--history", str(tmp_path / "f.loss")]
    )  # fmt: skip
    move = MoveJob("own", "validation", "1", mode, *data, (method,), 4, "cpu")
    script("move_samples").main(
        ["--job", to_json(move), *ends, "--transports", transport, "--output", at["moved.npz"],
         "--flow-measures", str(tmp_path / "m.csv")]
    )  # fmt: skip
    methods = ["--methods", "base_transfer", method]
    job = measure_job(("base_transfer", method), names[0])
    script("measure_task").main(
        ["--job", to_json(job), "--moved", at["moved.npz"], "--output", at["own.csv"]]
    )
    found = measures.read([at["own.csv"]])
    assert {m.feature for m in found if m.metric == "ks"} == set(features)
    figures = {"plot_ratios": ["--limits", "-3", "3"], "plot_distances_per_feature": []}
    for name, options in figures.items():
        picture = tmp_path / f"{name}.png"
        script(name).main(
            ["--moved", at["moved.npz"], *methods, "--labels", *features, *options,
             "--output", str(picture)]
        )  # fmt: skip
        assert picture.stat().st_size
    bundle = to_json(BundleJob(method, *names, NOWHERE, (), 1, 0))
    ends = [each.replace("density", "densities") for each in ends]
    script("bundle_transport").main(
        ["--job", bundle, "--transports", transport, *ends, "--preprocessing", at["pre.json"],
         "--output", str(tmp_path / "transport.safetensors")]
    )  # fmt: skip
    loaded = flowmorph.load(str(tmp_path), device="cpu")
    assert (loaded.features, loaded.conditions) == (tuple(features), tuple(condition))
    rng = np.random.default_rng(9)
    rows = {name: rng.normal(0, 1, 300) for name in features} | {"a": np.full(300, 0.5)}
    moved = loaded.move(rows | {"b": np.full(300, 0.5)})
    # Even a short training takes the mean some way from 0 to 0.7.
    assert 0.1 < np.mean([moved[name].mean() - rows[name].mean() for name in features]) < 1.2
