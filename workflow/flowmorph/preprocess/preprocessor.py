"""Invertible transforms of features to the box in which the flows work, and back.

Each column has one of three maps: ``minmax``, linear, as in arXiv:2309.06472; ``quantile``, which
makes any distribution, with however heavy tails, a Gaussian in the box; ``logit``, for bounded
features. Whole numbers can be made continuous first (``integer``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from flowmorph.errors import InputError
from flowmorph.preprocess.transforms import Logit, Map, MinMax, Quantile

MAPS: dict[str, type[Map]] = {"minmax": MinMax, "quantile": Quantile, "logit": Logit}

#: Largest noise on whole numbers: a bit less than 1/2, so that rounding takes it away again.
HALF = 0.499999

#: How far rounding may put a training value outside of the training range, relative to that range.
ROUNDING = 1e-9

#: What `Preprocessor.fit` does with a column for which nothing is chosen.
DEFAULT = {"transform": "minmax"}


@dataclass(frozen=True)
class Preprocessor:
    """One invertible, increasing map for each column.

    Fitted once, on the training data of both samples together, and saved: it is all that a user
    needs to bring new data into the flows' space and back.
    """

    maps: dict[str, Map]
    integers: frozenset[str] = frozenset()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(self.maps)

    @classmethod
    def fit(
        cls,
        tables: Sequence[Mapping[str, np.ndarray]],
        choices: Mapping[str, Mapping],
        low: float = -3.0,
        high: float = 3.0,
        weights: Sequence[np.ndarray | None] | None = None,
    ) -> Preprocessor:
        """Fit each column's map so that the tables' values fill [low, high].

        Args:
            tables: columns (N,) of each sample's training data, by name.
            choices: options of each column: ``transform`` (minmax, quantile or logit; default
                minmax), ``bounds`` (low, high; logit only), ``integer`` (whether it holds whole
                numbers).
            low: lower end of the scaled range.
            high: upper end of the scaled range.
            weights: of each table's rows, (N,), None for equal ones. Only ``quantile`` uses them;
                it gives each table the same total.

        Raises:
            InputError: an empty range or table, an unknown option, or a column that is constant,
                not finite, outside its bounds or, if declared integer, not whole.
        """
        if not low < high:
            raise InputError(f"scaling range [{low}, {high}] is empty: low must be below high")
        weights = weights or [None] * len(tables)
        shares = [_shares(t, choices, w) for t, w in zip(tables, weights, strict=True)]
        maps, integers = {}, set()
        for name, options in choices.items():
            options = DEFAULT | dict(options)
            kind, integer = options.pop("transform"), options.pop("integer", False)
            if kind not in MAPS:
                raise InputError(
                    f"feature {name!r}: unknown transform {kind!r}: choose one of {', '.join(MAPS)}"
                )
            values = [np.asarray(table[name], dtype=float) for table in tables]
            _check(name, np.concatenate(values), integer)
            maps[name] = MAPS[kind].fit(
                name, values, shares, float(low), float(high), integer, options
            )
            if integer:
                integers.add(name)
        return cls(maps, frozenset(integers))

    def forward(
        self, table: Mapping[str, np.ndarray], rng: np.random.Generator | int = 0
    ) -> dict[str, np.ndarray]:
        """Bring the known columns of a table into the flows' space (float64).

        ``rng``, a generator or a seed, spreads integer columns evenly over +- 1/2. Raises
        `InputError` for a value outside a feature's declared bounds.
        """
        rng = np.random.default_rng(rng)
        result = {}
        for name, transform in self.maps.items():
            values = np.asarray(table[name], dtype=float)
            if name in self.integers:
                values = values + HALF * rng.uniform(-1, 1, len(values))
            result[name] = transform.forward(values, name)
        return result

    def inverse(self, table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Undo `forward` for those of the known columns that the table has (float64)."""
        result = {}
        for name, transform in self.maps.items():
            if name in table:
                values = transform.inverse(np.asarray(table[name], dtype=float))
                result[name] = _whole(values, transform) if name in self.integers else values
        return result

    def usable(self, table: Mapping[str, np.ndarray], farthest: float) -> np.ndarray:
        """Rows (N,) whose known columns all come to at most +- ``farthest`` in the flows' space.

        Whole numbers must do so with any noise that `forward` may add. False for values that are
        not finite, or outside of declared bounds.
        """
        result = True
        for name, transform in self.maps.items():
            values = np.asarray(table[name], dtype=float)
            for shift in (-HALF, HALF) if name in self.integers else (0.0,):
                result = result & (np.abs(_place(transform, values + shift)) <= farthest)
        return result

    def beyond(self, table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Rows (N,), for each known column, that lie outside of the range of the training data.

        A missing value (NaN) lies nowhere.
        """
        result = {}
        for name, transform in self.maps.items():
            values = np.asarray(table[name], dtype=float)
            low, high = transform.ends
            edge = ROUNDING * (high - low)
            with np.errstate(all="ignore"):
                place, refused = _place(transform, values), transform.refuses(values)
            result[name] = (place < low - edge) | (place > high + edge) | refused
        return result

    def log_slope(self, table: Mapping[str, np.ndarray]) -> np.ndarray:
        """Sum of log(d forward / dx) over the columns that the table has, at x (row) in its units.

        It turns a log-density in the flows' space into one in the table's units.
        """
        return sum(
            transform.log_slope(np.asarray(table[name], dtype=float))
            for name, transform in self.maps.items()
            if name in table
        )

    def save(self, path: str | PathLike) -> None:
        """Write the fit as JSON; Python's shortest float text keeps every bit."""
        Path(path).write_text(self.to_json())

    def to_json(self) -> str:
        """Give the fit as text that `from_json` reads."""
        columns = [
            {"name": name, "transform": _kind(transform), "integer": name in self.integers}
            | transform.parameters()
            for name, transform in self.maps.items()
        ]
        return json.dumps({"columns": columns}, indent=1) + "\n"

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
            maps, integers = {}, set()
            for column in json.loads(text)["columns"]:
                name, kind = column.pop("name"), column.pop("transform")
                integer = column.pop("integer")
                if type(name) is not str or name in maps or type(integer) is not bool:
                    raise ValueError(f"column {name!r}: another name, or true or false, is needed")
                if integer:
                    integers.add(name)
                maps[name] = MAPS[kind].from_parameters(column)
            return cls(maps, frozenset(integers))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{place}: no preprocessing as saved by this project ({error!r})"
            ) from error


