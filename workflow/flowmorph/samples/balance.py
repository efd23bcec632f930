"""Weights that give the reference the target's spectrum of the condition, as a file keeps them.

The weight of a row is the ratio of the target's density of the condition to the reference's. It is
learnt by `flowmorph.samples.balancing`; here it is numbers, and numpy evaluates them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from flowmorph.samples import row_hashes

#: Distance, as a part of that between values of a discrete condition, at which they are the same.
NEAR = 1e-3

#: Rows whose path through all trees is in memory at a time.
CHUNK_ROWS = 8192

#: Type of each array, and its shape; "C" is the number of conditions, None any number.
TREE_KINDS = {
    "roots": (np.int64, (None,)),
    "feature": (np.int64, (None,)),
    "threshold": (np.float64, (None,)),
    "left": (np.int64, (None,)),
    "right": (np.int64, (None,)),
    "value": (np.float64, (None,)),
}
ODDS_KINDS = dict.fromkeys(("center", "width", "least", "most"), (np.float64, ("C",))) | {
    "terms": (np.int64, (None, None)),
    "coefficients": (np.float64, (None,)),
    "intercept": (np.float64, (None,)),
}
OWN_KINDS = {
    "low": (np.float64, ("C",)),
    "high": (np.float64, ("C",)),
    "discrete": (np.bool_, ("C",)),
    "cells": (np.float64, (None, None)),
    "ratios": (np.float64, (None,)),
}
#: Arrays whose values may be infinite: no end.
ENDLESS = ("low", "high")


@dataclass(frozen=True)
class Trees:
    """Regression trees whose values add up.

    Nodes of all trees lie in one array (M,), the children of each behind it. A row goes to the
    ``left`` child of a node if its value of the node's ``feature`` is at most the ``threshold``.

    Attributes:
        roots: first node of each tree, (T,).
        feature: column that a node asks for, (M,); -1 for a leaf.
        threshold: of a node, (M,).
        left: child, (M,); of a leaf the leaf itself.
        right: other child, likewise.
        value: what a leaf adds, (M,).
    """

    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Sum over trees (N,) of rows (N, C)."""
        result = np.zeros(len(x))
        if not len(self.roots):
            return result
        for first in range(0, len(x), CHUNK_ROWS):
            rows = x[first : first + CHUNK_ROWS]
            node = np.tile(self.roots, (len(rows), 1))
            place = np.arange(len(rows))[:, None]
            while (self.feature[node] >= 0).any():
                left = rows[place, self.feature[node]] <= self.threshold[node]
                node = np.where(left, self.left[node], self.right[node])
            result[first : first + CHUNK_ROWS] = self.value[node].sum(axis=1)
        return result

    def check(self, columns: int) -> None:
        """Raise ValueError for arrays that are no trees of so many columns."""
        size = len(self.feature)
        if not all(len(getattr(self, each.name)) == size for each in fields(self)[1:]):
            raise ValueError("balance: trees of arrays of different lengths")
        nodes, inner = np.arange(size), self.feature >= 0
        if ((self.feature < -1) | (self.feature >= columns)).any():
            raise ValueError("balance: a tree of other columns")
        if ((self.roots < 0) | (self.roots >= size)).any():
            raise ValueError("balance: a tree without its root")
        for child in (self.left, self.right):
            # Children behind their parents, and leaves that lead nowhere: every path ends.
            if ((child >= size) | (child < nodes) | (inner == (child == nodes))).any():
                raise ValueError("balance: a tree whose paths do not end")


@dataclass(frozen=True)
class Odds:
    """Ratio of two densities of the condition: the exponential of a polynomial and of trees.

    The polynomial is of second degree in z = (c - center) / width, and constant beyond the range of
    the rows that it was fitted to.

    Attributes:
        center: of each column, (C,).
        width: likewise.
        least: beginning of the range, likewise.
        most: its end, likewise.
        terms: the two columns of each product, (K, 2); -1 for one alone.
        coefficients: of the products, (K,).
        intercept: of the polynomial, (1,).
        trees: what the polynomial leaves.
    """

    center: np.ndarray
    width: np.ndarray
    least: np.ndarray
    most: np.ndarray
    terms: np.ndarray
    coefficients: np.ndarray
    intercept: np.ndarray
    trees: Trees

    def __call__(self, condition: np.ndarray) -> np.ndarray:
        """Ratio (N,) at conditions (N, C)."""
        z = (np.clip(condition, self.least, self.most) - self.center) / self.width
        smooth = products(z, self.terms) @ self.coefficients + self.intercept[0]
        return np.exp(smooth + self.trees(condition))


