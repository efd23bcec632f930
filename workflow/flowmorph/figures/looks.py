"""What each method, and each other sample, looks like in figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from flowmorph.errors import InputError
from flowmorph.plan.labels import label


@dataclass(frozen=True)
class Look:
    """How one sample is drawn: as a line, as points and, for areas, with fill and hatch.

    Attributes:
        colour: of lines, points and edges, as matplotlib takes it.
        line: style of the line, as matplotlib takes it.
        width: of the line, in points.
        marker: of single points, as matplotlib takes it.
        fill: colour of an area; "none" for no fill.
        hatch: pattern of an area, as matplotlib takes it; empty for none.
        label: its name for readers.
    """

    colour: str
    line: str | tuple = "-"
    width: float = 1.1
    marker: str = "o"
    fill: str = "none"
    hatch: str = ""
    label: str = ""


# The methods' colours fall evenly in lightness (L* = 71, 58, 46, 34, 18), so that they stay apart
# in grey and for every kind of colour blindness; each has a dash pattern of its own besides.
_LOOKS = {
    "target": Look("black", width=0.8, marker="s", fill="0.88"),
    "reference": Look("0.45", (0, (1, 1)), width=1.3, marker="D"),
    "baseline": Look("0.6", width=0.8, fill="0.93", hatch="/////"),
    "base_transfer": Look("#E69F00", (0, (5, 1.2)), width=1.3, marker="^"),
    "unidirectional": Look("#009E73", (0, (5, 1.2, 1, 1.2)), width=1.2, marker="v"),
    "flows_for_flows": Look("#0072B2", "-", width=1.2, marker="o"),
    "movement_penalty": Look("#9E1B32", (0, (2.5, 1.2)), width=1.2, marker="s"),
    "identity_initialization": Look("#3A0F6E", (0, (4, 1, 1, 1, 1, 1)), width=1.2, marker="P"),
    # What templates of the search are compared with.
    "supervised": Look("0.7", (0, (6, 2)), width=0.9, marker="*"),
    "idealised": Look("black", width=1.4, marker="s"),
    # Alternatives to the paper's methods.
    "penalty_identity": Look("#D55E00", (0, (6, 1, 1, 1)), width=1.2, marker="X"),
    "simple_network": Look("#88CCEE", (0, (1, 2)), width=1.3, marker="h"),
    "large_network": Look("#882255", (0, (9, 1.5)), width=1.2, marker="8"),
    "reweighting": Look("#CC79A7", (0, (3, 1, 3, 2)), width=1.2, marker="<"),
    "quantile_morphing": Look("#56B4E9", (0, (1, 0.6)), width=1.3, marker=">"),
    "optimal_transport": Look("#117733", (0, (7, 2)), width=1.2, marker="p"),
    "flow_matching": Look("#6B4C00", (0, (2, 1, 1, 1)), width=1.2, marker="d"),
    "gb_reweighting": Look("#AA4499", (0, (4, 2)), width=1.2, marker="H"),
    "switched_density": Look("#DDAA33", (0, (6, 1, 1, 1, 1, 1)), width=1.2, marker="*"),
}
LOOKS = {name: replace(each, label=label(name)) for name, each in _LOOKS.items()}
# For methods that have no look of their own, in the order in which they are named.
_SPARE_LOOKS = (
    Look("#44AA99", (0, (5, 1, 1, 1, 1, 1, 1, 1)), width=1.2, marker="h"),
    Look("#999933", (0, (2, 2)), width=1.2, marker="8"),
    Look("#332288", (0, (8, 1)), width=1.2, marker="H"),
)


def look(name: str, known: Mapping[str, Look] = LOOKS) -> Look:
    """Look up how a sample is drawn, by its name in the moved samples.

    Raises InputError for a name that is not among the ``known``.
    """
    if name not in known:
        raise InputError(f"no style for sample '{name}'; known: {', '.join(known)}")
    return known[name]


def with_spares(names: Iterable[str]) -> dict[str, Look]:
    """Give `LOOKS`, and for each of these samples that has no look there a spare one, in order."""
    unknown = [name for name in names if name not in LOOKS]
    spares = {
        name: replace(_SPARE_LOOKS[place % len(_SPARE_LOOKS)], label=label(name))
        for place, name in enumerate(unknown)
    }
    return LOOKS | spares
