"""The transfer methods (paper, section II.1 and Table 1) as losses over a pair of batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flowmorph.errors import InputError
from flowmorph.flows.flow import Flow


@dataclass(frozen=True)
class Method:
    """How a transport is trained: the directions that alternate, the penalty, the start."""

    directions: tuple[str, ...]
    penalised: bool = False
    identity: bool = False


BASE_TRANSFER = "base_transfer"
METHODS = {
    "unidirectional": Method(("inverse",)),
    "flows_for_flows": Method(("forward", "inverse")),
    "movement_penalty": Method(("forward", "inverse"), penalised=True),
    "identity_initialization": Method(("forward", "inverse"), identity=True),
    # Not in the paper: both of its ways to move little, together.
    "penalty_identity": Method(("forward", "inverse"), penalised=True, identity=True),
}

CONDITIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "shared": lambda c_x, c_y: c_x,
    "difference": lambda c_x, c_y: c_x - c_y,
    "concat": lambda c_x, c_y: torch.cat([c_x, c_y]),
}


def context_size(condition: str | None, size: int) -> int:
    """Number of inputs that the transport's condition has when each sample has ``size``."""
    return 0 if condition is None or size == 0 else size * (2 if condition == "concat" else 1)


@dataclass(frozen=True)
class Task:
    """A transport f from reference to target between two frozen densities.

    ``condition`` names how the two conditions enter f (paper, eq. 2 and Fig. 2); with ``shared``
    one condition c = c_x = c_y serves all three flows.
    """

    density_reference: Flow
    density_target: Flow
    condition: str | None

    def _conditions(
        self, c_x: Tensor | None, c_y: Tensor | None, shared: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        if self.condition is None:
            return None, None, None
        if self.condition == "shared":
            return shared, shared, shared
        return CONDITIONS[self.condition](c_x, c_y), c_x, c_y

    def forward_loss(
        self, flow: Flow, x: Tensor, c_x: Tensor | None, c_y: Tensor | None, penalty: float
    ) -> Tensor:
        """-E_R[log p_T(f(x)) + log|det J_f(x)|] + w E sum_i |f(x)_i - x_i|."""
        c, _, c_target = self._conditions(c_x, c_y, c_x)
        y, log_det = flow(x, c)
        loss = -(self.density_target.log_prob(y, c_target) + log_det).mean()
        if penalty:
            loss = loss + penalty * (y - x).abs().sum(0).mean()
        return loss

    def inverse_loss(
        self, flow: Flow, y: Tensor, c_x: Tensor | None, c_y: Tensor | None, penalty: float
    ) -> Tensor:
        """-E_T[log p_R(f^-1(y)) + log|det J_{f^-1}(y)|], with the same penalty on the way back."""
        c, c_reference, _ = self._conditions(c_x, c_y, c_y)
        x, log_det = flow.inverse(y, c)
        loss = -(self.density_reference.log_prob(x, c_reference) + log_det).mean()
        if penalty:
            loss = loss + penalty * (y - x).abs().sum(0).mean()
        return loss

    def loss(
        self, direction: str, flow: Flow, x: Tensor, y: Tensor,
        c_x: Tensor | None, c_y: Tensor | None, penalty: float,
    ) -> Tensor:  # fmt: skip
        """The loss of one direction on a batch of each sample, all arrays feature-major."""
        if direction == "forward":
            return self.forward_loss(flow, x, c_x, c_y, penalty)
        return self.inverse_loss(flow, y, c_x, c_y, penalty)

    @torch.no_grad()
    def move(self, flow: Flow, x: Tensor, c_x: Tensor | None, c_y: Tensor | None) -> Tensor:
        """f(x): the reference points, moved."""
        return flow(x, self._conditions(c_x, c_y, c_x)[0])[0]

    @torch.no_grad()
    def log_likelihood(
        self, flow: Flow, y: Tensor, c_x: Tensor | None, c_y: Tensor | None
    ) -> Tensor:
        """log p_R(f^-1(y)) + log|det J_{f^-1}(y)|: the target under the moved reference density."""
        c, c_reference, _ = self._conditions(c_x, c_y, c_y)
        x, log_det = flow.inverse(y, c)
        return self.density_reference.log_prob(x, c_reference) + log_det

    @torch.no_grad()
    def base_transfer(self, x: Tensor, c_x: Tensor | None, c_y: Tensor | None) -> Tensor:
        """g_T^-1(g_R(x)): through the common base density, nothing trained."""
        _, c_reference, c_target = self._conditions(c_x, c_y, c_x)
        return self.density_target.inverse(self.density_reference(x, c_reference)[0], c_target)[0]


def parse_method(name: str) -> tuple[Method, float | None]:
    """Method and, for a variant such as ``movement_penalty_w0.2``, its own penalty strength."""
    base, separator, strength = name.partition("_w")
    if base in METHODS and (not separator or METHODS[base].penalised):
        try:
            return METHODS[base], float(strength) if separator else None
        except ValueError:
            pass
    raise InputError(f"method '{name}' is unknown; choose from {', '.join(METHODS)}")
