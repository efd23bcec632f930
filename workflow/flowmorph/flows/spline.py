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


def _spread(bins: int, bound: float) -> float:
    return 2 * bound * (1 - MIN_BIN * bins)


def find_bin(values: Tensor, raw: Tensor, bound: float, inverse: bool) -> Bin:
    """Bins of ``values`` (D, B) among the knots that ``raw`` (D, 3K - 1, B) encodes.

    Unrolled over the K bins, so that a compiler can keep all of it in registers: no gather, no
    cumulative sum, no boolean indexing.
    """
    bins = (raw.shape[1] + 1) // 3
    columns = raw.unbind(1)
    x_edges, _ = _edges(columns[:bins], bound)
    y_edges, _ = _edges(columns[bins : 2 * bins], bound)
    slopes = columns[2 * bins :]
    end = torch.full_like(values, UNIT_SLOPE)
    x_k, y_k, raw_k = x_edges[0], y_edges[0], end
    x_k1, y_k1, raw_k1 = x_edges[1], y_edges[1], slopes[0]
    edges = y_edges if inverse else x_edges
    for k in range(1, bins):
        beyond = values >= edges[k]
        x_k = torch.where(beyond, x_edges[k], x_k)
        y_k = torch.where(beyond, y_edges[k], y_k)
        raw_k = torch.where(beyond, slopes[k - 1], raw_k)
        x_k1 = torch.where(beyond, x_edges[k + 1], x_k1)
        y_k1 = torch.where(beyond, y_edges[k + 1], y_k1)
        raw_k1 = torch.where(beyond, slopes[k] if k < bins - 1 else end, raw_k1)
    return Bin(x_k, x_k1, y_k, y_k1, raw_k, raw_k1)


def _shares(columns: tuple[Tensor, ...]) -> list[Tensor]:
    largest = columns[0]
    for column in columns[1:]:
        largest = torch.maximum(largest, column)
    weights = [torch.exp(column - largest) for column in columns]
    total = weights[0]
    for weight in weights[1:]:
        total = total + weight
    inverse_total = 1 / total
    return [weight * inverse_total for weight in weights]


def _edges(columns: tuple[Tensor, ...], bound: float) -> tuple[list[Tensor], list[Tensor]]:
    bins = len(columns)
    shares = _shares(columns)
    edges = [torch.full_like(shares[0], -bound)]
    for share in shares[:-1]:
        edges.append(edges[-1] + (share * _spread(bins, bound) + 2 * bound * MIN_BIN))
    # The last edge is the box's exactly, so that spline and tail meet.
    edges.append(torch.full_like(shares[0], bound))
    return edges, shares


def find_bin_vjp(values: Tensor, raw: Tensor, bound: float, inverse: bool, grad: Bin) -> Tensor:
    """Gradient by ``raw`` of :func:`find_bin`, which is piecewise constant in ``values``."""
    bins = (raw.shape[1] + 1) // 3
    columns = raw.unbind(1)
    x_edges, x_shares = _edges(columns[:bins], bound)
    y_edges, y_shares = _edges(columns[bins : 2 * bins], bound)
    edges = y_edges if inverse else x_edges
    beyond = [values >= edge for edge in edges[1:bins]]
    zero = torch.zeros_like(values)
    out: list[Tensor] = []
    for shares, left, right in (
        (x_shares, grad.x_k, grad.x_k1),
        (y_shares, grad.y_k, grad.y_k1),
    ):
        # The last edge is a constant.
        right = torch.where(beyond[-1], zero, right)
        both = left + right
        by_share = []
        for k in range(bins):
            own = right if k == 0 else torch.where(beyond[k - 1], right, zero)
            by_share.append(torch.where(beyond[k], both, own) if k < bins - 1 else own)
        mean = shares[0] * by_share[0]
        for share, by in zip(shares[1:], by_share[1:], strict=True):
            mean = mean + share * by
        spread = _spread(bins, bound)
        out += [share * (by - mean) * spread for share, by in zip(shares, by_share, strict=True)]
    for k in range(1, bins):
        # Knot k is the left one of bin k and the right one of bin k - 1.
        as_left = beyond[k - 1] if k == bins - 1 else beyond[k - 1] & ~beyond[k]
        as_right = ~beyond[0] if k == 1 else beyond[k - 2] & ~beyond[k - 1]
        out.append(torch.where(as_left, grad.raw_k, torch.where(as_right, grad.raw_k1, zero)))
    return torch.stack(out, dim=1)


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
    b = find_bin(safe, raw, bound, inverse)
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
    return g_values, find_bin_vjp(safe, raw, bound, inverse, grad)
