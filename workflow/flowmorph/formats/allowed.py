"""What the values of a column may be, in any floating type in which a file holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from flowmorph.errors import RowError

#: Types in which a file may hold a number, shortest first.
TYPES = (np.float16, np.float32, np.float64)


@dataclass(frozen=True)
class Allowed:
    """What the values of a column may be.

    A bound such as 2.4 lies between two numbers of a shorter type, and the one that this type takes
    for it may be beyond. Coming in, that one stands for the bound; nothing goes out beyond it.

    Attributes:
        whole: whether they are whole numbers.
        bounds: least and largest of them; None where any may be.
        spikes: values that may be outside of the bounds too, ascending.
    """

    whole: bool = False
    bounds: tuple[float, float] | None = None
    spikes: tuple[float, ...] = ()

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Take ``integer``, ``bounds`` and ``spike`` of a column's options.

        Bounds that are no interval are left out: those who fit a map to the column refuse them.
        """
        given = options.get("bounds")
        interval = given is not None and given[0] < given[1]
        bounds = (float(given[0]), float(given[1])) if interval else None
        spikes = tuple(sorted(map(float, options.get("spike", ()))))
        return cls(bool(options.get("integer")), bounds, spikes)

    @cached_property
    def stand_ins(self) -> dict[float, float]:
        """Numbers beyond a bound that shorter types hold for it, each with the bound."""
        if self.bounds is None:
            return {}
        spikes = {held(kind, spike) for kind in TYPES for spike in self.spikes}
        lower, upper = self.bounds
        found = {}
        for bound in self.bounds:
            for value in (held(kind, bound) for kind in TYPES):
                if value is not None and value not in spikes and not lower <= value <= upper:
                    found[value] = bound
        return found

    def taken(self, x: np.ndarray) -> np.ndarray:
        """Values (N,), float64, with the bound where a number that stands for it is."""
        for value, bound in self.stand_ins.items():
            x = np.where(x == value, bound, x)
        return x

    def refuses(self, x: np.ndarray) -> np.ndarray:
        """Values (N,), bool, that are outside of the bounds and no spike; NaN is not."""
        if self.bounds is None:
            return np.zeros(np.shape(x), dtype=bool)
        refused = (x < self.bounds[0]) | (x > self.bounds[1])
        # There are none in most tables.
        if refused.any():
            refused &= ~np.isin(x, [*self.stand_ins]) & (spike_of(x, self.spikes) < 0)
        return refused

    def check(self, name: str, x: np.ndarray) -> None:
        """Raise `RowError` for the first of a column's values (N,) that is refused."""
        refused = np.flatnonzero(self.refuses(x))
        if len(refused):
            assert self.bounds is not None, "bounds refuse"
            lower, upper = map(shown, self.bounds)
            spike = ", or name it as a spike" if self.spikes else ""
            raise RowError.first(
                refused, name,
                f": {shown(x[refused[0]])} lies outside its bounds [{lower}, {upper}]",
                f"remove these rows, or correct the bounds{spike}",
            )  # fmt: skip

    def check_whole(self, name: str, x: np.ndarray) -> None:
        """Raise `RowError` for the first value (N,) that is not whole, where all are to be."""
        broken = np.flatnonzero(np.isfinite(x) & (x != np.floor(x))) if self.whole else []
        if len(broken):
            raise RowError.first(
                broken, name,
                f": {shown(x[broken[0]])} is no whole number, but the column is declared integer",
                "correct these rows, or take out integer",
            )  # fmt: skip

    def limits(self, kind: np.dtype) -> tuple[np.floating, np.floating]:
        """Least and largest number of a floating type that is within the bounds and no spike.

        The first is above the second where there is none. Where any may be they are infinite.
        """
        lower, upper = (-np.inf, np.inf) if self.bounds is None else self.bounds
        if self.whole:
            lower, upper = np.ceil(lower), np.floor(upper)
        with np.errstate(over="ignore"):
            low, high, *spikes = (kind.type(value) for value in (lower, upper, *self.spikes))
        while float(low) < lower or low in spikes:
            low = np.nextafter(low, kind.type(np.inf))
        while float(high) > upper or high in spikes:
            high = np.nextafter(high, kind.type(-np.inf))
        return low, high

    def cast(self, values: np.ndarray, kind: np.dtype) -> np.ndarray:
        """Values (N,), float64, in a floating type, in which bounds hold and spikes are told apart.

        Infinite or NaN where the type has no number for them.
        """
        with np.errstate(over="ignore"):
            # What numpy computes has this machine's order of bytes, which a file need not have.
            result = values.astype(kind)
        free = ~np.isin(values, self.spikes)
        for spike in map(kind.type, self.spikes):
            above = np.nextafter(spike, kind.type(np.inf))
            result = np.where(free & (result == spike), above, result)
        if self.bounds is None:
            return result.astype(kind, copy=False)
        low, high = self.limits(kind)
        inside = np.clip(result, low, high) if low <= high else kind.type(np.nan)
        return np.where(free, inside, result).astype(kind, copy=False)


def held(kind: type[np.floating], value: float) -> float | None:
    """What a floating type has for a number; None beyond the type's range, where it has none."""
    with np.errstate(over="ignore", under="ignore"):
        found = float(kind(value))
    # 1e-9 is not 0.
    return found if abs(found - value) <= float(np.finfo(kind).eps) * abs(value) else None


def spike_of(x: np.ndarray, spikes: Sequence[float]) -> np.ndarray:
    """Number of the spike that each value (N,) is, in any type that holds it; -1 for the others."""
    which = np.full(np.shape(x), -1)
    # The longest type comes last, so that it decides where shorter ones hold two spikes alike.
    for kind in TYPES:
        for i, spike in enumerate(spikes):
            if (value := held(kind, spike)) is not None:
                which[x == value] = i
    return which


def shown(value: float) -> str:
    """A number for a message, with all digits if the usual six are those of another one."""
    text = f"{value:g}"
    return text if float(text) == value else repr(float(value))
