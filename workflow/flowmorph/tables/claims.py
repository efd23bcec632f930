"""The paper's claims, each decided by a rule on this run's measures (``config/claims.yaml``)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import yaml

from flowmorph.errors import InputError
from flowmorph.metrics.measures import Measure
from flowmorph.plan.labels import label
from flowmorph.plan.tasks import ENSEMBLE, words
from flowmorph.tables import causes
from flowmorph.tables.table import Column, Table

MORE_IS_BETTER = ("effective_points", "same_circle", "sic_max")  # of all other metrics, less is
PICKS = {"largest": max, "smallest": min}
#: What a rule calls metrics and groups of tasks, where that is not their name without underscores.
METRIC_WORDS = {
    "auc": "AUC",
    "distance_mean": "mean distance",
    "distance_std": "spread of the distances",
    "distance_q95": "95 % quantile of the distances",
    "chi2_ndf": "chi2/ndf",
    "condition_spread": "range over conditions of the sliced distance",
    "sliced_wasserstein": "sliced distance",
    "arm_information": "information of the circle on the arm",
    "same_circle": "share that stays on its circle",
    "ratio_marginals": "L1 / that of own marginals",
    "training_spread": "distance between trainings",
    "sic_max": "largest significance improvement",
}
GROUP_WORDS = {
    "different": "different toys",
    "identical": "identical toys",
    "rotated_different": "different rotated toys",
    "rotated_identical": "identical rotated toys",
}


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
        metric = METRIC_WORDS.get(self.metric, self.metric.replace("_", " "))
        tasks = GROUP_WORDS.get(self.tasks) or words(self.tasks)
        return f"{several}{metric}{features} ({methods}; {tasks})"


@dataclass(frozen=True)
class Claim:
    """A claim, its place in the paper, and the rule: ``number`` below or above ``limit``.

    ``limit`` is a number, or a quantity of the same run times ``times`` plus ``plus``. ``needs``
    says what makes the measures, where not every run has them.
    """

    claim: str
    place: str
    number: Quantity
    relation: str
    limit: Quantity | float
    times: float = 1.0
    plus: float = 0.0
    needs: str = ""

    def __post_init__(self) -> None:
        if self.relation not in ("below", "above"):
            raise InputError(f"'relation' is below or above, not '{self.relation}'")
        auc = isinstance(self.limit, Quantity) and self.limit.metric == "auc"
        if auc and self.times != 1:
            # 0.5 is the AUC of equal samples: a part of it says nothing.
            raise InputError("an AUC has no 'times': give the difference, 'plus'")

    def rule(self) -> str:
        """Say when the claim holds."""
        if not isinstance(self.limit, Quantity):
            return f"{self.number.words()} {self.relation} {self.limit:g}"
        factor = "" if self.times == 1 else f"{self.times:g} times the "
        margin = f" plus {self.plus:g}" if self.plus else ""
        return f"{self.number.words()} {self.relation} {factor}{self.limit.words()}{margin}"

    def methods(self) -> tuple[str, ...]:
        """Give the methods that are compared."""
        limit = self.limit.methods if isinstance(self.limit, Quantity) else ()
        return self.number.methods + limit

    def trained(self) -> tuple[str, ...]:
        """Give the methods that the claim says do well: the better side of its relation."""
        better = "above" if self.number.metric in MORE_IS_BETTER else "below"
        side = self.number if self.relation == better else self.limit
        return side.methods if isinstance(side, Quantity) else ()


def load(path: str | os.PathLike) -> tuple[list[Claim], dict[str, float]]:
    """Read the claims, and the limits by which causes are told.

    Raises InputError that names the claim which is not well formed.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            entries = yaml.safe_load(stream)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(entries, Mapping) or set(entries) != {"causes", "claims"}:
        raise InputError(f"{path}: 'causes' and 'claims' are needed, and nothing else")
    claims = []
    for place, entry in enumerate(entries["claims"], start=1):
        try:
            parts = {key: _quantity(entry[key]) for key in ("number", "limit")}
            claims.append(Claim(**(entry | parts)))
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: claim {place}: {error}") from error
    return claims, entries["causes"]


def means_of(measures: Iterable[Measure]) -> dict[tuple[str, str, str, str], float]:
    """Average each measure over the trainings of its task, by task, method, feature and metric.

    What only all trainings together have, such as the distance between them, is as it is.
    """
    values: dict[tuple[str, str, str, str], dict[str, float]] = {}
    together: dict[tuple[str, str, str, str], float] = {}
    for m in measures:
        key = (m.name, m.method, m.feature, m.metric)
        if m.training == ENSEMBLE:
            together[key] = m.value
        else:
            values.setdefault(key, {})[m.training] = m.value
    return together | {key: float(np.mean(list(each.values()))) for key, each in values.items()}


def claims_table(
    claims: Iterable[Claim],
    measures: Iterable[Measure],
    groups: Mapping[str, Sequence[str]],
    evidence: causes.Evidence,
) -> Table:
    """Decide every claim; ``groups`` maps names of groups to their tasks.

    Of repeated trainings the means decide. A claim whose measures are not there is not tested, if
    it says what they need; else InputError names what is missing.
    """
    numbers = means_of(measures)
    rows = []
    for claim in claims:
        try:
            number, limit = claim.number.value(numbers, groups), claim.limit
            if isinstance(limit, Quantity):
                limit = claim.times * limit.value(numbers, groups) + claim.plus
        except InputError as error:
            if not claim.needs:
                raise
            row = {"claim": claim.claim, "place": claim.place, "rule": claim.rule()}
            row |= {"number": None, "limit": None, "holds": "not tested"}
            rows.append(row | {"why_not": f"needs {claim.needs}: {error}"})
            continue
        holds = number < limit if claim.relation == "below" else number > limit
        group = claim.number.tasks
        tasks = groups.get(group, (group,))
        methods = claim.methods(), claim.trained()
        why = causes.cause(claim.number.metric, group, tasks, *methods, numbers, evidence)
        rows.append(
            {
                "claim": claim.claim,
                "place": claim.place,
                "rule": claim.rule(),
                "number": number,
                "limit": float(limit),
                "holds": "yes" if holds else "no",
                "why_not": "" if holds else why,
            }
        )
    columns = (
        Column("claim", "claim"),
        Column("place", "in the paper"),
        Column("rule", "holds if"),
        Column("number", "number", 3),
        Column("limit", "limit", 3),
        Column("holds", "holds"),
        Column("why_not", "why not"),
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
