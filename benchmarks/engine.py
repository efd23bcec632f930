"""Plain nflows and this project's engine side by side, in one process and on one thread.

    PYTHONPATH=workflow python benchmarks/engine.py --features 5 --batch 128

Same architecture (the paper's), same weights, same data; the two run in turn (A B A B ...) and the
medians of their times are compared. The limit is the time that the matrix products alone need at
the rate which this core reaches at these shapes. --profile says where a step of ours spends the
rest.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Callable

import torch
from nflows.distributions import StandardNormal
from torch import Tensor

from flowmorph.flows.flow import Architecture, Flow
from flowmorph.flows.made import Layout, Shape
from flowmorph.plan import methods
from flowmorph.transfer.morph import DensityPair

CLIP = 5.0
TURN = 5
MOVED = 100_000


class Nflows:
    """nflows' own modules behind the calls that the benchmark makes; arrays are point-major."""

    def __init__(self, flow: Flow, trained: bool) -> None:
        self.transform = flow.to_nflows()
        self.base = StandardNormal([flow.arch.features])
        self.transform.requires_grad_(trained)

    def log_prob(self, x: Tensor, c: Tensor | None) -> Tensor:
        z, log_det = self.transform.forward(x, c)
        return self.base.log_prob(z) + log_det


def timed(calls: dict[str, Callable[[], None]], repeats: int, turn: int = 1) -> dict[str, float]:
    """Median seconds of each call, in turns of several that find the caches as training does."""
    for call in calls.values():
        call()
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(turn):
                call()
            times[name].append((time.perf_counter() - start) / turn)
    return {name: statistics.median(values) for name, values in times.items()}


def profile(step: Callable[[], None], flows: dict[str, Flow], repeats: int) -> dict[str, float]:
    """Seconds of one step in each flow's values and gradients, and in all else."""
    spent: Counter[str] = Counter()

    def watched(name: str, method: Callable) -> Callable:
        def call(*args, **kwargs):
            start = time.perf_counter()
            result = method(*args, **kwargs)
            spent[name] += time.perf_counter() - start
            return result

        return call

    stacks = {name: flow._compiled for name, flow in flows.items()}
    for name, stack in stacks.items():
        stack.run = watched(f"{name}, values", stack.run)
        stack.pull_back = watched(f"{name}, gradients", stack.pull_back)
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    total = time.perf_counter() - start
    for stack in stacks.values():
        del stack.run, stack.pull_back
    spent["clipping, Adam, autograd, loss"] = total - sum(spent.values())
    return {name: seconds / repeats for name, seconds in spent.items()}


def products(arch: Architecture, batch: int) -> list[tuple[int, int, int]]:
    """Shapes (m, k, n) of the dense matrix products of one pass through the network of a layer."""
    layout = Layout(Shape(arch.features, arch.context, arch.width, arch.blocks, arch.bins))
    # Outputs that no hidden unit drives are biases.
    return [
        (rows - (layout.fixed if name.startswith("final") else 0), columns, batch)
        for name, (_, (rows, columns)) in layout.slices.items()
        if name.endswith("weight")
    ]


def product_seconds(arch: Architecture, batch: int) -> float:
    """Measured time of the matrix products of one dense pass through a layer's network."""
    total = 0.0
    for m, k, n in products(arch, batch):
        a, b, out = torch.randn(m, k), torch.randn(k, n), torch.empty(m, n)
        repeats = max(20, round(2e8 / (m * k * n)))
        torch.mm(a, b, out=out)
        start = time.perf_counter()
        for _ in range(repeats):
            torch.mm(a, b, out=out)
        total += (time.perf_counter() - start) / repeats
    return total


