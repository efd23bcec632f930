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
#: the sector shower costs six times as much.
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


#: Events in a row that the early look may abandon, which takes a minute at most: where so few are
#: kept, a chunk would take days. With the default's cuts one in ten to twenty is.
MOST_VETOES = 100_000

#: Where the showers pause for the early look [GeV]. Harder emissions decide which jets there will
#: be; the cost of an event is in the softer ones.
EARLY_SCALE = 50.0


@dataclass(frozen=True)
class PhaseSpace:
    """Cuts on the generated events, in GeV; `docs/phase-space.md` shows what each of them loses.

    The cuts on the hard 2 -> 2 process must be loose: initial-state radiation turns events far
    below the trigger and the mass window into selected ones. What keeps generation cheap is the
    early look at the jets of the few partons that exist at `EARLY_SCALE`: an event that fails it is
    abandoned and another one generated in its place. All events have weight one.

    Attributes:
        pthat_min: least transverse momentum of the hard process.
        mhat_min: least invariant mass of the hard process.
        mhat_max: largest invariant mass of the hard process; -1 for no limit.
        jet_pt_min: least pT of the hardest jet in the early look; 0 for no cut.
        mass_min: least mass of the two hardest jets in the early look; 0 for no cut.
        mass_max: largest mass of the two hardest jets in the early look; infinite for no cut.
    """

    pthat_min: float
    mhat_min: float
    mhat_max: float = -1.0
    jet_pt_min: float = 0.0
    mass_min: float = 0.0
    mass_max: float = float("inf")


class EarlyLook(pythia8mc.UserHooks):
    """Pythia's hook to abandon events by the anti-kt jets, R = 1, of partons at `EARLY_SCALE`."""

    def __init__(self, cuts: PhaseSpace) -> None:
        super().__init__()
        self.cuts = cuts
        self.trials = self.vetoes = 0
        # Arguments: anti-kt, radius, softest jet [GeV], |eta| of a particle, all final, own masses.
        self.finder = pythia8mc.SlowJet(-1, 1.0, 20.0, 25.0, 1, 2)

    def canVetoPT(self) -> bool:
        return True

    def scaleVetoPT(self) -> float:
        return EARLY_SCALE

    def doVetoPT(self, stage: int, event: pythia8mc.Event) -> bool:
        """Whether to abandon the event; raises `InputError` after `MOST_VETOES` in a row.

        Pythia itself goes on until there is an event that is kept.
        """
        self.trials += 1
        jet_pt, mass = self.look(event)
        cuts = self.cuts
        if cuts.jet_pt_min <= jet_pt and cuts.mass_min <= mass <= cuts.mass_max:
            self.vetoes = 0
            return False
        self.vetoes += 1
        if self.vetoes >= MOST_VETOES:
            raise InputError(
                f"the early look kept none of {self.vetoes:,} events in a row: lower "
                f"early_jet_pt_gev ({cuts.jet_pt_min:g}), or widen early_mass_gev "
                f"({cuts.mass_min:g} to {cuts.mass_max:g}) in collider.pythia or search.pythia"
            )
        return True

    def look(self, event: pythia8mc.Event) -> tuple[float, float]:
        """Largest jet pT and the mass of the two hardest jets [GeV]; zero without two jets."""
        found = self.finder
        if self.trials == 1:  # the jet finder begins with a banner
            with _silent():
                found.analyze(event)
        else:
            found.analyze(event)
        if found.sizeJet() < 2:
            return 0.0, 0.0
        return found.pT(0), (found.p(0) + found.p(1)).mCalc()


class Generator:
    """A started, quiet Pythia: QCD dijets at 13 TeV without multiparton interactions.

    The process and the absence of multiparton interactions are those of the LHC Olympics R&D
    sample (arXiv:2101.08320, section 2).
    """

    def __init__(
        self, shower: str, cuts: PhaseSpace, seed: int, settings: tuple[str, ...] = ()
    ) -> None:
        """Start Pythia with a shower of `SHOWERS`.

        ``seed`` is any non-negative integer; it is folded into Pythia's range. ``settings`` are
        extra Pythia settings, applied last. Raises `InputError` for an unknown shower or setting,
        or for cuts with which Pythia does not start.
        """
        if shower not in SHOWERS:
            raise InputError(f"unknown shower {shower!r}: choose one of {', '.join(SHOWERS)}")
        if seed < 0:
            raise InputError(f"seed {seed} is negative: give a non-negative integer")
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
        self.pythia = pythia8mc.Pythia("", False)
        self.early = EarlyLook(cuts)
        with _silent():
            refused = [line for line in lines if not self.pythia.readString(line)]
            if cuts.jet_pt_min > 0 or cuts.mass_min > 0 or cuts.mass_max < float("inf"):
                self.pythia.setUserHooksPtr(self.early)
            started = not refused and self.pythia.init()
        if refused:
            raise InputError(f"Pythia does not accept the setting {refused[0]!r}")
        if not started:
            raise InputError(f"Pythia does not start with shower {shower!r} and {cuts}")

    def records(self, events: int, size: int = BATCH_EVENTS) -> Iterator[ak.Array]:
        """Yield Pythia's event records in batches until ``events`` events were generated.

        Raises `InputError` when Pythia gives up on several batches in a row, or when the early look
        keeps none of `MOST_VETOES` events in a row.
        """
        left, empty = events, 0
        while left > 0:
            record = self.pythia.nextBatch(min(size, left))
            if len(record) == 0:
                empty += 1
                if empty > 10:
                    raise InputError("Pythia fails on every event: check the phase-space cuts")
                continue
            empty = 0
            left -= len(record)
            yield record


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what C++ prints off standard output: Vincia's start-up page has no quiet mode."""
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


def visible(record: ak.Array) -> ak.Array:
    """Select the final-state particles that interact in a detector from Pythia's event records.

    The result is (event, particle) with fields ``id`` (PDG code), ``px``, ``py``, ``pz`` and ``e``
    in GeV.
    """
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
