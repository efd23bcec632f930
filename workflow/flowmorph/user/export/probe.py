"""Rows with which a model is tried."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flowmorph.errors import InputError
from flowmorph.samples.balance import Balance, reach
from flowmorph.user.export.columns import Column
from flowmorph.user.export.model import FACTOR, FOLD, UNIFORM, codes, weighing
from flowmorph.user.transport import Transport

ROWS = 5_000


def feed(
    transport: Transport, training: int, kind: np.dtype, extras: Sequence[str], seed: int = 1
) -> dict[str, np.ndarray]:
    """Inputs (N,) of the model of a training, of this type of numbers, by name.

    Raises InputError for values of a discrete condition that the type does not tell apart.
    """
    rng, known, given = np.random.default_rng(seed), transport.preprocessing, {}
    rows = _rows(transport, kind, rng)
    if FACTOR in extras:
        weighed = weighing(transport, training)
        for name, values in _discrete(transport, weighed, kind).items():
            rows[name] = np.where(rng.random(ROWS) < 0.8, rng.choice(values, ROWS), rows[name])
        if len(weighed.odds) > 1:
            given[FOLD] = rng.integers(0, len(weighed.odds), ROWS)
            given[FOLD][rng.random(ROWS) < 0.01] = rng.choice([-1, len(weighed.odds)])
    for name in (*transport.features, *transport.conditions):
        if name in known.categories:
            own = codes(known.categories[name].labels)
            # One more than the largest is the code of none.
            given[name] = np.array([*own, max(own) + 1])[rows[name]]
            continue
        given[name] = rows[name].astype(kind)
        if Column.of(known, name).noisy:
            u = np.minimum(rng.random(ROWS).astype(kind), np.nextafter(kind.type(1), kind.type(0)))
            given[name + UNIFORM] = np.where(rng.random(ROWS) < 0.001, kind.type(1.5), u)
    return given


def _rows(transport: Transport, kind: np.dtype, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Values of columns, (N,), float64 that ``kind`` holds, and places of categories.

    Half of them fill the range of the training evenly, most others are of a Gaussian that reaches
    beyond it; some lie farther or very far beyond, and some are such as the transport refuses.
    """
    known, found = transport.preprocessing, {}
    for name, transform in known.maps.items():
        low, high = transform.ends
        y = rng.uniform(low, high, ROWS)
        gauss = rng.random(ROWS) < 0.5
        y = np.where(gauss, (low + high) / 2 + rng.normal(0, (high - low) / 4, ROWS), y)
        y = np.where(rng.random(ROWS) < 0.05, rng.uniform(-12, 12, ROWS), y)
        very = rng.choice([-1, 1], ROWS) * 10 ** rng.uniform(1, 6, ROWS)
        y = np.where(rng.random(ROWS) < 0.01, very, y)
        with np.errstate(over="ignore"):
            x = known.inverse({name: y})[name].astype(kind).astype(float)
        odd = [np.nan, np.inf, -np.inf, float(np.finfo(kind).max), -float(np.finfo(kind).max)]
        span = Column.of(known, name).span
        odd += [*span, span[0] - np.ptp(span), span[1] + np.ptp(span)]
        allowed = known.allowed(name)
        odd += [float(np.float32(value)) for value in (*allowed.spikes, *(allowed.bounds or ()))]
        some = rng.random(ROWS) < 0.01
        found[name] = np.where(some, rng.choice(odd, ROWS), x).astype(kind).astype(float)
    for name, categories in known.categories.items():
        places = [*range(len(categories.labels))] * 20
        found[name] = rng.choice([*places, -1], ROWS)
    return found


def _discrete(transport: Transport, weighed: Balance, kind: np.dtype) -> dict[str, np.ndarray]:
    """Values of numbers (V,) that the balance takes as discrete, as ``kind`` holds them."""
    known, found = transport.preprocessing, {}
    names = [name for name, label in known.names(transport.conditions) if label is None]
    for i in np.flatnonzero(weighed.discrete[: len(names)]):
        name, place = names[i], np.count_nonzero(weighed.discrete[:i])
        cells = np.unique(weighed.cells[:, place])
        found[name] = known.inverse({name: cells})[name].astype(kind).astype(float)
        again = known.place(name, found[name])
        if not (np.abs(again - cells) <= reach(cells)).all():
            raise InputError(
                f"condition {name!r}: {kind} does not tell its values apart: export in float64"
            )
    return found
