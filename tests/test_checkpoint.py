"""A training that is stopped anywhere ends with the bytes of one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import jobs
import pytest
import torch
from jobs import density_job, density_options
from scripts_by_name import path_of

from flowmorph.errors import InputError
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.flows.graphs import Batch
from flowmorph.plan.jobs.training import Recipe
from flowmorph.transfer.batches import Points, Sample
from flowmorph.transfer.checkpoint import MINUTES, Checkpoint
from flowmorph.transfer.problem import Phase, Problem
from flowmorph.transfer.running import train

ROOT = Path(__file__).parents[1]
RECIPE = Recipe(batch=50, epochs=10, learning_rate=1e-2, warmup_steps=5, clip=5.0)
STEPS = RECIPE.steps(300)


class Killed(Exception):
    """Stands for the end of the process at a step."""


def run(path: Path, kill_at: int | None = None, identity: str = "a", minutes: float = 0.0):
    torch.manual_seed(0)
    points = torch.randn(300, 2)
    samples = [Sample(Points(points + shift, None), RECIPE.batch, shift) for shift in (1, 2, 3)]
    flow = Flow(Architecture(2, 0, 2, 1, 8, 4, 4.0))

    def loss(step: int, first: Batch, second: Batch) -> torch.Tensor:
        if step == kill_at:
            raise Killed
        return -(flow.log_prob(first[0]) + flow.log_prob(second[0])).mean()

    losses = [partial(loss, step) for step in range(STEPS)]

    def validate() -> float:
        return -flow.log_prob(points.T.contiguous()).mean().item()

    checkpoint = Checkpoint(path, identity, minutes)
    problem = Problem(
        "test",
        flow,
        samples,
        [Phase(30, losses, 0.3, (0, 2)), Phase(STEPS - 30, losses, draws=(0, 1))],
        validate,
        RECIPE,
        6.0,
        decay=torch.full_like(flow.flat.detach(), 0.1),
    )
    history = train(problem, checkpoint)
    return flow.flat.detach(), history


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    return run(tmp_path_factory.mktemp("quiet") / "c", minutes=60)


def equal(one, other) -> bool:
    return torch.equal(one[0], other[0]) and one[1] == other[1]


@pytest.mark.parametrize("kill_at", [1, 19, 20, 21, 29, 30, 31, STEPS - 1])
def test_a_stopped_training_goes_on_as_if_nothing_had_been(tmp_path, quiet, kill_at):
    with pytest.raises(Killed):
        run(tmp_path / "c", kill_at)
    assert equal(run(tmp_path / "c"), quiet)


def test_stops_in_a_row(tmp_path, quiet, capsys):
    for kill_at in (7, 23, 24, 50):
        with pytest.raises(Killed):
            run(tmp_path / "c", kill_at)
    assert equal(run(tmp_path / "c"), quiet)
    assert "goes on from step 50" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "foreign"])
def test_a_bad_checkpoint_is_named_and_not_used(tmp_path, quiet, capsys, damage):
    path = tmp_path / "c"
    with pytest.raises(Killed):
        run(path, 30, identity="b" if damage == "foreign" else "a")
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[-5] ^= 1
    elif damage == "empty":
        content = bytearray()
    path.write_bytes(content)
    assert equal(run(path), quiet)
    output = capsys.readouterr().out
    assert f"checkpoint {path}" in output and "is not used" in output
    assert "goes on" not in output


def test_a_signal_saves_and_stops(tmp_path, quiet):
    class Signalling(Sample):
        def draw(self, noise):
            if self.position == 200:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().draw(noise)

    torch.manual_seed(0)
    sample = Signalling(Points(torch.randn(300, 2), None), 50, 1)
    flow = Flow(Architecture(2, 0, 2, 1, 8, 4, 4.0))
    losses = [lambda batch: -flow.log_prob(batch[0]).mean()]
    problem = Problem("test", flow, [sample], [Phase(STEPS, losses)], lambda: 0.0, RECIPE, 6.0)
    with pytest.raises(InputError, match="stopped by SIGTERM at step 5, which is saved"):
        train(problem, Checkpoint(tmp_path / "c", "a", 60))
    assert (tmp_path / "c").exists()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_killed_process_ends_with_the_same_bytes(tmp_path):
    job = density_job(recipe=replace(jobs.RECIPE, batch=50, epochs=6))

    def start(folder: Path) -> subprocess.Popen:
        folder.mkdir(exist_ok=True)
        command = [sys.executable, str(path_of("train_density")), *density_options(job, folder)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow"), MINUTES: "0"}
        return subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    checkpoint, weights, history = "star.checkpoint", "star.safetensors", "star.csv"
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    with start(whole) as process:
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output

    with start(broken) as process:
        deadline = time.monotonic() + 120
        while not (broken / checkpoint).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    assert (broken / checkpoint).exists() and not (broken / weights).exists()

    with start(broken) as process:
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and "goes on from step" in output
    for name in (weights, history):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()
    assert not (broken / checkpoint).exists()
