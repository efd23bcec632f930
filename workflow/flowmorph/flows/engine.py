"""The four hot functions of a layer, plain or compiled."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import NamedTuple

import torch

from flowmorph.errors import InputError
from flowmorph.flows.made import Autoregressive


class Kernels(NamedTuple):
    """Forward, inverse and their vector-Jacobian products for one layer shape."""

    forward: Callable
    inverse: Callable
    forward_vjp: Callable
    inverse_vjp: Callable


def kernels(layer: Autoregressive, compiled: bool) -> Kernels:
    """The layer's functions; compiled ones are specialised to the shapes that they meet first.

    A layer, not the stack, is the unit: all layers of a flow then share one compilation.
    """
    plain = (layer.forward, layer.inverse, layer.forward_vjp, layer.inverse_vjp)
    if not compiled:
        return Kernels(*plain)
    return Kernels(*(torch.compile(f, fullgraph=True, dynamic=False) for f in plain))


CHOICES = ("auto", "compile", "eager")
# Compiling costs seconds to a minute and gains about 3x per step: short jobs do not repay it.
WORTH_COMPILING_STEPS = 1000


def decide(choice: str, steps: int, device: torch.device) -> bool:
    """Whether a training of ``steps`` is compiled; says so when it cannot be."""
    if choice == "eager" or (choice == "auto" and steps < WORTH_COMPILING_STEPS):
        return False
    compiler = os.environ.get("CXX", "g++")
    if device.type == "cpu" and shutil.which(compiler) is None:
        if choice == "compile":
            raise InputError(f"engine 'compile' needs a C++ compiler, and there is no '{compiler}'")
        print(f"engine: no C++ compiler '{compiler}' here, so the plain engine is used", flush=True)
        return False
    return True
