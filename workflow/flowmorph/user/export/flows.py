"""Flows as nodes: what `flowmorph.flows` computes, with one row a point.

Points are (N, D), conditions (N, C) and log-determinants (N,); all have the type of the points.
"""

from __future__ import annotations

import math

import numpy as np

from flowmorph.flows.flow import Flow
from flowmorph.flows.made import SIGHT, Layout
from flowmorph.flows.spline import MIN_BIN, MIN_SLOPE, UNIT_SLOPE
from flowmorph.user.export.nodes import Value, concat, where


def apply(flow: Flow, x: Value, c: Value | None, inverse: bool = False) -> tuple[Value, Value]:
    """Image (N, D) and log-determinant (N,) of a flow, or of its inverse."""
    layer = _layer_inverse if inverse else _layer
    steps = list(zip(flow.stack.per_layer(flow.flat.detach()), flow.arch.flips, strict=True))
    total = None
    for flat, flip in reversed(steps) if inverse else steps:
        x = _flipped(x, flow) if inverse and flip else x
        weights = {n: v.cpu().double().numpy() for n, v in flow.layout.views(flat).items()}
        x, log_slope = layer(flow.layout, weights, flow.arch.tail_bound, x, c)
        x = _flipped(x, flow) if flip and not inverse else x
        total = log_slope if total is None else total + log_slope
    assert total is not None, "a flow has a layer"
    return x, -total.sum(1) if inverse else total.sum(1)


def log_prob(flow: Flow, x: Value, c: Value | None) -> Value:
    """Log-density (N,) of points, as `Flow.log_prob`."""
    z, log_det = apply(flow, x, c)
    return log_det - 0.5 * (z * z).sum(1) - 0.5 * flow.arch.features * math.log(2 * math.pi)


def _flipped(x: Value, flow: Flow) -> Value:
    return x.take(range(flow.arch.features)[::-1], axis=1)


def _linear(given: Value, weight: np.ndarray, bias: np.ndarray) -> Value:
    return given.graph.node("Gemm", given, given.like(weight), given.like(bias[:, 0]), transB=1)


def _layer(layout: Layout, w: dict, bound: float, x: Value, c: Value | None) -> tuple[Value, Value]:
    """Image and log-slopes (N, D) of one layer, as `Autoregressive.forward`."""

    def linear(name: str, given: Value) -> Value:
        return _linear(given, w[f"{name}.weight"], w[f"{name}.bias"])

    h = linear("initial_layer", x.clip(-SIGHT, SIGHT))
    if c is not None:
        h = h + linear("context_layer", c).relu()
    for block in range(layout.shape.blocks):
        t = linear(f"blocks.{block}.linear_layers.0", h.relu())
        if c is not None:
            t = t + linear(f"blocks.{block}.context_layer", c)
        h = h + linear(f"blocks.{block}.linear_layers.1", t.relu())
    raw = linear("final_layer", h).reshape(0, layout.shape.features, 3 * layout.shape.bins - 1)
    return _spline(x, raw, layout.shape.bins, bound, inverse=False)


def _layer_inverse(
    layout: Layout, w: dict, bound: float, y: Value, c: Value | None
) -> tuple[Value, Value]:
    """Preimage, and log-slopes (N, D) of the forward map there, as `Autoregressive.inverse`."""
    outputs = 3 * layout.shape.bins - 1
    found: list[Value] = []
    slopes: list[Value] = []
    hidden: list[Value] = []
    inner: list[list[Value]] = [[] for _ in range(2 * layout.shape.blocks)]

    def linear(name: str, rows: slice, columns: slice, given: list[Value]) -> Value:
        weight, bias = w[f"{name}.weight"][rows, columns], w[f"{name}.bias"][rows]
        if not given:
            # No unit is known yet: the same for all points, of which there is one row each.
            return _linear(y.slice(1, 0, 1), np.zeros((len(bias), 1)), bias)
        return _linear(concat(given, 1), weight, bias)

    for g, rows in enumerate(layout.groups):
        known, every = slice(0, rows.stop), slice(None)
        if rows.stop > rows.start:
            seen = [x.clip(-SIGHT, SIGHT) for x in found]
            part = linear("initial_layer", rows, slice(0, g), seen)
            if c is not None:
                part = part + linear("context_layer", rows, every, [c]).relu()
            for block in range(layout.shape.blocks):
                name, (us, vs) = f"blocks.{block}", inner[2 * block : 2 * block + 2]
                us.append(part.relu())
                t = linear(f"{name}.linear_layers.0", rows, known, us)
                if c is not None:
                    t = t + linear(f"{name}.context_layer", rows, every, [c])
                vs.append(t.relu())
                part = part + linear(f"{name}.linear_layers.1", rows, known, vs)
            hidden.append(part)
        own = slice(g * outputs, (g + 1) * outputs)
        raw = linear("final_layer", own, known, hidden).reshape(0, 1, outputs)
        x, slope = _spline(y.slice(1, g, g + 1), raw, layout.shape.bins, bound, inverse=True)
        found.append(x)
        slopes.append(slope)
    return concat(found, 1), concat(slopes, 1)


