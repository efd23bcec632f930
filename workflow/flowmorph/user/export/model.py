"""The whole map of a transport as an ONNX model: columns in, moved columns out."""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

import numpy as np
import onnx
from onnx import helper

from flowmorph.errors import InputError
from flowmorph.flows.flow import Flow
from flowmorph.samples.balance import Balance
from flowmorph.transfer.morph import BaseTransfer, Morph
from flowmorph.user.column_map import UNBALANCED
from flowmorph.user.export import balance, flows
from flowmorph.user.export.columns import DOUBLE, Column
from flowmorph.user.export.nodes import IR_VERSION, OPSET, Graph, Value, columns, every, where
from flowmorph.user.status import FARTHEST
from flowmorph.user.transport import Transport

#: Types of numbers that a model takes and gives, and of those in which its flows compute.
PRECISIONS: dict[str, np.dtype] = {"float32": np.dtype(np.float32), "float64": np.dtype(np.float64)}

#: Names of inputs and outputs that belong to a column: random numbers, and moved values.
UNIFORM, MOVED = "_uniform", "_moved"

#: The output of `balance`, and the input that says which of its classifiers has not seen a row.
FACTOR, FOLD = "balance_factor", "balance_fold"

KEY = "flowmorph"


@dataclass(frozen=True)
class Rows:
    """A row on its way through the model, as values of the graph.

    Attributes:
        x: features in the box before they are moved, (N, D).
        image: features in the box after they were moved, (N, D).
        c: conditions as flows take them, (N, C), or None.
        log_det: of the flows between x and image, (N,).
        slopes: sums of log d(box)/dx over the features before and after, (N,), float64.
        morph: the method, with its densities.
        balance: what `FACTOR` is made of, with the classifiers of this training; None without.
        fold: which of them has not seen the row, (N,), int64.
    """

    x: Value
    image: Value
    c: Value | None
    log_det: Value
    slopes: tuple[Value, Value]
    morph: Morph
    balance: Balance | None
    fold: Value


def _factor(r: Rows) -> Value:
    assert r.balance is not None and r.c is not None, "there is a balance of conditions"
    # The conditions that it has learnt are those of the flows in Python, in float32.
    return balance.factors(r.balance, r.c.cast(np.float32).cast(DOUBLE), r.fold)


@dataclass(frozen=True)
class Extra:
    """A further output: what it is, and how it is computed, (N,)."""

    doc: str
    compute: Callable[[Rows], Value]


#: Further outputs by name; one more is an entry here, and in `truth`.
EXTRAS = {
    "log_det": Extra(
        "log |d moved / d x| of the features, at fixed conditions, in their units, of the map "
        "between values that are continuous: whole numbers spread by their random number, before "
        "moved ones are rounded; spikes as intervals, in units of the interval",
        lambda r: r.slopes[0] + r.log_det.cast(DOUBLE) - r.slopes[1],
    ),
    "log_reference": Extra(
        "log p_R(x | c): the learned density of the reference at the row as it came, per unit of "
        "the features; at a spike density times width of its interval",
        lambda r: flows.log_prob(r.morph.pair.reference, r.x, r.c).cast(DOUBLE) + r.slopes[0],
    ),
    "log_target": Extra(
        "log p_T(moved | c): the learned density of the target at the moved row, likewise, before "
        "whole numbers are rounded",
        lambda r: flows.log_prob(r.morph.pair.target, r.image, r.c).cast(DOUBLE) + r.slopes[1],
    ),
    FACTOR: Extra(
        "what the row's own weight, of any kind, is multiplied with so that the reference has the "
        "target's spectrum of the conditions",
        _factor,
    ),
}


def weighing(transport: Transport, training: int) -> Balance:
    """The balance, with its classifiers that weigh the rows of a training; InputError for none.

    Trainings by folds have one each; else there are several, and a row has that of its fold.
    """
    if transport.balance is None:
        raise InputError(UNBALANCED)
    odds = tuple(transport.balance.odds)
    if len(odds) == transport.folds:
        odds = (odds[training % transport.folds],)
    return replace(transport.balance, odds=odds)


