"""Min-max scaling of features to the box in which the flows work."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from flowmorph.errors import InputError


@dataclass(frozen=True)
class MinMaxScaler:
    """Linear map of each column's [minimum, maximum] to [low, high].

    Fitted once, on the sideband training data of both samples together (arXiv:2309.06472, Fig. 8),
    and saved: it is all that a user needs to bring new data into the flows' space and back.
    """

    columns: tuple[str, ...]
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    low: float = -3.0
    high: float = 3.0

    @classmethod
    def fit(
        cls,
        tables: Sequence[Mapping[str, np.ndarray]],
        columns: Sequence[str],
        low: float = -3.0,
        high: float = 3.0,
    ) -> MinMaxScaler:
        """Take the range of each column over all tables.

        Raises `InputError` for an empty table, or for a feature that is constant or not finite.
        """
        if not low < high:
            raise InputError(f"scaling range [{low}, {high}] is empty: low must be below high")
        minimum, maximum = [], []
        for name in columns:
            values = np.concatenate([np.asarray(table[name], dtype=float) for table in tables])
            if len(values) == 0:
                raise InputError(f"feature {name!r}: no events to fit the scaling on")
            if not np.isfinite(values).all():
                raise InputError(f"feature {name!r} has values that are not finite")
            if values.min() == values.max():
                raise InputError(
                    f"feature {name!r} has zero range (always {values[0]:g}): leave it out"
                )
            minimum.append(float(values.min()))
            maximum.append(float(values.max()))
        return cls(tuple(columns), tuple(minimum), tuple(maximum), float(low), float(high))

    def scale(self, table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Bring the known columns of a table to [low, high] (float64)."""
        return {
            name: self.low + (np.asarray(table[name], dtype=float) - lowest) * self._slope(i)
            for i, (name, lowest) in enumerate(zip(self.columns, self.minimum, strict=True))
        }

    def unscale(self, table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Undo `scale` for those of the known columns that the table has (float64)."""
        return {
            name: lowest + (np.asarray(table[name], dtype=float) - self.low) / self._slope(i)
            for i, (name, lowest) in enumerate(zip(self.columns, self.minimum, strict=True))
            if name in table
        }

    def _slope(self, column: int) -> float:
        return (self.high - self.low) / (self.maximum[column] - self.minimum[column])

    def save(self, path: str | PathLike) -> None:
        """Write the fit as JSON; Python's shortest float text keeps every bit."""
        Path(path).write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: str | PathLike) -> MinMaxScaler:
        """Read a fit written by `save`; raises `InputError` for a missing or other file."""
        try:
            values = json.loads(Path(path).read_text())
            lists = {name: tuple(values.pop(name)) for name in ("columns", "minimum", "maximum")}
            return cls(**lists, **values)
        except FileNotFoundError as error:
            raise InputError(f"{path}: no such file") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: no scaling as saved by this project ({error!r})") from error
