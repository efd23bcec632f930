"""Proton collisions from Pythia 8: hard QCD dijets with one of two parton showers."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import awkward as ak
import numpy as np
import pythia8mc

from flowmorph.errors import InputError

#: Settings of the shower models by name. Vincia comes in two variants of equal formal accuracy:
#: its global antenna shower (arXiv:2003.00702, section 2), and the sector shower that newer
#: versions default to for the sake of matrix-element merging, which is not used here. Per event
#: the sector shower costs six times as much, all of it in vetoing initial-state radiation.
SHOWERS = {
    "simple": ("PartonShowers:model = 1",),
    "vincia": ("PartonShowers:model = 2", "Vincia:sectorShower = off"),
    "vincia_sector": ("PartonShowers:model = 2", "Vincia:sectorShower = on"),
}

#: Final-state particles that leave no signal in a detector: the neutrinos.
INVISIBLE = (12, 14, 16)

#: Pythia accepts ``Random:seed`` up to this number.
MAX_SEED = 900_000_000

#: Events held in memory at a time; a batch carries the whole event record (about 0.3 MB an event).
BATCH_EVENTS = 200


@dataclass(frozen=True)
class PhaseSpace:
    """Cuts on the hard 2 -> 2 process, in GeV; ``mhat_max`` below ``mhat_min`` means no upper cut.

    They only decide where Pythia spends its time: `docs/phase-space.md` shows that the selected
    events in the mass window are the same with looser cuts.
    """

    pthat_min: float = 1100.0
    mhat_min: float = 2600.0
    mhat_max: float = -1.0


def generator(shower: str, cuts: PhaseSpace, seed: int, settings: tuple[str, ...] = ()):
    """Start a quiet Pythia for QCD dijets at 13 TeV without multiparton interactions.

    The process and the absence of multiparton interactions are those of the LHC Olympics R&D
    sample (arXiv:2101.08320, section 2). ``seed`` is any non-negative integer; it is folded into
    Pythia's range. ``settings`` are extra Pythia settings, applied last. Raises `InputError` for
    an unknown shower, or for settings with which Pythia does not start.
    """
    if shower not in SHOWERS:
        raise InputError(f"unknown shower {shower!r}: choose one of {', '.join(SHOWERS)}")
    if seed < 0:
        raise InputError(f"seed {seed} is negative: give a non-negative integer")
    pythia = pythia8mc.Pythia("", False)
    lines = [
        "Print:quiet = on",
        "Beams:eCM = 13000",
        "HardQCD:all = on",
        "PartonLevel:MPI = off",
        *SHOWERS[shower],
        f"PhaseSpace:pTHatMin = {cuts.pthat_min!r}",
        f"PhaseSpace:mHatMin = {cuts.mhat_min!r}",
        f"PhaseSpace:mHatMax = {cuts.mhat_max!r}",
        "Random:setSeed = on",
        f"Random:seed = {1 + seed % MAX_SEED}",
        *settings,
    ]
    with _silent():
        refused = [line for line in lines if not pythia.readString(line)]
        started = not refused and pythia.init()
    if refused:
        raise InputError(f"Pythia does not accept the setting {refused[0]!r}")
    if not started:
        raise InputError(f"Pythia does not start with shower {shower!r} and {cuts}")
    return pythia


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the C++ side off standard output: Vincia's start-up page knows no quiet mode."""
    sys.stdout.flush()
    saved, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        ctypes.CDLL(None).fflush(None)
        os.dup2(saved, 1)
        os.close(saved)
        os.close(nowhere)


def batches(pythia, events: int, size: int = BATCH_EVENTS) -> Iterator[ak.Array]:
    """Yield visible final-state particles in batches until ``events`` events were generated.

    Each batch is an awkward array (event, particle) with fields ``id`` (PDG code), ``px``, ``py``,
    ``pz`` and ``e`` in GeV. Raises `InputError` when Pythia gives up on several batches in a row.
    """
    left, empty = events, 0
    while left > 0:
        record = pythia.nextBatch(min(size, left))
        if len(record) == 0:
            empty += 1
            if empty > 10:
                raise InputError("Pythia fails on every event: check the phase-space cuts")
            continue
        empty = 0
        left -= len(record)
        yield visible(record)


def visible(record: ak.Array) -> ak.Array:
    """Select the final-state particles that interact in a detector from a Pythia event record."""
    particles = record.prt
    counts = ak.num(particles)
    status = ak.to_numpy(ak.flatten(particles.status))
    code = ak.to_numpy(ak.flatten(particles.id))
    keep = (status > 0) & ~np.isin(np.abs(code), INVISIBLE)
    event = np.repeat(np.arange(len(particles)), ak.to_numpy(counts))[keep]
    momentum = ak.flatten(particles.p)
    fields = {name: ak.to_numpy(momentum[name])[keep] for name in ("px", "py", "pz", "e")}
    flat = ak.zip({"id": code[keep], **fields})
    return ak.unflatten(flat, np.bincount(event, minlength=len(particles)))
