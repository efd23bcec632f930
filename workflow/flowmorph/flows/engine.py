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
import multiprocessing
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from flowmorph.errors import InputError
from flowmorph.files import atomic
from flowmorph.flows import made, spline
from flowmorph.flows.made import Autoregressive, Layout, Shape

CHOICES = ("auto", "compile", "eager")
PLAIN, COMPILED, GRAPHS = "plain", "compiled", "graphs"
# Compiling takes a minute of a core once and gains a factor 4 a step: short jobs do not repay it.
WORTH_COMPILING_CALLS = 1000
CACHE = "FLOWMORPH_CACHE"


def decide(choice: str, calls: int, device: torch.device) -> str:
    """How a job calls its flow ``calls`` times: `PLAIN`, `COMPILED`, or, on a GPU, `GRAPHS`.

    Says so where the compiled engine is worth its while and cannot be had.
    """
    if choice == "eager":
        return PLAIN
    if device.type != "cpu":
        return GRAPHS
    if choice == "auto" and calls < WORTH_COMPILING_CALLS:
        return PLAIN
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler):
        return COMPILED
    reason = f"there is no C++ compiler '{compiler}'"
    if choice == "compile":
        raise InputError(f"engine 'compile' is not possible: {reason}; set engine: auto")
    print(f"engine: plain, since {reason}", flush=True)
    return PLAIN


@dataclass(frozen=True)
class Library:
    """One compiled function of one layer shape, for batches of one size, in a file of its own."""

    shape: Shape
    bound: float
    batch: int
    name: str  # forward, inverse, forward_vjp or inverse_vjp
    weights: bool = False  # whether a vector-Jacobian product gives the gradient by the weights

    @property
    def path(self) -> Path:
        """The file, named after all that its content depends on."""
        parts = [
            *(Path(module.__file__).read_text() for module in (made, spline)), self,
            torch.__version__, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads(),
        ]  # fmt: skip
        name = f"{self.name}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}.pt2"
        return Path(os.environ.get(CACHE, ".cache/compiled")) / name

    def make(self, wait: bool = True) -> None:
        """Compile, if nobody has; where another job is about it, wait for it or leave it to it."""
        path = self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_suffix(".lock"), wait) as ours:
            if ours and not path.exists():
                # Here and below, because the compiler takes a second to import.
                from torch._inductor import aoti_compile_and_package

                start = time.monotonic()
                with torch.no_grad(), _quiet(), _once_per_machine(), atomic(path) as part:
                    program = torch.export.export(_Exportable(self), self._example())
                    aoti_compile_and_package(program, package_path=str(part))
                seconds = time.monotonic() - start
                print(f"engine: compiled {self.name} in {seconds:.0f} s", flush=True)

    def load(self) -> Callable:
        """The compiled function, making it first if there is none."""
        if not self.path.exists():
            self.make()
        from torch._inductor import aoti_load_package

        with _quiet(), _once_per_machine():
            run = aoti_load_package(str(self.path)).loader.boxed_run
        return partial(self._call, run)

    def _call(self, run: Callable[[list[Tensor]], list[Tensor]], *args) -> tuple:
        """Run on nested arguments; PyTorch's own handling of them costs 15 microseconds a call."""
        tensors: list[Tensor] = []
        for part in args:
            tensors.extend(part if isinstance(part, tuple) else () if part is None else (part,))
        if self._pulls_back:
            g_points, *g_weights = run(tensors)
            return g_points, g_weights[0] if self.weights else None
        points, log_det, *tape = run(tensors)
        return points, log_det, tuple(tape)

    def plain(self) -> Callable:
        """The same function, not compiled."""
        function = getattr(Autoregressive(Layout(self.shape), self.bound), self.name)
        return partial(function, weights=self.weights) if self._pulls_back else function

    @property
    def _pulls_back(self) -> bool:
        return self.name.endswith("_vjp")

    def _example(self) -> tuple:
        """Arguments of the shapes that a flow calls with."""
        layer = Autoregressive(Layout(self.shape), self.bound)
        points = torch.zeros(self.shape.features, self.batch)
        context = torch.zeros(self.shape.context, self.batch) if self.shape.context else None
        flat = torch.zeros(layer.layout.size)
        if not self._pulls_back:
            return points, context, flat
        tape = getattr(layer, self.name.removesuffix("_vjp"))(points, context, flat)[2]
        return tape, context, flat, torch.zeros_like(points), torch.zeros(self.batch)


