"""Graphs of ONNX nodes, written as formulas.

A `Value` is what one node gives, and arithmetic on values makes nodes: ``low + (x - first) * s`` is
three of them. Numbers in formulas become constants of the type of what they are combined with.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from onnx import NodeProto, TensorProto, helper, numpy_helper

#: Operators of this version, of 2022, are known to all runtimes since; likewise the file's form.
OPSET, IR_VERSION = 17, 8


class Graph:
    """Nodes and constants, in the order in which they were made."""

    def __init__(self, reserved: Collection[str]) -> None:
        """``reserved`` are names of inputs and outputs, which no node takes."""
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._reserved = frozenset(reserved)
        self._names: dict[tuple, str] = {}
        self._count = 0

    def name(self) -> str:
        """A name that nothing else has."""
        while True:
            self._count += 1
            if (name := f"v{self._count}") not in self._reserved:
                return name

    def node(
        self, operation: str, *given: Value, kind: DTypeLike | None = None, **options: Any
    ) -> Value:
        """Add a node; its result has the ``kind`` of the first value, if no other is said."""
        name = self.name()
        inputs = [value.name for value in given]
        self.nodes.append(helper.make_node(operation, inputs, [name], name=name, **options))
        return Value(self, name, given[0].kind if kind is None else np.dtype(kind))

    def constant(self, values: ArrayLike, kind: np.dtype) -> Value:
        """A constant; equal ones are one."""
        array = np.ascontiguousarray(values, kind).reshape(np.shape(values))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._names:
            self._names[key] = self.name()
            self.constants.append(numpy_helper.from_array(array, self._names[key]))
        return Value(self, self._names[key], array.dtype)

    def output(self, value: Value, name: str) -> None:
        """Give a value the name of an output."""
        self.nodes.append(helper.make_node("Identity", [value.name], [name], name=name))


def _binary(node: str, kind: DTypeLike | None = None, swapped: bool = False) -> Callable:
    def apply(self: Value, other: Value | ArrayLike) -> Value:
        pair = (self, self.like(other))
        return self.graph.node(node, *(pair[::-1] if swapped else pair), kind=kind)

    return apply


def _unary(node: str) -> Callable:
    return lambda self: self.graph.node(node, self)


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of a graph, by its name, with the type of its elements."""

    graph: Graph
    name: str
    kind: np.dtype

    # So that numpy's numbers leave arithmetic with a value to it.
    __array_ufunc__ = None

    __add__, __radd__ = _binary("Add"), _binary("Add", swapped=True)
    __sub__, __rsub__ = _binary("Sub"), _binary("Sub", swapped=True)
    __mul__, __rmul__ = _binary("Mul"), _binary("Mul", swapped=True)
    __truediv__, __rtruediv__ = _binary("Div"), _binary("Div", swapped=True)
    __ge__, __gt__ = _binary("GreaterOrEqual", bool), _binary("Greater", bool)
    __le__, __lt__ = _binary("LessOrEqual", bool), _binary("Less", bool)
    equals = _binary("Equal", bool)
    __and__, __or__ = _binary("And"), _binary("Or")
    __invert__, __neg__, __abs__ = _unary("Not"), _unary("Neg"), _unary("Abs")
    exp, log, sqrt = _unary("Exp"), _unary("Log"), _unary("Sqrt")
    floor, relu = _unary("Floor"), _unary("Relu")

    def like(self, other: Value | ArrayLike) -> Value:
        """A number or array as a constant of this value's type; values stay."""
        return other if isinstance(other, Value) else self.graph.constant(other, self.kind)

    def cast(self, kind: DTypeLike) -> Value:
        """The same in another type."""
        kind = np.dtype(kind)
        if kind == self.kind:
            return self
        to = helper.np_dtype_to_tensor_dtype(kind)
        return self.graph.node("Cast", self, kind=kind, to=to)

    def clip(self, low: float | np.floating, high: float | np.floating) -> Value:
        """At least ``low`` and at most ``high``; not-a-number may become either."""
        return self.graph.node("Clip", self, self.like(low), self.like(high))

    def unsqueeze(self, axis: int) -> Value:
        """With one more axis, of length 1."""
        return self.graph.node("Unsqueeze", self, self._axes(axis))

    def squeeze(self, axis: int) -> Value:
        """Without an axis of length 1."""
        return self.graph.node("Squeeze", self, self._axes(axis))

    def reshape(self, *shape: int) -> Value:
        """In another shape, where 0 keeps the length of the axis at this place."""
        return self.graph.node("Reshape", self, self._axes(*shape))

    def sum(self, axis: int, keep: bool = False) -> Value:
        """The sum along an axis."""
        return self.graph.node("ReduceSum", self, self._axes(axis), keepdims=int(keep))

    def slice(self, axis: int, start: int, stop: int) -> Value:
        """A range along an axis."""
        return self.graph.node("Slice", self, *map(self._axes, (start, stop, axis)))

    def take(self, index: Value | int | Sequence[int], axis: int = 0) -> Value:
        """Elements along an axis, whose place ``index`` takes: none for a single number."""
        if not isinstance(index, Value):
            index = self.graph.constant(index, np.dtype(np.int64))
        return self.graph.node("Gather", self, index, axis=axis)

    def count(self, edges: Value | ArrayLike) -> Value:
        """How many edges, ascending, each element has reached: int32, without the last axis.

        Edges are numbers, or values with one axis more than this one.
        """
        reached = self.unsqueeze(-1) >= edges
        return reached.cast(np.int32).sum(-1)

    def _axes(self, *numbers: int) -> Value:
        return self.graph.constant(numbers, np.dtype(np.int64))


def where(condition: Value, yes: Value | ArrayLike, no: Value | ArrayLike) -> Value:
    """One of two, element by element; at least one of them is a value."""
    like = yes if isinstance(yes, Value) else no
    assert isinstance(like, Value), "two numbers have no type"
    return condition.graph.node("Where", condition, like.like(yes), like.like(no), kind=like.kind)


def concat(values: Sequence[Value], axis: int) -> Value:
    """Joined along an axis."""
    if len(values) == 1:
        return values[0]
    return values[0].graph.node("Concat", *values, axis=axis)


def columns(values: Sequence[Value]) -> Value:
    """Columns (N,) as a matrix (N, K)."""
    return concat([value.unsqueeze(1) for value in values], 1)


def every(conditions: Sequence[Value]) -> Value:
    """Whether all are true, element by element."""
    return functools.reduce(operator.and_, conditions)


def some(conditions: Sequence[Value]) -> Value:
    """Whether one is true, element by element."""
    return functools.reduce(operator.or_, conditions)
