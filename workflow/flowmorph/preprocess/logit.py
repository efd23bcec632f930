"""The map of a feature between two bounds to the flows' box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from flowmorph.errors import InputError
from flowmorph.formats.allowed import shown
from flowmorph.preprocess.transforms import Map, check_increasing, only, value_range

#: How far the bounds are from 0 and 1 in the logit, so that values at a bound stay finite.
LOGIT_EDGE = 1e-3

#: How far apart declared bounds are at most, as a multiple of the values' range: so that float64,
#: in which values lie beside the edge, still tells them apart as float32 does in the box.
FARTHEST_BOUNDS = 1e9


def check_bounds(
    name: str, bounds: Sequence[float], lowest: float, highest: float, advice: str
) -> None:
    """Raise `InputError` for bounds that are no interval, or not around the values of a feature.

    And for bounds so far apart that all values, from ``lowest`` to ``highest``, would come to one
    place. ``advice`` is what to do about a value that lies outside.
    """
    lower, upper = map(float, bounds)
    both = f"[{shown(lower)}, {shown(upper)}]"
    if not (np.isfinite([lower, upper]).all() and lower < upper):
        raise InputError(
            f"feature {name!r}: bounds {both} are no interval: give two numbers, the lower first"
        )
    if lowest < lower or highest > upper:
        value = lowest if lowest < lower else highest
        raise InputError(
            f"feature {name!r}: {shown(value)} lies outside the bounds {both}: {advice}"
        )
    if upper - lower > FARTHEST_BOUNDS * float(highest - lowest):
        raise InputError(
            f"feature {name!r}: bounds {both} are more than {FARTHEST_BOUNDS:g} times as far "
            f"apart as the values, {lowest:g} to {highest:g}: give nearer ones"
        )


@dataclass(frozen=True)
class Logit(Map):
    """Logit of the place between two bounds, then a linear map of the data to [low, high].

    Declared bounds hold for any value that comes back; which ones come in `Preprocessor.spread`
    says. Bounds that were only seen in the data are passed by linear tails.

    Attributes:
        lower: lower bound, in the feature's unit.
        upper: upper bound, in the feature's unit.
        declared: whether the bounds were given; else they are the range of the training data.
        first: logit of the place of the smallest training value.
        last: logit of the place of the largest training value.
        low: lower end of the scaled range.
        high: upper end of the scaled range.
    """

    lower: float
    upper: float
    declared: bool
    first: float
    last: float
    low: float = -3.0
    high: float = 3.0

    @classmethod
    def fit(cls, name, values, shares, low, high, integer, options) -> Logit:
        """Take the bounds given, or else the range of the values, whatever their weights.

        Arguments as in `Map.fit`; the option ``bounds`` is (low, high), in the feature's unit.
        Raises InputError for another option, as `check_bounds` does, and for a value outside.
        """
        only(name, options, "bounds")
        lowest, highest = value_range(values, integer)
        declared, half = options.get("bounds") is not None, 0.5 if integer else 0.0
        lower, upper = lowest, highest
        if declared:
            given = options["bounds"]
            check_bounds(name, given, lowest + half, highest - half, "correct them")
            lower, upper = float(given[0]) - half, float(given[1]) + half
        one = cls(lower, upper, declared, 0.0, 1.0, 0.0, 1.0)
        first, last = one.forward(np.array([lowest, highest])).tolist()
        return cls(lower, upper, declared, first, last, low, high)

    def check(self) -> None:
        """All three ranges must be intervals."""
        if type(self.declared) is not bool:
            raise ValueError("declared: neither true nor false")
        check_increasing("lower, upper", (self.lower, self.upper))
        check_increasing("first, last", (self.first, self.last))
        check_increasing("low, high", (self.low, self.high))

    @property
    def ends(self) -> tuple[float, float]:
        """Ends of the box."""
        return self.low, self.high

    def _place(self, x: np.ndarray) -> np.ndarray:
        return (np.asarray(x, dtype=float) - self.lower) / (self.upper - self.lower)

    @property
    def _scale(self) -> float:
        return (self.high - self.low) / (self.last - self.first)

    @property
    def _end_slope(self) -> float:
        """Slope, at the bounds, of the logit of the place."""
        return (1 - 2 * LOGIT_EDGE) / (LOGIT_EDGE * (1 - LOGIT_EDGE))

    def forward(self, x):
        place = self._place(x)
        inner = np.clip(place, 0, 1)
        raw = logit(LOGIT_EDGE + (1 - 2 * LOGIT_EDGE) * inner)
        raw = raw + (place - inner) * self._end_slope
        return self.low + (raw - self.first) * self._scale

    def inverse(self, y):
        raw = (np.asarray(y, dtype=float) - self.low) / self._scale + self.first
        end = logit(1 - LOGIT_EDGE)
        inner = np.clip(raw, -end, end)
        place = np.clip((expit(inner) - LOGIT_EDGE) / (1 - 2 * LOGIT_EDGE), 0, 1)
        if not self.declared:
            place = place + (raw - inner) / self._end_slope
        x = self.lower + (self.upper - self.lower) * place
        # Rounding may pass the upper bound.
        return np.clip(x, self.lower, self.upper) if self.declared else x

    def log_slope(self, x):
        u = LOGIT_EDGE + (1 - 2 * LOGIT_EDGE) * np.clip(self._place(x), 0, 1)
        size = self._scale * (1 - 2 * LOGIT_EDGE) / (self.upper - self.lower)
        return np.log(size) - np.log(u) - np.log1p(-u)
