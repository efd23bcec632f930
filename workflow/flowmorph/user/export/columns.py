"""Preprocessing of a column as nodes: what `flowmorph.preprocess` computes, in float64.

Values are (N,). The formulas, their errors and their sources are those of `transforms`,
`logit` and `spikes`; values that these refuse are marked here, and come to some number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logit

from flowmorph.formats.allowed import TYPES, Allowed, held
from flowmorph.preprocess.logit import LOGIT_EDGE, Logit
from flowmorph.preprocess.preprocessor import HALF, Preprocessor
from flowmorph.preprocess.spikes import Spikes
from flowmorph.preprocess.transforms import Map, MinMax, Quantile
from flowmorph.user.export.nodes import Value, some, where

DOUBLE = np.dtype(np.float64)


@dataclass(frozen=True)
class Column:
    """A column of numbers: the way to the flows' box and back."""

    map: Map
    allowed: Allowed
    spikes: Spikes | None

    @classmethod
    def of(cls, preprocessing: Preprocessor, name: str) -> Column:
        """One of the columns that have a map."""
        known, spikes = preprocessing.maps[name], preprocessing.spikes.get(name)
        return cls(known, preprocessing.allowed(name), spikes)

    @property
    def integer(self) -> bool:
        """Whether it holds whole numbers."""
        return self.allowed.whole

    @property
    def noisy(self) -> bool:
        """Whether `spread` takes a random number a row."""
        return self.integer or (self.spikes is not None and self.spikes.spread)

    @property
    def span(self) -> tuple[float, float]:
        """Least and largest value of the training."""
        low, high = self.map.inverse(np.array(self.map.ends))
        if self.integer:
            low, high = np.round(low + 0.5), np.round(high - 0.5)
        if self.spikes is not None:
            low, high = self.spikes.inverse(np.array([low, high]))
        return float(low), float(high)

    def taken(self, x: Value) -> Value:
        """As `Allowed.taken`."""
        for value, bound in self.allowed.stand_ins.items():
            x = where(x.equals(value), bound, x)
        return x

    def refused(self, x: Value) -> Value | None:
        """Values, as `taken` gives them, outside of declared bounds; None where any are taken."""
        if self.allowed.bounds is None:
            return None
        low, high = self.allowed.bounds
        outside = (x < low) | (x > high)
        return outside if self.spikes is None else outside & ~some(_is_spike(self.spikes, x))

    def spread(self, x: Value, u: Value | None) -> Value:
        """`Preprocessor.spread`, with random numbers ``u``, 0 <= u < 1, where it takes some."""
        if self.integer:
            assert u is not None, "whole numbers are `noisy`"
            return x + HALF * (2.0 * u - 1.0)
        if self.spikes is None:
            return x
        return _spikes_forward(self.spikes, x, 0.5 if u is None else u)

    def forward(self, z: Value) -> Value:
        """To the box, after `spread`."""
        return _FORWARD[type(self.map)](self.map, z)

    def inverse(self, y: Value) -> Value:
        """Back from the box: values as after `spread`."""
        return _INVERSE[type(self.map)](self.map, y)

    def final(self, z: Value, kind: np.dtype) -> Value:
        """Undo `spread`, in the type of the output, as `Allowed.cast` holds values there."""
        if self.spikes is not None:
            return _spikes_inverse(self.spikes, z, self.allowed, kind)
        x = ((z + 0.5).floor() if self.integer else z).cast(kind)
        return x if self.allowed.bounds is None else x.clip(*self.allowed.limits(kind))

    def log_slope(self, z: Value) -> Value:
        """Logarithm of d(box)/dz and, in a spike's interval, of its width."""
        slope = _LOG_SLOPE[type(self.map)](self.map, z)
        if self.spikes is None:
            return slope
        k, inside = _passed(self.spikes, z)
        return slope + where(inside, _table([0.0, *np.log(self.spikes.widths)], k, z), 0.0)


