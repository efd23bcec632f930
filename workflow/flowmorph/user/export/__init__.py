"""A transport as an ONNX model, for programs without Python.

The graph is written node by node from the trained weights. It computes what `Transport.move` does,
so that it needs no tracing, has a version of operators that we choose, and reads as the code that
it repeats: `nodes` makes formulas into nodes, `flows`, `columns` and `balance` are flows,
preprocessing and weights in these, `model` joins them, and `check` compares the result with the
transport.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from flowmorph.errors import InputError
from flowmorph.files import atomic, same
from flowmorph.flows import setup
from flowmorph.user.transport import Transport

try:
    import onnx

    from flowmorph.user.export import check, model
except ModuleNotFoundError as error:
    if error.name not in ("onnx", "onnxruntime"):
        raise
    raise InputError(
        f"to export a transport, the package {error.name} is needed: pip install onnx onnxruntime"
    ) from error

#: What names of models end with.
SUFFIX = ".onnx"


def export(
    transport: Transport,
    path: str | Path,
    precision: str = "float32",
    arithmetic: str = "float64",
    outputs: Sequence[str] = (),
    variation: int = 0,
    fold: int | None = None,
) -> check.Agreement:
    """Write the map of a transport as an ONNX model, after comparing the two.

    The model takes every feature and condition, (rows,) each, as an input of its name, and gives
    each feature as an output with ``_moved`` behind its name. Rows that `Transport.move` refuses
    are not-a-number. Categories are int64, numbers that the model's metadata list. Whole numbers
    and spikes need random numbers 0 <= u < 1, an input with ``_uniform`` behind the column's name.

    Args:
        transport: what is written.
        path: of the file, which ends with ``.onnx``.
        precision: float32 or float64: type of inputs and outputs; preprocessing is in float64.
        arithmetic: float32 or float64: in which flows compute. With float64 the model agrees with
            the exact map to 1e-5; float32 is faster, and rounds as `Transport.move` does.
        outputs: further outputs, of `model.EXTRAS`: ``log_det``, ``log_reference``, ``log_target``,
            and, of a transport with ``balance``, ``balance_factor``.
        variation: number of one of the transport's variations, 0 for the nominal one.
        fold: number of the fold whose training is taken, that which has not seen the fold.

    Raises:
        InputError: a name that no model can have, a choice that there is not, several folds and
            none chosen, or a model that does not agree with the transport (`check.verify`); nothing
            is written then.
    """
    if not str(path).lower().endswith(SUFFIX):
        raise InputError(f"{path}: the output is an ONNX model: end its name with {SUFFIX!r}")
    if transport.file is not None and same(path, transport.file):
        raise InputError(f"{path}: is the transport itself: choose another name for the output")
    for what, name in (("precision", precision), ("arithmetic", arithmetic)):
        if name not in model.PRECISIONS:
            raise InputError(f"no {what} {name!r}: choose one of {', '.join(model.PRECISIONS)}")
    outputs = list(dict.fromkeys(outputs))
    for name in outputs:
        if name not in model.EXTRAS:
            raise InputError(f"no output {name!r}: choose among {', '.join(model.EXTRAS)}")
    if not 0 <= variation <= transport.variations:
        raise InputError(f"no variation {variation}: the transport has {transport.variations}")
    if fold is None and transport.folds > 1:
        raise InputError(
            f"the transport has {transport.folds} folds, each with a map of its own: choose one, "
            f"fold 0 to {transport.folds - 1}"
        )
    if not 0 <= (fold or 0) < transport.folds:
        raise InputError(f"no fold {fold}: the transport has {transport.folds}, from 0 on")
    training = variation * transport.folds + (fold or 0)
    choices = (transport, training, precision, arithmetic, outputs)
    made = model.build(*choices)
    onnx.checker.check_model(made, full_check=True)
    # How near the two are is in the file, whose bytes must repeat.
    with setup.using(transport.threads):
        found = check.verify(made.SerializeToString(), *choices)
    model.annotate(made, agreement=asdict(found))
    with atomic(path) as part:
        part.write_bytes(made.SerializeToString(deterministic=True))
    return found
