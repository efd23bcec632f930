"""Training: the schedule, the batches, the methods, and that it learns and repeats."""

from __future__ import annotations

import ctypes
import errno
import json
import math
import os
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from jobs import NETWORK, RECIPE, density_job, toy, train_density
from scripts_by_name import script
from small_training import Killed, run

from flowmorph.errors import InputError
from flowmorph.flows import engine, setup, storage
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.metrics import measures
from flowmorph.plan import intervals, methods
from flowmorph.plan.jobs.form import as_dict, read, to_json
from flowmorph.plan.jobs.moving import MoveJob
from flowmorph.plan.jobs.training import DensityJob, Recipe, TransportJob
from flowmorph.transfer import density, progress, transport
from flowmorph.transfer.batches import Points, Sample
from flowmorph.transfer.checkpoint import Checkpoint
from flowmorph.transfer.morph import DensityPair, context_size, morph
from flowmorph.transfer.points import Splits
from flowmorph.transfer.problem import Phase, Problem
from flowmorph.transfer.running import train
from flowmorph.transfer.training import Training


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
    sample = Sample(Points(x, None), 20, 1)
    seen = torch.cat([sample.draw()[0][0] for _ in range(5)])
    assert torch.equal(seen.sort().values, x[:, 0])


def test_too_few_points_are_named():
    with pytest.raises(InputError, match="3 training points are fewer than one batch of 10"):
        Sample(Points(torch.zeros(3, 2), None), 10, 1)


def test_noise_on_conditions_is_that_of_the_batch_whenever_it_is_drawn():
    points = Points(torch.zeros(300, 2), torch.zeros(300, 2))
    noise = torch.tensor([0.0, 2.0])
    sample = Sample(points, 100, 1, noise)
    batches = [sample.draw()[1] for _ in range(30)]
    assert all(not c[0].any() for c in batches)
    assert torch.cat([c[1] for c in batches]).std() == pytest.approx(2.0, rel=0.05)
    assert not torch.equal(batches[0], batches[3])  # the same points again
    resumed = Sample(points, 100, 1, noise)
    state = Sample(points, 100, 1).generator.get_state()
    resumed.resume(state, 100, 1)
    assert torch.equal(resumed.draw()[1], batches[1])
    assert not Sample(points, 100, 1).draw()[1].any()


def test_noise_on_points_is_that_of_the_batch_whenever_it_is_drawn():
    points = Points(torch.zeros(300, 2), torch.zeros(300, 1))
    sample, other = Sample(points, 100, 1), Sample(points, 100, 2)
    batches = [sample.draw(0.5) for _ in range(30)]
    assert torch.cat([x.flatten() for x, _ in batches]).std() == pytest.approx(0.5, rel=0.05)
    assert not any(c.any() for _, c in batches)
    assert not torch.equal(batches[0][0], other.draw(0.5)[0])
    resumed = Sample(points, 100, 1)
    resumed.resume(Sample(points, 100, 1).before, 100, 1)
    assert torch.equal(resumed.draw(0.5)[0], batches[1][0])
    assert not sample.draw()[0].any()


def test_adam_keeps_no_subnormal_number():
    """They take a hundred times as long, and a mean of gradients that are zero ends as one."""
    problem = density.of_job(density_job("star"), 1)
    training = Training(problem)
    training.step()
    means = training.adam.memory["exp_avg"][0]
    unused = (means == 0).nonzero()[0]
    means[unused] = 1e-37
    for _ in range(60):
        training.step()
    assert not means[unused].any() and means.any()
    assert setup.flushes()


def test_progress_is_shown_from_the_first_steps_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    recipe = Recipe(batch=60, epochs=4, learning_rate=1e-3, warmup_steps=10, clip=5.0)
    run(tmp_path / "checkpoint", recipe)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == recipe.steps(600) == 40
    assert all(line.startswith("test ") and line.endswith(" points/s") for line in lines)
    assert [" validation " in line for line in lines] == [False] * 19 + [True] * 21


def test_a_smoothed_density_is_that_of_the_points_with_noise(tmp_path):
    """Points at 0 with noise 0.5: the loss is the entropy of a Gaussian of that width."""
    torch.manual_seed(0)
    points = Points(torch.zeros(5000, 2), None)
    recipe = Recipe(batch=250, epochs=20, learning_rate=5e-3, warmup_steps=5, clip=5.0)
    problem = density.problem("zero", Splits(points, points, floor=7.0), NETWORK, recipe, 1, 0.5)
    history = train(problem, Checkpoint(tmp_path / "c", "a", 60))
    entropy = 2 * math.log(0.5 * math.sqrt(2 * math.pi * math.e))
    assert history[-1]["validation_loss"] == pytest.approx(entropy, abs=0.05)
    assert problem.floor is None


