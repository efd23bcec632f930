"""Monotone rational-quadratic splines and their derivatives (Durkan et al. 2019, arXiv:1906.04032).

A spline of K bins maps [-B, B] onto itself and is the identity outside, with slope 1 at both ends.
Its 3K - 1 raw parameters are K widths and K heights (before softmax) and K - 1 inner slopes (before
softplus), as in nflows. All arrays are feature-major: points run along the last, contiguous axis.

The derivatives are written out instead of left to autograd: at the batch sizes of this work the
cost is the number of operations, not their size. The inverse needs no graph of its own either:
by the implicit function theorem the derivatives of x = f^-1(y) follow from those of f at x.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

MIN_BIN = 1e-3  # smallest width and height of a bin in units of the box, as in nflows
MIN_SLOPE = 1e-3
# The raw slope whose softplus makes the slope 1, as at the ends, where the linear tails begin.
UNIT_SLOPE = math.log(math.expm1(1 - MIN_SLOPE))


class Bin(NamedTuple):
    """The bin of each point: its corners (x_k, y_k), (x_k1, y_k1) and raw slopes, all (D, B)."""

    x_k: Tensor
    x_k1: Tensor
    y_k: Tensor
    y_k1: Tensor
    raw_k: Tensor
    raw_k1: Tensor


class _Knots(NamedTuple):
    """The knots of each point's spline; the axis of size 2 is (x, y)."""

    shares: Tensor  # (D, 2, K, B): widths and heights of the bins, adding up to 1
    edges: list[Tensor]  # K + 1 of (D, 2, B), ends included
    beyond: list[Tensor]  # K - 1 of (D, B): whether the point lies beyond bin k


def _spread(bins: int, bound: float) -> float:
    return 2 * bound * (1 - MIN_BIN * bins)


def _knots(values: Tensor, raw: Tensor, bound: float, inverse: bool) -> _Knots:
    bins = (raw.shape[1] + 1) // 3
    shares = raw[:, : 2 * bins].unflatten(1, (2, bins)).softmax(2)
    widths = (shares * _spread(bins, bound) + 2 * bound * MIN_BIN).unbind(2)
    edges = [torch.full_like(widths[0], -bound)]
    for width in widths[:-1]:
        edges.append(edges[-1] + width)
    # The last edge is the box's exactly, so that spline and tail meet.
    edges.append(torch.full_like(widths[0], bound))
    return _Knots(shares, edges, [values >= edge[:, int(inverse)] for edge in edges[1:-1]])


def find_bin(values: Tensor, raw: Tensor, bound: float, inverse: bool) -> Bin:
    """Bins of ``values`` (D, B) among the knots that ``raw`` (D, 3K - 1, B) encodes.

    Unrolled over the K bins, so that a compiler can keep all of it in registers: no gather, no
    cumulative sum, no boolean indexing.
    """
    return _chosen(_knots(values, raw, bound, inverse), raw)


def _chosen(knots: _Knots, raw: Tensor) -> Bin:
    edges, bins = knots.edges, len(knots.edges) - 1
    end = torch.full_like(raw[:, 0], UNIT_SLOPE)
    slopes = [end, *raw[:, 2 * bins :].unbind(1), end]
    left, right, raw_k, raw_k1 = edges[0], edges[1], slopes[0], slopes[1]
    for k, beyond in enumerate(knots.beyond, start=1):
        left = torch.where(beyond[:, None], edges[k], left)
        right = torch.where(beyond[:, None], edges[k + 1], right)
        raw_k = torch.where(beyond, slopes[k], raw_k)
        raw_k1 = torch.where(beyond, slopes[k + 1], raw_k1)
    return Bin(left[:, 0], right[:, 0], left[:, 1], right[:, 1], raw_k, raw_k1)


def _chosen_vjp(knots: _Knots, bound: float, grad: Bin) -> Tensor:
    """Gradient by ``raw`` of :func:`find_bin`, which is piecewise constant in ``values``."""
    beyond, bins = knots.beyond, len(knots.edges) - 1
    left = torch.stack([grad.x_k, grad.y_k], 1)
    right = torch.stack([grad.x_k1, grad.y_k1], 1)
    # The last edge is a constant.
    right = torch.where(beyond[-1][:, None], 0.0, right)
    both = left + right
    # A wider bin k moves both edges of a point's bin beyond k, and the right edge of its own.
    by_share = []
    for k in range(bins):
        own = right if k == 0 else torch.where(beyond[k - 1][:, None], right, 0.0)
        by_share.append(torch.where(beyond[k][:, None], both, own) if k < bins - 1 else own)
    gradient = _summed(torch.stack(by_share, 2), knots.shares)
    mean = (knots.shares * gradient).sum(2, keepdim=True)
    by_raw = knots.shares * (gradient - mean) * _spread(bins, bound)
    by_slope: list[Tensor] = []
    for k in range(1, bins):
        # Knot k is the left one of bin k and the right one of bin k - 1.
        as_left = torch.where(beyond[k - 1], grad.raw_k, 0.0)
        as_right = grad.raw_k1 if k == 1 else torch.where(beyond[k - 2], grad.raw_k1, 0.0)
        by_slope.append(torch.where(beyond[k - 1], as_left, as_right))
        if k < bins - 1:
            by_slope[-1] = torch.where(beyond[k], 0.0, by_slope[-1])
    return torch.cat([by_raw.flatten(1, 2), _summed(torch.stack(by_slope, 1), by_raw)], 1)