def _table(numbers: ArrayLike, k: Value, like: Value) -> Value:
    """The k-th of some numbers, for each row."""
    return like.graph.constant(numbers, like.kind).take(k)


def _minmax_forward(m: MinMax, x: Value) -> Value:
    return m.low + (x - m.minimum) * m._slope


def _minmax_inverse(m: MinMax, y: Value) -> Value:
    return m.minimum + (y - m.low) / m._slope


def _minmax_log_slope(m: MinMax, x: Value) -> Value:
    return 0.0 * x + np.log(m._slope)


def _segment(m: Quantile, values: Value, knots: tuple[float, ...]) -> tuple[Value, ...]:
    """As `Quantile._segments`."""
    x, y, slopes = map(np.asarray, (m.x, m.y, m.slopes))
    width, height = np.diff(x), np.diff(y)
    ends = slopes[:-1] * width / height, slopes[1:] * width / height
    tables = (x[:-1], y[:-1], width, height, *ends)
    if len(x) == 2:
        return tuple(values.like(table[0]) for table in tables)
    k = values.count(knots[1:-1])
    return tuple(_table(table, k, values) for table in tables)


def _quantile_forward(m: Quantile, x: Value) -> Value:
    x0, y0, width, height, d0, d1 = _segment(m, x, m.x)
    t = ((x - x0) / width).clip(0.0, 1.0)
    bow = t * (1.0 - t)
    inside = y0 + height * (t * t + d0 * bow) / (1.0 + (d0 + d1 - 2.0) * bow)
    inside = where(x < m.x[0], m.y[0] + (x - m.x[0]) * m.slopes[0], inside)
    return where(x > m.x[-1], m.y[-1] + (x - m.x[-1]) * m.slopes[-1], inside)


def _quantile_inverse(m: Quantile, y: Value) -> Value:
    x0, y0, width, height, d0, d1 = _segment(m, y, m.y)
    v = ((y - y0) / height).clip(0.0, 1.0)
    curve = v * (d0 + d1 - 2.0)
    a, b = 1.0 - d0 + curve, d0 - curve
    # The root in [0, 1], in the form in which nothing cancels.
    t = 2.0 * v / (b + (b * b + 4.0 * a * v).relu().sqrt())
    inside = x0 + width * t.clip(0.0, 1.0)
    inside = where(y < m.y[0], m.x[0] + (y - m.y[0]) / m.slopes[0], inside)
    return where(y > m.y[-1], m.x[-1] + (y - m.y[-1]) / m.slopes[-1], inside)


def _quantile_log_slope(m: Quantile, x: Value) -> Value:
    x0, _, width, height, d0, d1 = _segment(m, x, m.x)
    t = ((x - x0) / width).clip(0.0, 1.0)
    away = 1.0 - t
    bow = t * away
    slope = d1 * t * t + 2.0 * bow + d0 * away * away
    return slope.log() - 2.0 * (1.0 + (d0 + d1 - 2.0) * bow).log() + (height / width).log()


def _place(m: Logit, x: Value) -> Value:
    return (x - m.lower) / (m.upper - m.lower)


def _logit_forward(m: Logit, x: Value) -> Value:
    place = _place(m, x)
    inner = place.clip(0.0, 1.0)
    u = LOGIT_EDGE + (1 - 2 * LOGIT_EDGE) * inner
    raw = (u / (1.0 - u)).log() + (place - inner) * m._end_slope
    return m.low + (raw - m.first) * m._scale


def _logit_inverse(m: Logit, y: Value) -> Value:
    raw = (y - m.low) / m._scale + m.first
    end = float(logit(1 - LOGIT_EDGE))
    inner = raw.clip(-end, end)
    place = (1.0 / (1.0 + (-inner).exp()) - LOGIT_EDGE) / (1 - 2 * LOGIT_EDGE)
    place = place.clip(0.0, 1.0)
    if not m.declared:
        place = place + (raw - inner) / m._end_slope
    return m.lower + (m.upper - m.lower) * place


