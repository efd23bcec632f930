"""Training steps per second on a GPU: nflows, our plain steps, and our steps as CUDA graphs.

    PYTHONPATH=workflow:benchmarks python benchmarks/gpu.py
    PYTHONPATH=workflow:benchmarks python benchmarks/gpu.py --device cpu --steps 20   # no graphs

Flows for flows by the paper's recipe: batches of 128 of a million points that lie on the device, 8
layers of 3 blocks of 128 between frozen densities of 4 layers, both directions in turn. The time of
the paper's whole training, 64 epochs, is extrapolated from these steps.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from engine import Nflows

from flowmorph.flows.flow import Architecture, Flow
from flowmorph.plan import methods
from flowmorph.plan.jobs.training import Recipe
from flowmorph.transfer.batches import Points, Sample
from flowmorph.transfer.morph import DensityPair
from flowmorph.transfer.problem import Phase, Problem
from flowmorph.transfer.training import Training

POINTS = 1_000_000
PAPER = Recipe(batch=128, epochs=64, learning_rate=1e-4, warmup_steps=0, clip=5.0)


def ours(flow: Flow, pair: DensityPair, samples: list[Sample], graphs: bool) -> Callable[[], None]:
    """A step as the workflow makes it."""
    losses = pair.losses(methods.find("flows_for_flows"), flow, 0.0)
    steps = PAPER.steps(POINTS)
    problem = Problem("step", flow, samples, [Phase(steps, losses)], lambda: 0.0, PAPER, 1.0)
    return Training(problem, graphs).step


def theirs(flow: Flow, frozen: Flow, samples: list[Sample]) -> Callable[[], None]:
    """The same step with nflows' modules, and PyTorch's Adam as it comes."""
    device = flow.flat.device
    transport, density = Nflows(flow, True), Nflows(frozen, False)
    transport.transform.to(device)
    density.transform.to(device)
    parameters = list(transport.transform.parameters())
    optimizer = torch.optim.Adam(parameters, lr=PAPER.learning_rate)
    turn = 0

    def step() -> None:
        nonlocal turn
        inverse, turn = bool(turn % 2), turn + 1
        (x, c), _ = (sample.draw() for sample in samples)
        x, c = x.T.contiguous(), None if c is None else c.T.contiguous()
        optimizer.zero_grad()
        transform = transport.transform.inverse if inverse else transport.transform.forward
        y, log_det = transform(x, c)
        (-(density.log_prob(y, c) + log_det).mean()).backward()
        torch.nn.utils.clip_grad_norm_(parameters, PAPER.clip)
        optimizer.step()

    return step


def rate(step: Callable[[], None], steps: int, device: torch.device) -> float:
    """Steps per second, after as many as it takes to record graphs."""
    for _ in range(6):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return steps / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--steps", type=int, default=2000)
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("no GPU is usable: --device cpu runs the same code, without graphs")
    device = torch.device(args.device)
    torch.set_num_threads(1)
    print("| features | way | steps/s | ratio to nflows | the paper's training |")
    print("|---|---|---|---|---|")
    for features, context in ((2, 0), (5, 1)):
        torch.manual_seed(0)
        density = Architecture(features, context, 4, 2, 128, 8, 4.0)
        transport = Architecture(features, context, 8, 3, 128, 8, 4.0)
        frozen = Flow(density).to(device).requires_grad_(False)
        pair = DensityPair(frozen, frozen, "shared" if context else None)
        x = torch.randn(POINTS, features, device=device)
        c = torch.rand(POINTS, context, device=device) if context else None
        samples = [Sample(Points(x, c), PAPER.batch, seed) for seed in (1, 2)]
        ways = {
            "nflows": theirs(Flow(transport).to(device), frozen, samples),
            "plain": ours(Flow(transport).to(device), pair, samples, False),
        }
        if device.type == "cuda":
            ways["graphs"] = ours(Flow(transport).to(device), pair, samples, True)
        rates: dict[str, float] = {}
        for way, step in ways.items():
            # nflows' steps are slow, and a tenth of them tells their rate as well.
            rates[way] = rate(step, args.steps // (10 if way == "nflows" else 1), device)
            hours = PAPER.steps(POINTS) / rates[way] / 3600
            ratio = rates[way] / rates["nflows"]
            print(f"| {features} | {way} | {rates[way]:.1f} | {ratio:.1f} | {hours:.1f} h |")


if __name__ == "__main__":
    main()
