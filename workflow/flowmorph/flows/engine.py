"""The four hot functions of a layer, plain or compiled ahead of time.

They are pure functions of tensors, so PyTorch can export each and compile it to a library of its
own (AOTInductor). A library is made once per machine, layer shape and batch size, kept on disk
and loaded by later jobs within milliseconds. The spline, hundreds of elementwise operations, then
is one pass over memory; what remains is close to the matrix products.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import logging
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from flowmorph.errors import InputError
from flowmorph.files import atomic
from flowmorph.flows import made, spline
from flowmorph.flows.made import Autoregressive

CHOICES = ("auto", "compile", "eager")
# Compiling takes minutes of a core once and gains a factor 4 a step: short jobs do not repay it.
WORTH_COMPILING_STEPS = 1000
CACHE = "FLOWMORPH_CACHE"


def decide(choice: str, steps: int, device: torch.device) -> bool:
    """Whether a training of ``steps`` is compiled; says so when it cannot be."""
    if choice == "eager" or (choice == "auto" and (steps < WORTH_COMPILING_STEPS)):
        return False
    if device.type != "cpu":
        reason = "the compiled engine is for CPUs"
    elif shutil.which(os.environ.get("CXX", "g++")) is None:
        reason = f"there is no C++ compiler '{os.environ.get('CXX', 'g++')}'"
    else:
        return True
    if choice == "compile":
        raise InputError(f"engine 'compile' is not possible: {reason}; set engine: auto")
    print(f"engine: plain, since {reason}", flush=True)
    return False


class Kernels:
    """Forward, inverse and their vector-Jacobian products for one layer shape.

    Without a batch size they are the plain functions. With one, calls at that size go through
    compiled libraries and others, such as the rest of a sample, stay plain.
    """

    def __init__(self, layer: Autoregressive, batch: int | None = None) -> None:
        self.layer, self.batch = layer, batch
        self._libraries: dict[tuple[str, bool], Callable] = {}

    def forward(self, x: Tensor, c: Tensor | None, flat: Tensor):
        """See :meth:`Autoregressive.forward`."""
        return self._call("forward", False, x, (x, c, flat))

    def inverse(self, y: Tensor, c: Tensor | None, flat: Tensor):
        """See :meth:`Autoregressive.inverse`."""
        return self._call("inverse", False, y, (y, c, flat))

    def forward_vjp(self, tape, c, flat, g_image, g_log_det, weights: bool):
        """See :meth:`Autoregressive.forward_vjp`."""
        return self._call("forward_vjp", weights, g_image, (tape, c, flat, g_image, g_log_det))

    def inverse_vjp(self, tape, c, flat, g_preimage, g_log_det, weights: bool):
        """See :meth:`Autoregressive.inverse_vjp`."""
        return self._call(
            "inverse_vjp", weights, g_preimage, (tape, c, flat, g_preimage, g_log_det)
        )

    def _call(self, name: str, weights: bool, points: Tensor, args: tuple):
        function = getattr(self.layer, name)
        if name.endswith("vjp"):
            if points.shape[1] != self.batch:
                return function(*args, weights)
        elif points.shape[1] != self.batch:
            return function(*args)
        key = (name, weights)
        if key not in self._libraries:
            self._libraries[key] = _library(self.layer, name, weights, args)
        return self._libraries[key](*args)


class _Exportable(nn.Module):
    def __init__(self, layer: Autoregressive, name: str, weights: bool) -> None:
        super().__init__()
        self.function, self.name, self.weights = getattr(layer, name), name, weights

    def forward(self, *args):
        if self.name.endswith("vjp"):
            return self.function(*args, self.weights)
        return self.function(*args)


def _library(layer: Autoregressive, name: str, weights: bool, args: tuple) -> Callable:
    """Load the compiled function for arguments of these shapes, making it if there is none."""
    from torch._inductor import aoti_compile_and_package, aoti_load_package

    folder = Path(os.environ.get(CACHE, ".cache/compiled"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_fingerprint(layer, name, weights, args)}.pt2"
    # Of several jobs that start at once one compiles and the others wait for it.
    with _locked(path.with_suffix(".lock")):
        if not path.exists():
            start = time.monotonic()
            module = _Exportable(layer, name, weights)
            with torch.no_grad(), _quiet(), atomic(path) as part:
                program = torch.export.export(module, args)
                aoti_compile_and_package(program, package_path=str(part))
            print(f"engine: compiled {name} in {time.monotonic() - start:.0f} s", flush=True)
    with _quiet():
        return aoti_load_package(str(path))


def _fingerprint(layer: Autoregressive, name: str, weights: bool, args: tuple) -> str:
    leaves = torch.utils._pytree.tree_leaves(args)
    parts = [
        *(Path(module.__file__).read_text() for module in (made, spline)),
        layer.shape, layer.bound, name, weights,
        [(tuple(leaf.shape), leaf.dtype, leaf.stride()) for leaf in leaves if leaf is not None],
        torch.__version__, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads(),
    ]  # fmt: skip
    return f"{name}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the compiler's remarks about itself out of the logs."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
