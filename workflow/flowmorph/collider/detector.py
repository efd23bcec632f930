"""A parametrised detector: tracking, two calorimeters and energy flow, after Delphes' CMS card.

The numbers are those of ``cards/delphes_card_CMS.tcl`` of Delphes' 3.4 series (arXiv:1307.6346), of
the version that simulated the LHC Olympics events; the module that a number belongs to is named
beside it. The choice between the cards of that series was made by eye, with the published events'
object counts and jet masses in view: later ones track charged hadrons better and ask HCal towers
for twice the significance, which loses a tenth of both. Nothing was fitted. Not modelled:
displaced vertices, pile-up (the R&D sample has none), lepton and photon identification.
"""

from __future__ import annotations

from dataclasses import dataclass

import awkward as ak
import numpy as np

# ParticlePropagator: solenoid radius [m], half length [m] and field [T].
RADIUS = 1.29
HALF_LENGTH = 3.0
FIELD = 3.8
# Radius of curvature [m] = pT [GeV] / (0.29979 q B [T]): Lorentz force, any textbook.
CURVATURE = 0.29979 * FIELD

# Charges of the particles that Pythia may leave undecayed (Particle Data Group numbering).
NEGATIVE_IF_PARTICLE = (11, 13, 15, 3112, 3312, 3334)
POSITIVE_IF_PARTICLE = (211, 321, 2212, 3222, 411, 431, 521)

# ECal/HCal EnergyFraction: the part of the energy left in the electromagnetic calorimeter.
ECAL_FRACTION = {11: 1.0, 22: 1.0, 111: 1.0, 310: 0.3, 3122: 0.3, 12: 0.0, 13: 0.0}
HCAL_FRACTION = {11: 0.0, 22: 0.0, 111: 0.0, 310: 0.7, 3122: 0.7, 12: 0.0, 13: 0.0}


