"""Training: the schedule, the batches, the methods, and that it learns and repeats."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scripts_by_name import script

from flowmorph.errors import InputError
from flowmorph.flows import engine, storage
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.metrics import measures
from flowmorph.plan import methods
from flowmorph.transfer.morph import Task, context_size
from flowmorph.transfer.training import Recipe, Sample

FLOW = {"layers": 2, "blocks": 1, "width": 16, "bins": 6, "tail_bound": 4.0}
DATA = {"points": {"train": 4000, "validation": 1000, "evaluation": 1000}, "seed": 5}
RECIPE = {"batch": 200, "epochs": 5, "learning_rate": 5e-3, "warmup_steps": 5, "clip": 5.0}


def train_density(folder: Path, dataset: str = "star", recipe: dict = RECIPE, data: dict = DATA):
    script("train_density").main(
        ["--dataset", dataset, "--data", json.dumps(data), "--flow", json.dumps(FLOW),
         "--recipe", json.dumps(recipe), "--seed", "3", "--device", "cpu",
         "--checkpoint", str(folder / f"{dataset}.checkpoint"),
         "--output", str(folder / f"{dataset}.safetensors"),
         "--history", str(folder / f"{dataset}.csv")]
    )  # fmt: skip
    return folder / f"{dataset}.safetensors"


@pytest.fixture(scope="module")
def densities(tmp_path_factory):
    folder = tmp_path_factory.mktemp("densities")
    return {name: train_density(folder, name) for name in ("star", "star_twin")}


def test_schedule_rises_then_falls_to_zero():
    recipe = Recipe(batch=10, epochs=10, learning_rate=1.0, warmup_steps=10, clip=5.0)
    steps = recipe.steps(100)
    rates = [recipe.rate(step, steps) for step in range(steps)]
    assert steps == 100
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert np.all(np.diff(rates[10:]) < 0)
    assert rates[-1] < 1e-3


def test_an_epoch_shows_each_point_once():
    x = torch.arange(100.0)[:, None]
    sample = Sample(x, None, 20, torch.Generator().manual_seed(1))
    seen = torch.cat([sample.draw()[0][0] for _ in range(5)])
    assert torch.equal(seen.sort().values, x[:, 0])


def test_too_few_points_are_named():
    with pytest.raises(InputError, match="3 training points are fewer than one batch of 10"):
        Sample(torch.zeros(3, 2), None, 10, torch.Generator())


def test_density_training_learns_and_repeats_to_the_byte(densities, tmp_path):
    history = np.genfromtxt(densities["star"].with_suffix(".csv"), delimiter=",", names=True)
    assert history["validation_loss"][-1] < history["validation_loss"][0] - 0.1
    again = train_density(tmp_path)
    assert again.read_bytes() == densities["star"].read_bytes()
    assert (
        again.with_suffix(".csv").read_bytes() == densities["star"].with_suffix(".csv").read_bytes()
    )


@pytest.mark.parametrize("method", ["unidirectional", "movement_penalty_w0.5"])
def test_transport_training_and_moving(densities, tmp_path, method):
    common = [
        "--task", "star_to_star_twin", "--reference", "star", "--target", "star_twin",
        "--reference-data", json.dumps(DATA), "--target-data", json.dumps(DATA),
        "--reference-density", str(densities["star"]),
        "--target-density", str(densities["star_twin"]), "--seed", "4", "--device", "cpu",
    ]  # fmt: skip
    weights = tmp_path / "w.safetensors"
    script("train_transport").main(
        [*common, "--method", method, "--flow", json.dumps(FLOW), "--recipe", json.dumps(RECIPE),
         "--checkpoint", str(tmp_path / "checkpoint"),
         "--output", str(weights), "--history", str(tmp_path / "loss.csv")]
    )  # fmt: skip
    script("move_samples").main(
        [*common, "--split", "evaluation", "--batch", "200", "--methods", method,
         "--transports", str(weights),
         "--output", str(tmp_path / "moved.npz"), "--flow-measures", str(tmp_path / "m.csv")]
    )  # fmt: skip
    moved = np.load(tmp_path / "moved.npz")
    assert moved[method].shape == moved["reference"].shape == (1000, 2)
    distance = np.linalg.norm(moved[method] - moved["reference"], axis=1).mean()
    assert 0 < distance < 3
    measured = measures.read([tmp_path / "m.csv"])
    likelihoods = {m.method: m.value for m in measured if m.metric == "log_likelihood"}
    assert list(likelihoods) == ["base_transfer", method]
    cycles = [m.value for m in measured if m.metric == "cycle_mean"]
    assert len(cycles) == 2 and max(cycles) < 1e-3


@pytest.mark.parametrize("condition", ["shared", "difference", "concat"])
def test_conditions_reach_the_right_flows(condition):
    torch.manual_seed(0)
    density = Flow(Architecture(2, 1, 2, 1, 8, 4, 4.0)).double().requires_grad_(False)
    flow = Flow(Architecture(2, context_size(condition, 1), 2, 1, 8, 4, 4.0)).double()
    task = Task(density, density, condition)
    x, y = torch.randn(2, 50).double(), torch.randn(2, 50).double()
    c_x, c_y = torch.rand(1, 50).double(), torch.rand(1, 50).double()
    c = {"shared": c_x, "difference": c_x - c_y, "concat": torch.cat([c_x, c_y])}[condition]
    moved, log_det = flow(x, c)
    target = c_x if condition == "shared" else c_y
    expected = -(density.log_prob(moved, target) + log_det).mean()
    torch.testing.assert_close(task.loss("forward", flow, x, y, c_x, c_y, 0.0), expected)
    penalised = expected + 0.3 * (moved - x).abs().sum(0).mean()
    torch.testing.assert_close(task.loss("forward", flow, x, y, c_x, c_y, 0.3), penalised)


def test_base_transfer_of_equal_densities_is_the_identity():
    torch.manual_seed(0)
    density = Flow(Architecture(2, 0, 4, 1, 8, 4, 4.0)).double().requires_grad_(False)
    x = torch.randn(2, 100).double()
    torch.testing.assert_close(Task(density, density, None).base_transfer(x, None, None), x)


def test_methods_are_parsed():
    assert methods.parse("movement_penalty_w0.2")[1] == 0.2
    assert methods.parse("flows_for_flows")[1] is None
    both, strength = methods.parse("penalty_identity")
    assert both.penalised and both.identity and set(both.directions) == {"forward", "inverse"}
    assert strength is None and methods.parse("penalty_identity_w0.2")[1] == 0.2
    for bad in ("typo", "unidirectional_w0.2", "movement_penalty_wx"):
        with pytest.raises(InputError, match="unknown"):
            methods.parse(bad)


def test_engine_is_chosen_by_length_and_compiler(monkeypatch, capsys):
    cpu = torch.device("cpu")
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert engine.decide("auto", 10**6, cpu) == engine.PLAIN
    assert "no-such-compiler" in capsys.readouterr().out
    with pytest.raises(InputError, match="no-such-compiler"):
        engine.decide("compile", 10**6, cpu)
    assert engine.decide("eager", 10**6, cpu) == engine.PLAIN
    assert engine.decide("auto", 10, cpu) == engine.PLAIN
    monkeypatch.setenv("CXX", sys.executable)
    assert engine.decide("auto", 10**6, cpu) == engine.COMPILED
    gpu = torch.device("cuda")
    assert [engine.decide(choice, 10, gpu) for choice in engine.CHOICES] == [
        engine.GRAPHS, engine.GRAPHS, engine.PLAIN,
    ]  # fmt: skip


def test_weights_of_another_shape_are_refused(tmp_path):
    with pytest.raises((InputError, OSError)):
        storage.load(tmp_path / "absent.safetensors")
