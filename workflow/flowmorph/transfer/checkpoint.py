"""Checkpoints of a training: all that it takes to go on as if nothing had happened."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from flowmorph.errors import InputError
from flowmorph.files import atomic
from flowmorph.plan.imports import modules_of

# SLURM sends one of these before a time limit and at preemption; SIGINT is Ctrl-C.
STOP = (signal.SIGTERM, signal.SIGINT)
SAVE = (signal.SIGUSR1,)

MINUTES = "FLOWMORPH_CHECKPOINT_MINUTES"


def checkpoint_minutes() -> float:
    """Minutes between saves, from the environment: no result depends on them, so no job does."""
    return float(os.environ.get(MINUTES, 5.0))


def fingerprint(note: dict, script: str, files: list[str]) -> str:
    """Identify a training by its settings, its code and the content of the files that it reads.

    ``script`` is the training script, whose imports from the library are its code.
    """
    library = Path(__file__).parents[1]
    code = [Path(script), *(library / name for name in modules_of(script))]
    digest = hashlib.sha256(json.dumps(note, sort_keys=True).encode())
    for path in [*code, *(Path(name) for name in files)]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


class Checkpoint:
    """One training's file of tensors and notes, rewritten in place of itself every few minutes."""

    def __init__(self, path: str, identity: str, minutes: float) -> None:
        """Keep the state of the training ``identity`` (see :func:`fingerprint`) at ``path``."""
        self.path, self.identity, self.interval = Path(path), identity, 60 * minutes
        self._saved = time.monotonic()
        self._signal: signal.Signals | None = None

    def load(self) -> tuple[dict[str, Tensor], dict] | None:
        """Tensors and notes of the last save; None if there is none that can be used, and why."""
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                note = json.loads((file.metadata() or {})["checkpoint"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}
            problem = ""
            if note["identity"] != self.identity:
                problem = "of another configuration, code or data"
            elif note["digest"] != _digest(tensors):
                problem = "damaged"
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            problem = f"unreadable ({type(error).__name__})"
        if problem:
            print(f"checkpoint {self.path} is {problem} and is not used", flush=True)
            return None
        return tensors, note["note"]

    def due(self) -> bool:
        """Whether it is time to save, or a signal asked for it."""
        return self._signal is not None or time.monotonic() - self._saved >= self.interval

    def save(self, tensors: dict[str, Tensor], note: dict) -> None:
        """Write the state; raises InputError afterwards if a signal asked the training to stop."""
        text = {"identity": self.identity, "digest": _digest(tensors), "note": note}
        with atomic(self.path) as part:
            part.write_bytes(save(tensors, metadata={"checkpoint": json.dumps(text)}))
        self._saved = time.monotonic()
        received, self._signal = self._signal, None
        if received in STOP:
            raise InputError(
                f"stopped by {received.name} at step {note['step']}, which is saved: "
                "run it again to go on from there"
            )

    def remove(self) -> None:
        """Delete the file, once the outputs of the training have their names."""
        self.path.unlink(missing_ok=True)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Note signals instead of dying from them; the training loop asks :meth:`due`."""

        def receive(number: int, frame: object) -> None:
            self._signal = signal.Signals(number)

        before = {number: signal.signal(number, receive) for number in (*STOP, *SAVE)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