def test_phases_share_the_steps_and_the_last_is_the_papers():
    flows = [Flow(Architecture(2, 0, 2, 1, 8, 4, 4.0)) for _ in range(5)]
    flow, *frozen = flows
    smooth, pair = DensityPair(*frozen[:2], None), DensityPair(*frozen[2:], None)
    method = methods.find("flows_for_flows")
    part = transport.Smoothed(0.5, 0.3, smooth)
    first, last = transport.phases(method, flow, pair, 0.0, 101, [part])
    assert (first.steps, first.noise, last.steps, last.noise) == (30, 0.5, 71, 0.0)
    x, y = (torch.randn(2, 50), None), (torch.randn(2, 50), None)
    for phase, expected in ((first, smooth), (last, pair)):
        wanted = expected.losses(method, flow, 0.0)
        assert [loss(x, y) for loss in phase.losses] == [loss(x, y) for loss in wanted]
    (alone,) = transport.phases(method, flow, pair, 0.0, 101)
    assert (alone.steps, alone.noise) == (101, 0.0)


def test_each_phase_begins_with_a_warm_up_and_without_memory(tmp_path):
    """Two phases of the same loss are two trainings, but for the rate."""
    points = Points(torch.randn(400, 2, generator=torch.Generator().manual_seed(1)), None)
    recipe = Recipe(batch=50, epochs=10, learning_rate=1e-2, warmup_steps=10, clip=5.0)

    def problem_of(flow: Flow, steps: tuple[int, ...]) -> Problem:
        def loss(batch) -> torch.Tensor:
            return -flow.log_prob(*batch).mean()

        phases = [Phase(number, [loss]) for number in steps]
        return Problem("test", flow, [Sample(points, 50, 1)], phases, lambda: 0.0, recipe, 8.0)

    flow = Flow(Architecture(2, 0, 2, 1, 8, 4, 4.0))
    problem = problem_of(flow, (50, 30))
    rates, one = [problem.rate(step) for step in range(80)], [recipe.rate(s, 80) for s in range(80)]
    assert rates[:50] == one[:50] and rates[60:] == one[60:]
    assert rates[50:60] == pytest.approx(np.arange(1, 11) / 10 * one[50:60])
    training = Training(problem)
    for _ in range(51):
        training.step()
    adam = {name: tensor for name, (tensor,) in training.adam.memory.items()}
    assert adam["step"] == 1
    # After one step the means are those of its gradient alone.
    torch.testing.assert_close(adam["exp_avg_sq"] / 0.001, (adam["exp_avg"] / 0.1) ** 2)


def test_a_density_begins_on_the_points_of_both_samples():
    """Points of the sample are positive, those of the other one negative and four times as many."""
    points, others = torch.rand(400, 2), -torch.rand(1600, 2)
    own, other = (Splits(Points(x, None), Points(x, None)) for x in (points, others))
    recipe = replace(RECIPE, batch=100, epochs=10, both_share=0.75)
    torch.manual_seed(0)
    problem = density.problem("both", own, NETWORK, recipe, 1, other=other)
    assert [phase.steps for phase in problem.phases] == [30, 10]
    torch.manual_seed(0)
    assert problem.validate() == density.problem("own", own, NETWORK, recipe, 1).validate()
    seen = []
    for phase in problem.phases:
        (number,) = phase.draws
        drawn = [problem.samples[number].draw()[0] for _ in range(phase.steps)]
        seen.append(torch.cat(drawn, dim=1))
    # 20 batches are an epoch of both, and 10 half of another.
    assert (seen[0][0] < 0).double().mean() == pytest.approx(0.8, abs=0.03)
    assert torch.equal(seen[0][0].unique(), torch.cat([points, others])[:, 0].unique())
    assert torch.equal(seen[1][0].unique(), points[:, 0].unique())
    training = Training(problem)
    for _ in range(problem.steps):
        training.step()
    assert [sample.drawn for sample in problem.samples] == [20, 60]


def test_joined_samples_count_as_many_points_as_they_have():
    weights = torch.tensor([1.0, 3.0], dtype=torch.float64)
    first = Points(torch.zeros(2, 1), torch.zeros(2, 1), 7 * weights)
    second = Points(torch.ones(4, 1), torch.ones(4, 1))
    joined = first.joined(second)
    assert joined.weights.tolist() == [0.5, 1.5, 1, 1, 1, 1]
    assert joined.x[:, 0].tolist() == joined.c[:, 0].tolist() == [0, 0, 1, 1, 1, 1]
    plain = second.joined(Points(torch.zeros(1, 1), torch.zeros(1, 1)))
    assert plain.weights is None and len(plain.x) == 5
    assert Points(torch.zeros(2, 1), None).joined(Points(torch.ones(3, 1), None)).c is None