def _summed(gradient: Tensor, parameters: Tensor) -> Tensor:
    """The sum over points, where all of them share their parameters (..., 1)."""
    return gradient.sum(-1, keepdim=True) if parameters.shape[-1] == 1 else gradient


def evaluate(values: Tensor, raw: Tensor, bound: float, inverse: bool) -> tuple[Tensor, Tensor]:
    """Apply the spline of ``raw`` (D, 3K - 1, B), or its inverse, to ``values`` (D, B).

    Returns the image and log dy/dx of the *forward* map at the point, both (D, B).
    """
    inside = values.abs() <= bound
    # Points outside are evaluated at 0 and replaced last: no NaN can reach a derivative.
    safe = torch.where(inside, values, 0.0)
    b = find_bin(safe, raw, bound, inverse)
    xi = _position(safe, b, inverse)
    w, h = b.x_k1 - b.x_k, b.y_k1 - b.y_k
    d_k, d_k1 = softplus(b.raw_k) + MIN_SLOPE, softplus(b.raw_k1) + MIN_SLOPE
    s = h / w
    rest = xi * (1 - xi)
    denominator = s + (d_k + d_k1 - 2 * s) * rest
    if inverse:
        image = xi * w + b.x_k
    else:
        image = b.y_k + h * (s * xi * xi + d_k * rest) / denominator
    slope = d_k1 * xi * xi + 2 * s * rest + d_k * (1 - xi) * (1 - xi)
    ratio = s / denominator
    log_slope = torch.log(slope * ratio * ratio)
    return torch.where(inside, image, values), torch.where(inside, log_slope, 0.0)


def _position(safe: Tensor, b: Bin, inverse: bool) -> Tensor:
    """Relative position xi in the bin (eq. 4; for the inverse, the root of eqs. 6 to 8)."""
    w, h = b.x_k1 - b.x_k, b.y_k1 - b.y_k
    if not inverse:
        return (safe - b.x_k) / w
    s = h / w
    d_k, d_k1 = softplus(b.raw_k) + MIN_SLOPE, softplus(b.raw_k1) + MIN_SLOPE
    rise = safe - b.y_k
    lift = rise * (d_k + d_k1 - 2 * s)
    linear = h * d_k - lift
    # A square by construction; rounding can leave it slightly negative.
    root = torch.sqrt(
        torch.clamp(linear * linear + 4 * (h * (s - d_k) + lift) * (s * rise), min=0.0)
    )
    # The form 2c / (-b - root) does not cancel.
    return torch.clamp(2 * (s * rise) / (linear + root), 0.0, 1.0)


def evaluate_vjp(
    values: Tensor, raw: Tensor, bound: float, inverse: bool, g_image: Tensor, g_log_slope: Tensor
) -> tuple[Tensor, Tensor]:
    """Pull the gradients by image and log dy/dx, both (D, B), back to ``values`` and ``raw``."""
    inside = values.abs() <= bound
    safe = torch.where(inside, values, 0.0)
    knots = _knots(safe, raw, bound, inverse)
    b = _chosen(knots, raw)
    xi = _position(safe, b, inverse)
    w, h = b.x_k1 - b.x_k, b.y_k1 - b.y_k
    d_k, d_k1 = softplus(b.raw_k) + MIN_SLOPE, softplus(b.raw_k1) + MIN_SLOPE
    s = h / w
    away = 1 - xi
    rest, turn, xi2 = xi * away, away - xi, xi * xi
    bend = d_k + d_k1 - 2 * s
    denominator = s + bend * rest
    slope = d_k1 * xi2 + 2 * s * rest + d_k * away * away
    slope_xi = 2 * (d_k1 * xi + s * turn - d_k * away)

    g_log = torch.where(inside, g_log_slope, 0.0)
    g_slope = g_log / slope
    g_y = torch.where(inside, g_image, 0.0)
    if inverse:
        # x(y, p) has dx = (dy - f_p dp) / f_x: solve for the gradient by y, then go on as if f had
        # been applied, with minus that gradient.
        log_xi = slope_xi / slope - 2 * bend * turn / denominator
        g_y = (g_y + g_log * log_xi / w) * (denominator / s) * (denominator / s) / slope
        g_values = torch.where(inside, g_y, g_image)
        g_y = -g_y
    ratio = (s * xi2 + d_k * rest) / denominator
    g_numerator = g_y * h / denominator
    g_denominator = -(g_numerator * ratio) - 2 * g_log / denominator
    g_s = 2 * (g_log / s + rest * g_slope) + (1 - 2 * rest) * g_denominator + xi2 * g_numerator
    g_d_k = away * away * g_slope + rest * (g_denominator + g_numerator)
    g_d_k1 = xi2 * g_slope + rest * g_denominator
    g_xi = (
        g_slope * slope_xi + g_denominator * bend * turn + g_numerator * (2 * s * xi + d_k * turn)
    ) / w
    g_w = -(g_s * s) / w - g_xi * xi
    g_h = g_y * ratio + g_s / w
    if not inverse:
        g_values = torch.where(inside, g_xi, g_image)
    grad = Bin(
        -g_xi - g_w,
        g_w,
        g_y - g_h,
        g_h,
        g_d_k * torch.sigmoid(b.raw_k),
        g_d_k1 * torch.sigmoid(b.raw_k1),
    )
    return g_values, _chosen_vjp(knots, bound, grad)