def inverse_share(arch: Architecture) -> float:
    """Multiplications of the one-sweep inverse as a part of those of a dense pass."""
    shape = Shape(arch.features, arch.context, arch.width, arch.blocks, arch.bins)
    layout = Layout(shape)
    dense = sum(m * k for m, k, _ in products(arch, 1))
    swept = 0
    for g, rows in enumerate(layout.groups):
        units, per_feature = rows.stop - rows.start, 3 * arch.bins - 1
        swept += per_feature * rows.stop
        swept += units * (g + arch.context + arch.blocks * (2 * rows.stop + arch.context))
    return swept / dense


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--features", type=int, default=2, help="2: unconditional, else one condition"
    )
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--profile", action="store_true", help="parts of our training steps")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)

    context = 0 if args.features == 2 else 1
    density_arch = Architecture(args.features, context, 4, 2, 128, 8, 4.0)
    transport_arch = Architecture(args.features, context, 8, 3, 128, 8, 4.0)
    density, frozen, flow = Flow(density_arch), Flow(density_arch), Flow(transport_arch)
    frozen.requires_grad_(False)
    theirs = {
        "density": Nflows(density, True), "frozen": Nflows(frozen, False),
        "flow": Nflows(flow, True),
    }  # fmt: skip
    start = time.perf_counter()
    for part in (density, frozen, flow):
        part.compile()

    x = torch.randn(args.features, args.batch)
    c = torch.rand(context, args.batch) if context else None
    x_n, c_n = x.T.contiguous(), None if c is None else c.T.contiguous()
    pair = DensityPair(frozen, frozen, "shared" if context else None)
    forward, inverse = pair.losses(methods.find("flows_for_flows"), flow, 0.0)
    batches = ((x, c), (x, c))

    def step(parameters: list[Tensor], loss: Callable[[], Tensor], **adam) -> Callable[[], None]:
        optimizer = torch.optim.Adam(parameters, lr=1e-6, **adam)

        def run() -> None:
            optimizer.zero_grad()
            loss().backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            optimizer.step()

        return run

    def theirs_loss(inverse: bool) -> Callable[[], Tensor]:
        def loss() -> Tensor:
            transform = theirs["flow"].transform
            y, log_det = (transform.inverse if inverse else transform.forward)(x_n, c_n)
            return -(theirs["frozen"].log_prob(y, c_n) + log_det).mean()

        return loss

    per_layer = {
        arch.blocks: product_seconds(arch, args.batch) for arch in (density_arch, transport_arch)
    }
    sweep = inverse_share(transport_arch)
    dense = {"density": density_arch.layers * per_layer[2]}
    dense |= {"frozen": dense["density"], "transport": transport_arch.layers * per_layer[3]}
    # A training step needs each product once forward and twice backward (by input, by weight); a
    # frozen flow, through which the gradient only passes, once and once.
    through_frozen = {name: dense["frozen"] for name in ("frozen, values", "frozen, gradients")}
    needed = {
        "density training": {
            "density, values": dense["density"], "density, gradients": 2 * dense["density"],
        },
        "transport training, forward": through_frozen | {
            "transport, values": dense["transport"],
            "transport, gradients": 2 * dense["transport"],
        },
        "transport training, inverse": through_frozen | {
            "transport, values": sweep * dense["transport"],
            "transport, gradients": (sweep + 1) * dense["transport"],
        },
    }  # fmt: skip
    limits = {name: sum(parts.values()) for name, parts in needed.items()}
    pairs = {
        "density training": (
            step(list(theirs["density"].transform.parameters()),
                 lambda: -theirs["density"].log_prob(x_n, c_n).mean()),
            step([density.flat], lambda: -density.log_prob(x, c).mean(), fused=True),
        ),
        "transport training, forward": (
            step(list(theirs["flow"].transform.parameters()), theirs_loss(False)),
            step([flow.flat], lambda: forward(*batches), fused=True),
        ),
        "transport training, inverse": (
            step(list(theirs["flow"].transform.parameters()), theirs_loss(True)),
            step([flow.flat], lambda: inverse(*batches), fused=True),
        ),
    }  # fmt: skip
    kind = f"{args.features} features, {'one condition' if context else 'no condition'}"
    print(f"{kind}, batch {args.batch}")
    print(f"{'':34s} {'nflows':>9s} {'ours':>9s} {'ratio':>6s} {'limit':>9s} {'share':>6s}")

    def report(name: str, times: dict[str, float], limit: float) -> float:
        ratio = times["nflows"] / times["ours"]
        print(
            f"{name:34s} {times['nflows'] * 1e3:7.1f}ms {times['ours'] * 1e3:7.1f}ms {ratio:6.1f} "
            f"{limit * 1e3:7.1f}ms {limit / times['ours']:6.0%}",
            flush=True,
        )
        return ratio

    measured = {}
    for name, (a, b) in pairs.items():
        if not measured:
            b()
            print(f"compiling or loading: {time.perf_counter() - start:.0f} s so far")
        measured[name] = timed({"nflows": a, "ours": b}, args.repeats, TURN)
        report(name, measured[name], limits[name])
        if args.profile:
            flows = {"density": density, "frozen": frozen, "transport": flow}
            for part, seconds in profile(b, flows, 10 * args.repeats).items():
                least = needed[name].get(part, 0.0)
                print(f"  {part:43s} {seconds * 1e3:7.2f}ms, products {least * 1e3:5.2f}ms")
    both = {
        who: sum(measured[f"transport training, {d}"][who] for d in ("forward", "inverse")) / 2
        for who in ("nflows", "ours")
    }
    report("flows for flows, mean of both", both,
           sum(limits[f"transport training, {d}"] for d in ("forward", "inverse")) / 2)  # fmt: skip

    points = torch.randn(MOVED, args.features)
    conditions = torch.rand(MOVED, context) if context else None
    for inverse in (False, True):

        def move_theirs(inverse: bool = inverse) -> None:
            transform = theirs["flow"].transform
            with torch.no_grad():
                (transform.inverse if inverse else transform.forward)(points, conditions)

        def move_ours(inverse: bool = inverse) -> None:
            with torch.no_grad():
                for first in range(0, MOVED, args.batch):
                    rows = slice(first, first + args.batch)
                    chunk = points[rows].T.contiguous()
                    given = None if conditions is None else conditions[rows].T.contiguous()
                    (flow.inverse if inverse else flow.forward)(chunk, given)

        times = timed({"nflows": move_theirs, "ours": move_ours}, max(2, args.repeats // 5))
        least = dense["transport"] * MOVED / args.batch
        name = f"moving {MOVED:,} points, {'inverse' if inverse else 'forward'}"
        report(name, times, least * (sweep if inverse else 1))


if __name__ == "__main__":
    main()