def _spline(
    values: Value, raw: Value, bins: int, bound: float, inverse: bool
) -> tuple[Value, Value]:
    """Image and log-slope of the forward map, as `flowmorph.flows.spline.evaluate`.

    ``values`` are (N, D), and ``raw`` (N, D, 3K - 1).
    """
    graph, scale = values.graph, 2 * bound * (1 - MIN_BIN * bins)
    inside = abs(values) <= bound
    safe = where(inside, values, 0.0)
    shares = raw.slice(2, 0, 2 * bins).reshape(0, 0, 2, bins)
    shares = graph.node("Softmax", shares, axis=3)
    edges = graph.node("MatMul", shares, shares.like(np.triu(np.ones((bins, bins)), 1)))
    edges = edges * scale + (2 * bound * MIN_BIN * np.arange(bins) - bound)
    sizes = shares * scale + 2 * bound * MIN_BIN
    bin_ = safe.count(edges.take(int(inverse), axis=2).slice(2, 1, bins)).unsqueeze(-1)

    def chosen(of: Value, place: Value = bin_) -> Value:
        return graph.node("GatherElements", of, place, axis=2)

    x_k, y_k, w, h = (
        chosen(of.take(axis, axis=2)).squeeze(2) for of in (edges, sizes) for axis in (0, 1)
    )
    pads = graph.constant([0, 0, 1, 0, 0, 1], np.dtype(np.int64))
    slopes = raw.slice(2, 2 * bins, 3 * bins - 1)
    slopes = graph.node("Pad", slopes, pads, slopes.like(UNIT_SLOPE))
    d_k, d_k1 = (
        _softplus(chosen(slopes, place).squeeze(2)) + MIN_SLOPE for place in (bin_, bin_ + 1)
    )
    s = h / w
    bend = d_k + d_k1 - 2.0 * s
    if inverse:
        rise = safe - y_k
        lift = rise * bend
        linear = h * d_k - lift
        square = linear * linear + 4.0 * (h * (s - d_k) + lift) * (s * rise)
        # A square by construction; rounding can leave it slightly negative.
        xi = (2.0 * (s * rise) / (linear + square.relu().sqrt())).clip(0.0, 1.0)
    else:
        xi = ((safe - x_k) / w).clip(0.0, 1.0)
    away = 1.0 - xi
    rest = xi * away
    denominator = s + bend * rest
    image = xi * w + x_k if inverse else y_k + h * (s * xi * xi + d_k * rest) / denominator
    slope = d_k1 * xi * xi + 2.0 * s * rest + d_k * away * away
    ratio = s / denominator
    log_slope = (slope * ratio * ratio).log()
    return where(inside, image, values), where(inside, log_slope, 0.0)


def _softplus(x: Value) -> Value:
    """log(1 + exp(x)), of which no digits are lost where it is small."""
    u = (-abs(x)).exp()
    # What rounding takes from 1 + u, the division gives back (W. Kahan's log1p).
    v = 1.0 + u
    small = v.equals(1.0)
    log = where(small, u, v.log() * u / where(small, 1.0, v - 1.0))
    return x.relu() + log
