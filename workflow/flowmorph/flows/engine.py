"""A stack of layers as compiled kernels, and whether they can be had.

``kernels.cpp`` has them for layers of any size, in float32 on a CPU. It is compiled once per
machine, in a few seconds, and kept on disk. Products are those of the BLAS inside PyTorch.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from flowmorph.errors import InputError
from flowmorph.files import atomic
from flowmorph.flows.spline import UNIT_SLOPE
from flowmorph.flows.stack import Stack
from flowmorph.plan import paths

CHOICES = ("auto", "compile", "eager")
PLAIN, COMPILED, GRAPHS = "plain", "compiled", "graphs"
SOURCE = Path(__file__).with_name("kernels.cpp")
# Without the order of additions, which -ffast-math would change, and without what an exception or
# errno would need, loops become vector instructions and not-a-number stays what it is.
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math")
FUNCTIONS = {"run": (3, 6), "pull_back": (2, 7)}  # numbers and tensors that each takes
PANEL = 16  # hidden units that are multiplied together at least
# Parameters of glibc's malloc, by their numbers there, in bytes: blocks below the first come from
# the heap (it takes no more), and so much of the heap is kept when it is free.
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1
MAPPED, KEPT = 2**25, 2**28


def decide(choice: str, device: torch.device) -> str:
    """How a job calls its flow: `PLAIN`, `COMPILED`, or, on a GPU, `GRAPHS`.

    Says so where the compiled kernels cannot be had; raises InputError if they were asked for.
    """
    if choice == "eager":
        return PLAIN
    if device.type != "cpu":
        return GRAPHS
    try:
        _functions()
    except InputError as error:
        if choice == "compile":
            raise InputError(
                f"engine 'compile' is not possible: {error}; set engine: auto"
            ) from error
        print(f"engine: plain, since {error}", flush=True)
        return PLAIN
    return COMPILED


class _Layer(ctypes.Structure):
    """``Layer`` of kernels.cpp."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("features", "context", "width", "blocks", "bins")),
        ("fixed", ctypes.c_int),
        ("panels", ctypes.c_int),
        ("groups", ctypes.POINTER(ctypes.c_int)),
        ("ends", ctypes.POINTER(ctypes.c_int)),
        ("bound", ctypes.c_float),
        ("unit_slope", ctypes.c_float),
        ("gemm", ctypes.c_void_p),
    )


class _Stack(ctypes.Structure):
    """``Stack`` of kernels.cpp."""

    _fields_ = (
        ("layer", _Layer),
        ("layers", ctypes.c_int),
        ("size", ctypes.c_int),
        ("flips", ctypes.POINTER(ctypes.c_int)),
    )


class Compiled:
    """What a `Stack` does by the compiled kernels, for float32 on a CPU."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._functions, gemm = _functions()
        shape, layout, layers = stack.layer.shape, stack.layer.layout, len(stack.flips)
        groups = [rows.stop for rows in layout.groups]
        ends = [0]
        for end in groups:
            if end >= ends[-1] + PANEL or end == shape.width > ends[-1]:
                ends.append(end)
        ends = ends[1:]
        layer = _Layer(
            shape.features, shape.context, shape.width, shape.blocks, shape.bins, layout.fixed,
            len(ends), (ctypes.c_int * len(groups))(*groups), (ctypes.c_int * len(ends))(*ends),
            stack.layer.bound, UNIT_SLOPE, gemm,
        )  # fmt: skip
        flips = (ctypes.c_int * layers)(*stack.flips)
        self._sizes = _Stack(layer, layers, layout.size, flips)
        self._address = ctypes.addressof(self._sizes)
        hidden = 1 + bool(shape.context) + 2 * shape.blocks
        self._kept = 2 * shape.features + shape.outputs - layout.fixed + hidden * shape.width

    def __reduce__(self) -> tuple[type[Compiled], tuple[Stack]]:
        # Pointers have no meaning in a copy.
        return Compiled, (self.stack,)

    def run(
        self, x: Tensor, c: Tensor | None, flat: Tensor, inverse: bool, keep: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`Stack.run`."""
        points = x.shape[1]
        image, log_det = x.new_empty(x.shape), x.new_empty(points)
        kept = x.new_empty(self._kept * points * (len(self.stack.flips) if keep else 1))
        self._call("run", (inverse, keep, points), x, c, flat, image, log_det, kept)
        return image, log_det, kept

    def pull_back(
        self, kept: Tensor, c: Tensor | None, flat: Tensor, inverse: bool,
        g_image: Tensor, g_log_det: Tensor, g_flat: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """See :meth:`Stack.pull_back`."""
        g_x = g_image.new_empty(g_image.shape)
        sizes = inverse, g_image.shape[1]
        self._call("pull_back", sizes, c, flat, kept, g_image, g_log_det, g_x, g_flat)
        return g_x

    def _call(self, name: str, sizes: tuple[int, ...], *tensors: Tensor | None) -> None:
        held = [None if tensor is None else tensor.contiguous() for tensor in tensors]
        pointers = [None if tensor is None else tensor.data_ptr() for tensor in held]
        self._functions[name](self._address, *sizes, *pointers)


def runs_compiled(points: Tensor) -> bool:
    """Whether the kernels can take these points."""
    return points.dtype == torch.float32 and points.device.type == "cpu"


@functools.cache
def _functions() -> tuple[dict[str, Callable[..., None]], int | None]:
    """The compiled functions by name, and the address of PyTorch's product of matrices.

    Raises InputError that says why they cannot be had.
    """
    folder = Path(torch.__file__).parent / "lib"
    try:
        blas = ctypes.CDLL(str(next(folder.glob("libtorch_cpu.*"))))
        gemm = ctypes.cast(blas.sgemm_, ctypes.c_void_p).value
    except (OSError, StopIteration, AttributeError):
        raise InputError("this PyTorch has no BLAS that others can call") from None
    _keep_memory()
    path = _compiled()
    with _usable(path, "load"):  # a file system may be mounted without programs (noexec)
        library = ctypes.CDLL(str(path))
    functions = {}
    for name, (sizes, tensors) in FUNCTIONS.items():
        function = getattr(library, name)
        numbers = [ctypes.c_int] * sizes
        function.argtypes = [ctypes.c_void_p, *numbers, *[ctypes.c_void_p] * tensors]
        function.restype = None
        functions[name] = function
    return functions, gemm


def _keep_memory() -> None:
    """Let glibc keep what a step frees for the next one.

    It would give the memory back to the system and ask for it again, hundreds of pages a step, each
    of which costs a fault: a sixth of the time with batches of 512.
    """
    malloc = ctypes.CDLL(None)
    if hasattr(malloc, "mallopt"):
        malloc.mallopt(M_MMAP_THRESHOLD, MAPPED)
        malloc.mallopt(M_TRIM_THRESHOLD, KEPT)


def _compiled() -> Path:
    """The library, compiled if nobody has yet; other jobs wait for the one that does."""
    compiler = os.environ.get("CXX", "g++")
    if not shutil.which(compiler):
        raise InputError(f"there is no C++ compiler '{compiler}'")
    parts = (SOURCE.read_text(), FLAGS, compiler, _processor())
    name = f"kernels-{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}.so"
    path = Path(paths.compiled()).absolute() / name
    if path.exists():
        return path
    with contextlib.ExitStack() as stack:
        with _usable(path.parent, "write"):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(open(path.with_suffix(".lock"), "w"))
        with _usable(path.parent, "lock files"):
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            with _usable(path.parent, "compile there"), atomic(path) as part:
                command = [compiler, *FLAGS, "-shared", "-fPIC", str(SOURCE), "-o", str(part)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    line = (done.stderr.strip().splitlines() or ["no reason given"])[0]
                    raise InputError(f"'{' '.join(command[:-1])}' fails: {line}")
            print(f"engine: compiled {path}", flush=True)
    return path


@contextlib.contextmanager
def _usable(path: Path, doing: str) -> Iterator[None]:
    """Raise InputError, naming the variable to set, where a file system refuses something."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error).removeprefix(f"{path}: ")
        raise InputError(f"{path}: cannot {doing}: {reason}: set FLOWMORPH_CACHE") from None


def _processor() -> str:
    """What `-march=native` depends on: nodes of a cluster may share the folder and differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.platform() + platform.processor()
    return repr(
        sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))})
    )
