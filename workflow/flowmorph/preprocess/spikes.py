"""Spikes of a feature, values that many events share, as intervals among its other values.

A flow has a density, and a spike has none: each becomes an interval in which its events lie evenly,
and what is above it makes room. A flow that moves events in and out of the interval lets them enter
and leave the spike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flowmorph.errors import InputError
from flowmorph.formats.allowed import spike_of
from flowmorph.preprocess.logit import check_bounds
from flowmorph.preprocess.transforms import KNOT_GAP, Stored, check_increasing

#: Least and largest width of an interval, relative to the range of the other values: float32, which
#: flows see, has to tell values apart in the narrower of the two.
WIDTHS = (1e-3, 100.0)

#: How far beyond their range an interval begins, relative to it: so that rounding in float32 brings
#: no value that is at its end into the interval.
MARGIN = 1e-5

#: Part of the other values, on either side of a spike, whose density is that beside it.
BESIDE = 0.05


@dataclass(frozen=True)
class Spikes(Stored):
    """Intervals that take the place of a column's spikes; other values are shifted by those below.

    Attributes:
        values: of the n spikes, ascending.
        places: where each interval is among the other values: at the spike itself or, for one that
            is outside of their range, such as -999 for "none", at the end of this range, so that no
            gap is beside it.
        widths: of the intervals, in the column's unit.
        bounds: declared bounds of the other values; None if there are none.
        spread: whether events lie evenly in their interval, or else all in its middle.
    """

    values: tuple[float, ...]
    places: tuple[float, ...]
    widths: tuple[float, ...]
    bounds: tuple[float, float] | None = None
    spread: bool = True

    @classmethod
    def fit(
        cls, name: str, spikes: Sequence[float], values: Sequence[np.ndarray],
        shares: Sequence[np.ndarray], bounds: Sequence[float] | None = None, spread: bool = True,
    ) -> Spikes:  # fmt: skip
        """Choose intervals with the density of the other values beside them, or their mean density.

        The larger of the two: then no interval takes more of the box than it needs, and where the
        densities agree there is no edge that a flow would have to learn.

        Args:
            name: of the column, for messages.
            spikes: their values, in any order.
            values: of each sample, (N,).
            shares: weights of these values, (N,), which add up to 1 in each sample.
            bounds: declared bounds of the other values, if there are any.
            spread: see above.

        Raises:
            InputError: spikes that are not finite, that float32 cannot tell apart or that no event
                has, and other values that are all the same or outside of the bounds.
        """
        # Adding zero makes one of the two zeros.
        spikes = sorted(float(value) + 0.0 for value in spikes)
        _check_spikes(name, spikes)
        data, share = np.concatenate(values), np.concatenate(shares)
        which = spike_of(data, spikes)
        weights = np.bincount(which + 1, share, len(spikes) + 1)[1:]
        for value, weight in zip(spikes, weights, strict=True):
            if not weight > 0:
                raise InputError(
                    f"feature {name!r}: no event of either sample has the spike {value:g}: take it "
                    "out, or correct it"
                )
        rest = (which < 0) & (share > 0)
        # Within rounding there is no room for an interval either.
        if not rest.any() or np.ptp(data[rest]) <= KNOT_GAP * np.abs(data[rest]).max():
            raise InputError(
                f"feature {name!r} has zero range beside its spikes: leave it out, or declare it "
                "integer instead"
            )
        others = data[which < 0]
        lower, upper = others.min(), others.max()
        if bounds is not None:
            check_bounds(name, bounds, lower, upper, "correct them, or name it as a spike")
            lower, upper = bounds = tuple(map(float, bounds))
        places = [_place(value, float(lower), float(upper)) for value in spikes]
        widths = _widths(places, weights, data[rest], share[rest])
        return cls(tuple(spikes), tuple(places), tuple(widths), bounds, spread)

    @property
    def intervals(self) -> np.ndarray:
        """Ends of the intervals among the shifted values, (n, 2): low <= value < high."""
        return np.stack([self._lows, self._highs], axis=1)

    @property
    def shifted_bounds(self) -> tuple[float, float] | None:
        """Bounds of shifted values and intervals together, if bounds are declared."""
        if self.bounds is None:
            return None
        lower, upper = self.bounds
        upper = max(upper + float(self._shifts[-1]), float(self._highs[-1]))
        return min(lower, float(self._lows[0])), upper

    @cached_property
    def _shifts(self) -> np.ndarray:
        """Shift of the values between two intervals, (n + 1,)."""
        return np.concatenate([[0.0], np.cumsum(self.widths)])

    @cached_property
    def _lows(self) -> np.ndarray:
        return np.asarray(self.places) + self._shifts[:-1]

    @cached_property
    def _highs(self) -> np.ndarray:
        # As a value at the place itself is shifted, to the bit.
        return np.asarray(self.places) + self._shifts[1:]

    def forward(self, x: np.ndarray, u: np.ndarray | float) -> np.ndarray:
        """Shift values (N,), and put spikes at the part ``u``, 0 <= u < 1, of their intervals.

        A value counts as a spike if it equals it as any floating type would hold it. NaN stays.
        """
        which = spike_of(x, self.values)
        k = np.searchsorted(self.places, x, side="right")
        # Rounding must not carry values over the edge of an interval, here and on the way back.
        floor = np.concatenate([[-np.inf], self._highs])
        ceiling = np.concatenate([_below(self._lows), [np.inf]])
        shifted = np.clip(x + self._shifts[k], floor[k], ceiling[k])
        inside = self._lows[which] + np.asarray(self.widths)[which] * u
        inside = np.clip(inside, self._lows[which], _below(self._highs)[which])
        return np.where(which < 0, shifted, inside)

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """Undo `forward`: exactly the spike's value for what lies in its interval."""
        places, values = np.asarray(self.places), np.asarray(self.values)
        floor = np.concatenate([[-np.inf], places])
        ceiling = np.concatenate([_below(places), [np.inf]])
        if self.bounds is not None:
            lower, upper = self.bounds
            floor, ceiling = np.maximum(floor, lower), np.minimum(ceiling, upper)
            # Where an interval is at a bound, no other value is beyond it.
            z = np.maximum(z, min(lower, self._lows[0]))
            if places[-1] >= upper:
                z = np.minimum(z, _below(self._highs[-1]))
        k, inside = self._passed(z)
        x = np.clip(z - self._shifts[k], floor[k], ceiling[k])
        # What lies beside an interval is no spike, however near it is.
        x = np.where(np.isin(x, values), _above(x), x)
        return np.where(inside, values[k - 1], x)

    def log_width(self, z: np.ndarray) -> np.ndarray:
        """Logarithm of the width of the interval in which each value (N,) lies, 0 for the others.

        It turns the density in an interval into the probability of its spike.
        """
        k, inside = self._passed(z)
        return np.where(inside, np.log(self.widths)[k - 1], 0.0)

    def _passed(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How many intervals begin at or below each value (N,), and whether it is in the last."""
        k = np.searchsorted(self._lows, z, side="right")
        return k, (k > 0) & (z < self._highs[k - 1])

    def evenly(self, x: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (N,) after `forward`, spikes evenly in their intervals by weight, and the weights.

        The ends of all intervals are added without weight, (N + 2 n,): they are part of the range.
        """
        which, u = spike_of(x, self.values), np.full(len(x), 0.5)
        for i in range(len(self.values)):
            rows = which == i
            if shares[rows].any():
                below = np.cumsum(shares[rows])
                u[rows] = (below - 0.5 * shares[rows]) / below[-1]
        z = np.concatenate([self.forward(x, u), self.intervals.ravel()])
        return z, np.concatenate([shares, np.zeros(2 * len(self.values))])

    def check(self) -> None:
        """Intervals must lie one above the other, each with a width."""
        if not 1 <= len(self.values) == len(self.places) == len(self.widths):
            raise ValueError("values, places, widths: not one of each for one spike or more")
        check_increasing("values", self.values)
        for place, width in zip(self.places, self.widths, strict=True):
            check_increasing("places", (place,))
            check_increasing("widths", (0.0, width))
        with np.errstate(over="ignore", invalid="ignore"):
            ordered = (self._lows < self._highs).all()
        if sorted(self.places) != list(self.places) or not ordered:
            raise ValueError("places, widths: no intervals, one above the other")
        if self.bounds is not None:
            lower, upper = self.bounds
            check_increasing("bounds", (lower, upper))
        if type(self.spread) is not bool:
            raise ValueError("spread: neither true nor false")


def _place(value: float, lower: float, upper: float) -> float:
    """Where a spike's interval is among other values from ``lower`` to ``upper``."""
    margin = MARGIN * (upper - lower)
    return min(max(value, lower - margin), upper + margin)


def _widths(
    places: Sequence[float], weights: np.ndarray, others: np.ndarray, shares: np.ndarray
) -> list[float]:
    """Width of each spike's interval, from the weights of spikes (n,) and of other values (N,)."""
    order = np.argsort(others, kind="stable")
    others, below = others[order], np.cumsum(shares[order])
    extent, whole = others[-1] - others[0], below[-1]
    widths = []
    for place, weight in zip(places, weights, strict=True):
        at = np.append(0.0, below)[np.searchsorted(others, place)]
        levels = np.clip([at - BESIDE * whole, at + BESIDE * whole], 0.0, whole)
        with np.errstate(divide="ignore"):
            beside = np.ptp(levels) / np.ptp(np.interp(levels, below, others))
        width = weight / max(beside, whole / extent)
        widths.append(float(np.clip(width, *(limit * extent for limit in WIDTHS))))
    return widths


def _check_spikes(name: str, spikes: Sequence[float]) -> None:
    for value in spikes:
        if not np.isfinite(value):
            raise InputError(f"feature {name!r}: a spike is a number, not {value:g}: take it out")
    with np.errstate(over="ignore"):
        short = np.asarray(spikes).astype(np.float32)
    for i in np.flatnonzero(short[1:] == short[:-1]):
        if np.isfinite(short[i]) or spikes[i] == spikes[i + 1]:
            raise InputError(
                f"feature {name!r}: the spikes {spikes[i]!r} and {spikes[i + 1]!r} are one in "
                "float32: take one out"
            )


def _above(x: np.ndarray | float) -> np.ndarray:
    return np.nextafter(x, np.inf)


def _below(x: np.ndarray | float) -> np.ndarray:
    return np.nextafter(x, -np.inf)
