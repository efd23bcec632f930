"""What a transport makes of given rows, by its own code with flows in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch import Tensor

from flowmorph.flows import setup
from flowmorph.transfer.morph import DensityPair, Morph, morph
from flowmorph.user.export.columns import Column
from flowmorph.user.export.model import FACTOR, FOLD, MOVED, UNIFORM, codes, steps, weighing
from flowmorph.user.status import FARTHEST
from flowmorph.user.transport import Transport

#: How far from the middle of the box, of which the training fills +- 3, rows are compared: farther
#: away a condition makes a flow so steep that float64 does not compute it either.
FAR = 12.0

#: Evaluations, each of rows within rounding of the given ones, that show what rounding does.
COPIES = 4


def _log_det(one: Morph, x: Tensor, y: Tensor, c: Tensor | None) -> Tensor:
    total = x.new_zeros(x.shape[1])
    for flow, inverse in steps(one):
        x, part = (flow.inverse if inverse else flow)(x, c)
        total = total + part
    return total


#: Logarithms in the flows' box, of a method, points (D, N) before and after, and conditions.
EXTRAS: dict[str, Callable[[Morph, Tensor, Tensor, Tensor | None], Tensor]] = {
    "log_det": _log_det,
    "log_reference": lambda one, x, y, c: one.pair.reference.log_prob(x, c),
    "log_target": lambda one, x, y, c: one.pair.target.log_prob(y, c),
}

#: How often the logarithms of the slopes of the preprocessing, before and after, are added to them.
SLOPES = {"log_det": (1, -1), "log_reference": (1, 0), "log_target": (0, 1)}


class Truth:
    """Outputs of a model as they should be, and what rounding does to the transport's own.

    Attributes:
        features: names of the outputs that are moved features.
        valid: rows (N,), bool, that the transport moves.
        compared: those of them whose numbers mean something, (N,), bool.
        boxed: moved features in the flows' box, (N,), by the names of outputs.
        outputs: outputs (N,), by name, in the units of the columns.
        own_boxed: largest error of ``boxed``, relative to it or to 1, of the flows in the model's
            arithmetic, by name.
        own: the same of ``outputs`` but the factor, as `relative` has it.
    """

    def __init__(
        self, transport: Transport, training: int, kind: np.dtype, inner: np.dtype,
        extras: Sequence[str], given: Mapping[str, np.ndarray],
    ) -> None:  # fmt: skip
        """Move the rows of a model's inputs, (N,) of type ``kind``, by one of the trainings.

        ``inner`` is the type of numbers in which the model's flows compute.
        """
        self._transport, self._kind = transport, kind
        self._logs = [name for name in extras if name in EXTRAS]
        self.features = [name + MOVED for name in transport.features]
        known = transport.preprocessing
        rows, self.valid = _rows(transport, given)
        weighed = weighing(transport, training) if FACTOR in extras else None
        fold = given.get(FOLD, np.zeros(len(self.valid), np.int64))
        if FOLD in given and weighed is not None:
            self.valid &= (fold >= 0) & (fold < len(weighed.odds))
        spread, box = {}, {}
        for name, transform in known.maps.items():
            # What is not moved has to be somewhere.
            values = np.where(self.valid, rows[name], Column.of(known, name).span[0])
            noise = _Given(np.where(self.valid, given.get(name + UNIFORM, 0.5), 0.5))
            spread[name] = known.spread(name, values, noise)
            box[name] = transform.forward(spread[name])
        box |= {name: each.forward(rows[name]) for name, each in known.categories.items()}
        x, c = (
            known.inputs(box, names, len(self.valid), float)
            for names in (transport.features, transport.conditions)
        )
        self._before = known.log_slope({name: spread[name] for name in transport.features})
        exact = _doubled(transport.morphs[training])
        self.boxed, self.outputs = self._move(exact, x, c)
        with np.errstate(over="ignore"):
            for name in self.features:
                self.valid &= np.isfinite(self.outputs[name].astype(kind))
        self.compared = self.valid & (np.abs(np.hstack([x, c])) <= FAR).all(axis=1)
        if weighed is not None:
            found = np.where(self.valid, fold, 0).astype(np.uint64)
            self.outputs[FACTOR] = weighed.factors(c.astype(np.float32), found)
        one = transport.morphs[training] if inner == np.float32 else exact
        self._measure_rounding(one, inner, x, c)

    def _measure_rounding(self, one: Morph, inner: np.dtype, x: np.ndarray, c: np.ndarray) -> None:
        rng, step = np.random.default_rng(0), float(np.finfo(inner).eps)
        self.own_boxed = dict.fromkeys(self.boxed, 0.0)
        self.own = dict.fromkeys([*self.boxed, *self._logs], 0.0)
        for copied in range(COPIES):
            noise = bool(copied) * step
            moved = [
                (part * (1 + noise * rng.uniform(-1, 1, part.shape))).astype(inner)
                for part in (x, c)
            ]
            boxed, outputs = self._move(one, *moved)
            for name, values in boxed.items():
                gap = np.abs(values - self.boxed[name]) / np.maximum(1, np.abs(self.boxed[name]))
                self.own_boxed[name] = max(self.own_boxed[name], gap[self.compared].max(initial=0))
            for name, values in outputs.items():
                same = self.side(name, values) == self.side(name, self.outputs[name])
                gap = self.relative(name, values)[self.compared & same]
                self.own[name] = max(self.own[name], gap.max(initial=0))

    def back(self, output: str, y: np.ndarray) -> np.ndarray:
        """A moved feature (N,) from where it is in the box."""
        name = output.removesuffix(MOVED)
        with np.errstate(over="ignore"):
            return self._transport.preprocessing.inverse({name: y})[name]

    def width(self, output: str) -> float:
        """Half the width of the middle two thirds of a feature's training values, nearly."""
        return float(np.ptp(self.back(output, np.array([-1.0, 1.0]))) / 2)

    def relative(self, output: str, values: np.ndarray) -> np.ndarray:
        """Differences (N,) from ``outputs``, relative to these or, if it is larger, to one unit.

        Of a feature that is its `width`, of a logarithm 1; a factor has none but itself.
        """
        ours = self.outputs[output]
        unit = self.width(output) if output in self.features else 1.0
        unit = float(np.finfo(np.float32).tiny) if output == FACTOR else unit
        return np.abs(values - ours) / np.maximum(np.abs(ours), unit)

    def side(self, output: str, values: np.ndarray) -> np.ndarray:
        """A number (N,) that changes where a feature jumps: between whole numbers, at a spike."""
        known, name = self._transport.preprocessing, output.removesuffix(MOVED)
        if output in self.features and name in known.integers:
            return np.floor(np.nan_to_num(values))
        if output in self.features and name in known.spikes:
            spikes = np.array(known.spikes[name].values, self._kind)
            return np.isin(values.astype(self._kind), spikes)
        return np.zeros(len(values))

    def _move(
        self, one: Morph, x: np.ndarray, c: np.ndarray
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Moved features in the box, and all outputs, (N,) float64, by name."""
        known = self._transport.preprocessing
        start, given = setup.tensors(x, c, self._transport.device)
        y = setup.in_chunks(lambda x, c: one.forward(x, c, c), start, given)
        boxed = dict(zip(self.features, y.double().cpu().numpy(), strict=True))
        outputs = {name: self.back(name, values) for name, values in boxed.items()}
        with np.errstate(all="ignore"):
            after = known.log_slope(
                {name: known.maps[name].inverse(boxed[name + MOVED])
                 for name in self._transport.features}
            )  # fmt: skip
        for name in self._logs:
            part = setup.in_chunks(
                lambda *each, of=name: EXTRAS[of](one, *each), start, y.T.contiguous(), given
            )
            slopes = np.dot(SLOPES[name], [self._before, after])
            outputs[name] = part.double().cpu().numpy() + slopes
        return boxed, outputs


class _Given:
    """Random numbers that are given, with the methods of a generator that `spread` calls."""

    def __init__(self, u: np.ndarray) -> None:
        self.u = np.asarray(u, float)

    def random(self, size: int) -> np.ndarray:
        return self.u[:size]

    def uniform(self, low: float, high: float, size: int) -> np.ndarray:
        return low + (high - low) * self.u[:size]


def _rows(
    transport: Transport, given: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns (N,) as the transport takes them, and rows (N,), bool, that it takes."""
    known = transport.preprocessing
    rows = {name: given[name].astype(float) for name in known.maps}
    for name, each in known.categories.items():
        places = {code: i for i, code in enumerate(codes(each.labels))}
        rows[name] = np.array([places.get(code, -1) for code in given[name].tolist()], float)
    valid = known.usable(rows, FARTHEST)
    for name, each in known.categories.items():
        valid &= each.has(rows[name])
    for name in given.keys() - rows.keys() - {FOLD}:
        valid &= given[name] < 1
    return rows, valid


def _doubled(one: Morph) -> Morph:
    """A method with flows in float64."""
    flows = (one.pair.reference, one.pair.target, *one.flows)
    double = {id(flow): copy.deepcopy(flow).double() for flow in flows}
    reference, target = (double[id(flow)] for flow in flows[:2])
    pair = DensityPair(reference, target, one.pair.mode)
    return morph(pair, None if len(one.flows) == 2 else double[id(one.flows[0])])
