"""Invertible transforms of features to the box in which the flows work, and back.

Each column has one of three maps: ``minmax``, linear, as in arXiv:2309.06472; ``quantile``, which
makes any distribution, with however heavy tails, a Gaussian in the box; ``logit``, for bounded
features. Whole numbers (``integer``) and values that many events share (``spike``) can be made
continuous first. A column of categories is one number for each of them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from flowmorph.errors import InputError
from flowmorph.formats.allowed import Allowed
from flowmorph.preprocess.categories import Categories
from flowmorph.preprocess.logit import Logit
from flowmorph.preprocess.spikes import Spikes
from flowmorph.preprocess.transforms import Map, MinMax, Quantile

if TYPE_CHECKING:
    from flowmorph.formats.labels import Label  # which imports what reads files

MAPS: dict[str, type[Map]] = {"minmax": MinMax, "quantile": Quantile, "logit": Logit}

#: Largest noise on whole numbers: a bit less than 1/2, so that rounding takes it away again.
HALF = 0.499999

#: How far rounding may put a training value outside of the training range, relative to that range.
ROUNDING = 1e-9

DOUBLE = np.dtype(np.float64)

#: What `Preprocessor.fit` does with a column for which nothing is chosen.
DEFAULT = {"transform": "minmax"}


class Noise(Protocol):
    """What gives one number a row: a random generator, or noise that follows the rows."""

    def random(self, size: int, /) -> np.ndarray:
        """Numbers in [0, 1)."""

    def uniform(self, low: float, high: float, size: int, /) -> np.ndarray:
        """Numbers in [low, high)."""


@dataclass(frozen=True)
class Preprocessor:
    """One invertible, increasing map for each column of numbers, and the categories of others.

    Fitted once, on the training data of both samples together, and saved: it is all that a user
    needs to bring new data into the flows' space and back.
    """

    maps: dict[str, Map]
    integers: frozenset[str] = frozenset()
    spikes: dict[str, Spikes] = field(default_factory=dict)
    categories: dict[str, Categories] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns: those of numbers, then those of categories."""
        return (*self.maps, *self.categories)

    @classmethod
    def fit(
        cls,
        tables: Sequence[Mapping[str, np.ndarray]],
        choices: Mapping[str, Mapping],
        low: float = -3.0,
        high: float = 3.0,
        weights: Sequence[np.ndarray | None] | None = None,
        conditions: Collection[str] = (),
        categories: Mapping[str, Categories] | None = None,
    ) -> Preprocessor:
        """Fit each column's map so that the tables' values fill [low, high].

        Args:
            tables: columns (N,) of each sample's training data, by name.
            choices: options of each column: ``transform`` (minmax, quantile or logit; default
                minmax), ``bounds`` (low, high; logit only), ``integer`` (whether it holds whole
                numbers), ``spike`` (values that many events share; bounds are those of the others).
            low: lower end of the scaled range.
            high: upper end of the scaled range.
            weights: of each table's rows, (N,), None for equal ones. Only ``quantile`` and spikes
                use them; each table has the same total.
            conditions: columns that only are given to flows. These need no density: a spike stays
                in the middle of its interval.
            categories: of columns that have some, which need no fit.

        Raises:
            InputError: an empty range or table, an unknown option, or a column that is constant,
                not finite, outside its bounds, without a spike that is named or, if declared
                integer, not whole.
        """
        if not low < high:
            raise InputError(f"scaling range [{low}, {high}] is empty: low must be below high")
        categories = dict(categories or {})
        weights = weights or [None] * len(tables)
        shares = [_shares(t, choices, w) for t, w in zip(tables, weights, strict=True)]
        maps, integers, spikes = {}, set(), {}
        for name, options in choices.items():
            if name in categories:
                continue
            options = DEFAULT | dict(options)
            kind, integer = options.pop("transform"), options.pop("integer", False)
            spike = options.pop("spike", ())
            if kind not in MAPS:
                raise InputError(
                    f"feature {name!r}: unknown transform {kind!r}: choose one of {', '.join(MAPS)}"
                )
            allowed = Allowed.of(options | {"integer": integer, "spike": spike})
            values = [allowed.taken(np.asarray(table[name], dtype=float)) for table in tables]
            _check(name, np.concatenate(values))
            for each in values:
                allowed.check_whole(name, each)
            used = shares
            if spike:
                if integer:
                    raise InputError(
                        f"feature {name!r}: whole numbers have an interval each already: take out "
                        "its spike, or integer"
                    )
                found = Spikes.fit(
                    name, spike, values, shares, options.get("bounds"), name not in conditions
                )
                if found.bounds is not None:
                    options["bounds"] = found.shifted_bounds
                even = [found.evenly(*part) for part in zip(values, shares, strict=True)]
                values, used = zip(*even, strict=True)
                spikes[name] = found
            maps[name] = MAPS[kind].fit(
                name, values, used, float(low), float(high), integer, options
            )
            if integer:
                integers.add(name)
        return cls(maps, frozenset(integers), spikes, categories)

    def forward(
        self, table: Mapping[str, np.ndarray], rng: np.random.Generator | int = 0
    ) -> dict[str, np.ndarray]:
        """Bring the known columns of a table into the flows' space (float64).

        Each is (N,), or (N, K) for one of K categories, of which the table has codes. ``rng``, a
        generator or a seed, is that of `spread`. Raises `RowError` as it does.
        """
        rng = np.random.default_rng(rng)
        box = {
            name: transform.forward(self.spread(name, table[name], rng))
            for name, transform in self.maps.items()
        }
        return box | {name: each.forward(table[name]) for name, each in self.categories.items()}

    def names(self, columns: Sequence[str]) -> list[tuple[str, Label | None]]:
        """What flows are given of columns: numbers, each with None, then each of the categories."""
        numbers, categorical = self._parted(columns)
        return [(name, None) for name in numbers] + [
            (name, label) for name in categorical for label in self.categories[name].labels
        ]

    def inputs(
        self, box: Mapping[str, np.ndarray], columns: Sequence[str], rows: int, kind=np.float32
    ) -> np.ndarray:
        """What flows are given of columns, (rows, I), of a ``kind``, in the order of `names`.

        ``box`` has the columns as `forward` gives them.
        """
        numbers, categorical = self._parted(columns)
        parts = [*(box[name][:, None] for name in numbers), *(box[name] for name in categorical)]
        result, place = np.empty((rows, sum(part.shape[1] for part in parts)), kind), 0
        for part in parts:
            result[:, place : place + part.shape[1]] = part
            place += part.shape[1]
        return result

    def _parted(self, columns: Sequence[str]) -> tuple[list[str], list[str]]:
        """Those of the columns that are numbers, and those that are categories."""
        numbers = [name for name in columns if name not in self.categories]
        return numbers, [name for name in columns if name in self.categories]

    def spread(self, name: str, values: np.ndarray, rng: Noise) -> np.ndarray:
        """Make a column's values (N,) continuous: what its map takes (float64).

        Whole numbers get noise of +- 1/2, spikes a place in their interval, above which others make
        room; ``rng`` gives one number a row to a column that needs them. Raises `RowError` for a
        value outside of declared bounds.
        """
        allowed = self.allowed(name)
        values = allowed.taken(np.asarray(values, dtype=float))
        allowed.check(name, values)
        if name in self.integers:
            return values + HALF * rng.uniform(-1, 1, len(values))
        if name not in self.spikes:
            return values
        spikes = self.spikes[name]
        return spikes.forward(values, rng.random(len(values)) if spikes.spread else 0.5)

    def inverse(self, table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Undo `forward` for those of the known columns that the table has (float64)."""
        result = {}
        for name, transform in self.maps.items():
            if name in table:
                values = transform.inverse(np.asarray(table[name], dtype=float))
                if name in self.integers:
                    values = np.clip(np.floor(values + 0.5), *self.allowed(name).limits(DOUBLE))
                if name in self.spikes:
                    values = self.spikes[name].inverse(values)
                result[name] = values
        return result

    def usable(self, table: Mapping[str, np.ndarray], farthest: float) -> np.ndarray:
        """Rows (N,) whose known columns all come to at most +- ``farthest`` in the flows' space.

        Whole numbers must do so with any noise that `forward` may add. False for values that are
        not finite, or outside of declared bounds. Any category is usable.
        """
        result = True
        for name in self.maps:
            for shift in (-HALF, HALF) if name in self.integers else (0.0,):
                result = result & (np.abs(self.place(name, table[name], shift)) <= farthest)
        for name in self.categories:
            result = result & np.isfinite(table[name])
        return result

    def beyond(self, table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Rows (N,), for each known column of numbers, beyond the range of the training data.

        A missing value (NaN) lies nowhere.
        """
        result, refused = {}, self.out_of_bounds(table)
        for name, transform in self.maps.items():
            low, high = transform.ends
            edge, place = ROUNDING * (high - low), self.place(name, table[name])
            result[name] = (place < low - edge) | (place > high + edge) | refused[name]
        return result

    def out_of_bounds(self, table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Rows (N,), for each known column of numbers, outside of its declared bounds."""
        return {
            name: self.allowed(name).refuses(np.asarray(table[name], dtype=float))
            for name in self.maps
        }

    def allowed(self, name: str) -> Allowed:
        """What the values of a column of numbers may be."""
        integer, spikes = name in self.integers, self.spikes.get(name)
        if spikes is not None:
            return Allowed(False, spikes.bounds, spikes.values)
        bounds = _bounds(self.maps[name])
        if bounds is not None and integer:
            bounds = bounds[0] + 0.5, bounds[1] - 0.5
        return Allowed(integer, bounds)

    def log_slope(self, table: Mapping[str, np.ndarray]) -> np.ndarray:
        """Sum of log(d forward / dx) over the table's known columns, at x (row) after `spread`.

        It turns a log-density in the flows' space into one in the table's units and, at a spike,
        into the logarithm of its probability.
        """
        total = 0.0
        for name, transform in self.maps.items():
            if name in table:
                values = np.asarray(table[name], dtype=float)
                total = total + transform.log_slope(values)
                if name in self.spikes:
                    total = total + self.spikes[name].log_width(values)
        return total

    def spike_intervals(self) -> dict[str, np.ndarray]:
        """Ends of the intervals of a column's n spikes, ascending, in the flows' space, (n, 2).

        Columns without spikes have none here; a point is in an interval if low <= value < high.
        """
        return {
            name: self.maps[name].forward(spikes.intervals) for name, spikes in self.spikes.items()
        }

    def place(self, name: str, values: np.ndarray, shift: float = 0.0) -> np.ndarray:
        """Where a column's values (N,) come to in the flows' space, without noise.

        Whole numbers are shifted first. NaN for those outside of declared bounds; some may be
        infinite.
        """
        allowed = self.allowed(name)
        with np.errstate(all="ignore"):
            values = allowed.taken(np.asarray(values, dtype=float))
            values = np.where(allowed.refuses(values), np.nan, values) + shift
            if name in self.spikes:
                values = self.spikes[name].forward(values, 0.5)
            return self.maps[name].forward(values)

    def save(self, path: str | PathLike) -> None:
        """Write the fit as JSON; Python's shortest float text keeps every bit."""
        Path(path).write_text(self.to_json())

    def to_json(self) -> str:
        """Give the fit as text that `from_json` reads."""
        columns = [
            {"name": name, "transform": _kind(transform), "integer": name in self.integers}
            | ({"spikes": self.spikes[name].parameters()} if name in self.spikes else {})
            | transform.parameters()
            for name, transform in self.maps.items()
        ]
        content: dict = {"columns": columns}
        if self.categories:
            content["categories"] = [
                {"name": name, "labels": each.labels} for name, each in self.categories.items()
            ]
        return json.dumps(content, indent=1) + "\n"

    @classmethod
    def load(cls, path: str | PathLike) -> Preprocessor:
        """Read a fit written by `save`; raises `InputError` for a missing or other file."""
        try:
            text = Path(path).read_text()
        except FileNotFoundError as error:
            raise InputError(f"{path}: no such file") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: no preprocessing as saved by this project") from error
        return cls.from_json(text, str(path))

    @classmethod
    def from_json(cls, text: str, place: str) -> Preprocessor:
        """Read a fit from `to_json`; raises `InputError`, with the ``place``, for another text."""
        try:
            maps, integers, spikes, content = {}, set(), {}, json.loads(text)
            for column in content["columns"]:
                name, kind = column.pop("name"), column.pop("transform")
                integer = column.pop("integer")
                if type(name) is not str or name in maps or type(integer) is not bool:
                    raise ValueError(f"column {name!r}: another name, or true or false, is needed")
                if integer:
                    integers.add(name)
                found = column.pop("spikes") if "spikes" in column else None
                maps[name] = MAPS[kind].from_parameters(column)
                if found is not None:
                    if integer:
                        raise ValueError(f"column {name!r}: whole numbers have no spikes")
                    spikes[name] = Spikes.from_parameters(found)
                    if spikes[name].shifted_bounds != _bounds(maps[name]):
                        raise ValueError(f"column {name!r}: spikes are of other bounds")
            categories = {}
            for column in content.get("categories", []):
                name = column["name"]
                if type(name) is not str or name in maps or name in categories:
                    raise ValueError(f"column {name!r}: another name is needed")
                categories[name] = Categories.from_parameters(column["labels"])
            return cls(maps, frozenset(integers), spikes, categories)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{place}: no preprocessing as saved by this project ({error!r})"
            ) from error


def _bounds(transform: Map) -> tuple[float, float] | None:
    """Declared bounds of what a map takes, None where none are."""
    declared = isinstance(transform, Logit) and transform.declared
    return (transform.lower, transform.upper) if declared else None


def _kind(transform: Map) -> str:
    return next(kind for kind, cls in MAPS.items() if isinstance(transform, cls))


def _shares(table, choices, weights) -> np.ndarray:
    """Weights (N,) that add up to 1, so that samples count alike, whatever their sizes."""
    rows = len(table[next(iter(choices))])
    shares = np.ones(rows) if weights is None else np.asarray(weights, dtype=float)
    if rows and not shares.sum() > 0:
        raise InputError("the weights of a sample are all zero: give others or none")
    return shares / shares.sum() if rows else shares


def _check(name: str, values: np.ndarray) -> None:
    if len(values) == 0:
        raise InputError(f"feature {name!r}: no events to fit the scaling on")
    if not np.isfinite(values).all():
        raise InputError(f"feature {name!r} has values that are not finite")
    if values.min() == values.max():
        raise InputError(f"feature {name!r} has zero range (always {values[0]:g}): leave it out")
