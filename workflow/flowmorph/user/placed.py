"""Rows in the flows' box, and what the flows of one training make of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from flowmorph.transfer.morph import Morph

#: Densities that `Transport.log_prob` knows.
DENSITIES = ("moved", "reference", "target")


@dataclass(frozen=True)
class Placed:
    """Rows in the flows' box.

    Attributes:
        x: points, (N, D).
        c: conditions, (N, C), or None.
        fold: the fold of each row, (N,).
        found: hashes of the rows, (N,), where folds need them; else None.
    """

    x: Tensor
    c: Tensor | None
    fold: np.ndarray
    found: np.ndarray | None = None

    def select(self, rows: np.ndarray) -> tuple[Tensor, Tensor | None]:
        """Points and conditions of some rows, (n,)."""
        return self.x[rows], None if self.c is None else self.c[rows]


def mover(one: Morph) -> Callable[..., Tensor]:
    """A method's map as a function of points and conditions."""
    return lambda x, c: one.forward(x, c, c)


def density(one: Morph, of: str) -> Callable[..., Tensor]:
    """A method's density of the moved rows, or one of its ends', likewise."""
    if of == "moved":
        return lambda y, c: one.log_prob(y, c, c)
    return getattr(one.pair, of).log_prob
