"""Jets and N-subjettiness of massless particles, by fastjet or pyjet behind one function."""

from __future__ import annotations

from functools import cache

import awkward as ak
import fastjet
import numpy as np

from flowmorph.errors import InputError

#: Clustering engines; N-subjettiness is always fastjet-contrib's, pyjet has none.
ENGINES = ("fastjet", "pyjet")

#: Softest jet [GeV] that is looked at, as in the LHC Olympics organisers' notebooks.
JET_PT_MIN = 20.0


@cache
def _quiet() -> None:
    """Keep fastjet's banner (a request to cite it) off the output; once in a process is enough."""
    fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)


def cluster(events: ak.Array, radius: float = 1.0, engine: str = "fastjet") -> ak.Array:
    """Cluster every event with anti-kt (arXiv:0802.1189), E-scheme, massless inputs.

    ``events`` has jagged fields ``pt`` [GeV], ``eta``, ``phi``. The result is (event, jet), jets
    above 20 GeV by falling pT, with fields ``px``, ``py``, ``pz``, ``e`` [GeV] and
    ``constituents``, the lists of the particles' places in the event. Raises `InputError` for an
    unknown engine.
    """
    if engine not in ENGINES:
        raise InputError(f"unknown jet engine {engine!r}: choose one of {', '.join(ENGINES)}")
    particles = four_momenta(events)
    run = _cluster_fastjet if engine == "fastjet" else _cluster_pyjet
    jets = run(particles, radius)
    order = ak.argsort(jets.px**2 + jets.py**2, axis=1, ascending=False, stable=True)
    return jets[order]


def four_momenta(events: ak.Array) -> ak.Array:
    """Massless four-momenta (px, py, pz, E; float64 GeV) in fresh, contiguous memory.

    fastjet reads the buffers of a sliced array from their start, so that it clusters the wrong
    particles: what it gets must be packed.
    """
    pt, eta, phi = (
        ak.to_numpy(ak.flatten(events[name])).astype(np.float64) for name in ("pt", "eta", "phi")
    )
    flat = ak.zip(
        {
            "px": pt * np.cos(phi),
            "py": pt * np.sin(phi),
            "pz": pt * np.sinh(eta),
            "E": pt * np.cosh(eta),
        }
    )
    return ak.to_packed(ak.unflatten(flat, ak.to_numpy(ak.num(events.pt))))


def _cluster_fastjet(particles: ak.Array, radius: float) -> ak.Array:
    _quiet()
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, radius)
    sequence = fastjet.ClusterSequence(particles, definition)
    jets = sequence.inclusive_jets(JET_PT_MIN)
    constituents = sequence.constituent_index(JET_PT_MIN)
    fields = {"px": jets.px, "py": jets.py, "pz": jets.pz, "e": jets.E}
    return ak.zip({**fields, "constituents": constituents}, depth_limit=2)


def _cluster_pyjet(particles: ak.Array, radius: float) -> ak.Array:
    try:
        import pyjet
    except ImportError as error:
        raise InputError(f"jet engine pyjet cannot be imported ({error}): install it") from error
    rows = []
    kind = np.dtype([(name, np.float64) for name in ("E", "px", "py", "pz")] + [("place", "i8")])
    for event in particles:
        inputs = np.empty(len(event), dtype=kind)
        for name in ("E", "px", "py", "pz"):
            inputs[name] = ak.to_numpy(event[name])
        inputs["place"] = np.arange(len(event))
        sequence = pyjet.cluster(inputs, R=radius, p=-1, ep=True)
        rows.append(
            [
                {
                    "px": jet.px,
                    "py": jet.py,
                    "pz": jet.pz,
                    "e": jet.e,
                    "constituents": [int(part.place) for part in jet.constituents()],
                }
                for jet in sequence.inclusive_jets(ptmin=JET_PT_MIN)
            ]
        )
    return ak.Array(rows)


def subjettiness(events: ak.Array, constituents: ak.Array, radius: float = 1.0) -> np.ndarray:
    """N-subjettiness tau_1, tau_2 (arXiv:1011.2268) of one jet an event.

    beta = 1, axes: one-pass minimisation from exclusive kt axes. ``constituents`` lists the jet's
    particles in each event. Returns (event, 2), normalised by the jet's scalar pT sum times R.
    """
    _quiet()
    if len(events) == 0:
        return np.zeros((0, 2))
    particles = ak.zip({name: events[name] for name in ("pt", "eta", "phi")})
    chosen = four_momenta(particles[constituents])
    # fastjet-contrib is reached through a clustering only. N-subjettiness takes all particles,
    # whatever is clustered: a tiny radius makes that cheap.
    definition = fastjet.JetDefinition(fastjet.kt_algorithm, 1e-3)
    taus = fastjet.ClusterSequence(chosen, definition).njettiness(
        measure_definition="NormalizedMeasure",
        axes_definition="OnePass_KT_Axes",
        njets=[1, 2],
        beta=1.0,
        R0=radius,
    )
    return np.asarray(taus).reshape(len(events), 2)


def mass(jets: ak.Array) -> ak.Array:
    """Invariant mass [GeV] of jets (px, py, pz, e); rounding below zero counts as zero."""
    mass2 = jets.e**2 - jets.px**2 - jets.py**2 - jets.pz**2
    return np.sqrt(np.maximum(mass2, 0.0))
