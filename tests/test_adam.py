"""Adam, and what it costs to begin."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from flowmorph.transfer.adam import Adam

BETAS = (0.9, 0.99)


@pytest.mark.parametrize("graphs", [False, True], ids=["number", "tensor"])
def test_steps_are_those_of_pytorchs_optimizer(graphs):
    """With a rate that changes, and gradients of two tensors."""
    start = [torch.randn(30, 4), torch.randn(7)]
    ours, theirs = ([torch.nn.Parameter(x.clone()) for x in start] for _ in range(2))
    adam = Adam(ours, torch.zeros(()) if graphs else 0.0, BETAS)
    optimizer = torch.optim.Adam(theirs, betas=BETAS, fused=True)
    for step in range(20):
        rate = 1e-2 / (step + 1)
        adam.rate = torch.tensor(rate) if graphs else rate
        optimizer.param_groups[0]["lr"] = rate
        adam.zero_grad()
        optimizer.zero_grad()
        for x, y in zip(ours, theirs, strict=True):
            gradient = torch.randn(x.shape)
            (x * gradient).sum().backward()
            (y * gradient).sum().backward()
        adam.step()
        optimizer.step()
    for x, y, first in zip(ours, theirs, start, strict=True):
        torch.testing.assert_close(x, y, rtol=0 if not graphs else 1e-6, atol=0)
        assert not torch.equal(x, first)


def test_a_training_does_not_import_pytorchs_compiler():
    """That takes as long as importing PyTorch."""
    code = """
import sys
import torch
from flowmorph.transfer.adam import Adam
x = torch.nn.Parameter(torch.ones(3))
adam = Adam([x], 0.1, (0.9, 0.99))
x.square().sum().backward()
torch.nn.utils.clip_grad_norm_([x], 1.0, foreach=False)
adam.step()
adam.zero_grad()
assert x.max() < 0.95
print([name for name in sys.modules if name.startswith("torch._dynamo")])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]", run.stdout
