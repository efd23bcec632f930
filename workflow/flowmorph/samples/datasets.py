"""The points of a data set: drawn for the toys, read from a prepared file for other samples."""

from __future__ import annotations

import numpy as np

from flowmorph.errors import InputError
from flowmorph.plan.jobs.data import Data, FileData, ToyData
from flowmorph.plan.seeds import seed_for
from flowmorph.samples import row_hashes, toys

Points = tuple[np.ndarray, np.ndarray]


def load(data: Data, split: str) -> Points:
    """Points (N, D) and conditions (N, C), float32, of one split of a data set.

    ``split`` is ``train``, ``validation``, ``evaluation`` (toys), ``signal`` (collider samples) or
    ``apply`` (the user's). Of ``train`` these are the points that a training sees. Raises
    InputError for a split or a column that is not there.
    """
    if isinstance(data, ToyData):
        x, c = _drawn(data, split)
    elif _own(data):
        seen = _seen(data, split)
        path = data.file_of(split)
        x, c = (own_array(path, split, kind)[seen] for kind in ("points", "condition"))
    else:
        # Jobs about toys start without the libraries of files.
        from flowmorph.formats.flat_root import read_table

        table = read_table(data.path, split, [*data.features, *data.condition])
        x, c = (_columns(table, names) for names in (data.features, data.condition))
    return x.astype(np.float32), c.astype(np.float32)


def weights(data: Data, split: str) -> np.ndarray | None:
    """Weights (N,), float64, of one split of a data set; None where all points count the same.

    None of them is negative. Of ``train`` these are those of the points that a training sees.
    """
    if not isinstance(data, FileData):
        return None
    seen = _seen(data, split)
    found = own_array(data.file_of(split), split, "weights")[seen] if data.weights else None
    if split == "train" and data.part.bootstrap:
        drawn = row_hashes.bootstrap(_rows(data)[seen], data.part.bootstrap)
        found = drawn if found is None else found * drawn
    return found


def signed_weights(data: Data, split: str) -> np.ndarray | None:
    """Weights (N,), float64, of one split as they were given; None where none is negative."""
    if isinstance(data, FileData) and data.weights:
        return own_array(data.file_of(split), split, "signed", optional=True)
    return None


def condition_gaps(data: Data) -> np.ndarray:
    """Widest gap in the training region of each condition, (C,), in scaled units; 0 without one."""
    if isinstance(data, ToyData):
        return np.zeros(1 if data.angles else 0)
    return own_array(data.path, "condition", "gaps") if _own(data) else np.asarray(data.gaps)


def own_array(path: str, split: str, kind: str, optional: bool = False) -> np.ndarray | None:
    """Points, condition, weights or hashes of rows, of one split of a user's prepared sample.

    None where they are ``optional`` and not there.
    """
    try:
        with np.load(path) as file:
            name = f"{split}.{kind}"
            return None if optional and name not in file else file[name]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: no readable {kind} of {split} ({error}): delete it and run again"
        ) from error


def exact_log_density(data: Data, x: np.ndarray, c: np.ndarray) -> np.ndarray | None:
    """Exact log-density (N,) of a toy at its points, None for samples without a known one."""
    if not isinstance(data, ToyData):
        return None
    if data.angles:
        return toys.log_density_rotated(data.toy, x.astype(float), c.astype(float))
    return toys.log_density(data.toy, x.astype(float))


def _drawn(data: ToyData, split: str) -> Points:
    if split not in data.points:
        raise InputError(f"data set {data.name} has no split '{split}'")
    rng = np.random.default_rng(seed_for(data.seed, data.name, split))
    points = data.points[split]
    if data.angles:
        return toys.sample_rotated_toy(data.toy, points, data.angles_of(split), rng)
    return toys.sample_toy(data.toy, points, rng), np.empty((points, 0))


def _seen(data: FileData, split: str) -> np.ndarray | slice:
    """The rows of a split that a training sees: of those to train on, all but those of its fold."""
    if split != "train" or not data.part.folds:
        return slice(None)
    return row_hashes.folds(_rows(data), data.part.folds) != data.part.fold


def _rows(data: FileData) -> np.ndarray:
    """Hashes (N,) of the events to train on; raises InputError where they do not tell them apart.

    Equal rows would be in one fold, and resampled together, as if they were one event.
    """
    if not own_array(data.path, "train", "told"):
        raise InputError(
            f"{data.name}: many rows are equal in features and condition: own.folds and "
            "own.variations.bootstrap need own.event, the columns that identify an event"
        )
    return own_array(data.path, "train", "rows")


def _own(data: FileData) -> bool:
    """Whether a file has the user's columns, whose names need not suit ROOT."""
    return data.path.endswith(".npz")


def _columns(table: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray:
    if not names:
        return np.empty((len(next(iter(table.values()))), 0))
    return np.stack([table[name] for name in names], axis=1)
