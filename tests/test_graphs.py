"""Training by CUDA graphs: on a GPU where there is one, else with recording as on a GPU."""

from __future__ import annotations

import pytest
import torch

from flowmorph.flows import graphs
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.plan.jobs.training import Recipe
from flowmorph.transfer.batches import Points, Sample
from flowmorph.transfer.problem import Phase, Problem
from flowmorph.transfer.training import Training

RECIPE = Recipe(batch=50, epochs=1, learning_rate=1e-2, warmup_steps=5, clip=0.5)
STEPS = 21


def trained(device: str, recorded: bool) -> Training:
    """A training by two losses of two samples, one of which has a condition."""
    torch.manual_seed(0)
    x, c = torch.randn(300, 2, device=device), torch.randn(300, 1, device=device)
    samples = [
        Sample(Points(x + shift, condition), RECIPE.batch, shift)
        for shift, condition in ((1, c), (2, None))
    ]
    flow = Flow(Architecture(2, 1, 2, 1, 8, 4, 4.0)).to(x)
    losses = [
        lambda first, second: -flow.log_prob(*first).mean() - second[0].mean(),
        lambda first, second: (flow.inverse(second[0], first[1])[0] - first[0]).square().mean(),
    ]
    training = Training(
        Problem(
            "test",
            flow,
            samples,
            [Phase(9, losses[:1], 0.1), Phase(STEPS - 9, losses)],
            lambda: 0.0,
            RECIPE,
            6.0,
            decay=torch.full_like(flow.flat.detach(), 2.0),
        ),
        recorded,
    )
    for _ in range(STEPS):
        training.step()
    return training


@pytest.fixture
def double():
    """In float32 rounding can put a point on the other side of a knot, and steps magnify that."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_a_recorded_training_is_the_training(monkeypatch, double):
    """Recording stood for by what it does: nothing then, and the same tensors again later."""
    recorded = []

    def record(function):
        recorded.append(function)
        return function

    monkeypatch.setattr(graphs, "record", record)
    monkeypatch.setattr(graphs, "run_apart", lambda function: function())
    plain, graph = trained("cpu", False), trained("cpu", True)
    assert len(recorded) == 3  # the first phase has one loss, the last two
    torch.testing.assert_close(graph.flow.flat, plain.flow.flat, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(graph.recent, plain.recent, rtol=1e-9, atol=1e-9)
    assert plain.flow.flat.std() > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpus_graphs_do_what_its_plain_steps_do():
    plain, graph = trained("cuda", False), trained("cuda", True)
    torch.testing.assert_close(graph.flow.flat, plain.flow.flat, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(graph.recent, plain.recent, rtol=1e-3, atol=1e-3)
