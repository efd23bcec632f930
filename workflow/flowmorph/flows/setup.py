"""What every job that runs flows does first: threads, device, seeds, tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flowmorph.errors import InputError

# Points that are evaluated together: as many as a CPU's cache holds, or as keep a GPU busy.
CHUNK, GPU_CHUNK = 1024, 8192
SUBNORMAL = 1e-39

DEVICES = ("auto", "cpu", "cuda")

#: More than machines have cores: where a library cannot start its threads, it ends the process.
MOST_THREADS = 1024


def start(threads: int, seed: int, device: str) -> torch.device:
    """Fix threads, seeds and the rounding of tiny numbers, and choose the device.

    ``device`` is one of `DEVICES`; InputError for any other, when a demanded GPU is not there, and
    for what is no number of threads.
    """
    torch.set_num_threads(checked(threads))
    torch.manual_seed(seed)
    # Adam's mean of a gradient that has become zero falls to a subnormal number and stays there,
    # since nine tenths of it are rounded up again; Intel's processors take a hundred times as long
    # with such numbers.
    torch.set_flush_denormal(True)
    return choose(device)


@contextmanager
def kept() -> Iterator[None]:
    """Leave PyTorch's random state, threads and subnormal numbers as they were before.

    What is done in between can be trained, even where a program computes without gradients.
    """
    flushed = flushes()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with (
        torch.random.fork_rng(devices),
        using(torch.get_num_threads()),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        try:
            yield
        finally:
            torch.set_flush_denormal(flushed)


@contextmanager
def using(threads: int) -> Iterator[None]:
    """Compute with so many threads, and leave PyTorch with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def checked(threads: Any) -> int:
    """A number of threads, as a user gives it; InputError for what is none."""
    whole = isinstance(threads, Integral) and not isinstance(threads, bool)
    if not whole or not 1 <= threads <= MOST_THREADS:
        raise InputError(
            f"threads: {threads!r}: give a positive whole number, {MOST_THREADS} at most"
        )
    return int(threads)


@contextmanager
def single() -> Iterator[None]:
    """Make new tensors and modules in float32 on the CPU, whatever the program's defaults are."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(before)


def flushes() -> bool:
    """Whether this thread takes subnormal numbers as zero, which PyTorch sets but does not say."""
    return not (torch.tensor(SUBNORMAL, dtype=torch.float32, device="cpu") * 1.0).item()


def choose(device: str) -> torch.device:
    """The device to use; arguments and errors are those of `start`."""
    if device not in DEVICES:
        raise InputError(f"device: {device!r}: choose one of {', '.join(DEVICES)}")
    available = device != "cpu" and torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError(
            "device 'cuda' was asked for but no GPU is usable: set device: cpu or auto"
        )
    return torch.device("cuda" if available else "cpu")


def tensors(x: np.ndarray, c: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Points (N, D) and conditions (N, C) as tensors, None for C = 0."""
    return torch.from_numpy(x).to(device), torch.from_numpy(c).to(device) if c.shape[1] else None


def weights(values: np.ndarray | None) -> Tensor | None:
    """Weights (N,) as a tensor, None for none; on the CPU, where the order of points is drawn."""
    return None if values is None else torch.from_numpy(values)


def in_chunks(function: Callable[..., Tensor], points: Tensor, *others: Tensor | None) -> Tensor:
    """Apply ``function`` to feature-major chunks of point-major arrays, joined along points."""
    size = CHUNK if points.device.type == "cpu" else GPU_CHUNK
    arrays, parts = (points, *others), []
    with torch.no_grad():
        for first in range(0, len(points), size):
            rows = slice(first, first + size)
            parts.append(function(*(None if a is None else a[rows].T.contiguous() for a in arrays)))
    return torch.cat(parts, dim=-1)
