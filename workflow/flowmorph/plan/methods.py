"""The methods: the paper's five (Table 1), and further ones whose transport is a flow too.

This is the only place that says what a method is; `figures.looks` adds how it looks,
`transfer.morph` what it computes.
"""

from __future__ import annotations

from dataclasses import dataclass

from flowmorph.errors import InputError


@dataclass(frozen=True)
class Method:
    """What is trained, and how.

    Attributes:
        name: its name in configuration, files and tables.
        directions: "forward" and "inverse", those of the transport whose losses alternate; empty if
            nothing is trained.
        penalised: whether the loss has the movement penalty.
        identity: whether training starts from the identity.
        published: whether it is in the paper's Table 1.
    """

    name: str
    directions: tuple[str, ...] = ()
    penalised: bool = False
    identity: bool = False
    published: bool = True

    @property
    def trained(self) -> bool:
        """Whether there is a transport to train, beside the two densities."""
        return bool(self.directions)


BOTH = ("forward", "inverse")
METHODS = {
    method.name: method
    for method in (
        Method("base_transfer"),
        Method("unidirectional", ("inverse",)),
        Method("flows_for_flows", BOTH),
        Method("movement_penalty", BOTH, penalised=True),
        Method("identity_initialization", BOTH, identity=True),
        # Both of the paper's ways to move little, together.
        Method("penalty_identity", BOTH, penalised=True, identity=True, published=False),
        # Flows for flows with networks of other sizes, which their settings give.
        Method("simple_network", BOTH, published=False),
        Method("large_network", BOTH, published=False),
    )
}

#: Names of the methods in the paper's order: those of Table 1; of these, those that train a
#: transport and those that do not; and further ones, whose transport is a flow too.
PUBLISHED = tuple(name for name, method in METHODS.items() if method.published)
TRAINED = tuple(name for name in PUBLISHED if METHODS[name].trained)
UNTRAINED = tuple(name for name in PUBLISHED if not METHODS[name].trained)
FURTHER = tuple(name for name, method in METHODS.items() if not method.published)

#: The two whose single points the paper's figures show (Figs. 3, 4, B.1 and B.3).
POINTWISE = ("base_transfer", "flows_for_flows")

#: The method whose penalty the target penalty_scan varies.
SCANNED = "movement_penalty"


def variant(strength: float) -> str:
    """Name, in tables, of the scanned method with another strength of its penalty."""
    return f"{SCANNED}_w{strength:g}"


def find(name: str) -> Method:
    """The method of a name; raises InputError for another one."""
    if name not in METHODS:
        raise InputError(f"method '{name}' is unknown; choose from {', '.join(METHODS)}")
    return METHODS[name]
