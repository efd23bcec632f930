"""Dijet observables of the science task (arXiv:2309.06472, section IV; arXiv:2109.00546)."""

from __future__ import annotations

from dataclasses import dataclass

import awkward as ak
import numpy as np

from flowmorph import jets


@dataclass(frozen=True)
class Counts:
    """How many events came in and why the others are not in the table."""

    events: int
    fewer_than_two_jets: int
    below_trigger: int
    undefined: int
    selected: int

    def __str__(self) -> str:
        return (
            f"{self.events} events: {self.fewer_than_two_jets} with fewer than two jets, "
            f"{self.below_trigger} below the trigger, {self.undefined} with an undefined tau21, "
            f"{self.selected} selected"
        )


def build_features(
    events: ak.Array, trigger_pt: float = 1200.0, radius: float = 1.0, engine: str = "fastjet"
) -> tuple[dict[str, np.ndarray], Counts]:
    """Compute the observables of every event that passes the trigger, in event order.

    The two jets of largest pT are ordered by mass: J1 is the lighter one. Columns (float64, masses
    in GeV): m_j1, delta_m_jj = m_J2 - m_J1 >= 0, tau21_j1, tau21_j2, delta_r_jj (pseudorapidity and
    wrapped azimuth), m_jj; and label (int8). The trigger asks the hardest jet for ``trigger_pt``
    GeV. Events with fewer than two jets, or with a jet without extent (tau_1 = 0, so that tau21 is
    undefined), are left out and counted.
    """
    found = jets.cluster(events, radius, engine)
    two = ak.to_numpy(ak.num(found) >= 2)
    hardest = ak.to_numpy(ak.fill_none(ak.firsts(np.hypot(found.px, found.py)), 0.0))
    triggered = two & (hardest > trigger_pt)
    events, found = events[triggered], found[triggered]

    pair = [_columns(found[:, i]) for i in (0, 1)]
    taus = [jets.subjettiness(events, found.constituents[:, i], radius) for i in (0, 1)]
    swap = pair[0]["mass"] > pair[1]["mass"]
    light, heavy = (np.where(swap, *masses) for masses in _both(pair, "mass"))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = [tau[:, 1] / tau[:, 0] for tau in taus]
    table = {
        "m_j1": light,
        "delta_m_jj": heavy - light,
        "tau21_j1": np.where(swap, ratio[1], ratio[0]),
        "tau21_j2": np.where(swap, ratio[0], ratio[1]),
        "delta_r_jj": delta_r(*pair),
        "m_jj": dijet_mass(*pair),
        "label": ak.to_numpy(events.label).astype(np.int8),
    }
    defined = np.isfinite(ratio[0]) & np.isfinite(ratio[1])
    table = {name: column[defined] for name, column in table.items()}
    counts = Counts(
        events=len(two),
        fewer_than_two_jets=int((~two).sum()),
        below_trigger=int((two & ~triggered).sum()),
        undefined=int((~defined).sum()),
        selected=int(defined.sum()),
    )
    return table, counts


def _columns(jet: ak.Array) -> dict[str, np.ndarray]:
    """Four-momentum, mass, pseudorapidity and azimuth of one jet an event."""
    result = {name: ak.to_numpy(jet[name]) for name in ("px", "py", "pz", "e")}
    result["mass"] = ak.to_numpy(jets.mass(jet))
    result["eta"] = np.arcsinh(result["pz"] / np.hypot(result["px"], result["py"]))
    result["phi"] = np.arctan2(result["py"], result["px"])
    return result


def _both(pair: list[dict[str, np.ndarray]], name: str):
    """Arguments of np.where for the (lighter, heavier) jet's quantity."""
    first, second = pair[0][name], pair[1][name]
    return (second, first), (first, second)


def delta_r(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> np.ndarray:
    """Distance of two jets in pseudorapidity and azimuth, the azimuth wrapped to [-pi, pi]."""
    delta_phi = (first["phi"] - second["phi"] + np.pi) % (2 * np.pi) - np.pi
    return np.hypot(first["eta"] - second["eta"], delta_phi)


def dijet_mass(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> np.ndarray:
    """Invariant mass [GeV] of two jets together."""
    total = {name: first[name] + second[name] for name in ("px", "py", "pz", "e")}
    mass2 = total["e"] ** 2 - total["px"] ** 2 - total["py"] ** 2 - total["pz"] ** 2
    return np.sqrt(np.maximum(mass2, 0.0))
