"""A transport as an ONNX model, for programs without Python.

The graph is written node by node from the trained weights. It computes what `Transport.move` does,
so that it needs no tracing, has a version of operators that we choose, and reads as the code that
it repeats: `nodes` makes formulas into nodes, `flows` and `columns` are the flows and the
preprocessing in these, `model` joins them, and `check` compares the result with the transport.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import onnx

from flowmorph.errors import InputError
from flowmorph.files import atomic
from flowmorph.user.export import check, model
from flowmorph.user.transport import Transport


def export(
    transport: Transport,
    path: str | Path,
    precision: str = "float32",
    outputs: Sequence[str] = (),
    variation: int = 0,
    fold: int | None = None,
) -> check.Agreement:
    """Write what `Transport.export` says, and give how near it comes to the transport."""
    if precision not in model.PRECISIONS:
        raise InputError(f"no precision {precision!r}: choose one of {', '.join(model.PRECISIONS)}")
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
    made = model.build(transport, training, precision, outputs)
    onnx.checker.check_model(made, full_check=True)
    found = check.verify(made.SerializeToString(), transport, training, precision, outputs)
    model.annotate(made, agreement=asdict(found))
    with atomic(path) as part:
        part.write_bytes(made.SerializeToString(deterministic=True))
    return found
