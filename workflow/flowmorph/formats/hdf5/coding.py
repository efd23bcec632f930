"""How pandas stores values in HDF5: from raw numbers and bytes to what they mean, and back."""

from __future__ import annotations

import numpy as np
import pandas

from flowmorph.errors import InputError
from flowmorph.formats.columns import Column, native


class Coding:
    """How values are stored: here as they are."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def decode(self, raw: np.ndarray) -> Column:
        """Stored values (N,) as a column."""
        return np.ascontiguousarray(native(raw))

    def encode(self, column: Column, name: str) -> np.ndarray:
        """A column as stored values (N,)."""
        return column


class Times(Coding):
    """Times as whole numbers; ``unit`` is numpy's type, such as datetime64[ns]."""

    def __init__(self, unit: str, zone: object = None) -> None:
        super().__init__(unit if zone is None else f"{unit[:-1]}, {zone}]")
        self.unit = unit

    def decode(self, raw: np.ndarray) -> Column:
        return super().decode(raw).astype(np.int64, copy=False).view(self.unit)

    def encode(self, column: Column, name: str) -> np.ndarray:
        return column.view(np.int64)


class Text(Coding):
    """Texts as bytes; one of them, ``missing``, stands for a missing value.

    It is the column's ``own``, or that of all columns of the table.
    """

    def __init__(self, encoding: str, errors: str, missing: str | None, own: bool = True) -> None:
        super().__init__("text")
        self.own = own
        # Any other way to handle errors loses bytes.
        keep = errors in ("strict", "surrogatepass")
        self.encoding, self.errors = encoding, errors if keep else "surrogateescape"
        self.missing = missing

    def decode(self, raw: np.ndarray) -> Column:
        texts = np.char.decode(np.ascontiguousarray(raw), self.encoding, self.errors)
        texts = texts.astype(object)
        if self.missing is not None:
            texts[texts == self.missing] = np.nan
        return texts

    def encode(self, column: Column, name: str) -> np.ndarray:
        missing = pandas.isna(column)
        if self.missing is None and missing.any():
            raise InputError(f"column {name!r} has missing texts, but not in the first file")
        if self.missing is not None and (column[~missing] == self.missing).any():
            raise InputError(
                f"column {name!r} has the text {self.missing!r}, which stands for a missing one "
                "in another file"
            )
        texts = np.where(missing, self.missing, column)
        return np.array([text.encode(self.encoding, self.errors) for text in texts], dtype=bytes)


class Coded(Coding):
    """Values by their number in a list, all different; -1 for a missing one.

    ``inner`` is how the list is stored.
    """

    def __init__(self, kind: str, values: np.ndarray, inner: Coding | None = None) -> None:
        super().__init__(kind)
        self.values, self.inner = values, inner

    def decode(self, raw: np.ndarray) -> Column:
        if not len(self.values):
            return np.full(len(raw), np.nan, object)
        column = self.values[np.maximum(raw, 0)]
        missing = raw < 0
        if missing.any():
            if column.dtype.kind not in "OfM":
                raise InputError(f"a missing value among whole numbers ({self.kind})")
            column[missing] = np.datetime64("NaT") if column.dtype.kind == "M" else np.nan
        return column

    def encode(self, column: Column, name: str) -> np.ndarray:
        places = pandas.Index(self.values).get_indexer(column)
        if ((places < 0) & ~pandas.isna(column)).any():
            raise InputError(f"column {name!r} has values that are not in the first file's list")
        return places
