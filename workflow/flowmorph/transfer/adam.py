"""Adam, by PyTorch's fused kernel and without its optimizer class.

The class imports PyTorch's compiler when the first one is made, which takes as long as importing
PyTorch does, and nothing here is compiled by it.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """Adam (Kingma and Ba, arXiv:1412.6980) of some tensors, as `torch.optim.Adam` with ``fused``.

    Attributes:
        rate: learning rate of the next step, a number; a tensor on their device, which is then
            read at each replay, for steps that are recorded as a CUDA graph.
        memory: what a step changes besides the tensors: how many there were (``step``), and the
            means of gradients (``exp_avg``) and of their squares (``exp_avg_sq``), each a list with
            one tensor for each that is optimised.

    Args:
        tensors: what is optimised, by their gradients.
        rate: see above.
        betas: what the means of gradients and of their squares keep from step to step.
    """

    def __init__(
        self, tensors: Iterable[Tensor], rate: float | Tensor, betas: tuple[float, float]
    ) -> None:
        self.tensors, self.rate, self.betas = list(tensors), rate, betas
        self.memory = {
            "step": [tensor.new_zeros((), dtype=torch.float32) for tensor in self.tensors],
            "exp_avg": [torch.zeros_like(tensor) for tensor in self.tensors],
            "exp_avg_sq": [torch.zeros_like(tensor) for tensor in self.tensors],
        }

    def zero_grad(self) -> None:
        """Forget the gradients, before they are computed anew."""
        for tensor in self.tensors:
            tensor.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Take one step along the gradients."""
        adam(
            self.tensors,
            [tensor.grad for tensor in self.tensors],
            self.memory["exp_avg"],
            self.memory["exp_avg_sq"],
            [],
            self.memory["step"],
            fused=True,
            capturable=isinstance(self.rate, Tensor),
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=self.rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )
