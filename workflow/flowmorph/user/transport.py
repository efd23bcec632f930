"""A trained transport as its users meet it: tables in, tables out, in their own units."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flowmorph.errors import InputError, RowError
from flowmorph.flows import setup
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.transfer.morph import DensityPair, Morph, morph
from flowmorph.user import bundle, dataframes

#: Densities that `Transport.log_prob` knows.
DENSITIES = ("moved", "reference", "target")

#: Farthest value in the flows' box, whose half-width is about 4, that is taken: the networks' sums
#: and the base density's squares of such values are still far from the end of float32 (3e38).
FARTHEST = 1e15


@dataclass(frozen=True)
class Transport:
    """A map f from reference to target with its densities, preprocessing and column names.

    Attributes:
        morph: the method, with its flows.
        preprocessing: maps of features and conditions to the flows' box.
        features: names of the columns that are moved.
        conditions: names of the columns that they depend on; empty for none.
        method: name of the method, one of the paper's five.
        regions: keys ``column``, ``train``, ``apply`` and ``closure``: where the transport was
            trained, and where the workflow applies it.
        device: where the flows are.
    """

    morph: Morph
    preprocessing: Preprocessor
    features: tuple[str, ...]
    conditions: tuple[str, ...]
    method: str
    regions: dict
    device: torch.device

    def move(self, table: Any, columns: Sequence[str] | None = None, *, seed: int = 0) -> Any:
        """Move every row of a table: f(x | c), in the table's units.

        ``table`` has the features and conditions as columns, and may have others: a pandas
        DataFrame, a pyarrow table, an awkward array of records, a structured numpy array, or a dict
        of arrays; the result is of the same kind, with all columns. A plain numpy array (N, K)
        needs the names of its K columns. ``seed`` is that of the noise of +- 1/2 on whole numbers,
        and of the places of spikes in their intervals; moved whole numbers are clipped to the
        limits of their column's type. Raises `InputError`, naming
        column and row, for a column that is missing, a value that is missing, not finite or too far
        from the training's, and one that does not fit its column after it was moved. No region is
        applied.
        """
        read = dataframes.read(table, (*self.features, *self.conditions), columns)
        moved = self.move_columns(read, self.dequantization(seed))
        return dataframes.replace(table, moved, columns, self.preprocessing.integers)

    def log_prob(
        self, table: Any, columns: Sequence[str] | None = None, *, of: str = "moved", seed: int = 0
    ) -> np.ndarray:
        """Logarithm of a density (N,) at the rows of a table, per unit of its features.

        ``of`` is ``moved``, the density of the reference after moving, which should be that of the
        target: p_R(f^-1(y)) times the Jacobian of f^-1; ``reference`` or ``target``, the densities
        that were learnt. All are conditional densities where there are conditions. Whole
        numbers get noise of +- 1/2; the probability of one is the density's mean over this range.
        At a spike it is, at one place of the interval, the logarithm of density times width: the
        probability of the spike is the mean of its exponential over places, and so over seeds.
        Raises `InputError` as `move` does.
        """
        if of not in DENSITIES:
            raise InputError(f"no density {of!r}: choose one of {', '.join(DENSITIES)}")
        read = dataframes.read(table, (*self.features, *self.conditions), columns)
        if not len(read[self.features[0]]):
            return np.empty(0)
        noise, x, c = self._to_box(read, self.dequantization(seed))
        function = {
            "moved": self._log_prob,
            "reference": self.morph.pair.reference.log_prob,
            "target": self.morph.pair.target.log_prob,
        }[of]
        log_p = setup.in_chunks(function, x, c).double().cpu().numpy()
        log_p = log_p + self.preprocessing.log_slope({n: noise[n] for n in self.features})
        bad = np.flatnonzero(~np.isfinite(log_p))
        if len(bad):
            raise InputError(
                f"row {bad[0]}: the density's logarithm is {log_p[bad[0]]:g} ({len(bad)} such "
                "rows): leave these rows out"
            )
        return log_p

    def dequantization(self, seed: int) -> dict[str, np.random.Generator]:
        """Generators of the noise of `Preprocessor.spread`, one a column: chunks change nothing."""
        names = enumerate(self.preprocessing.columns)
        return {name: np.random.default_rng((seed, i)) for i, name in names}

    def move_columns(
        self, read: Mapping[str, np.ndarray], noise: Mapping[str, np.random.Generator]
    ) -> dict[str, np.ndarray]:
        """Move columns (N,) of finite float64; gives the features (N,), float64.

        ``noise`` are generators of `dequantization`, which go on where the last call ended: the
        result for rows in several calls is that for all in one, to the byte, if each call but the
        last has a multiple of `setup.GPU_CHUNK` rows. Raises `InputError`, naming column and row of
        ``read``, for a value that is not `usable`, and for one that is not finite after it was
        moved.
        """
        if not len(read[self.features[0]]):
            return {name: np.empty(0) for name in self.features}
        _, x, c = self._to_box(read, noise)
        rows = setup.in_chunks(self._move, x, c).double().cpu().numpy()
        with np.errstate(over="ignore", invalid="ignore"):
            moved = self.preprocessing.inverse(dict(zip(self.features, rows, strict=True)))
        for name, values in moved.items():
            bad = np.flatnonzero(~np.isfinite(values))
            if len(bad):
                raise RowError(
                    int(bad[0]), name,
                    f" moves to {values[bad[0]]:g} ({len(bad)} such rows): leave these rows out",
                )  # fmt: skip
        return moved

    def usable(self, read: Mapping[str, np.ndarray]) -> np.ndarray:
        """Rows (N,), bool, that can be moved; ``read`` has every feature and condition (N,).

        The others have a value that is missing, infinite, outside of declared bounds, or so far
        from the training's that the flows' arithmetic would leave float32 (`FARTHEST`).
        """
        return self.preprocessing.usable(read, FARTHEST)

    def beyond(self, read: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Rows (N,), bool, for each feature and condition, beyond the range of the training.

        ``read`` has every feature and condition (N,). Beyond its range a feature is hardly moved;
        a condition there moves features in a way that nothing was trained for.
        """
        return self.preprocessing.beyond(read)

    def _move(self, x, c):
        return self.morph.forward(x, c, c)

    def _log_prob(self, y, c):
        return self.morph.log_prob(y, c, c)

    def _to_box(self, read, noise):
        """Values after `Preprocessor.spread`, and points and conditions in the flows' box."""
        values, box = {}, {}
        for name, transform in self.preprocessing.maps.items():
            values[name] = self.preprocessing.spread(name, read[name], noise[name])
            with np.errstate(over="ignore", invalid="ignore"):
                box[name] = transform.forward(values[name], name)
            bad = np.flatnonzero(~(np.abs(box[name]) <= FARTHEST))
            if len(bad):
                raise RowError(
                    int(bad[0]), name,
                    f": {read[name][bad[0]]:g} is too far outside of the range of the training "
                    f"({len(bad)} such rows): leave these rows out",
                )  # fmt: skip
        x, c = (
            np.stack([box[name] for name in names], axis=1).astype(np.float32)
            if names
            else np.empty((len(read[self.features[0]]), 0), np.float32)
            for names in (self.features, self.conditions)
        )
        return values, *setup.tensors(x, c, self.device)


def load(path: str | Path, device: str = "auto", threads: int = 1) -> Transport:
    """Read a transport from its file or the folder that holds it; see `flowmorph.load`."""
    used = setup.start(threads, 0, device)
    note, flows = bundle.read(path)
    flows = {name: flow.to(used) for name, flow in flows.items()}
    # Where there is no compiler, plain operations do the same in four times the time.
    with contextlib.suppress(InputError):
        for flow in flows.values():
            flow.compile()
    mode = "shared" if note["condition"] else None
    pair = DensityPair(flows["reference"], flows["target"], mode)
    return Transport(
        morph=morph(pair, flows.get("transport")),
        preprocessing=Preprocessor.from_json(note["preprocessing"], str(path)),
        features=tuple(note["features"]),
        conditions=tuple(note["condition"]),
        method=note["method"],
        regions=note["regions"],
        device=used,
    )
