"""The four hot functions of a layer, as plain tensor operations or as compiled kernels.

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
from flowmorph.flows.made import Autoregressive, Tape
from flowmorph.flows.spline import UNIT_SLOPE
from flowmorph.plan import paths

CHOICES = ("auto", "compile", "eager")
PLAIN, COMPILED, GRAPHS = "plain", "compiled", "graphs"
SOURCE = Path(__file__).with_name("kernels.cpp")
# Without the order of additions, which -ffast-math would change, and without what an exception or
# errno would need, loops become vector instructions and not-a-number stays what it is.
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math")
PANEL = 16  # hidden units that are multiplied together at least


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


class Compiled:
    """The functions of an `Autoregressive` layer by the compiled kernels, for float32 on a CPU."""

    def __init__(self, layer: Autoregressive) -> None:
        self.layer = layer
        self.functions, gemm = _functions()
        shape, layout = layer.shape, layer.layout
        groups = [rows.stop for rows in layout.groups]
        ends = [0]
        for end in groups:
            if end >= ends[-1] + PANEL or end == shape.width > ends[-1]:
                ends.append(end)
        ends = ends[1:]
        self._sizes = _Layer(
            shape.features, shape.context, shape.width, shape.blocks, shape.bins, layout.fixed,
            len(ends), (ctypes.c_int * len(groups))(*groups), (ctypes.c_int * len(ends))(*ends),
            layer.bound, UNIT_SLOPE, gemm,
        )  # fmt: skip
        self._address = ctypes.addressof(self._sizes)
        hidden = 1 + bool(shape.context) + 2 * shape.blocks
        self._kept = shape.outputs - layout.fixed + hidden * shape.width

    def __reduce__(self) -> tuple[type[Compiled], tuple[Autoregressive]]:
        # Pointers have no meaning in a copy.
        return Compiled, (self.layer,)

    def forward(self, x: Tensor, c: Tensor | None, flat: Tensor) -> tuple[Tensor, Tensor, Tape]:
        """See :meth:`Autoregressive.forward`."""
        image, log_det, kept = self._apply("forward", x, c, flat)
        return image, log_det, (x, kept)

    def inverse(self, y: Tensor, c: Tensor | None, flat: Tensor) -> tuple[Tensor, Tensor, Tape]:
        """See :meth:`Autoregressive.inverse`."""
        image, log_det, kept = self._apply("inverse", y, c, flat)
        return image, log_det, (y, image, kept)

    def _apply(
        self, name: str, x: Tensor, c: Tensor | None, flat: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        points = x.shape[1]
        image, log_det = torch.empty_like(x), x.new_empty(points)
        kept = x.new_empty(self._kept * points)
        self._call(name, points, x, c, flat, image, log_det, kept)
        return image, log_det, kept

    def forward_vjp(
        self, tape: Tape, c: Tensor | None, flat: Tensor,
        g_image: Tensor, g_log_det: Tensor, g_flat: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """See :meth:`Autoregressive.forward_vjp`."""
        x, kept = tape
        return self._pull("forward_vjp", (x, c, flat, kept), g_image, g_log_det, g_flat)

    def inverse_vjp(
        self, tape: Tape, c: Tensor | None, flat: Tensor,
        g_preimage: Tensor, g_log_det: Tensor, g_flat: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """See :meth:`Autoregressive.inverse_vjp`."""
        y, x, kept = tape
        return self._pull("inverse_vjp", (y, x, c, flat, kept), g_preimage, g_log_det, g_flat)

    def _pull(
        self, name: str, known: tuple, g_image: Tensor, g_log_det: Tensor, g_flat: Tensor | None
    ) -> Tensor:
        g_points = torch.empty_like(g_image, memory_format=torch.contiguous_format)
        given = (*known, g_image, g_log_det, g_points, g_flat)
        self._call(name, g_image.shape[1], *given, size=len(known[-2]))
        return g_points

    def _call(self, name: str, points: int, *tensors: Tensor | None, **sizes: int) -> None:
        held = [None if tensor is None else tensor.contiguous() for tensor in tensors]
        pointers = [None if tensor is None else tensor.data_ptr() for tensor in held]
        self.functions[name](self._address, points, *pointers, *sizes.values())


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
    path = _compiled()
    with _usable(path, "load"):  # a file system may be mounted without programs (noexec)
        library = ctypes.CDLL(str(path))
    functions = {}
    for name, tensors in (("forward", 6), ("inverse", 6), ("forward_vjp", 8), ("inverse_vjp", 9)):
        function = getattr(library, name)
        sizes = [ctypes.c_int] if name.endswith("vjp") else []
        function.argtypes = [ctypes.c_void_p, ctypes.c_int, *[ctypes.c_void_p] * tensors, *sizes]
        function.restype = None
        functions[name] = function
    return functions, gemm


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
