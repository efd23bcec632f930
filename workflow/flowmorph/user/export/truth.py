"""What a transport makes of given rows, by its own code with flows in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from flowmorph.flows import setup
from flowmorph.transfer.morph import DensityPair, Morph, morph
from flowmorph.user.export.columns import Column
from flowmorph.user.export.model import MOVED, UNIFORM, codes, steps
from flowmorph.user.transport import FARTHEST, Transport

#: Copies of a row, each within rounding of it, of whose errors `Truth.rounding` is the largest.
COPIES = 16


def _log_det(one: Morph, x: Tensor, y: Tensor, c: Tensor | None) -> Tensor:
    total = 0.0
    for flow, inverse in steps(one):
        x, part = (flow.inverse if inverse else flow)(x, c)
        total = total + part
    return total


#: Optional outputs in the flows' box, of a method, points (D, N) before and after, and conditions.
EXTRAS: dict[str, Callable[[Morph, Tensor, Tensor, Tensor | None], Tensor]] = {
    "log_det": _log_det,
    "log_reference": lambda one, x, y, c: one.pair.reference.log_prob(x, c),
    "log_target": lambda one, x, y, c: one.pair.target.log_prob(y, c),
}

#: How often the logarithms of the slopes of the preprocessing, before and after, are added to them.
SLOPES = {"log_det": (1, -1), "log_reference": (1, 0), "log_target": (0, 1)}


class Truth:
    """Outputs of a model as they should be.

    Attributes:
        valid: rows (N,), bool, that the transport moves.
        boxed: outputs (N,), by name, as the flows give them.
        outputs: outputs (N,), in the units of the columns.
    """

    def __init__(
        self, transport: Transport, training: int, kind: np.dtype, extras: Sequence[str],
        given: Mapping[str, np.ndarray],
    ) -> None:  # fmt: skip
        """Move the rows of a model's inputs, (N,) of type ``kind``, by one of the trainings."""
        self._transport, self._extras, self._kind = transport, extras, kind
        self._own = transport.morphs[training]
        known = transport.preprocessing
        rows, self.valid = _rows(transport, given)
        spread, box = {}, {}
        for name, transform in known.maps.items():
            # What is not moved has to be somewhere.
            values = np.where(self.valid, rows[name], Column.of(known, name).span[0])
            noise = _Given(np.where(self.valid, given.get(name + UNIFORM, 0.5), 0.5))
            spread[name] = known.spread(name, values, noise)
            box[name] = transform.forward(spread[name], name)
        box |= {name: each.forward(rows[name]) for name, each in known.categories.items()}
        self._x, self._c = (
            known.inputs(box, names, len(self.valid), float)
            for names in (transport.features, transport.conditions)
        )
        self.boxed = self._flows(_doubled(self._own), self._x, self._c)
        image = {name: self.boxed[name + MOVED] for name in transport.features}
        with np.errstate(over="ignore"):
            self.outputs = {name + MOVED: v for name, v in known.inverse(image).items()}
            for values in self.outputs.values():
                self.valid &= np.isfinite(values.astype(kind))
            after = {name: known.maps[name].inverse(values) for name, values in image.items()}
        before = {name: spread[name] for name in transport.features}
        slopes = [known.log_slope(values) for values in (before, after)]
        for name in extras:
            self.outputs[name] = self.boxed[name] + np.dot(SLOPES[name], slopes)

    def rounding(self, output: str, rows: np.ndarray) -> np.ndarray:
        """Largest error (n,) of the flows in the model's precision at and beside these rows.

        ``rows`` (n,) are numbers of rows, and the error is one of ``boxed``.
        """
        rng, most = np.random.default_rng(0), np.zeros(len(rows))
        step = float(np.finfo(self._kind).eps)
        for _ in range(COPIES):
            x, c = (
                (part[rows] * (1 + step * rng.uniform(-1, 1, part[rows].shape))).astype(self._kind)
                for part in (self._x, self._c)
            )
            one = self._own if self._kind == np.float32 else _doubled(self._own)
            found = self._flows(one, x, c)[output]
            most = np.maximum(most, np.abs(found - self.boxed[output][rows]))
        return most

    def _flows(self, one: Morph, x: np.ndarray, c: np.ndarray) -> dict[str, np.ndarray]:
        """Moved features and optional outputs in the flows' box, (N,) float64, by name."""
        x, c = setup.tensors(x, c, self._transport.device)
        y = setup.in_chunks(lambda x, c: one.forward(x, c, c), x, c)
        features = [name + MOVED for name in self._transport.features]
        found = dict(zip(features, y.double().cpu().numpy(), strict=True))
        for name in self._extras:
            given = (x, y.T.contiguous(), c)
            part = setup.in_chunks(lambda *given, of=name: EXTRAS[of](one, *given), *given)
            found[name] = part.double().cpu().numpy()
        return found


class _Given:
    """Random numbers that are given, with the methods of a generator that `spread` calls."""

    def __init__(self, u: np.ndarray) -> None:
        self.u = np.asarray(u, float)

    def random(self, size: int) -> np.ndarray:
        return self.u[:size]

    def uniform(self, low: float, high: float, size: int) -> np.ndarray:
        return low + (high - low) * self.u[:size]


def _rows(transport: Transport, given: Mapping[str, np.ndarray]):
    """Columns (N,) as the transport takes them, and rows (N,), bool, that it takes."""
    known = transport.preprocessing
    rows = {name: given[name].astype(float) for name in known.maps}
    for name, each in known.categories.items():
        places = {code: i for i, code in enumerate(codes(each.labels))}
        rows[name] = np.array([places.get(code, -1) for code in given[name].tolist()], float)
    valid = known.usable(rows, FARTHEST)
    for name, each in known.categories.items():
        valid &= each.has(rows[name])
    for name in given.keys() - rows.keys():
        valid &= given[name] < 1
    return rows, valid


def _doubled(one: Morph) -> Morph:
    """A method with flows in float64."""
    flows = (one.pair.reference, one.pair.target, *one.flows)
    double = {id(flow): copy.deepcopy(flow).double() for flow in flows}
    pair = DensityPair(*(double[id(flow)] for flow in flows[:2]), one.pair.mode)
    return morph(pair, None if len(one.flows) == 2 else double[id(one.flows[0])])
