"""A training that loses what it had learnt goes back, says so, and ends as well as another."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pytest
import torch

from flowmorph.errors import InputError
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.plan.jobs.training import Recipe
from flowmorph.transfer.batches import Points, Sample
from flowmorph.transfer.checkpoint import Checkpoint
from flowmorph.transfer.problem import Phase, Problem
from flowmorph.transfer.rollback import RETURNS, is_lost
from flowmorph.transfer.running import train

RECIPE = Recipe(batch=50, epochs=60, learning_rate=1e-2, warmup_steps=5, clip=5.0)
STEPS = RECIPE.steps(300)
PLANTED = 250  # the step at which something goes wrong


def course(validation: list[float], train: list[float] | None = None) -> list[dict[str, float]]:
    """A loss history with a rate that falls in a line to zero."""
    size = len(validation)
    return [
        {
            "step": 10 * (i + 1),
            "train_loss": (train or validation)[i],
            "validation_loss": validation[i],
            "learning_rate": 1 - i / size,
            "start": 1,
        }
        for i in range(size)
    ]


FALLING = [3.0, 2.5, 2.2, 2.0, 1.9, 1.85, 1.8, 1.78]


def test_a_rise_that_the_rate_does_not_explain_is_a_loss():
    assert not is_lost(course(FALLING))
    assert is_lost(course([*FALLING, 2.6]))
    assert not is_lost(course([*FALLING, 1.85]))  # no more than usual
    assert is_lost(course([*FALLING, *[1.78] * 40, 1.85]))  # now that the rate is low
    assert not is_lost(course([*FALLING[:4], 3.0]))  # too early to say what is usual
    assert not is_lost(course([1.0] * 9))


def test_points_that_are_learnt_by_heart_are_no_reason_to_go_back():
    assert not is_lost(course([*FALLING, 2.6], [*FALLING, 1.7]))


def test_what_was_given_up_does_not_count():
    history = course([*FALLING, 2.6])
    again = history[-1] | {"validation_loss": 1.77, "train_loss": 1.77}
    assert is_lost(history) and not is_lost([*history, again])


class Killed(Exception):
    """Stands for the end of the process at a step."""


def run(path: Path, planted: str = "", kill_at: int | None = None, minutes: float = 60):
    """Train; in the first order of the points, and once, a step may go wrong.

    ``planted`` is jump (the parameters are moved away), stays (they are in each order, and from
    then on), nan (the loss is none), always (it is none in each order) or nothing; ``kill_at``
    counts the steps of this process.
    """
    torch.manual_seed(0)
    points = torch.randn(300, 2)
    flow = Flow(Architecture(2, 0, 2, 1, 8, 4, 4.0))
    sample = Sample(Points(points, None), RECIPE.batch, 1)
    order = Sample(Points(points, None), RECIPE.batch, 1)
    unlucky = [order.draw()[0] for _ in range(PLANTED + 1)][-1]
    away = torch.randn(flow.flat.shape)
    steps = 0

    def loss(step: int, batch) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == kill_at:
            raise Killed
        wrong = step == PLANTED and (planted == "always" or torch.equal(batch[0], unlucky))
        if (wrong and planted == "jump") or (step >= PLANTED and planted == "stays"):
            with torch.no_grad():
                flow.flat += away
        value = -flow.log_prob(batch[0]).mean()
        return value * math.nan if wrong and planted in ("nan", "always") else value

    def validate() -> float:
        with torch.no_grad():
            return -flow.log_prob(points.T.contiguous()).mean().item()

    losses = [partial(loss, step) for step in range(STEPS)]
    problem = Problem(
        "test", flow, [sample], [Phase(STEPS, losses)], validate, RECIPE, 6.0, floor=lambda: -50.0
    )
    history = train(problem, Checkpoint(path, "a", minutes))
    return flow.flat.detach(), history


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    return run(tmp_path_factory.mktemp("quiet") / "c")


def end(result) -> float:
    return min(row["validation_loss"] for row in result[1])


def test_a_training_without_a_jump_never_goes_back(quiet):
    rows = quiet[1]
    assert all(row["returns"] == 0 and row["steps_taken"] == row["step"] for row in rows)
    assert rows[-1]["step"] == STEPS


@pytest.mark.parametrize("planted", ["jump", "nan"])
def test_a_training_goes_back_and_ends_as_well(tmp_path, quiet, capsys, planted):
    result = run(tmp_path / "c", planted)
    rows = result[1]
    lost = next(i for i, row in enumerate(rows) if row["returns"]) - 1
    assert rows[lost]["step"] - 20 <= PLANTED < rows[lost]["step"]
    kept = min(rows[:lost], key=lambda row: row["validation_loss"])
    assert rows[lost + 1]["step"] == kept["step"] + 20
    assert rows[-1]["returns"] == 1 and rows[-1]["step"] == STEPS
    assert rows[-1]["steps_taken"] == STEPS + rows[lost]["step"] - kept["step"]
    assert end(result) == pytest.approx(end(quiet), abs=0.01)
    said = [line for line in capsys.readouterr().out.splitlines() if "goes back" in line]
    assert len(said) == 1 and f"at step {rows[lost]['step']}" in said[0]
    assert f"(return 1 of at most {RETURNS})" in said[0]


def test_a_return_in_vain_ends(tmp_path, capsys):
    with pytest.raises(InputError, match="the loss is not finite at step 260"):
        run(tmp_path / "c", "always")
    assert capsys.readouterr().out.count("goes back") == RETURNS


def test_a_loss_that_rises_each_time_is_said_to_have_risen(tmp_path, capsys):
    rows = run(tmp_path / "c", "stays")[1]
    assert rows[-1]["returns"] == RETURNS and rows[-1]["step"] == STEPS
    kept = min(rows, key=lambda row: row["validation_loss"])
    assert kept["step"] <= PLANTED
    said = f"the loss has risen after {RETURNS} returns; the parameters of step {kept['step']}"
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("kill_at", [PLANTED, 255, 260, 261, 262, 300, STEPS + 10])
def test_a_training_stopped_near_a_return_ends_with_the_same_bytes(tmp_path, kill_at):
    whole = run(tmp_path / "whole", "jump")
    with pytest.raises(Killed):
        run(tmp_path / "c", "jump", kill_at, minutes=0)
    again = run(tmp_path / "c", "jump", minutes=0)
    assert torch.equal(again[0], whole[0]) and again[1] == whole[1]


def test_a_training_that_ends_far_from_the_exact_density_says_so(tmp_path, capsys):
    run(tmp_path / "c")
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("test: warning: ends ") and last.endswith("above the exact density")