class _Exportable(nn.Module):
    def __init__(self, library: Library) -> None:
        super().__init__()
        self.function = library.plain()

    def forward(self, *args):
        return self.function(*args)


def prepare(libraries: Iterable[Library]) -> None:
    """Compile what is missing, as many at a time as this job may use cores."""
    missing = [library for library in dict.fromkeys(libraries) if not library.path.exists()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if len(missing) < 2 or cores < 2:
        return  # the first call compiles
    # Each worker's compiler has one thread, as this process has. This process, whose imports are
    # done, begins with the last, since vector-Jacobian products take longest.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(cores, len(missing)) - 1, context) as pool:
        others = pool.map(partial(_make, torch.get_num_threads()), missing)
        for library in reversed(missing):
            library.make(wait=False)
        list(others)


def _make(threads: int, library: Library) -> None:
    torch.set_num_threads(threads)
    library.make(wait=False)


class Kernels:
    """Forward, inverse and their vector-Jacobian products for one layer shape.

    Without a batch size they are the plain functions. With one, calls at that size go through
    compiled libraries and others, such as the rest of a sample, stay plain.
    """

    def __init__(self, layer: Autoregressive, batch: int | None = None) -> None:
        self.layer, self.batch = layer, batch
        self._loaded: dict[tuple[str, bool], Callable] = {}

    def library(self, name: str, weights: bool = False) -> Library:
        """The compiled function of this name."""
        return Library(self.layer.shape, self.layer.bound, self.batch, name, weights)

    def forward(self, x: Tensor, c: Tensor | None, flat: Tensor):
        """See :meth:`Autoregressive.forward`."""
        return self._call("forward", x)(x, c, flat)

    def inverse(self, y: Tensor, c: Tensor | None, flat: Tensor):
        """See :meth:`Autoregressive.inverse`."""
        return self._call("inverse", y)(y, c, flat)

    def forward_vjp(self, tape, c, flat, g_image, g_log_det, weights: bool):
        """See :meth:`Autoregressive.forward_vjp`."""
        return self._call("forward_vjp", g_image, weights)(tape, c, flat, g_image, g_log_det)

    def inverse_vjp(self, tape, c, flat, g_preimage, g_log_det, weights: bool):
        """See :meth:`Autoregressive.inverse_vjp`."""
        return self._call("inverse_vjp", g_preimage, weights)(tape, c, flat, g_preimage, g_log_det)

    def _call(self, name: str, points: Tensor, weights: bool | None = None) -> Callable:
        if points.shape[1] != self.batch:
            function = getattr(self.layer, name)
            return function if weights is None else partial(function, weights=weights)
        key = (name, bool(weights))
        if key not in self._loaded:
            self._loaded[key] = self.library(*key).load()
        return self._loaded[key]


@contextlib.contextmanager
def _locked(path: Path, wait: bool) -> Iterator[bool]:
    """Hold the lock, or give False when another job holds it and ``wait`` is not asked for."""
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _once_per_machine() -> contextlib.AbstractContextManager:
    """Settings of the compiler for few, small libraries that are made once.

    Headers are not precompiled: that takes longer than the few compilations gain by it. Vector
    instructions are not tried out one by one: g++ knows those of the processor that it runs on.
    The wrapper, which calls a library's kernels in turn, is not optimized, nor are there line
    numbers for a debugger: neither has a part in the time of a step.
    """
    from torch._inductor import config

    return config.patch(
        {
            "cpp.vec_isa_ok": True,
            "aot_inductor.precompile_headers": False,
            "aot_inductor.compile_wrapper_opt_level": "O0",
            "aot_inductor.enable_frame_pointer": False,
            "aot_inductor.enable_line_tables": False,
        }
    )


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