def steps(morph: Morph) -> list[tuple[Flow, bool]]:
    """The flows of a method in their order, and whether each is inverted."""
    if isinstance(morph, BaseTransfer):
        return [(morph.pair.reference, False), (morph.pair.target, True)]
    return [(morph.flows[0], False)]


def build(
    transport: Transport, training: int, precision: str, arithmetic: str, extras: Sequence[str]
) -> onnx.ModelProto:
    """Build the model of one training, by its place in ``transport.morphs``.

    ``precision`` is that of inputs and outputs, ``arithmetic`` that of the flows in between.
    Raises InputError for columns whose names those of other inputs or outputs would repeat.
    """
    kind, inner, known = PRECISIONS[precision], PRECISIONS[arithmetic], transport.preprocessing
    parts = {name: Column.of(known, name) for name in known.maps}
    weighed = weighing(transport, training) if FACTOR in extras else None
    names = _names(transport, parts, extras, weighed)
    graph = Graph(names)
    given = {name: _input(graph, name, names[name], kind) for name in names if names[name].given}

    valid, spread, box = [], {}, {}
    for name, column in parts.items():
        x, u = column.taken(given[name].cast(DOUBLE)), None
        if column.noisy:
            u = given[name + UNIFORM].cast(DOUBLE)
            valid.append((u >= 0.0) & (u < 1.0))
        spread[name] = column.spread(x, u)
        box[name] = column.forward(spread[name])
        valid.append(abs(box[name]) <= FARTHEST)
        if (refused := column.refused(x)) is not None:
            valid.append(~refused)
    for name, categories in known.categories.items():
        box[name] = given[name].unsqueeze(1).equals(codes(categories.labels))
        valid.append(box[name].cast(np.int32).sum(1) > 0)
    fold = given.get(FOLD)
    if weighed is not None and fold is not None:
        valid.append((fold >= 0) & (fold < len(weighed.odds)))
    usable = every(valid)

    def inputs(chosen: Sequence[str]) -> Value:
        numbers, categorical = known._parted(chosen)
        found = [columns([where(usable, box[name], 0.0) for name in numbers])] if numbers else []
        found = [each.cast(inner) for each in found + [box[name] for name in categorical]]
        return found[0] if len(found) == 1 else graph.node("Concat", *found, axis=1)

    morph = transport.morphs[training]
    x = image = inputs(transport.features)
    c = inputs(transport.conditions) if transport.conditions else None
    log_det = None
    for flow, inverse in steps(morph):
        image, part = flows.apply(flow, image, c, inverse)
        log_det = part if log_det is None else log_det + part

    outputs, after = {}, {}
    for i, name in enumerate(transport.features):
        after[name] = parts[name].inverse(image.take(i, axis=1).cast(DOUBLE))
        outputs[name + MOVED] = parts[name].final(after[name], kind)
    if extras:
        assert log_det is not None, "a method has a flow"
        slopes = (_slope(parts, spread, transport, usable), _slope(parts, after, transport))
        first = (0.0 * x.take(0, axis=1)).cast(np.int64)
        fold = first if fold is None else where(usable, fold, 0)
        rows = Rows(x, image, c, log_det, slopes, morph, weighed, fold)
        outputs |= {name: EXTRAS[name].compute(rows).cast(kind) for name in extras}
    most = float(np.finfo(kind).max)
    finite = [abs(outputs[name + MOVED]) <= most for name in transport.features]
    good = every([usable, *finite])
    for name, value in outputs.items():
        graph.output(where(good, value, np.nan), name)
    return _model(transport, training, precision, arithmetic, graph, names)


@dataclass(frozen=True)
class _Name:
    doc: str
    given: bool
    whole: bool = False


