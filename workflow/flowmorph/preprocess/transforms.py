"""Increasing, invertible maps of one feature to the flows' box: linear, or by quantiles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from scipy.special import ndtr, ndtri

from flowmorph.errors import InputError

#: Knots of the quantile map: a few hundred follow any density that a flow could follow.
KNOTS = 129

#: Least distance of two knots, relative to the larger of spread and size: rounding is far below.
KNOT_GAP = 1e-9


class Stored(ABC):
    """What is fitted once, and kept as numbers in a file."""

    def parameters(self) -> dict:
        """Numbers that make it, for JSON."""
        return asdict(self)

    @classmethod
    def from_parameters(cls, parameters: dict) -> Self:
        """Make it from its `parameters`; raises ValueError for those that make none."""
        made = cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in parameters.items()})
        made.check()
        return made

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError for parameters that `fit` never gives, as in a file that was edited."""


class Map(Stored):
    """An increasing map of the real line, or of an interval, to the real line."""

    @classmethod
    @abstractmethod
    def fit(
        cls, name: str, values: Sequence[np.ndarray], shares: Sequence[np.ndarray],
        low: float, high: float, integer: bool, options: dict,
    ) -> Map:  # fmt: skip
        """Fit the map so that all values, those of several samples, fill [low, high].

        Args:
            name: of the feature, for messages.
            values: of each sample, (N,).
            shares: weights of these values, (N,), which add up to 1 in each sample.
            low: lower end of the scaled range.
            high: upper end of the scaled range.
            integer: whether the feature holds whole numbers, each spread evenly over +- 1/2.
            options: options of this map by name.

        Raises:
            InputError: an option that this map does not have, or values that do not fit it.
        """

    @abstractmethod
    def forward(self, x: np.ndarray) -> np.ndarray:
        """Map values."""

    @abstractmethod
    def inverse(self, y: np.ndarray) -> np.ndarray:
        """Map back."""

    @abstractmethod
    def log_slope(self, x: np.ndarray) -> np.ndarray:
        """Logarithm of the derivative of `forward`."""

    @property
    @abstractmethod
    def ends(self) -> tuple[float, float]:
        """Where the least and the largest value of the training data come to in the box."""


def check_increasing(name: str, values: Sequence[float]) -> None:
    """Raise ValueError unless the values are finite numbers, each above the one before."""
    if not all(type(v) in (int, float) and np.isfinite(v) for v in values):
        raise ValueError(f"{name}: not finite numbers")
    if any(b <= a for a, b in pairwise(values)):
        raise ValueError(f"{name}: not increasing")


def only(name: str, options: dict, *known: str) -> None:
    """Raise `InputError` for an option of a feature's map that is not among those known."""
    for key in options:
        if key not in known:
            raise InputError(f"feature {name!r}: this transform has no option {key!r}: remove it")


def value_range(values: Sequence[np.ndarray], integer: bool) -> tuple[float, float]:
    """Least and largest value of several samples, (N,) each; of whole numbers with +- 1/2."""
    lowest = min(float(part.min()) for part in values if len(part))
    highest = max(float(part.max()) for part in values if len(part))
    return (lowest - 0.5, highest + 0.5) if integer else (lowest, highest)


@dataclass(frozen=True)
class MinMax(Map):
    """Linear map of [minimum, maximum] to [low, high]."""

    minimum: float
    maximum: float
    low: float = -3.0
    high: float = 3.0

    @classmethod
    def fit(cls, name, values, shares, low, high, integer, options) -> MinMax:
        """Take the range over all values, whatever their weights; there are no options.

        Arguments and errors as in `Map.fit`.
        """
        only(name, options)
        return cls(*value_range(values, integer), low, high)

    def check(self) -> None:
        """Both ranges must be intervals."""
        check_increasing("minimum, maximum", (self.minimum, self.maximum))
        check_increasing("low, high", (self.low, self.high))

    @property
    def ends(self) -> tuple[float, float]:
        """Ends of the box."""
        return self.low, self.high

    @property
    def _slope(self) -> float:
        return (self.high - self.low) / (self.maximum - self.minimum)

    def forward(self, x):
        return self.low + (x - self.minimum) * self._slope

    def inverse(self, y):
        return self.minimum + (y - self.low) / self._slope

    def log_slope(self, x):
        return np.full(np.shape(x), np.log(self._slope))


