"""CUDA graphs: all kernels of a training step in one launch.

At batch 128 a step of a transport is thousands of kernels of a few microseconds each, and launching
them one by one takes longer than running them. A graph records their launches once, with the
addresses of what they read and write, and repeats them in one call; batches are therefore copied to
where the recorded ones lay. Nothing in a step may wait for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor | None]


class Recorder:
    """Functions of batches, each recorded at its second call and repeated from then on."""

    def __init__(self) -> None:
        self._recorded: dict[Hashable, tuple[list[Batch], Callable[[], None]] | None] = {}

    def __call__(
        self, key: Hashable, function: Callable[[list[Batch]], None], batches: list[Batch]
    ) -> None:
        """Do what ``function`` does with these batches; ``key`` names the function.

        The first call runs it as it is: libraries make their workspaces then, and optimizers their
        state, which a recording would make anew each time.
        """
        if key not in self._recorded:
            self._recorded[key] = None
            run_apart(lambda: function(batches))
            return
        recorded = self._recorded[key]
        if recorded is None:
            copies = [(x.clone(), c if c is None else c.clone()) for x, c in batches]
            recorded = self._recorded[key] = copies, record(lambda: function(copies))
        fixed, repeat = recorded
        for old, new in zip(fixed, batches, strict=True):
            for part, values in zip(old, new, strict=True):
                if part is not None and values is not None:
                    part.copy_(values)
        repeat()


def run_apart(function: Callable[[], None]) -> None:
    """Run on another stream than the default one, on which nothing can be recorded later."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        function()
    torch.cuda.current_stream().wait_stream(stream)


def record(function: Callable[[], None]) -> Callable[[], None]:
    """Record the kernels of ``function`` without running them; gives what runs them."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph.replay
