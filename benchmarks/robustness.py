"""Ten million inputs through the splines and through whole flows: finite, monotone, invertible?

    PYTHONPATH=workflow python benchmarks/robustness.py

Inputs are uniform, far outside, denormal, on the bins' edges and on the box's edge +- 1 ulp.
A round trip can lose what the map itself squeezes together: where a spline is flat, many x share
one y in float32. So each point counts by the smaller of its two errors, |f^-1(f(x)) - x| and
|f(f^-1(y)) - y|, relative to the box; the larger one is printed too. In a stack the layers'
slopes multiply. What float32 then loses is shown next to what plain nflows loses (inf where it
stops with a failed assertion).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from nflows.transforms.splines.rational_quadratic import unconstrained_rational_quadratic_spline
from torch import Tensor

from flowmorph.flows import storage
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.flows.spline import evaluate, find_bin

BOUND = 4.0
BINS = 8
CHUNK = 100_000


def edge_cases() -> Tensor:
    """Values at which the arithmetic changes its branch."""
    bound = torch.tensor(BOUND)
    beside = [torch.nextafter(bound, torch.tensor(to)).item() for to in (0.0, 9.0)]
    values = [0.0, 1e-45, 1e-38, BOUND, *beside, 10.0, 1e6, 1e30, 3e38]
    return torch.tensor([sign * value for value in values for sign in (1, -1)])


def inputs(raw: Tensor, number: int) -> Tensor:
    """(1, number) inputs for one spline ``raw`` (1, 3K - 1, 1)."""
    uniform = 3 * BOUND * (torch.rand(number) - 0.5)
    probe = torch.linspace(-BOUND, BOUND, 4096)
    edges = torch.cat([b.unique() for b in find_bin(probe[None], raw, BOUND, False)[:2]])
    beside = [torch.nextafter(edges, torch.tensor(to)) for to in (-9.0, 9.0)]
    special = torch.cat([edges, *beside, edge_cases()])
    uniform[: len(special)] = special
    return uniform.sort().values[None]


def round_trip(apply: Callable[[Tensor, bool], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Smaller and larger error of the points inside the box, relative to it."""
    y = apply(x, False)
    back = apply(y, True)
    again = apply(back, False)
    inside = x.abs() <= BOUND
    errors = torch.stack([(back - x).abs()[inside], (again - y).abs()[inside]]) / BOUND
    return errors.amin(0), errors.amax(0)


def spline_of_ours(raw: Tensor) -> Callable[[Tensor, bool], Tensor]:
    """Our spline with these raw parameters."""
    return lambda x, inverse: evaluate(x, raw, BOUND, inverse)[0]


def spline_of_nflows(raw: Tensor) -> Callable[[Tensor, bool], Tensor]:
    """nflows' spline with the same raw parameters."""
    widths, heights, slopes = raw[0, :, 0].split([BINS, BINS, BINS - 1])

    def apply(x: Tensor, inverse: bool) -> Tensor:
        each = (part.expand(x.shape[1], -1) for part in (widths, heights, slopes))
        return unconstrained_rational_quadratic_spline(
            x[0], *each, inverse=inverse, tails="linear", tail_bound=BOUND
        )[0][None]

    return apply


def splines(spread: float, points: int) -> None:
    """Single splines with raw parameters of standard deviation ``spread``."""
    smaller = larger = theirs = double = 0.0
    finite = monotone = True
    for _ in range(points // CHUNK):
        raw = spread * torch.randn(1, 3 * BINS - 1, 1)
        raw[:, 2 * BINS :] += 0.5
        x = inputs(raw, CHUNK)
        y, slope = evaluate(x, raw, BOUND, inverse=False)
        back, slope_back = evaluate(y, raw, BOUND, inverse=True)
        finite &= all(bool(torch.isfinite(t).all()) for t in (y, slope, back, slope_back))
        # Neighbours may come out equal, or swap by what rounding allows.
        monotone &= bool((y.diff() >= -1e-6 * y[:, 1:].abs().clamp(min=BOUND)).all())
        ours = round_trip(spline_of_ours(raw), x)
        smaller, larger = max(smaller, ours[0].max().item()), max(larger, ours[1].max().item())
        precise = round_trip(spline_of_ours(raw.double()), x.double())
        double = max(double, precise[0].max().item())
        try:
            theirs = max(theirs, round_trip(spline_of_nflows(raw), x)[0].max().item())
        except AssertionError:
            theirs = torch.inf
    print(
        f"splines, spread {spread:4.1f}: {points:,} points, finite {finite}, monotone {monotone}, "
        f"round trip {smaller:.1e} (worse direction {larger:.1e}; float64 {double:.1e}; "
        f"nflows {theirs:.1e})",
        flush=True,
    )


@torch.no_grad()
def flows(name: str, points: int, spread: float, weights: str | None = None) -> None:
    """Whole flows with weights disturbed by ``spread``, and the same ones run by plain nflows."""
    errors: dict[str, list[Tensor]] = {"ours": [], "nflows": []}
    finite = True
    for seed in range(max(1, points // CHUNK)):
        torch.manual_seed(seed)
        flow = storage.load(weights) if weights else Flow(Architecture(5, 1, 8, 2, 32, BINS, BOUND))
        flow.requires_grad_(False)
        flow.flat += spread * torch.randn_like(flow.flat) * flow.mask
        x = 3 * BOUND * (torch.rand(flow.arch.features, CHUNK) - 0.5)
        c = torch.randn(flow.arch.context, CHUNK) if flow.arch.context else None
        special = edge_cases()
        x[:, : len(special)] = special
        y, log_det = flow(x, c)
        back, log_det_back = flow.inverse(y, c)
        finite &= all(bool(torch.isfinite(t).all()) for t in (y, log_det, back, log_det_back))

        x, back = x[:, len(special) :], back[:, len(special) :]
        given = None if c is None else c[:, len(special) :].T
        transform = flow.to_nflows()
        errors["ours"].append((back - x).abs().amax(0) / BOUND)
        try:
            theirs = transform.inverse(transform(x.T, given)[0], given)[0].T
            errors["nflows"].append((theirs - x).abs().amax(0) / BOUND)
        except AssertionError:
            errors["nflows"].append(torch.full((x.shape[1],), torch.inf))
    parts = []
    for who, values in errors.items():
        ordered = torch.cat(values).sort().values
        middle, rare = (ordered[int(share * (len(ordered) - 1))].item() for share in (0.5, 0.999))
        parts.append(f"{who} {middle:.0e} / {rare:.0e} / {ordered[-1].item():.0e}")
    print(
        f"{name}: {len(ordered):,} points, finite {finite}, round trip {', '.join(parts)}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("weights", nargs="*", help="trained flows (safetensors) to try as well")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for spread in (0.1, 1.0, 5.0, 30.0):
        splines(spread, args.points // 4)
    print("whole flows: round trip of half of the points / of 99.9 % / of all within")
    for spread in (0.0, 0.05, 5.0):
        flows(f"weights disturbed by {spread:g}", args.points // 20, spread)
    for path in args.weights:
        flows(path, args.points // 20, 0.0, path)


if __name__ == "__main__":
    main()