def test_noise_is_as_wide_as_the_gap_asks():
    points = Points(torch.randn(400, 2), torch.rand(400, 1))
    recipe = replace(RECIPE, condition_noise=0.5)
    assert Splits(points, points, torch.tensor([2.0])).sample(recipe, 1).noise == 1.0
    assert Splits(points, points, torch.tensor([0.0])).sample(recipe, 1).noise is None
    assert Splits(points, points, torch.tensor([2.0])).sample(RECIPE, 1).noise is None
    assert intervals.gaps([[3.7, 4.1], [2.9, 3.3]]) == [(3.3, 3.7)]
    assert intervals.gaps([[0, 2], [1, 3], [3, 4], [6, 7]]) == [(4, 6)]
    assert intervals.widest_gap([[0, 1]]) == 0 and intervals.widest_gap([]) == 0


def test_weights_decay_and_those_of_a_condition_with_a_gap_more():
    """Where the loss has no gradient, only the decay changes parameters."""
    recipe = replace(RECIPE, warmup_steps=0, weight_decay=2.0, condition_decay=30.0)
    points = Points(torch.randn(1000, 2), torch.rand(1000, 2))
    splits = Splits(points, points, torch.tensor([0.0, 2.0]))
    problem = density.problem("test", splits, NETWORK, recipe, 1)
    still = replace(
        problem, phases=[Phase(1, [lambda batch: 0 * problem.flow.log_prob(*batch).mean()])]
    )
    before, layout = problem.flow.flat.detach().clone(), problem.flow.layout
    Training(still).step()
    rate, seen = recipe.rate(0, 1), set()
    for flat, old in zip(
        problem.flow.flat.split(layout.size), before.split(layout.size), strict=True
    ):
        kept = layout.views(flat.detach())
        for name, start in layout.views(old).items():
            lost = torch.zeros(start.shape[1])
            if name.endswith("weight"):
                lost += 2
            if name.endswith("context_layer.weight"):
                lost += torch.tensor([0.0, 30.0])
                seen.add(name)
            torch.testing.assert_close(kept[name], start * (1 - rate * lost))
    assert len(seen) == 1 + NETWORK.blocks


def test_without_a_gap_conditions_do_not_decay():
    points = Points(torch.randn(300, 2), torch.rand(300, 1))
    gap, none = (Splits(points, points, torch.tensor([width])) for width in (2.0, 0.0))
    recipe = replace(RECIPE, condition_decay=3.0)
    problem = density.problem("test", gap, NETWORK, recipe, 1)
    assert problem.decay.unique().tolist() == [0, 3]
    assert density.problem("test", none, NETWORK, recipe, 1).decay is None
    assert density.problem("test", gap, NETWORK, RECIPE, 1).decay is None
    # Both conditions of a transport that is given two.
    wide = Flow(Architecture(2, 2, 1, 1, 8, 4, 4.0))
    assert gap.decay(recipe, wide).sum() == 3.0 * 2 * 2 * 8


def test_the_parameters_of_the_best_validation_are_kept(tmp_path):
    torch.manual_seed(0)
    flow = Flow(Architecture(2, 0, 2, 1, 8, 4, 4.0))
    losses, seen = [3.0, 1.0, 2.0], []

    def validate() -> float:
        seen.append(flow.flat.detach().clone())
        return losses[len(seen) - 1]

    problem = Problem(
        "test", flow, [Sample(Points(torch.randn(100, 2), None), 10, 1)],
        [Phase(60, [lambda batch: -flow.log_prob(*batch).mean()])], validate, RECIPE, 10.0,
    )  # fmt: skip
    history = train(problem, Checkpoint(tmp_path / "c", "a", 60))
    assert [row["validation_loss"] for row in history] == losses
    assert torch.equal(flow.flat, seen[1]) and not torch.equal(flow.flat, seen[2])


