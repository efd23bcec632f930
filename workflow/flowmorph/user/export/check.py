"""Whether a model gives what its transport does, in the training's range and beyond.

What is compared with is the transport's own code with flows in float64. Where a flow is steep,
float32 leaves errors that are larger than our tolerance: to the transport as to a model whose flows
compute in float32. Such a model is right if its errors are no larger than the transport's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime

from flowmorph.errors import InputError
from flowmorph.user.export import probe
from flowmorph.user.export.model import FACTOR, PRECISIONS
from flowmorph.user.export.truth import Truth
from flowmorph.user.transport import Transport

#: Largest difference of moved features in the flows' box, relative to where they are, or to 1.
TOLERANCE = 1e-5

#: Largest difference of logarithms, likewise.
LOG_TOLERANCE = 1e-4

#: Farthest that two neighbouring numbers of a type lie apart, in units of a feature's
#: `Truth.width`, where its rounding is not held against a model: coarser ones lose the feature.
COARSEST = 1e-3

#: How many times the largest error that rounding leaves to the transport a difference may be.
ROUNDING = 4


@dataclass(frozen=True)
class Agreement:
    """How near a model comes to its transport.

    Attributes:
        rows: number of rows that were compared.
        difference: largest difference of a moved feature, relative to its value or, where that is
            smaller, to half the width of the middle two thirds of its training values.
        own_difference: the same of the transport's flows in the model's arithmetic.
        log_difference: largest difference of a logarithm, relative to it or, where it is smaller,
            to 1.
        own_log_difference: the same of the transport.
        factor_difference: largest relative difference of the factor of ``balance``.
        other_side: values at the edge between two whole numbers, or at that of a spike, that came
            to the other side.
    """

    rows: int
    difference: float
    own_difference: float
    log_difference: float
    own_log_difference: float
    factor_difference: float
    other_side: int

    def __str__(self) -> str:
        text = (
            f"agrees with the transport in {self.rows} rows: differences of at most "
            f"{self.difference:.1e} (its own rounding: {self.own_difference:.1e})"
        )
        if self.log_difference:
            text += f", of logarithms {self.log_difference:.1e} ({self.own_log_difference:.1e})"
        if self.factor_difference:
            text += f", of weights {self.factor_difference:.1e}"
        if self.other_side:
            text += f"; {self.other_side} values at the edge of a whole number or spike"
        return text


def session(model: bytes) -> onnxruntime.InferenceSession:
    """The model in onnxruntime, on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def verify(
    model: bytes, transport: Transport, training: int, precision: str, arithmetic: str,
    extras: Sequence[str],
) -> Agreement:  # fmt: skip
    """Compare a model with its transport, in rows that are drawn for it (`probe.feed`).

    Let y be where a feature comes to in the flows' box, of which the training fills 6 units, and t
    be 1e-5 or, if the model's flows compute in float32 and that is more, `ROUNDING` times the
    largest error of the transport's own in float32. A moved value agrees if it is one of those that
    belong to y +- t max(1, |y|), or within 1e-5 of both the value and the width of the middle two
    thirds of the training values; or within one unit in the last place of the model's type beyond
    these, which is how it rounds a narrow feature far from 0, unless it has less than a thousand
    numbers in this width (`COARSEST`). A factor of ``balance`` agrees within 1e-5 of itself. Raises
    InputError, naming output and row, if one does not. Rows that are not `Truth.compared` need only
    be taken or refused as the transport does, and have the right factor.
    """
    kind = PRECISIONS[precision]
    given = probe.feed(transport, training, kind, extras)
    truth = Truth(transport, training, kind, PRECISIONS[arithmetic], extras, given)
    names = [*truth.features, *extras]
    found = dict(zip(names, session(model).run(names, given), strict=True))
    hint = "export in float64" if "float32" in (precision, arithmetic) else "please report this"

    def refuse(name: str, row: int, text: str) -> InputError:
        place = ", ".join(f"{column} = {values[row]:.9g}" for column, values in given.items())
        value = found[name][row]
        return InputError(f"the model's {name} is {value:.9g}, {text} (at {place}): {hint}")

    for name, values in found.items():
        for row in np.flatnonzero(np.isnan(values) == truth.valid)[:1]:
            word = "takes" if truth.valid[row] else "refuses"
            raise refuse(name, row, f"and the transport {word} this row")
    largest: dict[str, float] = {}
    other_side = 0
    for name, values in found.items():
        rounded, values = values, values.astype(float)
        gap, same = truth.relative(name, values), np.ones(len(values), bool)
        compared = truth.valid if name == FACTOR else truth.compared
        if name == FACTOR:
            good = gap <= TOLERANCE
        elif name in extras:
            good = gap <= max(LOG_TOLERANCE, ROUNDING * truth.own[name])
        else:
            tolerance = max(TOLERANCE, ROUNDING * truth.own_boxed[name])
            good, same = _moved(truth, name, rounded, tolerance)
        for row in np.flatnonzero(compared & ~good)[:1]:
            raise refuse(name, row, f"and the transport's {truth.outputs[name][row]:.9g}")
        largest[name] = gap[compared & same].max(initial=0.0)
        other_side += int((compared & ~same).sum())

    logs = [name for name in extras if name != FACTOR]

    def most(of: dict[str, float], chosen: Sequence[str]) -> float:
        return float(max((of[name] for name in chosen), default=0.0))

    return Agreement(
        rows=int(truth.compared.sum()),
        difference=most(largest, truth.features),
        own_difference=most(truth.own, truth.features),
        log_difference=most(largest, logs),
        own_log_difference=most(truth.own, logs),
        factor_difference=largest.get(FACTOR, 0.0),
        other_side=other_side,
    )


def _moved(
    truth: Truth, name: str, rounded: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (N,) in which a moved feature agrees, and those on the same side of an edge."""
    y, ours = truth.boxed[name], truth.outputs[name]
    reach = tolerance * np.maximum(1, np.abs(y))
    low, high = truth.back(name, y - reach), truth.back(name, y + reach)
    values, width = rounded.astype(float), truth.width(name)
    rounding = np.spacing(np.abs(rounded)).astype(float)
    rounding = np.where(rounding <= COARSEST * width, rounding, 0.0)
    near = np.abs(values - ours) <= TOLERANCE * np.minimum(np.abs(ours), width) + rounding
    good = ((low - rounding <= values) & (values <= high + rounding)) | near
    return good, truth.side(name, values) == truth.side(name, ours)
