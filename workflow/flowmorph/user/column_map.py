"""A trained transport on columns of numbers: what its flows make of rows in their box."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flowmorph.errors import InputError, RowError
from flowmorph.flows import setup
from flowmorph.metrics import support
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import row_hashes
from flowmorph.samples.balance import Balance
from flowmorph.transfer.morph import Morph
from flowmorph.user.box import to_box
from flowmorph.user.dequantization import Dequantization
from flowmorph.user.elements import Elements, place
from flowmorph.user.placed import Placed, density, mover
from flowmorph.user.status import FARTHEST

#: Said where weights are asked of a transport that has none.
UNBALANCED = "no weights: the transport was trained without own.balance"

#: What `ColumnMap.supported` says of a row: it is where both samples have events, beyond the range
#: of the training, or where the target, or the reference, has almost none beside the other.
SUPPORTED, OUT_OF_RANGE, WITHOUT_TARGET, WITHOUT_REFERENCE = range(4)


@dataclass(frozen=True, repr=False, kw_only=True)
class ColumnMap:
    """A map f from reference to target, of columns (N,) of float64 by their names.

    Attributes:
        morphs: the method with its flows, as each training left them: the nominal ones, fold by
            fold, then those of each variation.
        preprocessing: maps of features and conditions to the flows' box.
        features: names of the columns that are moved.
        conditions: names of the columns that they depend on; empty for none.
        device: where the flows are.
        event: names of columns that identify an event; empty where features and conditions do.
        folds: number of folds. A row is moved by the training that has not seen its fold.
        balance: factors that give the reference the target's spectrum of the condition; None where
            the training did without.
        weighed: name of the column that these factors multiply, if there is one.
        threads: of the CPU, with which flows compute.
    """

    morphs: tuple[Morph, ...]
    preprocessing: Preprocessor
    features: tuple[str, ...]
    conditions: tuple[str, ...]
    device: torch.device
    event: tuple[str, ...] = ()
    folds: int = 1
    balance: Balance | None = None
    weighed: tuple[str, ...] = ()
    threads: int = 1

    @property
    def variations(self) -> int:
        """Number of further trainings that vary the result."""
        return len(self.morphs) // self.folds - 1

    @property
    def others(self) -> list[str]:
        """Names of the columns that are read beside the features."""
        event = [name for name in self.event if name not in self.conditions]
        return [*self.conditions, *event]

    @property
    def _content(self) -> tuple[str, ...]:
        """Columns whose values tell rows from each other, but for a few; empty where none do."""
        own = (*self.features, *self.conditions)
        known = self.preprocessing
        repeating = known.integers | known.spikes.keys() | known.categories.keys()
        whole = repeating.issuperset(own)
        return (*self.event, *own) if self.event or not whole else ()

    def dequantization(self, seed: int, name: str = "") -> Dequantization:
        """Noise of `Preprocessor.spread`; ``name`` is that of an object, if it has one."""
        return Dequantization(list(self.preprocessing.maps), self._content, seed, name)

    def move_columns(
        self, read: Mapping[str, np.ndarray], noise: Dequantization
    ) -> dict[str, np.ndarray]:
        """Move columns (N,) of finite float64; gives the features (N,), float64.

        ``read`` has the features and `others`, and codes of categories. ``noise`` of
        `dequantization` goes on where the last call ended: the result for rows in several calls is
        that for all in one, to the byte, if each call but the last has a multiple of
        `setup.GPU_CHUNK` rows. Raises `InputError`, naming column and row of ``read``, for a value
        that is not among `usable_columns`, and for one that is not finite after it was moved.
        """
        return self.move_placed(self.place(read, noise))

    def place(self, read: Mapping[str, np.ndarray], noise: Dequantization) -> Placed:
        """Bring columns (N,) to the flows' box; arguments and errors as in `move_columns`."""
        _, x, c = self._to_box(read, noise)
        fold, found = np.zeros(len(x), np.int64), None
        if self.folds > 1 or (self.balance and self.balance.odds):
            found = self._hashes(read)
            fold = row_hashes.folds(found, self.folds)
        return Placed(x, c, fold, found)

    def images(self, placed: Placed, variation: int = 0) -> np.ndarray:
        """Points after moving, (D, N), in the flows' box."""
        rows = np.empty((len(self.features), len(placed.fold)))
        for number, chosen in self._by_fold(placed):
            one = self.morphs[variation * self.folds + number]
            image = self._in_chunks(mover(one), *placed.select(chosen))
            rows[:, chosen] = image.double().cpu().numpy()
        return rows

    def move_placed(self, placed: Placed, variation: int = 0) -> dict[str, np.ndarray]:
        """Features (N,) after moving, each row by the training without its fold."""
        rows = self.images(placed, variation)
        with np.errstate(over="ignore", invalid="ignore"):
            moved = self.preprocessing.inverse(dict(zip(self.features, rows, strict=True)))
        for name, values in moved.items():
            bad = np.flatnonzero(~np.isfinite(values))
            if len(bad):
                raise RowError.first(
                    bad, name, f" moves to {values[bad[0]]:g}", "leave these rows out"
                )
        return moved

    def balanced(self, read: Mapping[str, np.ndarray], placed: Placed) -> np.ndarray:
        """What `weights` says of columns (N,) and of where they are `place`d."""
        if self.balance is None or placed.c is None:
            raise InputError(UNBALANCED)
        weights = self.balance.factors(placed.c.cpu().numpy(), placed.found)
        for name in self.weighed:
            weights = weights * read[name]
        return weights

    def supported(self, read: Mapping[str, np.ndarray], placed: Placed) -> np.ndarray:
        """What `support` says of columns (N,) and of where they are `place`d."""
        found = np.full(len(placed.fold), SUPPORTED, np.int8)
        for number, chosen in self._by_fold(placed):
            pair = self.morphs[number].pair
            x, c = placed.select(chosen)
            reference, target = self._in_chunks(pair.log_probs, x, c, c, c).cpu().numpy()
            found[chosen[support.lacking(target, reference)]] = WITHOUT_TARGET
            found[chosen[support.lacking(reference, target)]] = WITHOUT_REFERENCE
        for rows in self.beyond_columns(read).values():
            found[rows] = OUT_OF_RANGE
        return found

    def log_densities(self, read: Elements, of: str, seed: int) -> np.ndarray:
        noise, x, c = self._to_box(read, self.dequantization(seed))
        found = [
            self._in_chunks(density(one, of), x, c).double() for one in self.morphs[: self.folds]
        ]
        # Of all folds' densities the mean.
        log_p = torch.logsumexp(torch.stack(found), 0).cpu().numpy() - math.log(self.folds)
        log_p = log_p + self.preprocessing.log_slope({n: noise[n] for n in self.features})
        bad = np.flatnonzero(~np.isfinite(log_p))
        if len(bad):
            row, more = place(bad[0], read.counts)
            raise InputError(
                f"row {row}{more}: the density's logarithm is {log_p[bad[0]]:g} ({len(bad)} such "
                "rows): leave these rows out"
            )
        return log_p

    def usable_columns(self, read: Mapping[str, np.ndarray]) -> np.ndarray:
        """What `Transport.usable` says of columns (N,) of float64, NaN for missing values.

        ``read`` has the features and `others`, and codes of categories.
        """
        result = self.preprocessing.usable(read, FARTHEST)
        for name, categories in self.preprocessing.categories.items():
            result = result & categories.has(read[name])
        for name in self.event:
            result = result & np.isfinite(read[name])
        return result

    def beyond_columns(self, read: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What `Transport.beyond` says of columns (N,), likewise, of features and conditions."""
        return self.preprocessing.beyond(read)

    def dealt(self, read: Mapping[str, np.ndarray]) -> np.ndarray:
        """What `Transport.fold` says of columns (N,)."""
        classifiers = len(self.balance.odds) if self.balance else 0
        number = self.folds if self.folds > 1 else max(classifiers, 1)
        return row_hashes.folds(self._hashes(read), number)

    def _hashes(self, read: Mapping[str, np.ndarray]) -> np.ndarray:
        return row_hashes.hashes(read, self.event or (*self.features, *self.conditions))

    def _in_chunks(self, function: Callable[..., Tensor], *arrays: Any) -> Tensor:
        """What `setup.in_chunks` gives, with this map's threads."""
        with setup.using(self.threads):
            return setup.in_chunks(function, *arrays)

    def _by_fold(self, placed: Placed) -> Iterator[tuple[int, np.ndarray]]:
        """Each fold that has rows, and these rows."""
        for number in range(self.folds):
            chosen = np.flatnonzero(placed.fold == number)
            if len(chosen):
                yield number, chosen

    def _to_box(
        self, read: Mapping[str, np.ndarray], noise: Dequantization
    ) -> tuple[dict[str, np.ndarray], Tensor, Tensor | None]:
        """See `flowmorph.user.box.to_box`."""
        return to_box(self.preprocessing, self.features, self.conditions, read, noise, self.device)