def _logit_log_slope(m: Logit, x: Value) -> Value:
    u = LOGIT_EDGE + (1 - 2 * LOGIT_EDGE) * _place(m, x).clip(0.0, 1.0)
    size = m._scale * (1 - 2 * LOGIT_EDGE) / (m.upper - m.lower)
    return np.log(size) - u.log() - (1.0 - u).log()


_FORWARD: dict[type[Map], Callable] = {
    MinMax: _minmax_forward,
    Quantile: _quantile_forward,
    Logit: _logit_forward,
}
_INVERSE: dict[type[Map], Callable] = {
    MinMax: _minmax_inverse,
    Quantile: _quantile_inverse,
    Logit: _logit_inverse,
}
_LOG_SLOPE: dict[type[Map], Callable] = {
    MinMax: _minmax_log_slope,
    Quantile: _quantile_log_slope,
    Logit: _logit_log_slope,
}


def _is_spike(spikes: Spikes, x: Value) -> list[Value]:
    """For each spike, whether a value is it, in any floating type that holds it.

    As `flowmorph.formats.allowed.spike_of`, where the longest type decides.
    """
    holders: dict[float, int] = {}
    for kind in TYPES:
        for i, spike in enumerate(spikes.values):
            if (value := held(kind, spike)) is not None:
                holders[value] = i
    found = range(len(spikes.values))
    return [some([x.equals(value) for value, i in holders.items() if i == each]) for each in found]


def _spikes_forward(spikes: Spikes, x: Value, u: Value | float) -> Value:
    """As `Spikes.forward`."""
    k = x.count(spikes.places)
    floor = [-np.inf, *spikes._highs]
    ceiling = [*np.nextafter(spikes._lows, -np.inf), np.inf]
    result = _between(x + _table(spikes._shifts, k, x), k, floor, ceiling)
    for i, is_it in enumerate(_is_spike(spikes, x)):
        low, high, width = spikes._lows[i], spikes._highs[i], spikes.widths[i]
        if isinstance(u, float):
            place = min(low + width * u, np.nextafter(high, -np.inf))
        else:
            place = (low + width * u).clip(low, np.nextafter(high, -np.inf))
        result = where(is_it, place, result)
    return result


def _spikes_inverse(spikes: Spikes, z: Value, allowed: Allowed, kind: np.dtype) -> Value:
    """As `Spikes.inverse`, and then `Allowed.cast`."""
    places = np.asarray(spikes.places)
    floor = np.array([-np.inf, *places])
    ceiling = np.array([*np.nextafter(places, -np.inf), np.inf])
    if spikes.bounds is not None:
        lower, upper = spikes.bounds
        floor, ceiling = np.maximum(floor, lower), np.minimum(ceiling, upper)
        highest = np.nextafter(spikes._highs[-1], -np.inf) if places[-1] >= upper else np.inf
        z = z.clip(min(lower, spikes._lows[0]), highest)
    k, inside = _passed(spikes, z)
    x = _between(z - _table(spikes._shifts, k, z), k, floor, ceiling).cast(kind)
    spike = np.array([0.0, *spikes.values], kind)
    for value in spike[1:]:
        x = where(x.equals(value), np.nextafter(value, kind.type(np.inf)), x)
    if allowed.bounds is not None:
        x = x.clip(*allowed.limits(kind))
    return where(inside, _table(spike, k, x), x)


def _between(x: Value, k: Value, floor: ArrayLike, ceiling: ArrayLike) -> Value:
    x = x.graph.node("Max", x, _table(floor, k, x))
    return x.graph.node("Min", x, _table(ceiling, k, x))


def _passed(spikes: Spikes, z: Value) -> tuple[Value, Value]:
    """As `Spikes._passed`."""
    k = z.count(spikes._lows)
    return k, z < _table([-np.inf, *spikes._highs], k, z)
