"""The noise that makes whole numbers and spikes continuous before they are moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from flowmorph.plan.seeds import seed_for
from flowmorph.samples.row_hashes import RowNoise, hashes


class Dequantization:
    """A stream of noise for each column, which chunks of rows do not change.

    It follows from what a row holds, so that it is the same in every file, or, where rows cannot be
    told from each other, from the row's place.
    """

    def __init__(
        self, columns: Sequence[str], identity: Sequence[str], seed: int, name: str = ""
    ) -> None:
        """Begin a stream for each of ``columns``.

        ``identity`` are columns that tell rows from each other, if there are such; ``name`` is that
        of an object, if it has one: each has noise of its own.
        """
        seeds = {column: seed_for(seed, "noise", name, column) for column in columns}
        self.identity, self.seeds = list(identity), seeds
        self.by_place = {column: np.random.default_rng(each) for column, each in seeds.items()}

    def of(self, read: Mapping[str, np.ndarray]) -> Mapping[str, np.random.Generator | RowNoise]:
        """What gives one number a row to each column; rows by their place go on from the last."""
        if not self.identity:
            return self.by_place
        found = hashes(read, self.identity)
        return {column: RowNoise(found, seed) for column, seed in self.seeds.items()}
