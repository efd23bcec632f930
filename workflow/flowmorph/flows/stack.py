"""Layers one after the other, with the features reversed between them, in plain operations."""

from __future__ import annotations

from itertools import zip_longest

import torch
from torch import Tensor

from flowmorph.flows.made import Autoregressive, Tape

# Steep layers in sequence can overflow float32; no step of an optimizer needs more than this.
GRADIENT_LIMIT = 1e10


class Stack:
    """Layers of one shape.

    Args:
        layer: what each of them computes.
        flips: whether the features are reversed after each.
    """

    def __init__(self, layer: Autoregressive, flips: tuple[bool, ...]) -> None:
        self.layer, self.flips = layer, flips

    def run(
        self, x: Tensor, c: Tensor | None, flat: Tensor, inverse: bool, keep: bool
    ) -> tuple[Tensor, Tensor, list[Tape]]:
        """Image (D, B) and log-determinant (B,) of points (D, B), and what `pull_back` needs.

        Args:
            x: points.
            c: their conditions (C, B), None for C = 0.
            flat: weights of all layers.
            inverse: whether the inverse map is applied.
            keep: whether there will be a `pull_back`.
        """
        tapes: list[Tape] = []
        step = self.layer.inverse if inverse else self.layer.forward
        log_det = x.new_zeros(x.shape[1])
        steps = list(zip(self.per_layer(flat), self.flips, strict=True))
        for weights, flip in reversed(steps) if inverse else steps:
            x = x.flip(0) if inverse and flip else x
            x, part, tape = step(x, c, weights)
            x = x.flip(0) if flip and not inverse else x
            log_det += part
            if keep:
                tapes.append(tape)
        return x, log_det, tapes

    def pull_back(
        self,
        tapes: list[Tape],
        c: Tensor | None,
        flat: Tensor,
        inverse: bool,
        g_x: Tensor,
        g_log_det: Tensor,
        g_flat: Tensor | None,
    ) -> Tensor:
        """Gradient by the points from those by image and log-determinant.

        That by the weights, before the mask, is written to ``g_flat``, if it is given.
        """
        pull = self.layer.inverse_vjp if inverse else self.layer.forward_vjp
        g_parts = () if g_flat is None else self.per_layer(g_flat)
        steps = list(zip_longest(self.per_layer(flat), g_parts, self.flips))
        steps = steps if inverse else steps[::-1]
        for (weights, g_weights, flip), tape in zip(steps, reversed(tapes), strict=True):
            g_x = g_x.flip(0) if flip and not inverse else g_x
            g_x = pull(tape, c, weights, g_x, g_log_det, g_weights)
            g_x = g_x.flip(0) if flip and inverse else g_x
            g_x = g_x.clamp(-GRADIENT_LIMIT, GRADIENT_LIMIT)
        return g_x

    def per_layer(self, flat: Tensor) -> tuple[Tensor, ...]:
        """The weights of each layer, as views of all of them."""
        return torch.chunk(flat, len(self.flips))
