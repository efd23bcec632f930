"""Normalizing flows as stacks of autoregressive spline layers, exact in both directions.

The architecture and the weights are those of nflows' masked piecewise rational-quadratic
autoregressive transform; only the arithmetic is ours. All weights live in one flat parameter, so
that clipping and the optimizer are a handful of operations instead of hundreds.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from nflows.transforms import (
    CompositeTransform,
    MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
    ReversePermutation,
)
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from flowmorph.flows import setup
from flowmorph.flows.engine import Compiled, runs_compiled
from flowmorph.flows.made import Autoregressive, Layout, Shape
from flowmorph.flows.spline import UNIT_SLOPE
from flowmorph.flows.stack import Stack


@dataclass(frozen=True)
class Architecture:
    """All that fixes the shape of a flow (paper, section II.2).

    Attributes:
        features: number D of features that the flow maps.
        context: number C of conditions that it depends on; 0 for none.
        layers: number of autoregressive layers.
        blocks: residual blocks in the network of each layer.
        width: hidden units in the network of each layer.
        bins: bins of each spline.
        tail_bound: half-width of the box in which the splines act; outside is the identity.
    """

    features: int
    context: int
    layers: int
    blocks: int
    width: int
    bins: int
    tail_bound: float

    @property
    def flips(self) -> tuple[bool, ...]:
        """Whether the features are reversed after each layer.

        They are between layers, and after the last one when that restores the feature order.
        """
        return tuple(i < self.layers - 1 or self.layers % 2 == 0 for i in range(self.layers))


def build_nflows(arch: Architecture) -> CompositeTransform:
    """The same flow as plain nflows modules, in float32 on a CPU, freshly initialised by nflows."""
    transforms: list[nn.Module] = []
    # nflows takes neither type nor device.
    with setup.single():
        for flip in arch.flips:
            transforms.append(
                MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                    features=arch.features,
                    hidden_features=arch.width,
                    context_features=arch.context or None,
                    num_bins=arch.bins,
                    tails="linear",
                    tail_bound=arch.tail_bound,
                    num_blocks=arch.blocks,
                )
            )
            if flip:
                transforms.append(ReversePermutation(features=arch.features))
        return CompositeTransform(transforms)


class _Apply(torch.autograd.Function):
    """The whole stack as one autograd node with hand-written derivatives."""

    @staticmethod
    def forward(
        ctx: Any, flow: Flow, inverse: bool, x: Tensor, c: Tensor | None, flat: Tensor
    ) -> tuple[Tensor, Tensor]:
        stack = flow._stack_for(x)
        y, log_det, tapes = stack.run(x, c, flat, inverse, keep=True)
        ctx.stack, ctx.mask, ctx.inverse, ctx.tapes, ctx.c = stack, flow.mask, inverse, tapes, c
        ctx.save_for_backward(flat)
        ctx.set_materialize_grads(True)
        # The inverse's tape holds its image. If that were the tensor that gets this node, the two
        # would hold each other, and neither would ever be freed.
        return y.detach(), log_det

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_y: Tensor, g_log_det: Tensor) -> tuple[Any, ...]:
        (flat,) = ctx.saved_tensors
        g_flat = torch.empty_like(flat) if ctx.needs_input_grad[4] else None
        g_points = g_y.contiguous(), g_log_det.contiguous()
        g_x = ctx.stack.pull_back(ctx.tapes, ctx.c, flat, ctx.inverse, *g_points, g_flat)
        if g_flat is not None:
            g_flat.mul_(ctx.mask)
        return None, None, g_x, None, g_flat


class Flow(nn.Module):
    """An invertible map of R^D, optionally conditional; arrays are feature-major: (D, N), (C, N).

    :meth:`forward` and :meth:`inverse` return the image and the log-determinant (N,) of the
    applied direction (paper, eqs. 1 and 2). Gradients flow to ``x`` and to the weights, not to the
    condition, which is data. A new flow is of float32 and on the CPU.
    """

    mask: Tensor

    def __init__(self, arch: Architecture, identity: bool = False) -> None:
        super().__init__()
        self.arch = arch
        shape = Shape(arch.features, arch.context, arch.width, arch.blocks, arch.bins)
        self.layout = Layout(shape)
        self.stack = Stack(Autoregressive(self.layout, arch.tail_bound), arch.flips)
        self._compiled: Compiled | None = None
        self.register_buffer("mask", self.layout.mask().repeat(arch.layers), persistent=False)
        size = arch.layers * self.layout.size
        self.flat = nn.Parameter(torch.empty(size, dtype=torch.float32, device="cpu"))
        self.identity = identity
        self.initialise()

    def initialise(self) -> None:
        """Take new first parameters, by torch's own random state."""
        self.read_nflows(build_nflows(self.arch))
        if self.identity:
            self._set_identity()

    def _set_identity(self) -> None:
        """Start as the exact identity: equal bins and unit slopes, whatever the inputs.

        Zero raw slopes would give log 2 + 0.001 inside; the tails have slope 1 by construction.
        """
        bins = self.arch.bins
        with torch.no_grad():
            for flat in self.stack.per_layer(self.flat):
                views = self.layout.views(flat)
                views["final_layer.weight"].zero_()
                bias = views["final_layer.bias"].view(self.arch.features, -1)
                bias[:, : 2 * bins] = 0
                bias[:, 2 * bins :] = UNIT_SLOPE

    def compile(self) -> Flow:  # type: ignore[override]  # torch.nn.Module.compile is torch.compile
        """Run float32 on a CPU through the compiled kernels (see :mod:`flowmorph.flows.engine`)."""
        self._compiled = Compiled(self.stack)
        return self

    def _stack_for(self, points: Tensor) -> Stack | Compiled:
        return self._compiled if self._compiled and runs_compiled(points) else self.stack

    def _apply_stack(self, x: Tensor, c: Tensor | None, inverse: bool) -> tuple[Tensor, Tensor]:
        if (c is None) != (self.arch.context == 0):
            raise ValueError(f"the flow takes {self.arch.context} condition(s)")
        if torch.is_grad_enabled() and (x.requires_grad or self.flat.requires_grad):
            return _Apply.apply(self, inverse, x, c, self.flat)
        y, log_det, _ = self._stack_for(x).run(x, c, self.flat, inverse, keep=False)
        return y, log_det

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Image f(x | c) (D, N) and log|det J_f(x)| (N,)."""
        return self._apply_stack(x, c, inverse=False)

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Preimage f^-1(y | c) (D, N) and log|det J_{f^-1}(y)| (N,)."""
        return self._apply_stack(y, c, inverse=True)

    def log_prob(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Log-density (N,) of x when f maps data to a standard normal (paper, eqs. 1 and 2)."""
        z, log_det = self.forward(x, c)
        return log_det - 0.5 * z.square().sum(0) - 0.5 * self.arch.features * math.log(2 * math.pi)

    def read_nflows(self, transform: CompositeTransform) -> None:
        """Take the weights of a plain nflows stack of the same architecture."""
        with torch.no_grad():
            for network, flat in zip(
                _networks(transform), self.stack.per_layer(self.flat), strict=True
            ):
                self.layout.read(network, flat)

    def to_nflows(self) -> CompositeTransform:
        """A plain nflows stack with this flow's weights."""
        transform = build_nflows(self.arch).to(self.flat.dtype)
        with torch.no_grad():
            for network, flat in zip(
                _networks(transform), self.stack.per_layer(self.flat), strict=True
            ):
                self.layout.write(flat, network)
        return transform

    def describe(self) -> dict[str, float | int]:
        """The architecture as plain numbers, for a file's metadata."""
        return asdict(self.arch)


def _networks(transform: CompositeTransform) -> list[nn.Module]:
    return [
        part.autoregressive_net
        for part in transform._transforms
        if hasattr(part, "autoregressive_net")
    ]
