"""Files of what methods that are no flows make of a task's reference points."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from flowmorph.alternatives.interface import Morphed
from flowmorph.errors import InputError
from flowmorph.files import atomic


def save(path: str | os.PathLike, splits: Mapping[str, tuple[np.ndarray, Morphed]]) -> None:
    """Write, for each split, the reference points (N, D) and what a method made of them (npz)."""
    arrays = {}
    for split, (reference, morphed) in splits.items():
        arrays |= {f"{split}.reference": reference, f"{split}.points": morphed.points}
        if morphed.weights is not None:
            arrays[f"{split}.weights"] = morphed.weights
    with atomic(path) as part:
        np.savez(part, **{name: np.ascontiguousarray(a) for name, a in sorted(arrays.items())})


def load(path: str | os.PathLike, split: str, reference: np.ndarray) -> Morphed:
    """Read what a method made of these reference points (N, D).

    Raises InputError for a file of another kind, for one made of other points, and for points or
    weights that cannot be used.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file of morphed points")
    try:
        with np.load(path) as stored:
            own, points = stored[f"{split}.reference"], stored[f"{split}.points"]
            weights = stored[f"{split}.weights"] if f"{split}.weights" in stored else None
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: not a file of morphed points ({error})") from error
    if not np.array_equal(own, reference):
        raise InputError(f"{path}: made of other reference points; make the file again")
    if points.shape != reference.shape or not np.isfinite(points).all():
        raise InputError(f"{path}: '{split}.points' is not a table of finite numbers")
    if weights is not None and (
        weights.shape != reference.shape[:1]
        or not np.isfinite(weights).all()
        or (weights < 0).any()
        or not weights.any()
    ):
        raise InputError(f"{path}: '{split}.weights' are not weights of its points")
    return Morphed(points, weights)
