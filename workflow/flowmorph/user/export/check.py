"""Whether a model gives what its transport does: in onnxruntime, in the training's range and beyond.

What is compared with is the transport's own code with flows in float64. Where a flow is steep, and
where rows are far from the training, float32 leaves errors that are larger than our tolerance: to
the transport as to the model. A model is right there if its errors are as small as the transport's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnxruntime

from flowmorph.errors import InputError
from flowmorph.user.export import probe
from flowmorph.user.export.model import MOVED, PRECISIONS
from flowmorph.user.export.truth import Truth
from flowmorph.user.transport import Transport

#: Largest difference of moved features in the flows' box, relative to where they are, or to 1.
TOLERANCE = 1e-5

#: Largest difference of logarithms, likewise.
LOG_TOLERANCE = 1e-4

#: How many times the transport's own error of rounding a difference may be.
ROUNDING = 10


@dataclass(frozen=True)
class Agreement:
    """How near a model comes to its transport.

    Attributes:
        rows: number of rows that were compared.
        difference: largest difference of a moved feature, relative to its value or, where that is
            smaller, to half the width of the middle two thirds of its training values; of rows that
            are not in one of the next two numbers.
        rounded: rows in which more than the tolerance is left by the rounding of the precision, to
            the transport as to the model.
        other_side: rows in which a value at the edge between two whole numbers, or at that of a
            spike, came to the other side.
        log_difference: largest difference of an optional output, relative to it or, where it is
            smaller, to 1; of the same rows.
    """

    rows: int
    difference: float
    rounded: int
    other_side: int
    log_difference: float

    def __str__(self) -> str:
        parts = [f"largest relative difference {self.difference:.1e}"]
        if self.log_difference:
            parts.append(f"of logarithms {self.log_difference:.1e}")
        if self.rounded:
            parts.append(f"{self.rounded} rows with larger errors of rounding, as the transport's")
        if self.other_side:
            parts.append(f"{self.other_side} at the edge of a whole number or spike")
        return f"agrees with the transport in {self.rows} rows: {', '.join(parts)}"


def session(model: bytes) -> onnxruntime.InferenceSession:
    """The model in onnxruntime, on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def verify(
    model: bytes, transport: Transport, training: int, precision: str, extras: Sequence[str]
) -> Agreement:
    """Compare a model with its transport, in rows that are drawn for it.

    Half of the rows fill the range of the training evenly, the others are of a Gaussian that
    reaches beyond it; some lie very far beyond, and some are such as the transport refuses. Let y
    be where a feature comes to in the flows' box, of which the training fills 6 units. Its moved
    value agrees if it lies between those that belong to y +- 1e-5 max(1, |y|), or within 1e-5 of
    both the value and the width of the middle of the training values; where it does not, y +- 10
    times the largest error that the transport's flows make in the model's precision is taken.
    Raises InputError, naming the output, if one does not agree.
    """
    kind = PRECISIONS[precision]
    given = probe.feed(transport, kind)
    names = [*(name + MOVED for name in transport.features), *extras]
    found = dict(zip(names, session(model).run(names, given), strict=True))
    truth = Truth(transport, training, kind, extras, given)

    def refuse(name: str, row: int, text: str) -> InputError:
        place = ", ".join(f"{column} = {values[row]:.9g}" for column, values in given.items())
        hint = "export with precision float64" if precision == "float32" else "please report this"
        return InputError(f"the model's {name} {text} (at {place}): {hint}")

    for name, values in found.items():
        for row in np.flatnonzero(np.isnan(values) == truth.valid)[:1]:
            word = "takes" if truth.valid[row] else "refuses"
            raise refuse(name, row, f"is {values[row]:.9g}, and the transport {word} this row")
    rounded, other_side = np.zeros((2, len(truth.valid)), bool)
    relative: dict[str, np.ndarray] = {}
    for name in names:
        agrees, size = (_log_agrees, 1.0)
        if name not in extras:
            agrees, size = partial(_agrees, transport), _width(transport, name)
        values = found[name].astype(float)
        near, close = agrees(name, values, truth.boxed[name], truth.outputs[name], 0.0)
        rows = np.flatnonzero(truth.valid & ~near)
        if len(rows):
            own = ROUNDING * truth.rounding(name, rows)
            part = (each[rows] for each in (values, truth.boxed[name], truth.outputs[name]))
            good, _ = agrees(name, *part, own)
            for row in rows[~good][:1]:
                text = f"is {values[row]:.9g}, and the transport's {truth.outputs[name][row]:.9g}"
                raise refuse(name, row, text)
            rounded[rows] = True
        other_side |= truth.valid & near & ~close
        gap = np.abs(values - truth.outputs[name])
        relative[name] = gap / np.maximum(size, np.abs(truth.outputs[name]))
    plain = truth.valid & ~rounded & ~other_side

    def largest(chosen: Sequence[str]) -> float:
        return float(max((relative[name][plain].max(initial=0.0) for name in chosen), default=0.0))

    return Agreement(
        int(truth.valid.sum()),
        largest(names[: len(transport.features)]),
        int(rounded.sum()),
        int((other_side & ~rounded).sum()),
        largest(extras),
    )


def _width(transport: Transport, output: str) -> float:
    """Half the width of the middle of a feature's training values."""
    name = output.removesuffix(MOVED)
    return float(np.ptp(transport.preprocessing.inverse({name: np.array([-1.0, 1.0])})[name]) / 2)


def _agrees(transport: Transport, output: str, values, y, ours, own):
    """Rows whose values agree, and of these the ones whose values differ little, (N,) bool each."""
    name, known = output.removesuffix(MOVED), transport.preprocessing
    reach = np.maximum(TOLERANCE * np.maximum(1, np.abs(y)), own)
    with np.errstate(over="ignore"):
        low, high = (known.inverse({name: y + sign * reach})[name] for sign in (-1, 1))
    gap, width = np.abs(values - ours), _width(transport, output)
    close = gap <= 10 * TOLERANCE * np.maximum(np.abs(ours), width)
    tiny = gap <= TOLERANCE * np.minimum(np.abs(ours), width)
    return ((low <= values) & (values <= high)) | tiny, close


def _log_agrees(output: str, values, boxed, ours, own):
    """Likewise of logarithms."""
    near = np.abs(values - ours) <= np.maximum(LOG_TOLERANCE * np.maximum(1, np.abs(ours)), own)
    return near, near
