"""Intervals of a column, in which flows are trained, or measured."""

from __future__ import annotations

from collections.abc import Sequence


def gaps(intervals: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Where intervals (low, high) leave something out between them: the gaps' ends, in order."""
    found = []
    reached = None
    for low, high in sorted(intervals):
        if reached is not None and low > reached:
            found.append((reached, low))
        reached = high if reached is None else max(reached, high)
    return found


def widest_gap(intervals: Sequence[Sequence[float]]) -> float:
    """Width of the widest of the `gaps`, 0 if there is none."""
    return max((high - low for low, high in gaps(intervals)), default=0.0)


def overlapping(
    some: Sequence[Sequence[float]], others: Sequence[Sequence[float]]
) -> tuple[Sequence[float], Sequence[float]] | None:
    """The first of some and of other intervals (low <= value < high) that share values, or None."""
    for one in some:
        for other in others:
            if one[0] < other[1] and other[0] < one[1]:
                return one, other
    return None
