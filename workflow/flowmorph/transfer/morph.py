"""The transfer methods (paper, section II.1, Table 1): their losses, and what they do to points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from flowmorph.flows.flow import Flow

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


class Morph(Protocol):
    """A method that is ready to be used: x and c_x of the reference, y and c_y of the target.

    Arrays are feature-major, (D, N) and (C, N), conditions None where there are none. ``flows`` are
    those that it takes.
    """

    flows: tuple[Flow, ...]

    def forward(self, x: Tensor, c_x: Tensor | None, c_y: Tensor | None) -> Tensor:
        """Move points of the reference, (D, N)."""

    def inverse(self, y: Tensor, c_x: Tensor | None, c_y: Tensor | None) -> Tensor:
        """Move points back, (D, N)."""

    def log_prob(self, y: Tensor, c_x: Tensor | None, c_y: Tensor | None) -> Tensor:
        """Logarithm of the moved reference's density, (N,)."""


class FlowMorph:
    """A trained transport."""

    def __init__(self, task: Task, flow: Flow) -> None:
        self.task, self.flow, self.flows = task, flow, (flow,)

    def forward(self, x, c_x, c_y):
        return self.task.move(self.flow, x, c_x, c_y)

    @torch.no_grad()
    def inverse(self, y, c_x, c_y):
        condition = self.task.condition
        return self.flow.inverse(y, CONDITIONS[condition](c_x, c_y) if condition else None)[0]

    def log_prob(self, y, c_x, c_y):
        return self.task.log_likelihood(self.flow, y, c_x, c_y)


class BaseTransfer:
    """From one density to the other through their common base: nothing more is trained."""

    def __init__(self, task: Task) -> None:
        self.task, self.flows = task, (task.density_reference, task.density_target)
        self._back = Task(task.density_target, task.density_reference, task.condition)

    def forward(self, x, c_x, c_y):
        return self.task.base_transfer(x, c_x, c_y)

    def inverse(self, y, c_x, c_y):
        return self._back.base_transfer(y, c_x if self.task.condition == "shared" else c_y, c_x)

    @torch.no_grad()
    def log_prob(self, y, c_x, c_y):
        # Where base transfer arrives is the target's own density.
        return self.task.density_target.log_prob(y, c_y)


def morph(task: Task, flow: Flow | None) -> Morph:
    """A method with its transport, or with None where it has none."""
    return BaseTransfer(task) if flow is None else FlowMorph(task, flow)