def test_the_best_start_goes_on_as_if_it_had_been_alone(tmp_path):
    """Of three starts, one at a time alone; a kill at any step changes nothing."""
    recipe = replace(RECIPE, starts=3, start_share=0.2)
    flat, history, begun = run(tmp_path / "all", recipe)
    ends = {row["start"]: row["train_loss"] for row in history[:6]}
    best = min(ends, key=ends.get)
    assert len(ends) == len({tuple(first.tolist()) for first in begun}) == 3
    assert {row["start"] for row in history[6:]} == {best} and len(history) > 6
    alone, _, _ = run(tmp_path / "one", replace(recipe, starts=1), first=begun[best - 1])
    assert torch.equal(flat, alone)
    steps = recipe.steps(600)
    for kill_at in (3, steps // 5 + 2, 3 * (steps // 5) + 4):
        with pytest.raises(Killed):
            run(tmp_path / f"{kill_at}", recipe, kill_at=kill_at)
        again, lines, _ = run(tmp_path / f"{kill_at}", recipe)
        assert torch.equal(again, flat) and lines == history


def test_density_training_learns_and_repeats_to_the_byte(densities, tmp_path):
    history = np.genfromtxt(densities["star"].with_suffix(".csv"), delimiter=",", names=True)
    assert history["validation_loss"][-1] < history["validation_loss"][0] - 0.1
    again = train_density(tmp_path)
    assert again.read_bytes() == densities["star"].read_bytes()
    assert (
        again.with_suffix(".csv").read_bytes() == densities["star"].with_suffix(".csv").read_bytes()
    )


@pytest.mark.parametrize(("method", "penalty"), [("unidirectional", 0), ("movement_penalty", 0.5)])
def test_transport_training_and_moving(densities, tmp_path, method, penalty):
    data = toy("star"), toy("star_twin")
    ends = ["--reference-density", str(densities["star"])]
    ends += ["--target-density", str(densities["star_twin"])]
    weights = tmp_path / "w.safetensors"
    job = TransportJob("stars", method, None, penalty, *data, NETWORK, RECIPE, 4, "cpu")
    script("train_transport").main(
        ["--job", to_json(job), *ends, "--checkpoint", str(tmp_path / "checkpoint"),
         "--output", str(weights), "--history", str(tmp_path / "loss.csv")]
    )  # fmt: skip
    move = MoveJob("stars", "evaluation", "1", None, *data, (method,), 4, "cpu")
    script("move_samples").main(
        ["--job", to_json(move), *ends, "--transports", str(weights),
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


@pytest.mark.parametrize("mode", ["shared", "difference", "concat"])
def test_conditions_reach_the_right_flows(mode):
    torch.manual_seed(0)
    density = Flow(Architecture(2, 1, 2, 1, 8, 4, 4.0)).double().requires_grad_(False)
    flow = Flow(Architecture(2, context_size(mode, 1), 2, 1, 8, 4, 4.0)).double()
    pair = DensityPair(density, density, mode)
    x, y = torch.randn(2, 50).double(), torch.randn(2, 50).double()
    c_x, c_y = torch.rand(1, 50).double(), torch.rand(1, 50).double()
    c = {"shared": c_x, "difference": c_x - c_y, "concat": torch.cat([c_x, c_y])}[mode]
    moved, log_det = flow(x, c)
    target = c_x if mode == "shared" else c_y
    expected = -(density.log_prob(moved, target) + log_det).mean()
    both = methods.find("flows_for_flows")
    forward, _ = pair.losses(both, flow, 0.0)
    torch.testing.assert_close(forward((x, c_x), (y, c_y)), expected)
    penalised = expected + 0.3 * (moved - x).abs().sum(0).mean()
    forward, _ = pair.losses(both, flow, 0.3)
    torch.testing.assert_close(forward((x, c_x), (y, c_y)), penalised)


@pytest.mark.parametrize("mode", ["shared", "difference"])
def test_a_shuffled_condition_is_the_other_events_and_the_densities_keep_theirs(mode):
    torch.manual_seed(0)
    density = Flow(Architecture(2, 1, 2, 1, 8, 4, 4.0)).double().requires_grad_(False)
    flow = Flow(Architecture(2, context_size(mode, 1), 2, 1, 8, 4, 4.0)).double()
    pair = DensityPair(density, density, mode, shuffled=True)
    x, y = torch.randn(2, 50).double(), torch.randn(2, 50).double()
    c_x, c_y = torch.rand(1, 50).double(), torch.rand(1, 50).double()
    given = {"shared": (c_y, c_x), "difference": (c_x - c_y, c_x - c_y)}[mode]
    kept = {"shared": (c_x, c_y), "difference": (c_y, c_x)}[mode]
    losses = pair.losses(methods.find("flows_for_flows"), flow, 0.0)
    moves = flow(x, given[0]), flow.inverse(y, given[1])
    for loss, (moved, log_det), c in zip(losses, moves, kept, strict=True):
        expected = -(density.log_prob(moved, c) + log_det).mean()
        torch.testing.assert_close(loss((x, c_x), (y, c_y)), expected)
    plain = DensityPair(density, density, mode)
    wanted = morph(plain, flow).forward(x, c_x, c_y)
    torch.testing.assert_close(morph(pair, flow).forward(x, c_x, c_y), wanted)


@pytest.mark.parametrize(("epoch_of", "steps"), [("larger", 12), ("smaller", 4)])
def test_an_epoch_is_of_the_larger_or_the_smaller_sample(epoch_of, steps):
    density = Flow(Architecture(2, 0, 2, 1, 8, 4, 4.0)).requires_grad_(False)
    small, large = (Points(torch.randn(n, 2), None) for n in (200, 600))
    recipe = replace(RECIPE, batch=50, epochs=1, epoch_of=epoch_of)
    problem = transport.problem(
        "test", methods.find("flows_for_flows"), DensityPair(density, density, None),
        Splits(small, small), Splits(large, large), NETWORK, recipe, 0.0, 1,
    )  # fmt: skip
    assert problem.steps == steps


def test_base_transfer_of_equal_densities_is_the_identity():
    torch.manual_seed(0)
    density = Flow(Architecture(2, 0, 4, 1, 8, 4, 4.0)).double().requires_grad_(False)
    x = torch.randn(2, 100).double()
    one = morph(DensityPair(density, density, None), None)
    torch.testing.assert_close(one.forward(x, None, None), x)


def test_methods_are_found():
    both = methods.find("penalty_identity")
    assert both.penalised and both.identity and set(both.directions) == {"forward", "inverse"}
    with pytest.raises(InputError, match="unknown"):
        methods.find("typo")


def test_a_job_is_checked():
    job = density_job()
    assert read(DensityJob, to_json(job)) == job
    given = as_dict(job)
    cases = {
        "recipe.batch: Input should be a valid integer": given["recipe"] | {"batch": "x"},
        "recipe.speed: no such key": given["recipe"] | {"speed": 1},
        "recipe.clip: Field required": {k: v for k, v in given["recipe"].items() if k != "clip"},
    }
    for words, recipe in cases.items():
        with pytest.raises(InputError, match=f"^--job: {words}"):
            read(DensityJob, json.dumps(given | {"recipe": recipe}))
    with pytest.raises(InputError, match="^--job: the whole: Invalid JSON"):
        read(DensityJob, "{")


def test_engine_is_chosen_by_device_and_compiler(monkeypatch, capsys):
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert [engine.decide(choice, cpu) for choice in engine.CHOICES] == [
        engine.COMPILED, engine.COMPILED, engine.PLAIN,
    ]  # fmt: skip
    engine._functions.cache_clear()
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert engine.decide("auto", cpu) == engine.PLAIN
    assert "no-such-compiler" in capsys.readouterr().out
    with pytest.raises(InputError, match="no-such-compiler"):
        engine.decide("compile", cpu)
    assert engine.decide("eager", cpu) == engine.PLAIN
    assert [engine.decide(choice, gpu) for choice in engine.CHOICES] == [
        engine.GRAPHS, engine.GRAPHS, engine.PLAIN,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["ENOSYS", "EOPNOTSUPP", "ENOLCK", "noexec"])
def test_where_kernels_cannot_be_kept_a_job_takes_plain_operations(
    kind, tmp_path, monkeypatch, capsys
):
    """On a file system without locks, and on one from which no library can be loaded."""
    monkeypatch.setenv("FLOWMORPH_CACHE", str(tmp_path))
    said, cpu = "cannot lock files", torch.device("cpu")
    if kind == "noexec":
        said, whole = "kernels-.*so: cannot load: failed to map segment", ctypes.CDLL

        def load(name):
            if str(name).startswith(str(tmp_path)):  # no name means the program itself
                raise OSError(f"{name}: failed to map segment from shared object")
            return whole(name)

        monkeypatch.setattr(engine.ctypes, "CDLL", load)
    else:
        number = getattr(errno, kind)

        def flock(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(engine.fcntl, "flock", flock)
    engine._functions.cache_clear()
    said = rf"{re.escape(str(tmp_path))}.*{said}.*set FLOWMORPH_CACHE"
    assert engine.decide("auto", cpu) == engine.PLAIN
    printed = capsys.readouterr().out
    assert (
        re.search(f"^engine: plain, since {said}$", printed, re.M) and printed.count("set F") == 1
    )
    with pytest.raises(InputError, match=f"^engine 'compile' is not possible: {said}") as caught:
        engine.decide("compile", cpu)
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_are_refused(tmp_path):
    with pytest.raises((InputError, OSError)):
        storage.load(tmp_path / "absent.safetensors")
