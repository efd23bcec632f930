"""The points of a data set: a recipe for the toys, a prepared ROOT file for collider samples."""

from __future__ import annotations

import numpy as np

from flowmorph.errors import InputError
from flowmorph.formats.flat_root import read_table
from flowmorph.plan.seeds import seed_for
from flowmorph.samples import toys

ROTATED = "rotated_"
TWIN = "_twin"

Points = tuple[np.ndarray, np.ndarray]


def toy_name(dataset: str) -> str:
    """The toy behind a data set: ``rotated_star_twin`` is a ``star``."""
    return dataset.removeprefix(ROTATED).removesuffix(TWIN)


def load(dataset: str, split: str, recipe: dict) -> Points:
    """Points (N, D) and conditions (N, C), float32, of one split of a data set.

    ``split`` is ``train``, ``validation`` or, for the collider samples, ``signal``. ``recipe``
    holds ``points`` and ``seed`` (and ``angles`` in degrees) for toys, which are sampled afresh
    from their seed, or ``path``, ``features`` and ``condition`` for a prepared file: a ROOT file
    with these columns, or an npz file with the user's own, whose names need not suit ROOT.
    """
    if "path" in recipe and recipe["path"].endswith(".npz"):
        x, c = (own_array(recipe["path"], split, kind) for kind in ("points", "condition"))
    elif "path" in recipe:
        columns = [*recipe["features"], *recipe["condition"]]
        table = read_table(recipe["path"], split, columns)
        x = np.stack([table[name] for name in recipe["features"]], axis=1)
        c = np.empty((len(x), 0))
        if recipe["condition"]:
            c = np.stack([table[name] for name in recipe["condition"]], axis=1)
    else:
        if split not in recipe["points"]:
            raise InputError(f"data set {dataset} has no split '{split}'")
        rng = np.random.default_rng(seed_for(recipe["seed"], dataset, split))
        points = recipe["points"][split]
        if dataset.startswith(ROTATED):
            x, c = toys.sample_rotated_toy(toy_name(dataset), points, recipe["angles"], rng)
        else:
            x, c = toys.sample_toy(toy_name(dataset), points, rng), np.empty((points, 0))
    return x.astype(np.float32), c.astype(np.float32)


def weights(split: str, recipe: dict) -> np.ndarray | None:
    """Weights (N,), float64, of one split of a data set; None where all points count the same."""
    if not recipe.get("weights"):
        return None
    return own_array(recipe["path"], split, "weights")


def own_array(path: str, split: str, kind: str) -> np.ndarray:
    """Points, condition or weights of one split of a user's prepared sample."""
    try:
        with np.load(path) as file:
            return file[f"{split}.{kind}"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: no readable {kind} of {split} ({error}): delete it and run again"
        ) from error


def exact_log_density(dataset: str, x: np.ndarray, c: np.ndarray) -> np.ndarray | None:
    """Exact log-density (N,) of a toy at its points, None for samples without a known one."""
    name = toy_name(dataset)
    if name not in toys.TOYS:
        return None
    if dataset.startswith(ROTATED):
        return toys.log_density_rotated(name, x.astype(float), c.astype(float))
    return toys.log_density(name, x.astype(float))


def files(recipe: dict) -> list[str]:
    """The files that a data set is read from; none for a toy."""
    return [recipe["path"]] if "path" in recipe else []
