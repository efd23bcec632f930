"""A trained transport as its users meet it: tables in, tables out, in their own units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flowmorph import frames
from flowmorph.errors import InputError
from flowmorph.flows import bundle, setup
from flowmorph.flows.flow import Flow
from flowmorph.flows.methods import Task
from flowmorph.preprocess import HALF, Preprocessor

#: Densities that `Transport.log_prob` knows.
DENSITIES = ("moved", "reference", "target")


@dataclass(frozen=True)
class Transport:
    """A map f from reference to target with its densities, preprocessing and column names.

    ``features`` are the columns that are moved, ``conditions`` those that they depend on,
    ``method`` one of the five of the paper, and ``regions`` the column and intervals where it was
    trained and where the workflow applies it.
    """

    task: Task
    flow: Flow | None
    preprocessing: Preprocessor
    features: tuple[str, ...]
    conditions: tuple[str, ...]
    method: str
    regions: dict
    half_width: float
    device: torch.device

    def move(self, table: Any, columns: Sequence[str] | None = None, *, seed: int = 0) -> Any:
        """Move every row of a table: f(x | c), in the table's units.

        ``table`` has the features and conditions as columns, and may have others: a pandas
        DataFrame, an awkward array of records, a structured numpy array, or a dict of arrays; the
        result is of the same kind, with all columns. A plain numpy array (N, K) needs the names of
        its K columns. ``seed`` spreads whole numbers over their unit before they are moved. Raises
        `InputError`, naming column and row, for a column that is missing or a value that is not
        finite. No region is applied.
        """
        read = frames.read(table, (*self.features, *self.conditions), columns)
        return frames.replace(table, self.move_columns(read, self.spread(seed)), columns)

    def log_prob(
        self, table: Any, columns: Sequence[str] | None = None, *, of: str = "moved", seed: int = 0
    ) -> np.ndarray:
        """Logarithm of a density (N,) at the rows of a table, per unit of its features.

        ``of`` is ``moved``, the density of the reference after moving, which should be that of the
        target: p_R(f^-1(y)) times the Jacobian of f^-1; ``reference`` or ``target``, the densities
        that were learnt. All are conditional densities where there are conditions. A feature of
        whole numbers is spread over its unit: a number's probability is the density's mean there.
        """
        if of not in DENSITIES:
            raise InputError(f"no density {of!r}: choose one of {', '.join(DENSITIES)}")
        read = frames.read(table, (*self.features, *self.conditions), columns)
        spread, x, c = self._to_box(read, self.spread(seed))
        if of == "reference":
            function = self.task.density_reference.log_prob
        elif of == "target" or self.flow is None:  # base transfer ends in the target's density
            function = self.task.density_target.log_prob
        else:
            function = partial(self._log_likelihood, self.flow)
        log_p = setup.in_chunks(function, x, c).double().cpu().numpy()
        return log_p + self.preprocessing.log_slope({n: spread[n] for n in self.features})

    def spread(self, seed: int) -> dict[str, np.random.Generator]:
        """Generators, one a column, for whole numbers: the result must not depend on chunks."""
        names = enumerate(self.preprocessing.columns)
        return {name: np.random.default_rng((seed, i)) for i, name in names}

    def move_columns(
        self, read: Mapping[str, np.ndarray], spread: Mapping[str, np.random.Generator]
    ) -> dict[str, np.ndarray]:
        """Move columns (N,) of finite float64; gives the features (float64)."""
        if not len(read[self.features[0]]):
            return {name: np.empty(0) for name in self.features}
        _, x, c = self._to_box(read, spread)
        if self.flow is None:
            moved = setup.in_chunks(lambda x, c: self.task.base_transfer(x, c, c), x, c)
        else:
            moved = setup.in_chunks(partial(self._move, self.flow), x, c)
        rows = moved.double().cpu().numpy()
        return self.preprocessing.inverse(dict(zip(self.features, rows, strict=True)))

    def outside(self, read: Mapping[str, np.ndarray]) -> np.ndarray:
        """Rows (N,), of which a feature is outside the box in which the splines act."""
        _, x, _ = self._to_box(read, self.spread(0))
        return (x.abs() > self.half_width).any(dim=1).cpu().numpy()

    def _move(self, flow: Flow, x, c):
        return self.task.move(flow, x, c, c)

    def _log_likelihood(self, flow: Flow, x, c):
        return self.task.log_likelihood(flow, x, c, c)

    def _to_box(self, read, spread):
        """Values after spreading whole numbers, and points and conditions in the flows' box."""
        values, box = {}, {}
        for name, transform in self.preprocessing.maps.items():
            values[name] = read[name]
            if name in self.preprocessing.integers:
                values[name] = read[name] + HALF * spread[name].uniform(-1, 1, len(read[name]))
            box[name] = transform.forward(values[name], name)
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
    condition = "shared" if note["condition"] else None
    return Transport(
        task=Task(flows["reference"], flows["target"], condition),
        flow=flows.get("transport"),
        preprocessing=Preprocessor.from_json(note["preprocessing"], str(path)),
        features=tuple(note["features"]),
        conditions=tuple(note["condition"]),
        method=note["method"],
        regions=note["regions"],
        half_width=min(flow.arch.tail_bound for flow in flows.values()),
        device=used,
    )
