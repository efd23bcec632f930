"""Training points, and the batches that are drawn of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flowmorph.errors import InputError
from flowmorph.flows.graphs import Batch
from flowmorph.plan.seeds import seed_for
from flowmorph.samples.resampling import systematic


@dataclass(frozen=True)
class Points:
    """Points (N, D), conditions (N, C) or None, and weights (N,), on the CPU, or None."""

    x: Tensor
    c: Tensor | None
    weights: Tensor | None = None

    @property
    def shares(self) -> Tensor:
        """What each point counts, (N,), 1 on average."""
        if self.weights is None:
            return torch.ones(len(self.x), dtype=torch.float64, device="cpu")
        return self.weights * (len(self.weights) / self.weights.sum())

    def joined(self, other: Points) -> Points:
        """These points and those of another sample, each of which counts as many as it has."""
        c = None if self.c is None else torch.cat([self.c, other.c])
        weighted = self.weights is not None or other.weights is not None
        weights = torch.cat([self.shares, other.shares]) if weighted else None
        return Points(torch.cat([self.x, other.x]), c, weights)

    def unweighted(self, seed: int) -> tuple[Tensor, Tensor | None]:
        """Points and conditions that count the same: their mean is that of the weighted points.

        Without weights, these points as they are.
        """
        if self.weights is None:
            return self.x, self.c
        rows = equal_weights(self.weights, torch.Generator().manual_seed(seed)).to(self.x.device)
        return self.x[rows], None if self.c is None else self.c[rows]


def equal_weights(weights: Tensor, generator: torch.Generator) -> Tensor:
    """Choose N rows in proportion to their weights, (N,), some of them several times.

    With equal weights, the rows chosen stand for the weighted ones.
    """
    made = {"dtype": torch.float64, "device": "cpu"}
    start = torch.rand((), generator=generator, **made)
    steps = (torch.arange(len(weights), **made) + start) / len(weights)
    return torch.from_numpy(systematic(weights.double().numpy(), steps.numpy()))


class Sample:
    """Training points of one data set, drawn in batches without replacement epoch by epoch.

    With ``weights`` (N,) each epoch shows a point in proportion to its weight, so that the mean
    over batches is the weighted mean of the sample. Its variance is that of the weighted points,
    while multiplying losses by weights would let single points of large weight rule a batch.

    ``noise`` (C,), in scaled units, is the standard deviation of Gaussian noise on the conditions:
    a flow then learns densities that are smooth in the condition over this width. Few events allow
    a dependence on the condition that is not there, and between the intervals of the training
    region, where no event contradicts it, that dependence is what a transport would show.
    """

    def __init__(self, points: Points, batch: int, seed: int, noise: Tensor | None = None) -> None:
        if len(points.x) < batch:
            raise InputError(
                f"{len(points.x)} training points are fewer than one batch of {batch}: lower "
                "training.*.batch or provide more events"
            )
        self.x, self.c, self.weights = points.x, points.c, points.weights
        self.batch, self.generator = batch, torch.Generator()
        self.noise, self.seed = noise, seed
        self.rewind()

    def rewind(self) -> None:
        """Begin again: the batches that follow are those that were drawn first."""
        self.generator.manual_seed(self.seed)
        self.before = self.generator.get_state()
        self.order = torch.empty(0, dtype=torch.long, device="cpu")
        self.position = self.drawn = 0

    def _shuffle(self) -> None:
        self.before = self.generator.get_state()
        order = torch.randperm(len(self.x), generator=self.generator, device="cpu")
        if self.weights is not None:
            order = equal_weights(self.weights, self.generator)[order]
        self.order, self.position = order.to(self.x.device), 0

    def reorder(self, number: int) -> None:
        """Begin an epoch in another order, which follows from the seed and this number."""
        self.generator.manual_seed(seed_for(self.seed, "order", number))
        self._shuffle()

    def resume(self, before: Tensor, position: int, drawn: int) -> None:
        """Go on at ``position`` of the epoch whose order the random state ``before`` gives.

        ``drawn`` batches were drawn until there.
        """
        self.generator.set_state(before)
        self._shuffle()
        self.position, self.drawn = position, drawn

    def draw(self, noise: float = 0.0) -> Batch:
        """Next batch, feature-major: (D, B) and (C, B) or None; ``noise`` is added to its points.

        It is Gaussian, of this standard deviation, and follows from the seed and the number of the
        batch.
        """
        if self.position + self.batch > len(self.order):
            self._shuffle()
        rows = self.order[self.position : self.position + self.batch]
        self.position += self.batch
        self.drawn += 1
        x = self.x[rows].T.contiguous()
        if noise:
            x = x + noise * self._gaussian("noise", x)
        c = None if self.c is None else self.c[rows].T.contiguous()
        if c is not None and self.noise is not None:
            c = c + self.noise[:, None] * self._gaussian("condition noise", c)
        return x, c

    def _gaussian(self, name: str, like: Tensor) -> Tensor:
        """Numbers of a standard normal, which follow from the seed and the number of the batch."""
        generator = torch.Generator(like.device)
        generator.manual_seed(seed_for(self.seed, name, self.drawn))
        return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