def products(z: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Products (N, K) of the columns of z (N, C) that ``terms`` (K, 2) name; -1 stands for 1."""
    with_one = np.column_stack([z, np.ones(len(z))])
    return with_one[:, terms[:, 0]] * with_one[:, terms[:, 1]]


@dataclass(frozen=True)
class Balance:
    """Factors that give the reference the target's spectrum of the condition.

    Conditions (N, C) are those that flows are given: in the box, one column a category. Where all
    of them are discrete, a table has the ratio of frequencies of each combination of values. Else
    each fold has `Odds` that were fitted without its rows, and the table corrects what these leave
    between combinations of the discrete ones. A further row takes the odds of its fold, too: sums
    over many rows are then means over all folds' odds.

    Attributes:
        low: least value of each condition that the target has, (C,).
        high: largest value, likewise.
        discrete: which conditions have few values, (C,), bool.
        cells: combinations of their values, (V, D).
        ratios: factor of each combination, (V,).
        odds: one a fold; none where all conditions are discrete.
    """

    low: np.ndarray
    high: np.ndarray
    discrete: np.ndarray
    cells: np.ndarray
    ratios: np.ndarray
    odds: Sequence[Odds] = ()

    def factors(self, condition: np.ndarray, found: np.ndarray | None = None) -> np.ndarray:
        """Factors (N,) at conditions (N, C).

        They are 0 where the target has no such condition, and 1 on average over the reference's
        training rows. ``found`` are hashes of the rows, (N,), from which folds follow; not needed
        where all conditions are discrete.
        """
        condition = np.asarray(condition, np.float64)
        result = in_cells(condition[:, self.discrete], self.cells, self.ratios)
        result[((condition < self.low) | (condition > self.high)).any(axis=1)] = 0.0
        if self.odds:
            fold = row_hashes.folds(found, len(self.odds))
            for number, odds in enumerate(self.odds):
                rows = np.flatnonzero((fold == number) & (result > 0))
                result[rows] *= odds(condition[rows])
        return result

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Numbers of a file, by name."""
        arrays = {
            name: getattr(self, name) for name in ("low", "high", "discrete", "cells", "ratios")
        }
        for number, odds in enumerate(self.odds, start=1):
            parts = {**vars(odds), **vars(odds.trees)}
            arrays |= {
                f"fold_{number}.{name}": values for name, values in parts.items() if name != "trees"
            }
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], conditions: int) -> Balance:
        """Make one of a file's numbers, for so many conditions; raises ValueError for others."""
        if not conditions:
            raise ValueError("balance: there is no condition")
        given, odds = dict(arrays), []
        try:
            own = {name: given.pop(name) for name in OWN_KINDS}
            while f"fold_{len(odds) + 1}.roots" in given:
                start = f"fold_{len(odds) + 1}."
                tree = {name: given.pop(start + name) for name in TREE_KINDS}
                smooth = {name: given.pop(start + name) for name in ODDS_KINDS}
                _check(tree, TREE_KINDS, conditions)
                _check(smooth, ODDS_KINDS, conditions)
                trees = Trees(**tree)
                trees.check(conditions)
                odds.append(Odds(**smooth, trees=trees))
        except KeyError as error:
            raise ValueError(f"balance: {error} is missing") from None
        if given:
            raise ValueError(f"balance: {min(given)!r} is unknown")
        _check(own, OWN_KINDS, conditions)
        balance = cls(**own, odds=tuple(odds))
        balance._check_sizes(conditions)
        return balance

    def _check_sizes(self, conditions: int) -> None:
        values, columns = self.cells.shape
        if columns != self.discrete.sum() or values != len(self.ratios) or not values:
            raise ValueError("balance: a table of other conditions")
        if (self.ratios < 0).any() or bool(self.odds) == bool(self.discrete.all()):
            raise ValueError("balance: no weights of these conditions")
        for odds in self.odds:
            shape = odds.terms.shape
            if shape != (len(odds.coefficients), 2) or len(odds.intercept) != 1:
                raise ValueError("balance: a polynomial of another form")
            if not (odds.width > 0).all() or ((odds.terms < -1) | (odds.terms >= conditions)).any():
                raise ValueError("balance: a polynomial of other conditions")


def in_cells(values: np.ndarray, cells: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    """The ratio (N,) of the cell, of (V, D), that has a row's values (N, D); 0 where none has.

    A value within `reach` of a cell's is the cell's.
    """
    if not cells.shape[1]:
        return np.full(len(values), ratios[0])
    near = np.column_stack([_nearest(*pair) for pair in zip(values.T, cells.T, strict=True)])
    _, place = np.unique(np.concatenate([cells, near]), axis=0, return_inverse=True)
    place = place.reshape(-1)
    known = np.zeros(place.max() + 1)
    known[place[: len(cells)]] = ratios
    return known[place[len(cells) :]]


def reach(cells: np.ndarray) -> float:
    """How far a value may be from one of some (V,) and still be it: less than between two of them.

    The same number has other digits where one file holds it in float32 and another in float64.
    """
    return float(NEAR * np.diff(np.unique(cells)).min(initial=1.0))


def _nearest(values: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Values (N,), in their place the nearest of ``cells`` (V,) where it is within `reach`."""
    known = np.unique(cells)
    near = known[np.searchsorted((known[1:] + known[:-1]) / 2, values)]
    return np.where(np.abs(values - near) <= reach(cells), near, values)


def _check(arrays: Mapping[str, np.ndarray], kinds: Mapping, conditions: int) -> None:
    for name, (kind, shape) in kinds.items():
        values = arrays[name]
        wanted = tuple(conditions if size == "C" else size for size in shape)
        alike = values.ndim == len(wanted) and all(
            size in (None, found) for size, found in zip(wanted, values.shape, strict=True)
        )
        if values.dtype != kind or not alike:
            raise ValueError(f"balance: {name!r} is {values.dtype} {list(values.shape)}")
        bad = np.isnan(values) if name in ENDLESS else ~np.isfinite(values)
        if bad.any():
            raise ValueError(f"balance: {name!r} has values that are not finite")
