"""The science features by a loop over events with pyjet and plain numpy, sharing no code with ours.

A test holds our features against it event by event; benchmarks/features.py times it.
"""

from __future__ import annotations

import numpy as np
import pyjet

JET_PT_MIN = 20.0
INPUT = np.dtype([(name, "f8") for name in ("E", "px", "py", "pz")] + [("place", "i8")])
AXES = np.dtype([(name, "f8") for name in ("E", "px", "py", "pz")])


def features(row: np.ndarray, radius: float = 1.0) -> tuple[float, ...]:
    """Compute m_j1, delta_m_jj, tau21_j1, tau21_j2, delta_r_jj, m_jj of a row of the h5 file."""
    pt, eta, phi = particles(row)
    pair = leading_jets(pt, eta, phi, radius)
    p = momenta(pt, eta, phi)
    # Light jet first; E-scheme: the jet is the sum of its particles.
    pair = sorted(pair, key=lambda places: mass(p[places].sum(axis=0)))
    first, second = (p[places].sum(axis=0) for places in pair)
    ratios = []
    for places in pair:
        one, two = (subjettiness(pt[places], eta[places], phi[places], n) for n in (1, 2))
        ratios.append(two / one)
    (eta1, phi1), (eta2, phi2) = direction(first), direction(second)
    gap = abs(phi1 - phi2)
    distance = np.hypot(eta1 - eta2, min(gap, 2 * np.pi - gap))
    return (mass(first), mass(second) - mass(first), *ratios, distance, mass(first + second))


def particles(row: np.ndarray) -> np.ndarray:
    """Give pT [GeV], eta, phi (3, particles) of a zero-padded row."""
    table = row[:2100].reshape(700, 3)
    return table[table[:, 0] > 0].T


def momenta(pt: np.ndarray, eta: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Give massless (E, px, py, pz) of shape (particles, 4), GeV."""
    return np.stack([pt * np.cosh(eta), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], 1)


def mass(p: np.ndarray) -> float:
    """Give the invariant mass of (E, px, py, pz)."""
    return np.sqrt(max(p[0] ** 2 - p[1] ** 2 - p[2] ** 2 - p[3] ** 2, 0.0))


def direction(p: np.ndarray) -> tuple[float, float]:
    """Give pseudorapidity and azimuth of (E, px, py, pz)."""
    return np.arctanh(p[3] / np.sqrt(p[1] ** 2 + p[2] ** 2 + p[3] ** 2)), np.arctan2(p[2], p[1])


def leading_jets(pt, eta, phi, radius: float) -> list[np.ndarray]:
    """Cluster by anti-kt; give the places of the particles in the two jets of largest pT."""
    inputs = np.empty(len(pt), dtype=INPUT)
    for name, column in zip(AXES.names, momenta(pt, eta, phi).T, strict=True):
        inputs[name] = column
    inputs["place"] = np.arange(len(pt))
    found = pyjet.cluster(inputs, R=radius, p=-1, ep=True).inclusive_jets(ptmin=JET_PT_MIN)
    found.sort(key=lambda jet: -jet.pt)
    return [np.array([int(part.place) for part in jet.constituents()]) for jet in found[:2]]


def subjettiness(pt: np.ndarray, eta: np.ndarray, phi: np.ndarray, axes: int) -> float:
    """N-subjettiness (arXiv:1011.2268) with beta = 1, divided by the sum of pT.

    Axes start as the exclusive kt jets and take one minimisation (arXiv:1108.2701, section 3): each
    moves to the mean of its particles, weighted by pT / distance, until none moves by 1e-4.
    """
    inputs = np.ascontiguousarray(momenta(pt, eta, phi)).view(AXES)[:, 0]
    jets = pyjet.cluster(inputs, R=1000.0, p=1, ep=True).exclusive_jets(axes)
    places = np.array([(0.5 * np.log((j.e + j.pz) / (j.e - j.pz)), j.phi) for j in jets])

    def distances(places: np.ndarray) -> np.ndarray:
        gap = np.abs(phi[:, None] - places[:, 1])
        return np.hypot(eta[:, None] - places[:, 0], np.minimum(gap, 2 * np.pi - gap))

    start = (pt * distances(places).min(axis=1)).sum()
    moved = np.inf
    while moved > 1e-4:
        apart, before = distances(places), places.copy()
        nearest = apart.argmin(axis=1)
        for axis in range(len(places)):
            mine = nearest == axis
            weight = pt[mine] / np.sqrt(apart[mine, axis] ** 2 + 1e-8)
            turn = (phi[mine] - places[axis, 1] + np.pi) % (2 * np.pi) - np.pi
            shift = ((eta[mine] - places[axis, 0]) * weight).sum(), (turn * weight).sum()
            places[axis] += np.array(shift) / weight.sum()
        moved = np.hypot(*(places - before).T).mean()
    return min(start, (pt * distances(places).min(axis=1)).sum()) / pt.sum()