def _place(transform: Map, values: np.ndarray) -> np.ndarray:
    """Where values (N,) come to, NaN for those that the map refuses; some may be infinite."""
    with np.errstate(all="ignore"):
        return transform.forward(np.where(transform.refuses(values), np.nan, values))


def _whole(values: np.ndarray, transform: Map) -> np.ndarray:
    """Nearest whole numbers, within declared bounds."""
    values = np.floor(values + 0.5)
    if isinstance(transform, Logit) and transform.declared:
        values = np.clip(values, transform.lower + 0.5, transform.upper - 0.5)
    return values


def _kind(transform: Map) -> str:
    return next(kind for kind, cls in MAPS.items() if isinstance(transform, cls))


def _shares(table, choices, weights) -> np.ndarray:
    """Weights (N,) that add up to 1, so that samples count alike, whatever their sizes."""
    rows = len(table[next(iter(choices))])
    shares = np.ones(rows) if weights is None else np.asarray(weights, dtype=float)
    if rows and not shares.sum() > 0:
        raise InputError("the weights of a sample are all zero: give others or none")
    return shares / shares.sum() if rows else shares


def _check(name: str, values: np.ndarray, integer: bool) -> None:
    if len(values) == 0:
        raise InputError(f"feature {name!r}: no events to fit the scaling on")
    if not np.isfinite(values).all():
        raise InputError(f"feature {name!r} has values that are not finite")
    if values.min() == values.max():
        raise InputError(f"feature {name!r} has zero range (always {values[0]:g}): leave it out")
    if integer and (values != np.floor(values)).any():
        example = values[values != np.floor(values)][0]
        raise InputError(f"feature {name!r} is declared integer, but has {example:g}")
