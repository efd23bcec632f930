"""The paper's claims, each decided by a rule on this run's measures (``config/claims.yaml``)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import yaml

from flowmorph.errors import InputError
from flowmorph.metrics.measures import Measure
from flowmorph.tables import Column, Table, label

PICKS = {"largest": max, "smallest": min}


@dataclass(frozen=True)
class Quantity:
    """A number of a run: a metric averaged over tasks and features, then picked among methods.

    ``tasks`` is a task or the name of a group of tasks; ``pick`` is largest or smallest.
    """

    metric: str
    methods: tuple[str, ...]
    tasks: str
    pick: str = "largest"
    features: tuple[str, ...] = ("",)

    def __post_init__(self) -> None:
        if self.pick not in PICKS:
            raise InputError(f"'pick' is {' or '.join(PICKS)}, not '{self.pick}'")

    def value(self, numbers: Mapping[tuple, float], groups: Mapping[str, Sequence[str]]) -> float:
        """Give the number; raises InputError if the run has not measured it."""
        tasks = groups.get(self.tasks, (self.tasks,))
        try:
            means = [
                np.mean([numbers[t, method, f, self.metric] for t in tasks for f in self.features])
                for method in self.methods
            ]
        except KeyError as error:
            raise InputError(f"no such measure in this run: {' '.join(error.args[0])}") from None
        return float(PICKS[self.pick](means))

    def words(self) -> str:
        """Say what the number is."""
        methods = ", ".join(map(label, self.methods))
        several = f"{self.pick} " if len(self.methods) > 1 else ""
        features = f" of {', '.join(self.features)}" if any(self.features) else ""
        return f"{several}{self.metric}{features} ({methods}; {self.tasks})"


@dataclass(frozen=True)
class Claim:
    """A claim, its place in the paper, and the rule: ``number`` below or above ``limit``.

    ``limit`` is a number, or a quantity of the same run times ``times``. ``otherwise`` says why
    the claim does not hold in the default run, where that is known.
    """

    claim: str
    place: str
    number: Quantity
    relation: str
    limit: Quantity | float
    times: float = 1.0
    otherwise: str = ""

    def __post_init__(self) -> None:
        if self.relation not in ("below", "above"):
            raise InputError(f"'relation' is below or above, not '{self.relation}'")

    def rule(self) -> str:
        """Say when the claim holds."""
        if not isinstance(self.limit, Quantity):
            return f"{self.number.words()} {self.relation} {self.limit:g}"
        factor = "" if self.times == 1 else f"{self.times:g} times the "
        return f"{self.number.words()} {self.relation} {factor}{self.limit.words()}"


def load(path: str | os.PathLike) -> list[Claim]:
    """Read the claims; raises InputError that names the claim which is not well formed."""
    try:
        with open(path, encoding="utf-8") as stream:
            entries = yaml.safe_load(stream)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(entries, list):
        raise InputError(f"{path}: a list of claims is needed")
    claims = []
    for place, entry in enumerate(entries, start=1):
        try:
            parts = {key: _quantity(entry[key]) for key in ("number", "limit")}
            claims.append(Claim(**(entry | parts)))
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: claim {place}: {error}") from error
    return claims


def claims_table(
    claims: Iterable[Claim],
    measures: Iterable[Measure],
    groups: Mapping[str, Sequence[str]],
) -> Table:
    """Decide every claim; ``groups`` maps names of groups to their tasks."""
    numbers = {(m.task, m.method, m.feature, m.metric): m.value for m in measures}
    rows = []
    for claim in claims:
        number = claim.number.value(numbers, groups)
        limit = claim.limit
        if isinstance(limit, Quantity):
            limit = claim.times * limit.value(numbers, groups)
        holds = number < limit if claim.relation == "below" else number > limit
        rows.append(
            {
                "claim": claim.claim,
                "place": claim.place,
                "rule": claim.rule(),
                "number": number,
                "limit": float(limit),
                "holds": "yes" if holds else "no",
                "why_not": "" if holds else claim.otherwise,
            }
        )
    columns = (
        Column("claim", "claim"),
        Column("place", "in the paper"),
        Column("rule", "holds if"),
        Column("number", "number", 3),
        Column("limit", "limit", 3),
        Column("holds", "holds"),
        Column("why_not", "why not, in the default run"),
    )
    return Table(columns, rows)


def _quantity(entry: Mapping | float) -> Quantity | float:
    if not isinstance(entry, Mapping):
        return float(entry)
    known = {field.name for field in fields(Quantity)}
    lists = {key: tuple(entry[key]) for key in ("methods", "features") if key in entry}
    if unknown := set(entry) - known:
        raise InputError(f"unknown key '{min(unknown)}'")
    return Quantity(**(entry | lists))
