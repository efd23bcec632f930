"""Own samples from files to measures and figures, at both ends of the number of features."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scripts_by_name import script

import flowmorph
from flowmorph.metrics import measures
from flowmorph.plan import own_config

FLOW = {"layers": 2, "blocks": 1, "width": 20, "bins": 4, "tail_bound": 4.0}
RECIPE = {"batch": 100, "epochs": 4, "learning_rate": 5e-3, "warmup_steps": 2, "clip": 5.0}
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
    script("prepare_own_samples").main(
        ["--reference", json.dumps(samples["reference"]), "--target", json.dumps(samples["target"]),
         "--features", json.dumps(own_config.choices(features)), "--condition",
         json.dumps(own_config.choices(condition)), "--regions", json.dumps(NOWHERE),
         "--missing", "error",
         "--rows", "1000", "1000", "--scaling", "-3", "3", "--validation-fraction", "0.3",
         "--seed", "1", "--output-reference", str(tmp_path / "r.npz"), "--output-target",
         str(tmp_path / "t.npz"), "--output-preprocessing", at["pre.json"],
         "--output-rows", at["rows.csv"]]
    )  # fmt: skip
    data = {
        name: json.dumps(
            {"path": str(tmp_path / f"{name}.npz"), "features": features, "condition": condition,
             "weights": weights}
        )
        for name in "rt"
    }  # fmt: skip
    training = ["--flow", json.dumps(FLOW), "--recipe", json.dumps(RECIPE), "--device", "cpu",
                "--checkpoint", str(tmp_path / "checkpoint")]  # fmt: skip
    for name in "rt":
        script("train_density").main(
            [*training, "--dataset", name, "--data", data[name], "--seed", "3", "--output",
             str(tmp_path / f"{name}.safetensors"), "--history", str(tmp_path / f"{name}.loss")]
        )  # fmt: skip
    common = ["--task", "own", "--reference", "r", "--target", "t", "--seed", "4",
              "--device", "cpu", "--reference-data", data["r"], "--target-data", data["t"],
              "--reference-density", str(tmp_path / "r.safetensors"),
              "--target-density", str(tmp_path / "t.safetensors")]  # fmt: skip
    common += ["--condition", "shared"] if condition else []
    transport = str(tmp_path / "f.safetensors")
    script("train_transport").main(
        [*common, *training[:4], *training[6:], "--method", "identity_initialization",
         "--output", transport, "--history", str(tmp_path / "f.loss")]
    )  # fmt: skip
    script("move_samples").main(
        [*common, "--split", "validation", "--batch", "100", "--methods",
         "identity_initialization", "--transports", transport, "--output", at["moved.npz"],
         "--flow-measures", str(tmp_path / "m.csv")]
    )  # fmt: skip
    methods = ["--methods", "base_transfer", "identity_initialization"]
    script("measure_task").main(
        ["--task", "own", "--moved", at["moved.npz"], *methods, "--features", *features,
         "--half-width", "4", "--two-sample-points", "100", "--assignment-points", "30",
         "--seed", "1", "--output", at["own.csv"]]
    )  # fmt: skip
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
    script("bundle_transport").main(
        ["--method", "identity_initialization", "--transport", transport, "--reference-density",
         str(tmp_path / "r.safetensors"), "--target-density", str(tmp_path / "t.safetensors"),
         "--preprocessing", at["pre.json"], "--features", *features, "--condition", *condition,
         "--regions", json.dumps(NOWHERE), "--output", str(tmp_path / "transport.safetensors")]
    )  # fmt: skip
    loaded = flowmorph.load(str(tmp_path), device="cpu")
    assert (loaded.features, loaded.conditions) == (tuple(features), tuple(condition))
    rng = np.random.default_rng(9)
    rows = {name: rng.normal(0, 1, 300) for name in features} | {"a": np.full(300, 0.5)}
    moved = loaded.move(rows | {"b": np.full(300, 0.5)})
    # Even a short training takes the mean some way from 0 to 0.7.
    assert 0.1 < np.mean([moved[name].mean() - rows[name].mean() for name in features]) < 1.2