def track_efficiency(code: np.ndarray, pt: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Probability that a charged particle gives a track; pT in GeV, |eta| < 2.5.

    *TrackingEfficiency of the card, separately for hadrons, electrons and muons.
    """
    barrel = np.abs(eta) <= 1.5
    soft = pt <= 1.0
    hadron = np.where(barrel, np.where(soft, 0.70, 0.95), np.where(soft, 0.60, 0.85))
    hard = pt > 100.0
    electron = np.where(
        barrel,
        np.where(soft, 0.73, np.where(hard, 0.99, 0.95)),
        np.where(soft, 0.50, np.where(hard, 0.90, 0.83)),
    )
    muon = np.where(barrel, np.where(soft, 0.75, 0.99), np.where(soft, 0.70, 0.98))
    efficiency = np.select([code == 11, code == 13], [electron, muon], hadron)
    return np.where((pt > 0.1) & (np.abs(eta) <= 2.5), efficiency, 0.0)


def track_resolution(code: np.ndarray, pt: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Relative pT resolution of a track; pT in GeV (*MomentumSmearing; arXiv:1405.6569)."""
    region = np.digitize(np.abs(eta), [0.5, 1.5], right=True)
    # (constant, slope per GeV) in |eta| < 0.5, 0.5 to 1.5, 1.5 to 2.5
    hadron = np.array([(0.06, 1.3e-3), (0.10, 1.7e-3), (0.25, 3.1e-3)])[region]
    electron = np.array([(0.03, 1.3e-3), (0.05, 1.7e-3), (0.15, 3.1e-3)])[region]
    muon = np.array([(0.01, 1.0e-4), (0.015, 1.5e-4), (0.025, 3.5e-4)])[region]
    choice = np.select([(code == 11)[:, None], (code == 13)[:, None]], [electron, muon], hadron)
    return np.minimum(np.hypot(choice[:, 0], pt * choice[:, 1]), 1.0)


def ecal_sigma(energy: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Absolute energy resolution [GeV] of ECal (arXiv:1306.2016, arXiv:1502.02701)."""
    eta = np.abs(eta)
    core = np.sqrt((0.008 * energy) ** 2 + 0.11**2 * energy + 0.40**2)
    forward = np.sqrt((0.107 * energy) ** 2 + 2.08**2 * energy)
    shape = np.where(eta <= 1.5, 1 + 0.64 * eta**2, 2.16 + 5.6 * (eta - 2) ** 2)
    return np.where(eta <= 2.5, shape * core, forward)


def hcal_sigma(energy: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Absolute energy resolution [GeV] of HCal (ResolutionFormula of the card)."""
    central = np.sqrt((0.050 * energy) ** 2 + 1.50**2 * energy)
    forward = np.sqrt((0.130 * energy) ** 2 + 2.70**2 * energy)
    return np.where(np.abs(eta) <= 3.0, central, forward)


@dataclass(frozen=True)
class Calorimeter:
    """Towers and thresholds of one calorimeter.

    A tower whose energy is below either threshold counts as empty; an excess of a tower over its
    tracks that is below either is no neutral object.

    Attributes:
        eta_edges: edges of the rings of towers in pseudorapidity, (R + 1,), increasing.
        phi_bins: number of equal towers in each ring, (R,).
        fractions: part of a particle's energy that it leaves here, 0 to 1, by absolute PDG code.
        default_fraction: the same for all other particles.
        energy_min: least energy of a tower, GeV.
        significance_min: least energy of a tower, in units of its resolution.
        sigma: function that gives the resolution [GeV] at an energy [GeV] and a pseudorapidity.
    """

    eta_edges: np.ndarray
    phi_bins: np.ndarray
    fractions: dict[int, float]
    default_fraction: float
    energy_min: float
    significance_min: float
    sigma: object

    def fraction(self, code: np.ndarray) -> np.ndarray:
        """Part of a particle's energy that it leaves here, by absolute PDG code."""
        result = np.full(len(code), self.default_fraction)
        for key, value in self.fractions.items():
            result[code == key] = value
        return result

    def towers(self, eta: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """Number of the tower at a position, -1 outside the acceptance."""
        ring = np.digitize(eta, self.eta_edges) - 1
        inside = (ring >= 0) & (ring < len(self.phi_bins))
        ring = np.where(inside, ring, 0)
        count = self.phi_bins[ring]
        cell = np.floor((phi + np.pi) * count / (2 * np.pi)).astype(np.int64) % count
        first = np.concatenate([[0], np.cumsum(self.phi_bins)[:-1]])
        return np.where(inside, first[ring] + cell, -1)


def _rings(positive: list[tuple[float, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Mirror (upper edge, towers in phi) of the rings at eta > 0 to both sides."""
    upper = np.array([edge for edge, _ in positive])
    count = np.array([towers for _, towers in positive])
    return np.concatenate([-upper[::-1], [0.0], upper]), np.concatenate([count[::-1], count])


# HF towers of 0.175 in eta, used by both calorimeters.
_FORWARD = [3.125, 3.3, 3.475, 3.65, 3.825, 4.0, 4.175, 4.35, 4.525]
# ECal: 0.0174 x 1 degree up to |eta| = 2.958, then 10 degrees up to 5.
_ECAL_EDGES, _ECAL_PHI = _rings(
    [(0.0174 * i, 360) for i in range(1, 171)] + [(edge, 36) for edge in (*_FORWARD, 4.7, 5.0)]
)
# HCal: 0.087 x 5 degrees up to |eta| = 1.653, then 10 degrees up to 4.525, 20 degrees up to 5.
_HCAL_MIDDLE = [1.74, 1.83, 1.93, 2.043, 2.172, 2.322, 2.5, 2.65, 2.868, 2.95, *_FORWARD]
_HCAL_EDGES, _HCAL_PHI = _rings(
    [(0.087 * i, 72) for i in range(1, 20)]
    + [(edge, 36) for edge in _HCAL_MIDDLE]
    + [(4.7, 18), (5.0, 18)]
)

# EnergyMin and EnergySignificanceMin of the card's modules ECal and HCal.
ECAL = Calorimeter(_ECAL_EDGES, _ECAL_PHI, ECAL_FRACTION, 0.0, 0.5, 2.0, ecal_sigma)
HCAL = Calorimeter(_HCAL_EDGES, _HCAL_PHI, HCAL_FRACTION, 1.0, 1.0, 1.0, hcal_sigma)


def charge(code: np.ndarray) -> np.ndarray:
    """Electric charge of long-lived particles by PDG code."""
    size = np.abs(code)
    sign = np.isin(size, POSITIVE_IF_PARTICLE) * 1 - np.isin(size, NEGATIVE_IF_PARTICLE) * 1
    return sign * np.sign(code)


def propagate(
    pt: np.ndarray, eta: np.ndarray, phi: np.ndarray, charges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where particles from the origin reach the calorimeter (eta, phi), through the solenoid.

    A charged particle turns with radius pT/(0.3 B) and leaves through the barrel, or, when it is
    soft or forward, through an endcap.
    """
    bent = charges != 0
    radius = pt[bent] / CURVATURE
    slope = np.sinh(eta[bent])
    half_turn = np.arcsin(np.minimum(RADIUS / (2 * radius), 1.0))
    barrel = (2 * radius > RADIUS) & (np.abs(2 * half_turn * radius * slope) < HALF_LENGTH)
    with np.errstate(divide="ignore"):
        half_turn = np.where(barrel, half_turn, HALF_LENGTH / (2 * radius * np.abs(slope)))
    # A particle that turns in the transverse plane and has no longitudinal momentum never arrives
    # anywhere: any finite turn will do.
    half_turn = np.minimum(half_turn, 1e6)
    distance = np.maximum(np.abs(2 * radius * np.sin(half_turn)), 1e-6)
    depth = np.where(barrel, 2 * half_turn * radius * slope, np.copysign(HALF_LENGTH, slope))
    eta, phi = eta.copy(), phi.copy()
    eta[bent] = np.arcsinh(depth / distance)
    turned = phi[bent] - charges[bent] * half_turn + np.where(np.sin(half_turn) < 0, np.pi, 0.0)
    phi[bent] = (turned + np.pi) % (2 * np.pi) - np.pi
    return eta, phi


def _log_normal(mean: np.ndarray, sigma: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Positive random numbers of the given mean and standard deviation, as Delphes smears."""
    width = np.sqrt(np.log1p((sigma / mean) ** 2))
    return mean * np.exp(width * rng.standard_normal(len(mean)) - 0.5 * width**2)


def _energy_flow(calorimeter: Calorimeter, particles: dict, tracks: dict, rng):
    """Towers' neutral excess and the tracks' correction factors in one calorimeter.

    Delphes' SimpleCalorimeter (arXiv:1307.6346, section 3.3): a significant excess over the
    tracks becomes a neutral object; otherwise the tracks take the weighted mean of both energies.
    Returns (event, pt, eta, phi) of the neutral objects and one factor for each track.
    """
    deposit = particles["energy"] * calorimeter.fraction(particles["code"])
    cell = calorimeter.towers(particles["eta_calo"], particles["phi_calo"])
    hit = (deposit > 0) & (cell >= 0)
    seen = (calorimeter.fraction(tracks["code"]) > 0) & tracks["in_calo"]
    track_cell = calorimeter.towers(tracks["eta_calo"], tracks["phi_calo"])
    seen &= track_cell >= 0

    towers_in_all = int(calorimeter.phi_bins.sum())
    key = np.concatenate([particles["event"][hit], tracks["event"][seen]]) * towers_in_all
    key += np.concatenate([cell[hit], track_cell[seen]])
    towers, index = np.unique(key, return_inverse=True)
    count = len(towers)
    of_particle, of_track = index[: hit.sum()], index[hit.sum() :]

    event, number = np.divmod(towers, towers_in_all)
    first = np.concatenate([[0], np.cumsum(calorimeter.phi_bins)])
    ring = np.digitize(number, first) - 1
    low, high = calorimeter.eta_edges[ring], calorimeter.eta_edges[ring + 1]
    centre = 0.5 * (low + high)

    true = np.bincount(of_particle, deposit[hit], minlength=count)
    lit = true > 0
    energy = np.zeros(count)
    energy[lit] = _log_normal(true[lit], calorimeter.sigma(true[lit], centre[lit]), rng)
    sigma = calorimeter.sigma(energy, centre)
    minimum = np.maximum(calorimeter.energy_min, calorimeter.significance_min * sigma)
    energy = np.where(energy < minimum, 0.0, energy)

    fraction = calorimeter.fraction(tracks["code"])[seen]
    track_energy = np.bincount(of_track, tracks["energy"][seen] * fraction, minlength=count)
    error = tracks["resolution"][seen] * tracks["energy"][seen]
    track_variance = np.bincount(of_track, error**2, minlength=count)

    neutral = np.maximum(energy - track_energy, 0.0)
    significance = neutral / np.sqrt(track_variance + sigma**2)
    excess = (neutral > calorimeter.energy_min) & (significance > calorimeter.significance_min)

    charged = ~excess & (track_energy > 0)
    combined = np.ones(count)
    weight_track = 1 / track_variance[charged]
    weight_tower = 1 / sigma[charged] ** 2
    best = weight_track * track_energy[charged] + weight_tower * energy[charged]
    combined[charged] = best / (weight_track + weight_tower) / track_energy[charged]
    factor = np.ones(len(seen))
    factor[seen] = combined[of_track]

    # SmearTowerCenter: a neutral object lies anywhere in its tower.
    eta = low + (high - low) * rng.random(count)
    step = number - first[ring] + rng.random(count)
    phi = -np.pi + 2 * np.pi * step / calorimeter.phi_bins[ring]
    pt = neutral / np.cosh(eta)
    return (event[excess], pt[excess], eta[excess], phi[excess]), factor


def simulate(particles: ak.Array, rng: np.random.Generator) -> ak.Array:
    """Turn stable particles into energy-flow objects: tracks, photons and neutral hadrons.

    ``particles`` is (event, particle) with fields ``id``, ``px``, ``py``, ``pz``, ``e`` (GeV). The
    result is (event, object) with float32 fields ``pt`` [GeV], ``eta``, ``phi``, massless.
    """
    events = len(particles)
    event = np.repeat(np.arange(events), ak.to_numpy(ak.num(particles)))
    flat = ak.flatten(particles)
    px, py, pz, energy = (ak.to_numpy(flat[name]) for name in ("px", "py", "pz", "e"))
    signed = ak.to_numpy(flat.id).astype(np.int64)
    code, charges = np.abs(signed), charge(signed)
    pt = np.maximum(np.hypot(px, py), 1e-9)
    eta, phi = np.arcsinh(pz / pt), np.arctan2(py, px)
    eta_calo, phi_calo = propagate(pt, eta, phi, charges)
    everything = {
        "event": event,
        "code": code,
        "energy": energy,
        "eta_calo": eta_calo,
        "phi_calo": phi_calo,
    }

    found = charges != 0
    chance = track_efficiency(code[found], pt[found], eta_calo[found])
    found[found] = rng.random(len(chance)) < chance
    resolution = track_resolution(code[found], pt[found], eta_calo[found])
    track_pt = _log_normal(pt[found], resolution * pt[found], rng)
    mass2 = np.maximum(energy[found] ** 2 - (pt[found] * np.cosh(eta[found])) ** 2, 0.0)
    tracks = {
        "event": event[found],
        "code": code[found],
        "energy": np.sqrt((track_pt * np.cosh(eta[found])) ** 2 + mass2),
        "resolution": resolution,
        "eta_calo": eta_calo[found],
        "phi_calo": phi_calo[found],
        "in_calo": np.ones(found.sum(), dtype=bool),
    }
    photons, factor = _energy_flow(ECAL, everything, tracks, rng)
    track_pt, tracks["energy"] = track_pt * factor, tracks["energy"] * factor
    hadrons, factor = _energy_flow(HCAL, everything, tracks, rng)
    charged = (tracks["event"], track_pt * factor, eta[found], phi[found])

    columns = [np.concatenate(parts) for parts in zip(charged, photons, hadrons, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    pt, eta, phi = (column[order].astype(np.float32) for column in columns[1:])
    counts = np.bincount(columns[0], minlength=events)
    return ak.unflatten(ak.zip({"pt": pt, "eta": eta, "phi": phi}), counts)