@dataclass(frozen=True)
class Quantile(Map):
    """Monotone rational-quadratic interpolation between quantiles and those of a Gaussian.

    ``x`` are quantiles of the data and ``y`` the Gaussian's, scaled so that the extremes of the
    data are low and high; ``slopes`` are the derivatives there. Beyond the outermost knots the map
    is linear. Interpolation: J. A. Gregory and R. Delbourgo, IMA J. Numer. Anal. 2 (1982) 123;
    its inverse: arXiv:1906.04032, eqs. 6 to 8.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    slopes: tuple[float, ...]

    @classmethod
    def fit(cls, name, values, shares, low, high, integer, options) -> Quantile:
        """Take quantiles of all values with their weights; there are no options.

        Arguments and errors as in `Map.fit`.
        """
        only(name, options)
        data, weight = np.concatenate(values), np.concatenate(shares)
        rows = len(data)
        order = np.argsort(data, kind="stable")
        order = order[weight[order] > 0]
        data, total = data[order], np.cumsum(weight[order])
        probability = (total - 0.5 * weight[order]) / total[-1]
        if integer:
            # Each whole number is spread evenly over +- 1/2: the probability grows linearly there.
            data, first = np.unique(data, return_index=True)
            ends = np.append(total[first[1:] - 1], total[-1]) / total[-1]
            probability = np.repeat(np.append(0.0, ends), 2)[1:-1]
            data = np.stack([data - 0.5, data + 0.5], axis=1).ravel()
        reach = ndtri(1 - 0.5 / rows)
        z = np.linspace(-reach, reach, KNOTS)
        x = np.interp(ndtr(z), probability, data)
        x[0], x[-1] = data[0], data[-1]
        y = low + (z + reach) / (2 * reach) * (high - low)
        x, y = _spaced(x, y)
        return cls(*(tuple(part.tolist()) for part in (x, y, _slopes(x, y))))

    def check(self) -> None:
        """Knots must increase in both directions, with a positive slope at each."""
        if not 2 <= len(self.x) == len(self.y) == len(self.slopes):
            raise ValueError("x, y, slopes: not one of each at two knots or more")
        check_increasing("x", self.x)
        check_increasing("y", self.y)
        for slope in self.slopes:
            check_increasing("slopes", (0.0, slope))

    @property
    def ends(self) -> tuple[float, float]:
        """The outermost knots."""
        return self.y[0], self.y[-1]

    def _segments(self, values: np.ndarray, knots: Sequence[float]):
        """Segment of each value, with its corner, size and slopes relative to the mean slope."""
        x, y, slopes = map(np.asarray, (self.x, self.y, self.slopes))
        k = np.clip(np.searchsorted(knots, values, side="right") - 1, 0, len(x) - 2)
        width, height = x[k + 1] - x[k], y[k + 1] - y[k]
        mean = height / width
        return x[k], y[k], width, height, slopes[k] / mean, slopes[k + 1] / mean

    def forward(self, x):
        x = np.asarray(x, dtype=float)
        x0, y0, width, height, d0, d1 = self._segments(x, self.x)
        t = np.clip((x - x0) / width, 0, 1)
        bow = t * (1 - t)
        inside = y0 + height * (t * t + d0 * bow) / (1 + (d0 + d1 - 2) * bow)
        below, above = x < self.x[0], x > self.x[-1]
        inside = np.where(below, self.y[0] + (x - self.x[0]) * self.slopes[0], inside)
        return np.where(above, self.y[-1] + (x - self.x[-1]) * self.slopes[-1], inside)

    def inverse(self, y):
        y = np.asarray(y, dtype=float)
        x0, y0, width, height, d0, d1 = self._segments(y, self.y)
        v = np.clip((y - y0) / height, 0, 1)
        curve = v * (d0 + d1 - 2)
        a, b, c = 1 - d0 + curve, d0 - curve, -v
        # The root in [0, 1], in the form in which nothing cancels.
        t = -2 * c / (b + np.sqrt(np.maximum(b * b - 4 * a * c, 0)))
        inside = x0 + width * np.clip(t, 0, 1)
        below, above = y < self.y[0], y > self.y[-1]
        inside = np.where(below, self.x[0] + (y - self.y[0]) / self.slopes[0], inside)
        return np.where(above, self.x[-1] + (y - self.y[-1]) / self.slopes[-1], inside)

    def log_slope(self, x):
        x = np.asarray(x, dtype=float)
        x0, _, width, height, d0, d1 = self._segments(x, self.x)
        t = np.clip((x - x0) / width, 0, 1)
        bow = t * (1 - t)
        slope = d1 * t * t + 2 * bow + d0 * (1 - t) ** 2
        return np.log(slope) - 2 * np.log1p((d0 + d1 - 2) * bow) + np.log(height / width)


def _spaced(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge knots that are too close, which stand for values that repeat."""
    quarter = len(x) // 4
    spread = x[-1 - quarter] - x[quarter]
    groups = [[0]]
    for k in range(1, len(x)):
        near = x[k] - x[groups[-1][0]] <= KNOT_GAP * (abs(x[k]) + spread)
        groups[-1].append(k) if near else groups.append([k])
    if len(groups) == 1:
        groups = [[0], [len(x) - 1]]
    knots = np.array([x[group[0]] for group in groups])
    places = np.array([y[group].mean() for group in groups])
    knots[-1], places[0], places[-1] = x[-1], y[0], y[-1]
    return knots, places


def _slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Harmonic means of the slopes on both sides (SIAM J. Sci. Stat. Comput. 5 (1984) 300)."""
    mean = np.diff(y) / np.diff(x)
    inner = 2 * mean[:-1] * (mean[1:] / (mean[:-1] + mean[1:]))
    return np.concatenate([mean[:1], inner, mean[-1:]])
