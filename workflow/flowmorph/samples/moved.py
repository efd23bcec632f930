"""Moved samples: the points of a task and where each method moves them, as one file holds them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from flowmorph.errors import InputError
from flowmorph.files import atomic
from flowmorph.metrics.measures import BASELINE
from flowmorph.samples import alternative_points, geometry, unweighting

#: Names of arrays in a file; every other array is a method's.
GIVEN = ("reference", "target", "condition_reference", "condition_target")
WEIGHTS = ("weight_reference", "weight_target", "signed_reference", "signed_target")

ANGLE_TOLERANCE = 0.01  # degrees: conditions are stored in single precision


@dataclass(frozen=True, eq=False)
class MovedSample:
    """Points of a task, N of both samples, and where each method moves those of the reference.

    Rows of reference and target are independent draws, so that any pairing is a random one.

    Attributes:
        reference: points x, (N, D), in the units in which flows work.
        target: points y, (N, D), in the same units.
        condition_reference: conditions c_x, (N, C); C is 0 if there are none.
        condition_target: conditions c_y, (N, C).
        methods: images of the reference's rows, (N, D), by method.
        weight_reference: weights of the reference's rows, (N,), none below zero; None if all count
            the same.
        weight_target: weights of the target's rows, (N,), likewise.
        signed_reference: weights of the reference's rows as they were given, (N,), if some of that
            sample are negative; else None.
        signed_target: weights of the target's rows, (N,), likewise.
        method_weights: weights, (N,), by method, of methods that weigh points instead of moving
            them.
    """

    reference: np.ndarray
    target: np.ndarray
    condition_reference: np.ndarray
    condition_target: np.ndarray
    methods: dict[str, np.ndarray]
    weight_reference: np.ndarray | None = None
    weight_target: np.ndarray | None = None
    signed_reference: np.ndarray | None = None
    signed_target: np.ndarray | None = None
    method_weights: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> MovedSample:
        """Make a sample of arrays by their names in a file, without checks."""
        own = {name: arrays[name] for name in (*GIVEN, *WEIGHTS) if name in arrays}
        methods = {name: array for name, array in arrays.items() if name not in own}
        return cls(**own, methods=methods)

    @classmethod
    def load(cls, path: str | os.PathLike, methods: Sequence[str] | None = None) -> MovedSample:
        """Read one ``moved/<task>.npz``, of the ``methods`` only those named (None: all).

        Raises InputError for a missing file or array, for arrays of different lengths, and for
        points, conditions or weights that are not finite.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such file of moved samples")
        try:
            with np.load(path) as stored:
                if methods is None:
                    methods = [name for name in stored if name not in (*GIVEN, *WEIGHTS)]
                tables = (*GIVEN, *methods)
                missing = [name for name in tables if name not in stored]
                if missing:
                    raise InputError(f"{path}: no array '{missing[0]}', only {', '.join(stored)}")
                weights = [name for name in WEIGHTS if name in stored]
                arrays = {name: stored[name] for name in (*tables, *weights)}
        except ValueError as error:
            raise InputError(f"{path}: not a file of moved samples ({error})") from error
        lengths = {name: len(arrays[name]) for name in tables}
        if len(set(lengths.values())) > 1:
            raise InputError(f"{path}: arrays of different lengths {lengths}; make the file again")
        for name in tables:
            if arrays[name].ndim != 2 or not np.isfinite(arrays[name]).all():
                raise InputError(f"{path}: '{name}' is not a table of finite numbers")
        for name in weights:
            rows = arrays["reference"].shape[:1]
            if arrays[name].shape != rows or not np.isfinite(arrays[name]).all():
                raise InputError(f"{path}: '{name}' is not one finite number a row")
        return cls.from_arrays(arrays)

    @classmethod
    def paired(
        cls,
        points: Sequence[np.ndarray],
        conditions: Sequence[np.ndarray],
        weights: Sequence[np.ndarray | None],
        signed: Sequence[np.ndarray | None],
        places: Sequence[str],
    ) -> MovedSample:
        """Take as many rows of reference and target, which are in random order, before any method.

        Each argument is that of the reference and that of the target: points (N, D), conditions
        (N, C), weights (N,) that are not negative, and as they were given; ``places`` are what the
        samples are called in messages. Raises InputError where all weights are zero.
        """
        # Rows of reference and target are independent draws: any pairing of them is a random one.
        size = min(map(len, points))
        (x, y), (c_x, c_y) = ([each[:size] for each in both] for both in (points, conditions))
        if all(w is None for w in weights):
            return cls(x, y, c_x, c_y, {})
        ones = np.ones(size)
        given = [ones if w is None else unweighting.relative(w[:size]) for w in weights]
        for place, w in zip(places, given, strict=True):
            if not w.any():
                raise InputError(
                    f"{place}: the weights of the {size} events that are compared are all zero: "
                    "give more events with weights above zero"
                )
        as_given = [None if w is None else unweighting.relative(w[:size]) for w in signed]
        return cls(x, y, c_x, c_y, {}, *given, *as_given)

    def save(self, path: str | os.PathLike) -> None:
        """Write the sample (npz), with the same bytes every time.

        Raises ValueError for methods that weigh points, which have files of their own
        (`samples.alternative_points`).
        """
        if self.method_weights:
            raise ValueError(f"no place for the weights of {', '.join(self.method_weights)}")
        own = {name: getattr(self, name) for name in (*GIVEN, *WEIGHTS)}
        arrays = self.methods | {name: array for name, array in own.items() if array is not None}
        with atomic(path) as part:
            np.savez(part, **{name: np.ascontiguousarray(a) for name, a in sorted(arrays.items())})

    def __len__(self) -> int:
        return len(self.reference)

    def points(self, name: str) -> np.ndarray:
        """Give the points (N, D) of the reference, the target or a method, by name.

        ``baseline`` is the target in place of the images: what a map that ignores where its points
        come from would give.
        """
        if name in ("target", BASELINE):
            return self.target
        return self.reference if name == "reference" else self.methods[name]

    def weights(self, name: str) -> np.ndarray | None:
        """Give the weights (N,) of the points of that name, None where all count the same.

        A moved point has its reference's weight, unless its method weighs points; a pair of
        ``baseline`` has the product of those of both its points. None is negative.
        """
        return self._weights(name, self.weight_reference, self.weight_target)

    def signed(self, name: str) -> np.ndarray | None:
        """Give the weights (N,) of the points of that name, as `weights`, but as they were given.

        For sums over points: means, histograms, and their errors.
        """
        reference, target = (
            weights if signed is None else signed
            for signed, weights in (
                (self.signed_reference, self.weight_reference),
                (self.signed_target, self.weight_target),
            )
        )
        return self._weights(name, reference, target)

    def _weights(
        self, name: str, reference: np.ndarray | None, target: np.ndarray | None
    ) -> np.ndarray | None:
        if name in self.method_weights:
            return self.method_weights[name]
        if name == "target":
            return target
        if name == BASELINE:
            both = [w for w in (reference, target) if w is not None]
            return math.prod(both) if both else None
        return reference

    def same_points(self, other: MovedSample) -> bool:
        """Whether both hold the same points, conditions and weights, before any method."""
        names = (*GIVEN, *WEIGHTS)
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    def with_alternative(
        self, method: str, points: np.ndarray, weights: np.ndarray | None = None
    ) -> MovedSample:
        """Add what one more method makes of the reference: points (N, D) and its weights (N,)."""
        own = {} if weights is None else {method: weights}
        return replace(
            self,
            methods=self.methods | {method: points},
            method_weights=self.method_weights | own,
        )

    def with_alternatives(
        self, methods: Sequence[str], paths: Sequence[str], split: str
    ) -> MovedSample:
        """Add what further methods made of this reference, a split's, from their files in order.

        Raises InputError for another number of files than methods, and as
        `samples.alternative_points.load`.
        """
        if len(methods) != len(paths):
            raise InputError(f"{len(paths)} files for {len(methods)} alternatives")
        sample = self
        for method, path in zip(methods, paths, strict=True):
            points, weights = alternative_points.load(path, split, self.reference)
            sample = sample.with_alternative(method, points, weights)
        return sample

    def target_unweighted(self, rng: np.random.Generator) -> MovedSample:
        """Unweight the target, which is independent of the rest; the rest keeps its weights.

        There must be weights of the target; the result has as many rows as the target has left.
        """
        rows = unweighting.accepted(self.weight_target, rng)
        some = self.select(slice(len(rows)), rows)
        return replace(some, weight_target=None, signed_target=None)

    def select(
        self, rows: np.ndarray | slice, target_rows: np.ndarray | slice | None = None
    ) -> MovedSample:
        """Keep some rows, in the order of these indices (n,), or those of a mask or slice.

        ``target_rows`` are those of the target, as many, where they are others.
        """
        of_target = rows if target_rows is None else target_rows
        return MovedSample(
            reference=self.reference[rows],
            target=self.target[of_target],
            condition_reference=self.condition_reference[rows],
            condition_target=self.condition_target[of_target],
            methods={name: points[rows] for name, points in self.methods.items()},
            weight_reference=_selected(self.weight_reference, rows),
            weight_target=_selected(self.weight_target, of_target),
            signed_reference=_selected(self.signed_reference, rows),
            signed_target=_selected(self.signed_target, of_target),
            method_weights={name: weight[rows] for name, weight in self.method_weights.items()},
        )

    def with_features(self, places: Sequence[int]) -> MovedSample:
        """Keep some features, in the order of these places (d,)."""
        return replace(
            self,
            reference=self.reference[:, places],
            target=self.target[:, places],
            methods={name: points[:, places] for name, points in self.methods.items()},
        )

    def rows_at_angles(
        self, reference: float, target: float, shared: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the points that are moved from one angle of the rotated toys to another, for select.

        Args:
            reference: angle where points begin, degrees.
            target: angle where they end, degrees.
            shared: whether points end at the angle where they begin, whatever the target's in the
                same row: these are then chosen on their own, so that no more are lost than must be.

        Returns:
            Rows of the reference and of the target, as many of each.

        Raises:
            InputError: the task is not one of the rotated toys, or no point is moved so; the pairs
                of angles there are are named.
        """
        conditions = (self.condition_reference, self.condition_target)
        if any(condition.shape[1] != 1 for condition in conditions):
            raise InputError("angles asked for, but this task is not one of the rotated toys")
        start, end = (np.round(geometry.degrees(condition), 2) for condition in conditions)
        arrival = start if shared else end
        at_target = np.abs(end - target) < ANGLE_TOLERANCE
        moved_so = np.abs(start - reference) < ANGLE_TOLERANCE
        moved_so &= np.abs(arrival - target) < ANGLE_TOLERANCE
        rows = np.flatnonzero(moved_so)
        target_rows = np.flatnonzero(at_target) if shared else rows
        size = min(len(rows), len(target_rows))
        if not size:
            there = np.isin(arrival, end)
            pairs = np.unique(np.column_stack([start, arrival])[there], axis=0)
            raise InputError(
                f"no point is moved from {reference:g} to {target:g} degrees; "
                f"there are {', '.join(f'{a:g}:{b:g}' for a, b in pairs)}"
            )
        return rows[:size], target_rows[:size]


def angle_pair(text: str) -> tuple[float, float]:
    """Read the angles of reference and target, in degrees, from ``FROM:TO``.

    A single number stands for both. Raises InputError for any other text.
    """
    start, separator, end = text.partition(":")
    try:
        return float(start), float(end if separator else start)
    except ValueError:
        raise InputError(f"'{text}' is not FROM:TO in degrees") from None


def load_trainings(
    paths: Sequence[str | os.PathLike], trainings: int, methods: Sequence[str]
) -> list[list[MovedSample]]:
    """Read moved samples of several tasks, all tasks of the first training first, by training.

    Raises InputError for a number of files that is no multiple of ``trainings``, and as
    `MovedSample.load` does.
    """
    if len(paths) % trainings:
        raise InputError(f"{len(paths)} files are not the same tasks in {trainings} trainings")
    samples = [MovedSample.load(path, methods) for path in paths]
    tasks = len(samples) // trainings
    return [samples[first : first + tasks] for first in range(0, len(samples), tasks)]


def _selected(array: np.ndarray | None, rows: np.ndarray | slice) -> np.ndarray | None:
    return None if array is None else array[rows]