def _names(
    transport: Transport,
    parts: Mapping[str, Column],
    extras: Iterable[str],
    weighed: Balance | None,
) -> dict[str, _Name]:
    """Inputs and outputs; raises InputError where two would have one name."""
    known, found = transport.preprocessing, []
    for name in (*transport.features, *transport.conditions):
        role = "feature" if name in transport.features else "condition"
        if name in known.categories:
            labels = known.categories[name].labels
            pairs = zip(codes(labels), labels, strict=True)
            text = "category of the condition: " + ", ".join(f"{k} is {v!r}" for k, v in pairs)
            found.append((name, _Name(text, True, True)))
            continue
        low, high = parts[name].span
        found.append((name, _Name(f"{role}, {low:.9g} to {high:.9g} in the training", True)))
        if parts[name].noisy:
            text = f"random numbers, 0 <= u < 1, independent and even, that spread {name}"
            found.append((name + UNIFORM, _Name(text, True)))
    if weighed is not None and len(weighed.odds) > 1:
        text = (
            f"which classifier weighs the row, 0 to {len(weighed.odds) - 1}: Transport.fold says "
            "it of rows of the training, any will do for others"
        )
        found.append((FOLD, _Name(text, True, True)))
    for name in transport.features:
        found.append((name + MOVED, _Name(f"{name} after moving; not-a-number: refused", False)))
    found += [(name, _Name(EXTRAS[name].doc, False)) for name in extras]
    for name, _ in found:
        if [other for other, _ in found].count(name) > 1:
            raise InputError(
                f"column {name!r}: another input or output of the model has this name, too: train "
                "with another name of the column"
            )
    return dict(found)


def codes(labels: Sequence[int | str]) -> list[int]:
    """What stands for each category: whole numbers for themselves, if all are, else their place."""
    whole = all(type(label) is int and -(2**63) <= label < 2**63 for label in labels)
    return [int(label) for label in labels] if whole else list(range(len(labels)))


def _input(graph: Graph, name: str, what: _Name, kind: np.dtype) -> Value:
    return Value(graph, name, np.dtype(np.int64) if what.whole else kind)


def _slope(
    parts: Mapping[str, Column],
    values: Mapping[str, Value],
    transport: Transport,
    usable: Value | None = None,
) -> Value:
    """Sum over the features of log d(box)/dx; 0 at values that are not ``usable``."""
    each = (parts[name].log_slope(values[name]) for name in transport.features)
    total = functools.reduce(operator.add, each)
    return total if usable is None else where(usable, total, 0.0)


def _model(
    transport: Transport,
    training: int,
    precision: str,
    arithmetic: str,
    graph: Graph,
    names: Mapping[str, _Name],
) -> onnx.ModelProto:
    kind = helper.np_dtype_to_tensor_dtype(PRECISIONS[precision])

    def infos(given: bool) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(
                name, onnx.TensorProto.INT64 if each.whole else kind, ["rows"], each.doc
            )
            for name, each in names.items()
            if each.given == given
        ]

    made = helper.make_graph(graph.nodes, "transport", infos(True), infos(False), graph.constants)
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
        producer_name="flowmorph", producer_version=metadata.version("flowmorph"),
        doc_string="Moves rows of a reference to where a target has them, by normalizing flows "
        f"({transport.method}, arXiv:2309.06472). Columns (rows,) in, moved columns out.",
    )  # fmt: skip
    note = {
        "method": transport.method,
        "variation": training // transport.folds,
        "fold": training % transport.folds,
        "folds": transport.folds,
        "regions": transport.regions,
        "precision": precision,
        "arithmetic": arithmetic,
        "opset": OPSET,
        "inputs": {name: each.doc for name, each in names.items() if each.given},
        "outputs": {name: each.doc for name, each in names.items() if not each.given},
        "training_range": {
            name: Column.of(transport.preprocessing, name).span
            for name in transport.preprocessing.maps
        },
        "categories": {
            name: dict(zip(map(str, codes(each.labels)), each.labels, strict=True))
            for name, each in transport.preprocessing.categories.items()
        },
        "flows": transport.made[training] if transport.made else {},
        "versions": {name: metadata.version(name) for name in ("flowmorph", "onnx")},
    }
    helper.set_model_props(model, {KEY: json.dumps(note, sort_keys=True)})
    return model


def note(model: onnx.ModelProto) -> dict:
    """What a model says of itself, besides its inputs and outputs."""
    return json.loads({each.key: each.value for each in model.metadata_props}[KEY])


def annotate(model: onnx.ModelProto, **more: Any) -> None:
    """Add to what a model says of itself."""
    helper.set_model_props(model, {KEY: json.dumps(note(model) | more, sort_keys=True)})
