"""Weights of `balance` as nodes: what `flowmorph.samples.balance` computes, in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flowmorph.samples.balance import Balance, Odds, reach
from flowmorph.user.export.nodes import Value, concat, every, some, where

INT = np.dtype(np.int64)


def factors(balance: Balance, condition: Value, fold: Value) -> Value:
    """`Balance.factors`, (N,), at conditions (N, C).

    ``fold`` is that of each row, (N,), int64: its place in the balance's ``odds``.
    """
    each = [condition.take(i, axis=1) for i in range(len(balance.discrete))]
    ratio = _in_cells(balance, each)
    outside = [
        (c < low) | (c > high) for c, low, high in zip(each, balance.low, balance.high, strict=True)
    ]
    ratio = where(some(outside), 0.0, ratio)
    if not balance.odds:
        return ratio
    return where(ratio > 0.0, ratio * _odds(balance.odds, condition, fold), 0.0)


def _in_cells(balance: Balance, condition: Sequence[Value]) -> Value:
    """As `flowmorph.samples.balance.in_cells`."""
    chosen = np.flatnonzero(balance.discrete).tolist()
    if not chosen:
        return 0.0 * condition[0] + balance.ratios[0]
    same = [
        abs(condition[i].unsqueeze(1) - cells) <= reach(cells)
        for i, cells in zip(chosen, balance.cells.T, strict=True)
    ]
    return where(every(same), condition[0].like(balance.ratios), 0.0).sum(1)


def _odds(odds: Sequence[Odds], condition: Value, fold: Value) -> Value:
    """What `Odds` of each row's fold give, (N,)."""

    def own(values: Sequence) -> Value:
        """Of numbers of each fold, those of the row's."""
        return condition.like(np.array(values)).take(fold)

    graph = condition.graph
    least, most = (own([getattr(each, name) for each in odds]) for name in ("least", "most"))
    inside = graph.node("Min", graph.node("Max", condition, least), most)
    z = (inside - own([each.center for each in odds])) / own([each.width for each in odds])
    z = concat([z, 0.0 * z.slice(1, 0, 1) + 1.0], 1)
    terms = sorted({tuple(term) for each in odds for term in each.terms.tolist()})
    parts = [dict(zip(map(tuple, o.terms.tolist()), o.coefficients, strict=True)) for o in odds]
    # A place of -1 is that of the ones, the last.
    first, second = np.array(terms).T % (len(odds[0].center) + 1)
    products = z.take(first, axis=1) * z.take(second, axis=1)
    coefficients = own([[part.get(term, 0.0) for term in terms] for part in parts])
    smooth = (products * coefficients).sum(1) + own([each.intercept[0] for each in odds])
    return (smooth + _trees(odds, condition, fold)).exp()


def _trees(odds: Sequence[Odds], condition: Value, fold: Value) -> Value:
    """What `Trees` of each row's fold give, (N,)."""
    trees = [each.trees for each in odds]
    most = max(len(each.roots) for each in trees)
    # The first node is a leaf that adds nothing: the tree of folds that have fewer than others.
    starts = np.cumsum([1, *(len(each.feature) for each in trees)])
    roots = np.zeros((len(trees), most), np.int64)
    for row, each, start in zip(roots, trees, starts, strict=False):
        row[: len(each.roots)] = each.roots + start

    def joined(name: str, moved: bool = False) -> np.ndarray:
        parts = [getattr(each, name) for each in trees]
        shifted = [part + start * moved for part, start in zip(parts, starts, strict=False)]
        return np.concatenate([np.zeros(1, parts[0].dtype), *shifted])

    feature, left, right = joined("feature"), joined("left", True), joined("right", True)
    feature[0] = -1
    graph = condition.graph
    asked, less, more = (
        graph.constant(each, INT) for each in (np.maximum(feature, 0), left, right)
    )
    threshold, value = condition.like(joined("threshold")), condition.like(joined("value"))
    node = graph.constant(roots, INT).take(fold)
    for _ in range(_depth(roots, feature, left, right)):
        column = graph.node("GatherElements", condition, asked.take(node), axis=1)
        node = where(column <= threshold.take(node), less.take(node), more.take(node))
    return value.take(node).sum(1)


def _depth(nodes: np.ndarray, feature: np.ndarray, left: np.ndarray, right: np.ndarray) -> int:
    """Questions on the longest path from any of these nodes to a leaf."""
    nodes = np.unique(nodes)
    nodes = nodes[feature[nodes] >= 0]
    if not len(nodes):
        return 0
    return 1 + _depth(np.concatenate([left[nodes], right[nodes]]), feature, left, right)
