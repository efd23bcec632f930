"""Rows of a user's table in the flows' box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from flowmorph.errors import RowError
from flowmorph.flows import setup
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.user.dequantization import Dequantization
from flowmorph.user.status import FARTHEST


def to_box(
    known: Preprocessor,
    features: Sequence[str],
    conditions: Sequence[str],
    read: Mapping[str, np.ndarray],
    noise: Dequantization,
    device: torch.device,
) -> tuple[dict[str, np.ndarray], Tensor, Tensor | None]:
    """Bring columns to the flows' box.

    Args:
        known: maps of the columns.
        features: names of those that are moved.
        conditions: names of those that they depend on.
        read: finite values (N,) by name, codes of categories.
        noise: of whole numbers and spikes.
        device: where the flows are.

    Returns:
        Values after `Preprocessor.spread`, and points (N, D) and conditions (N, C), or None.

    Raises:
        RowError: a value outside of declared bounds or too far from the training's, or a category
            that is not known.
    """
    values, box, streams = {}, {}, noise.of(read)
    for name, transform in known.maps.items():
        values[name] = known.spread(name, read[name], streams[name])
        with np.errstate(over="ignore", invalid="ignore"):
            box[name] = transform.forward(values[name])
        bad = np.flatnonzero(~(np.abs(box[name]) <= FARTHEST))
        if len(bad):
            raise RowError.first(
                bad, name,
                f": {read[name][bad[0]]:g} is too far outside of the range of the training",
                "leave these rows out",
            )  # fmt: skip
    for name, categories in known.categories.items():
        bad = np.flatnonzero(~categories.has(read[name]))
        if len(bad):
            raise RowError.first(bad, name, f": {read[name][bad[0]]:g} is the code of no category")
        box[name] = categories.forward(read[name])
    x, c = (known.inputs(box, names, len(read[features[0]])) for names in (features, conditions))
    return values, *setup.tensors(x, c, device)
