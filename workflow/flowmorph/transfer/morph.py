"""The transfer methods (paper, section II.1, Table 1): their losses, and what they do to points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from flowmorph.flows.flow import Flow
from flowmorph.flows.graphs import Batch
from flowmorph.plan.methods import Method

MODES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "shared": lambda c_x, c_y: c_x,
    "difference": lambda c_x, c_y: c_x - c_y,
    "concat": lambda c_x, c_y: torch.cat([c_x, c_y]),
}

#: The loss of a batch (x, c) of the reference and one of the target.
Loss = Callable[[Batch, Batch], Tensor]


def context_size(mode: str | None, size: int) -> int:
    """Number of inputs that the transport's condition has when each sample has ``size``."""
    return 0 if mode is None or size == 0 else size * (2 if mode == "concat" else 1)


@dataclass(frozen=True)
class DensityPair:
    """The two frozen densities between which a transport f leads from reference to target.

    ``mode`` is how the two conditions enter f (paper, eq. 2 and Fig. 2), None if there are none;
    with ``shared`` one condition c = c_x = c_y serves all three flows; where it is ``shuffled``,
    losses give f that of another event. All arrays are feature-major: points (D, N), conditions
    (C, N).
    """

    reference: Flow
    target: Flow
    mode: str | None
    shuffled: bool = False

    def _conditions(
        self, c_x: Tensor | None, c_y: Tensor | None, shared: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        if self.mode is None:
            return None, None, None
        if self.mode == "shared":
            return shared, shared, shared
        return MODES[self.mode](c_x, c_y), c_x, c_y

    def log_probs(
        self, points: Tensor, c_x: Tensor | None, c_y: Tensor | None, shared: Tensor | None
    ) -> Tensor:
        """Logarithms of both densities at points (D, N): (2, N).

        Each at its own sample's condition; ``shared`` is that of both where they share one.
        """
        _, c_reference, c_target = self._conditions(c_x, c_y, shared)
        return torch.stack(
            [self.reference.log_prob(points, c_reference), self.target.log_prob(points, c_target)]
        )

    def lowest_losses(self, method: Method, reference: Batch, target: Batch) -> list[Tensor]:
        """What a perfect transport would have for each of a method's losses, without a penalty.

        A transport only moves a sample's density, so no loss is below that of the sample under its
        own density.
        """
        own = {"forward": (self.reference, reference), "inverse": (self.target, target)}
        return [
            -density.log_prob(x, None if self.mode is None else c).mean()
            for density, (x, c) in map(own.get, method.directions)
        ]

    def losses(self, method: Method, flow: Flow, penalty: float) -> list[Loss]:
        """Losses of a method's directions, with a movement penalty of this strength."""
        way = {"forward": self._forward_loss, "inverse": self._inverse_loss}
        return [partial(way[direction], flow, penalty) for direction in method.directions]

    def _forward_loss(self, flow: Flow, penalty: float, reference: Batch, target: Batch) -> Tensor:
        """-E_R[log p_T(f(x)) + log|det J_f(x)|] + w E sum_i |f(x)_i - x_i|."""
        (x, c_x), (_, c_y) = reference, target
        c, _, c_target = self._conditions(c_x, c_y, c_x)
        y, log_det = flow(x, c_y if self.shuffled and self.mode == "shared" else c)
        loss = -(self.target.log_prob(y, c_target) + log_det).mean()
        if penalty:
            loss = loss + penalty * (y - x).abs().sum(0).mean()
        return loss

    def _inverse_loss(self, flow: Flow, penalty: float, reference: Batch, target: Batch) -> Tensor:
        """-E_T[log p_R(f^-1(y)) + log|det J_{f^-1}(y)|], with the same penalty on the way back."""
        (_, c_x), (y, c_y) = reference, target
        c, c_reference, _ = self._conditions(c_x, c_y, c_y)
        x, log_det = flow.inverse(y, c_x if self.shuffled and self.mode == "shared" else c)
        loss = -(self.reference.log_prob(x, c_reference) + log_det).mean()
        if penalty:
            loss = loss + penalty * (y - x).abs().sum(0).mean()
        return loss


class Morph(Protocol):
    """A method that is ready to be used: x and c_x of the reference, y and c_y of the target.

    Arrays are feature-major, (D, N) and (C, N), conditions None where there are none. ``flows`` are
    those that it takes, ``pair`` the densities between which it leads.
    """

    pair: DensityPair
    flows: tuple[Flow, ...]

    def forward(self, x: Tensor, c_x: Tensor | None, c_y: Tensor | None) -> Tensor:
        """Move points of the reference, (D, N)."""

    def inverse(self, y: Tensor, c_x: Tensor | None, c_y: Tensor | None) -> Tensor:
        """Move points back, (D, N)."""

    def log_prob(self, y: Tensor, c_x: Tensor | None, c_y: Tensor | None) -> Tensor:
        """Logarithm of the moved reference's density, (N,)."""


class FlowMorph:
    """A trained transport between two densities."""

    def __init__(self, pair: DensityPair, flow: Flow) -> None:
        self.pair, self.flow, self.flows = pair, flow, (flow,)

    @torch.no_grad()
    def forward(self, x, c_x, c_y):
        return self.flow(x, self.pair._conditions(c_x, c_y, c_x)[0])[0]

    @torch.no_grad()
    def inverse(self, y, c_x, c_y):
        mode = self.pair.mode
        return self.flow.inverse(y, MODES[mode](c_x, c_y) if mode else None)[0]

    @torch.no_grad()
    def log_prob(self, y, c_x, c_y):
        c, c_reference, _ = self.pair._conditions(c_x, c_y, c_y)
        x, log_det = self.flow.inverse(y, c)
        return self.pair.reference.log_prob(x, c_reference) + log_det


class BaseTransfer:
    """From one density to the other through their common base: nothing more is trained."""

    def __init__(self, pair: DensityPair) -> None:
        self.pair, self.flows = pair, (pair.reference, pair.target)

    def forward(self, x, c_x, c_y):
        return self._transfer(*self.flows, x, *self.pair._conditions(c_x, c_y, c_x)[1:])

    def inverse(self, y, c_x, c_y):
        _, c_reference, c_target = self.pair._conditions(c_x, c_y, c_x)
        return self._transfer(*reversed(self.flows), y, c_target, c_reference)

    @torch.no_grad()
    def log_prob(self, y, c_x, c_y):
        # Where base transfer arrives is the target's own density.
        return self.pair.target.log_prob(y, c_y)

    @staticmethod
    @torch.no_grad()
    def _transfer(start: Flow, end: Flow, x, c_start, c_end):
        """g_end^-1(g_start(x))."""
        return end.inverse(start(x, c_start)[0], c_end)[0]


def morph(pair: DensityPair, flow: Flow | None) -> Morph:
    """A method with its transport, or with None where it has none."""
    return BaseTransfer(pair) if flow is None else FlowMorph(pair, flow)
