"""Dijet observables of the collider task (arXiv:2309.06472, section IV; arXiv:2109.00546)."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import awkward as ak
import numpy as np

from flowmorph.collider import jets

#: Events that are clustered at a time: intermediate arrays take 40 kB an event.
BLOCK_EVENTS = 2000


@dataclass(frozen=True)
class Counts:
    """How many events came in and why the others are not in the table.

    Attributes:
        events: all events.
        fewer_than_two_jets: events with fewer than two jets.
        below_trigger: events with two jets of which the hardest fails the trigger.
        undefined: events that pass it, with a jet whose tau21 is undefined.
        selected: events in the table.
    """

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
    undefined), are left out and counted. Memory does not grow beyond that of 2,000 events at a
    time.
    """
    blocks = [
        _build_block(events[low : low + BLOCK_EVENTS], trigger_pt, radius, engine)
        for low in range(0, max(len(events), 1), BLOCK_EVENTS)
    ]
    table = {name: np.concatenate([block[name] for block, _ in blocks]) for name in blocks[0][0]}
    return table, Counts(*map(sum, zip(*(astuple(counts) for _, counts in blocks), strict=True)))


def _build_block(
    events: ak.Array, trigger_pt: float, radius: float, engine: str
) -> tuple[dict[str, np.ndarray], Counts]:
    found = jets.cluster(events, radius, engine)
    two = ak.to_numpy(ak.num(found) >= 2)
    hardest = ak.to_numpy(ak.fill_none(ak.firsts(np.hypot(found.px, found.py)), 0.0))
    triggered = two & (hardest > trigger_pt)
    events, found = events[triggered], found[triggered]

    pair = [_columns(found[:, i]) for i in (0, 1)]
    taus = [jets.subjettiness(events, found.constituents[:, i], radius) for i in (0, 1)]
    table = observables(pair, taus, ak.to_numpy(events.label))
    return table, _count(two, triggered, table)


def observables(
    pair: list[dict[str, np.ndarray]], taus: list[np.ndarray], label: np.ndarray
) -> dict[str, np.ndarray]:
    """Compute the observables from the two jets of every event, leaving out undefined ones.

    Each jet has columns ``px``, ``py``, ``pz``, ``e``, ``mass`` (GeV), ``eta`` and ``phi``; its
    ``taus`` are (event, 2): tau_1 and tau_2. The columns are those of `build_features`.
    """
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
        "label": label.astype(np.int8),
    }
    defined = np.isfinite(ratio[0]) & np.isfinite(ratio[1])
    return {name: column[defined] for name, column in table.items()}


def features_of_jets(
    columns: dict[str, np.ndarray], trigger_pt: float = 1200.0
) -> tuple[dict[str, np.ndarray], Counts]:
    """Compute the observables from the organisers' jets, as `build_features` does from particles.

    ``columns`` are those of `flowmorph.collider.lhco.read_lhco_features`. Where an event has no
    second jet, the pT of that jet is zero or not finite.
    """
    pts = [np.hypot(columns[f"pxj{jet}"], columns[f"pyj{jet}"]) for jet in (1, 2)]
    two = np.logical_and(*(np.isfinite(pt) & (pt > 0) for pt in pts))
    triggered = two & (np.maximum(*pts) > trigger_pt)
    chosen = {name: column[triggered] for name, column in columns.items()}
    pair, taus = [], []
    for jet in (1, 2):
        parts = {axis: chosen[f"p{axis}j{jet}"] for axis in "xyz"}
        mass = chosen[f"mj{jet}"]
        energy = np.sqrt(sum(part**2 for part in parts.values()) + mass**2)
        momentum = {f"p{axis}": part for axis, part in parts.items()}
        pair.append(_with_directions(momentum | {"e": energy, "mass": mass}))
        taus.append(np.stack([chosen[f"tau1j{jet}"], chosen[f"tau2j{jet}"]], axis=1))
    table = observables(pair, taus, chosen["label"])
    return table, _count(two, triggered, table)


def _count(two: np.ndarray, triggered: np.ndarray, table: dict[str, np.ndarray]) -> Counts:
    selected = len(table["m_jj"])
    return Counts(
        events=len(two),
        fewer_than_two_jets=int((~two).sum()),
        below_trigger=int((two & ~triggered).sum()),
        undefined=int(triggered.sum()) - selected,
        selected=selected,
    )


def _columns(jet: ak.Array) -> dict[str, np.ndarray]:
    """Four-momentum, mass, pseudorapidity and azimuth of one jet an event."""
    result = {name: ak.to_numpy(jet[name]) for name in ("px", "py", "pz", "e")}
    return _with_directions(result | {"mass": ak.to_numpy(jets.mass(jet))})


def _with_directions(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Add pseudorapidity and azimuth to a jet's columns."""
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
