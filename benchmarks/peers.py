"""This project's flows beside nflows, zuko and flowjax: training and moving, each on one core.

    python -m venv peers && peers/bin/pip install -r benchmarks/peers.txt
    python benchmarks/peers.py --other peers/bin/python             # all of it takes half an hour
    python benchmarks/peers.py --other peers/bin/python --batches 128 --features 2

The network is the paper's density (4 layers, 2 blocks of 128, 8 bins); zuko and flowjax, which
have no residual blocks, get as many layers and products. Each runs in a process of its own, pinned
to the same core, one after the other, round by round; medians of rounds are given. A training step
is zero, loss, backward, clip and Adam. Moving is the density's direction (data to normal) and the
other one, microseconds a point. The limit is the time of the products alone in PyTorch.
ours, nflows and the limit run in this Python, zuko and flowjax in the other one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

LAYERS, BLOCKS, WIDTH, BINS, BOUND = 4, 2, 128, 8, 4.0
HIDDEN = 1 + 2 * BLOCKS  # layers of hidden units without residual blocks: as many products
RATE, CLIP = 1e-6, 5.0
SECONDS = 1.5  # of each measurement, after the first calls
MOVED = 4096  # points that are moved with the last of the batches

Calls = dict[str, Callable[[], object]]


def ours(features: int, context: int, batch: int) -> Calls:
    import torch

    from flowmorph.flows.flow import Architecture, Flow

    flow = Flow(Architecture(features, context, LAYERS, BLOCKS, WIDTH, BINS, BOUND)).compile()
    x, c = torch.randn(features, batch), torch.rand(context, batch) if context else None

    def density() -> None:
        flow.log_prob(x, c)

    def other() -> None:
        flow.inverse(x, c)

    return _torch_calls([flow.flat], lambda: -flow.log_prob(x, c).mean(), density, other)


def nflows(features: int, context: int, batch: int) -> Calls:
    import torch
    from nflows.distributions import StandardNormal

    from flowmorph.flows.flow import Architecture, build_nflows

    arch = Architecture(features, context, LAYERS, BLOCKS, WIDTH, BINS, BOUND)
    transform, base = build_nflows(arch), StandardNormal([features])
    x, c = torch.randn(batch, features), torch.rand(batch, context) if context else None

    def log_prob() -> torch.Tensor:
        z, log_det = transform(x, c)
        return base.log_prob(z) + log_det

    parameters = list(transform.parameters())
    return _torch_calls(
        parameters, lambda: -log_prob().mean(), log_prob, lambda: transform.inverse(x, c)
    )


def zuko(features: int, context: int, batch: int) -> Calls:
    import torch
    import zuko

    flow = zuko.flows.NSF(
        features, context, bins=BINS, transforms=LAYERS, hidden_features=[WIDTH] * HIDDEN
    )
    x, c = torch.randn(batch, features), torch.rand(batch, context) if context else None
    return _torch_calls(
        list(flow.parameters()),
        lambda: -flow(c).log_prob(x).mean(),
        lambda: flow(c).log_prob(x),
        lambda: flow(c).transform.inv(x),
    )


def _torch_calls(parameters, loss: Callable, density: Callable, other: Callable) -> Calls:
    import torch

    optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP, foreach=len(parameters) > 1)
        optimizer.step()

    return {"step": step, "density": torch.no_grad()(density), "other": torch.no_grad()(other)}


def flowjax(features: int, context: int, batch: int) -> Calls:
    import equinox as eqx
    import jax
    import optax
    from flowjax.bijections import RationalQuadraticSpline
    from flowjax.distributions import Normal
    from flowjax.flows import masked_autoregressive_flow
    from jax import numpy as jnp
    from paramax import NonTrainable, unwrap

    key = jax.random.key(0)
    flow = masked_autoregressive_flow(
        key,
        base_dist=Normal(jnp.zeros(features)),
        cond_dim=context or None,
        transformer=RationalQuadraticSpline(knots=BINS, interval=BOUND),
        flow_layers=LAYERS,
        nn_width=WIDTH,
        nn_depth=HIDDEN,
    )
    x = jax.random.normal(key, (batch, features))
    c = jax.random.uniform(key, (batch, context)) if context else None
    optimizer = optax.chain(optax.clip_by_global_norm(CLIP), optax.adam(RATE))
    parameters, static = eqx.partition(
        flow, eqx.is_inexact_array, is_leaf=lambda leaf: isinstance(leaf, NonTrainable)
    )
    state = [parameters, optimizer.init(parameters)]

    @jax.jit
    def update(parameters, memory):
        def loss(parameters):
            return -unwrap(eqx.combine(parameters, static)).log_prob(x, c).mean()

        gradients = jax.grad(loss)(parameters)
        changes, memory = optimizer.update(gradients, memory, parameters)
        return eqx.apply_updates(parameters, changes), memory

    def step() -> None:
        state[:] = update(*state)
        jax.block_until_ready(state)

    # Points go through the bijection from the normal to the data, one by one and mapped.
    back = eqx.filter_jit(
        lambda flow, z, c: eqx.filter_vmap(unwrap(flow).bijection.transform)(z, c)
    )
    log_prob = eqx.filter_jit(lambda flow, x, c: unwrap(flow).log_prob(x, c))
    return {
        "step": step,
        "density": lambda: log_prob(flow, x, c).block_until_ready(),
        "other": lambda: back(flow, x, c).block_until_ready(),
    }


def limit(features: int, context: int, batch: int) -> Calls:
    """The products of a pass, three times for a training step, as PyTorch multiplies them."""
    import torch
    from engine import products

    from flowmorph.flows.flow import Architecture

    arch = Architecture(features, context, LAYERS, BLOCKS, WIDTH, BINS, BOUND)
    given = [
        (torch.randn(m, k), torch.randn(k, n), torch.randn(m, n), torch.empty(m, n))
        for m, k, n in products(arch, batch)
    ]
    others = [(torch.empty(b.shape), torch.empty(a.shape)) for a, b, *_ in given]

    def once() -> None:
        for a, b, _, out in given * LAYERS:
            torch.mm(a, b, out=out)

    def step() -> None:
        once()
        for (a, b, g, _), (by_b, by_a) in zip(given * LAYERS, others * LAYERS, strict=True):
            torch.mm(a.T, g, out=by_b)
            torch.mm(g, b.T, out=by_a)

    return {"step": step, "density": once, "other": once}


PEERS = {each.__name__: each for each in (ours, nflows, zuko, flowjax, limit)}
ELSEWHERE = ("zuko", "flowjax")  # in the other Python


def measure(peer: str, features: int, batch: int) -> dict[str, float]:
    """Median seconds of each call of a peer, in this process."""
    if peer != "flowjax":
        import torch

        torch.set_num_threads(1)
    found = {}
    for name, call in PEERS[peer](features, 0 if features == 2 else 1, batch).items():
        for _ in range(3):
            call()
        times, end = [], time.perf_counter() + SECONDS
        while time.perf_counter() < end or len(times) < 5:
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        found[name] = statistics.median(times)
    return found


def in_a_process(python: str, core: int, peer: str, features: int, batch: int) -> dict[str, float]:
    """The same, in a process that has this core alone."""
    command = ["taskset", "-c", str(core), python, __file__, "--peer", peer]
    command += ["--features", str(features), "--batches", str(batch)]
    one = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    library = str(Path(__file__).parents[1] / "workflow")
    environment = os.environ | one | {"XLA_FLAGS": flags, "PYTHONPATH": library}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{peer} fails: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--other", default=sys.executable, help="Python that has zuko and flowjax")
    parser.add_argument("--peer", choices=PEERS, help="measure one, in this process")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument(
        "--features", nargs="+", type=int, default=[2, 5], help="5 have a condition"
    )
    parser.add_argument("--batches", nargs="+", type=int, default=[128, 512, MOVED])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=0)
    args = parser.parse_args()
    if args.peer:
        print(json.dumps(measure(args.peer, args.features[0], args.batches[0])))
        return
    print("| features, batch | | training step [ms] | density [µs a point] | other direction |")
    print("|---|---|---|---|---|")
    for features in args.features:
        for batch in args.batches:
            found: dict[str, list[dict[str, float]]] = {peer: [] for peer in args.peers}
            for _ in range(args.rounds):
                for peer, rounds in found.items():
                    python = args.other if peer in ELSEWHERE else sys.executable
                    rounds.append(in_a_process(python, args.core, peer, features, batch))
            for peer, rounds in found.items():
                step, *moving = (
                    statistics.median(each[name] for each in rounds)
                    for name in ("step", "density", "other")
                )
                points = " | ".join(f"{1e6 * seconds / batch:.2f}" for seconds in moving)
                print(f"| {features}, {batch} | {peer} | {1e3 * step:.2f} | {points} |", flush=True)


if __name__ == "__main__":
    main()
