"""Moved samples as the figures and tables read them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from flowmorph.errors import InputError
from flowmorph.plan.methods import PUBLISHED
from flowmorph.samples import geometry

CONDITIONS = ("condition_reference", "condition_target")
MOVED = ("reference", "target", *PUBLISHED)
WEIGHTS = ("weight_reference", "weight_target")

ANGLE_TOLERANCE = 0.01  # degrees: conditions are stored in single precision


def load_moved(path: str | os.PathLike, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read the named arrays of one ``moved/<task>.npz`` and check that their rows belong together.

    Returns arrays of shape (N, D), conditions (N, C). Raises InputError for a missing file or
    array, for arrays of different lengths and for values that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file of moved samples")
    try:
        with np.load(path) as stored:
            missing = [name for name in names if name not in stored]
            if missing:
                raise InputError(f"{path}: no array '{missing[0]}', only {', '.join(stored)}")
            arrays = {name: stored[name] for name in names}
    except ValueError as error:
        raise InputError(f"{path}: not a file of moved samples ({error})") from error
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"{path}: arrays of different lengths {lengths}; make the file again")
    for name, array in arrays.items():
        if array.ndim != 2 or not np.isfinite(array).all():
            raise InputError(f"{path}: '{name}' is not a table of finite numbers")
    return arrays


def load_weighted(path: str | os.PathLike, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read the named arrays as `load_moved` does and, where the file has them, the weights (N,)."""
    arrays = load_moved(path, names)
    with np.load(path) as stored:
        weights = {name: stored[name] for name in WEIGHTS if name in stored}
    for name, array in weights.items():
        if array.shape != (len(arrays[names[0]]),) or not np.isfinite(array).all():
            raise InputError(f"{path}: '{name}' is not one finite number a row")
    return arrays | weights


def weights_of(arrays: dict[str, np.ndarray], name: str) -> np.ndarray | None:
    """Weights (N,) of the rows of one sample, None where all count the same.

    A moved point has its reference's weight; a pair of ``baseline`` that of both its points.
    """
    if "weight_reference" not in arrays:
        return None
    if name == "baseline":
        return arrays["weight_reference"] * arrays["weight_target"]
    return arrays["weight_target" if name == "target" else "weight_reference"]


def load_trainings(
    paths: Sequence[str | os.PathLike], trainings: int, names: Sequence[str]
) -> list[list[dict[str, np.ndarray]]]:
    """Read moved samples of several tasks, all tasks of the first training first, by training."""
    if len(paths) % trainings:
        raise InputError(f"{len(paths)} files are not the same tasks in {trainings} trainings")
    moved = [load_weighted(path, names) for path in paths]
    tasks = len(moved) // trainings
    return [moved[first : first + tasks] for first in range(0, len(moved), tasks)]


def select_angles(
    arrays: dict[str, np.ndarray], reference: float, target: float
) -> dict[str, np.ndarray]:
    """Keep the rows whose reference was rotated by one angle and whose aim is another, in degrees.

    ``arrays`` must hold both conditions, shape (N, 1). Raises InputError, naming the pairs of
    angles there are, where no row is left.
    """
    if any(arrays[name].shape[1] != 1 for name in CONDITIONS):
        raise InputError("angles asked for, but this task is not one of the rotated toys")
    start, end = (geometry.degrees(arrays[name]) for name in CONDITIONS)
    keep = np.abs(start - reference) < ANGLE_TOLERANCE
    keep &= np.abs(end - target) < ANGLE_TOLERANCE
    if not keep.any():
        pairs = np.unique(np.round(np.column_stack([start, end]), 2), axis=0)
        raise InputError(
            f"no point is moved from {reference:g} to {target:g} degrees; "
            f"there are {', '.join(f'{a:g}:{b:g}' for a, b in pairs)}"
        )
    return {name: array[keep] for name, array in arrays.items()}


def task_title(task: str) -> str:
    """Name a toy task as a reader would: ``fourcircles_to_star`` is 'four circles → star'."""
    reference, separator, target = task.removeprefix("rotated_").partition("_to_")
    if not separator:
        return task.replace("_", " ")
    names = {"fourcircles": "four circles"}
    target = target.removesuffix("_twin")
    return f"{names.get(reference, reference)} → {names.get(target, target)}"
