"""A training that is stopped anywhere ends with the bytes of one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from flowmorph.errors import InputError
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.flows.graphs import Batch
from flowmorph.transfer.checkpoint import Checkpoint
from flowmorph.transfer.training import Recipe, Sample, train

ROOT = Path(__file__).parents[1]
RECIPE = Recipe(batch=50, epochs=10, learning_rate=1e-2, warmup_steps=5, clip=5.0)
STEPS = RECIPE.steps(300)


class Killed(Exception):
    """Stands for the end of the process at a step."""


def run(path: Path, kill_at: int | None = None, identity: str = "a", minutes: float = 0.0):
    torch.manual_seed(0)
    points = torch.randn(300, 2)
    samples = [
        Sample(points + shift, None, RECIPE.batch, torch.Generator().manual_seed(shift))
        for shift in (1, 2)
    ]
    flow = Flow(Architecture(2, 0, 2, 1, 8, 4, 4.0))

    def loss(step: int, first: Batch, second: Batch) -> torch.Tensor:
        if step == kill_at:
            raise Killed
        return -(flow.log_prob(first[0]) + flow.log_prob(second[0])).mean()

    losses = [partial(loss, step) for step in range(STEPS)]

    def validate() -> float:
        return -flow.log_prob(points.T.contiguous()).mean().item()

    checkpoint = Checkpoint(path, identity, minutes)
    history = train(flow, samples, losses, validate, RECIPE, STEPS, 6.0, "test", checkpoint)
    return flow.flat.detach(), history


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    return run(tmp_path_factory.mktemp("quiet") / "c", minutes=60)


def equal(one, other) -> bool:
    return torch.equal(one[0], other[0]) and one[1] == other[1]


@pytest.mark.parametrize("kill_at", [1, 19, 20, 21, STEPS - 1])
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
        def draw(self):
            if self.position == 200:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().draw()

    torch.manual_seed(0)
    sample = Signalling(torch.randn(300, 2), None, 50, torch.Generator().manual_seed(1))
    flow = Flow(Architecture(2, 0, 2, 1, 8, 4, 4.0))
    with pytest.raises(InputError, match="stopped by SIGTERM at step 5, which is saved"):
        train(
            flow, [sample], [lambda batch: -flow.log_prob(batch[0]).mean()], lambda: 0.0,
            RECIPE, STEPS, 6.0, "test", Checkpoint(tmp_path / "c", "a", 60),
        )  # fmt: skip
    assert (tmp_path / "c").exists()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_killed_process_ends_with_the_same_bytes(tmp_path):
    data = {"points": {"train": 4000, "validation": 1000, "evaluation": 1000}, "seed": 5}
    flow = {"layers": 2, "blocks": 1, "width": 16, "bins": 6, "tail_bound": 4.0}
    recipe = {"batch": 50, "epochs": 6, "learning_rate": 5e-3, "warmup_steps": 5, "clip": 5.0}

    def start(folder: Path) -> subprocess.Popen:
        command = [
            sys.executable, str(ROOT / "workflow/scripts/train/train_density.py"),
            "--dataset", "star", "--data", json.dumps(data), "--flow", json.dumps(flow),
            "--recipe", json.dumps(recipe), "--seed", "3", "--device", "cpu",
            "--checkpoint", str(folder / "c"), "--checkpoint-minutes", "0",
            "--output", str(folder / "w"), "--history", str(folder / "h"),
        ]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
        return subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    with start(whole) as process:
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output

    with start(broken) as process:
        deadline = time.monotonic() + 120
        while not (broken / "c").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    assert (broken / "c").exists() and not (broken / "w").exists()

    with start(broken) as process:
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and "goes on from step" in output
    for name in ("w", "h"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()
    assert not (broken / "c").exists()
