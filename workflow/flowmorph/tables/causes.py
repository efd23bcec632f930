"""Why a claim of the paper does not hold in a run: its data, budget, recipe, or the paper.

The rule is stated in ``config/claims.yaml``, which also holds its limits, and asks in this order:

1. *data*: are the samples others than the paper's? The toys are not. The collider's are if the
   claim is about distances and the baseline distance, which no training enters, is off the paper's;
   or if the classifier cannot tell the reference from the target in the first place; or if so few
   signal events are searched for that not even independent background of the target finds them.
2. *budget*: are the flows that should do well in the claim less trained than they could be? They
   are if their moved densities are farther from the exact target than a well trained one, be it a
   learned density or one that a transport moves, or, where no density is exact, if they were shown
   fewer points than the paper's.
3. *recipe*: are the flows of the claim trained otherwise than the paper's? Where a training ends
   depends on where and how it begins.
4. *paper*: otherwise, the claim is not borne out by flows that are trained as the paper's, or says
   nothing of flows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flowmorph.metrics.measures import BASELINE, CEILING, FLOOR
from flowmorph.metrics.search import IDEALISED
from flowmorph.plan.methods import METHODS, UNTRAINED
from flowmorph.plan.tasks import COLLIDER, SEARCH, TASKS, named
from flowmorph.tables.table import DISTANCE_BLOCKS

#: What the collider task's points are called in tables, in the sidebands and beyond.
COLLIDER_POINTS = {
    named(COLLIDER.name, split) for split in (COLLIDER.family.held_out, COLLIDER.family.beyond)
}

#: What the data of a search are called there.
SEARCHED = named(COLLIDER.name, SEARCH)

Numbers = Mapping[tuple[str, str, str, str], float]


@dataclass(frozen=True)
class Evidence:
    """What the causes are judged by.

    ``baseline`` is the part by which a baseline distance may be off the paper's; ``divergence`` and
    ``divergence_transport`` (nats) are what may be left of a learned density, and of one that a
    transport moves; ``shown`` is the part of the paper's training points that a collider flow must
    be shown, ``paper_shown`` their number; ``improvement`` is the largest significance improvement
    that the idealised template of a search must have. ``paper`` are the paper's numbers
    (``config/paper_numbers.yaml``).
    """

    baseline: float
    divergence: float
    divergence_transport: float
    shown: float
    paper_shown: float
    improvement: float
    paper: Mapping
    as_paper: Collection[str] = ()


def cause(
    metric: str,
    group: str,
    tasks: Sequence[str],
    used: Sequence[str],
    trained: Sequence[str],
    numbers: Numbers,
    evidence: Evidence,
) -> str:
    """Name the cause and its evidence, for a claim about a metric on the tasks of a group.

    ``used`` are the methods of the claim, and ``trained`` those that should do well in it: none if
    it says only that some do badly, which no further training would mend.
    """
    return (
        _baseline(metric, group, tasks, numbers, evidence)
        or _alike(tasks, numbers)
        or _few(tasks, numbers, evidence)
        or _divergence(tasks, trained, numbers, evidence)
        or _shown(tasks, trained, numbers, evidence)
        or _recipe(tasks, used, evidence)
        or "paper: samples and training give no other reason"
    )


def _baseline(metric, group, tasks, numbers: Numbers, evidence: Evidence) -> str:
    if group != COLLIDER.name or not metric.startswith(("distance", "l1")):
        return ""
    ours = np.mean([numbers[task, BASELINE, "", "distance_mean"] for task in tasks])
    theirs = evidence.paper[DISTANCE_BLOCKS[group][1]][BASELINE]["mean"]
    if abs(ours / theirs - 1) <= evidence.baseline:
        return ""
    return f"data: the baseline distance is {ours:.3g}, the paper's {theirs:.3g}"


def _alike(tasks, numbers: Numbers) -> str:
    if not set(tasks) <= COLLIDER_POINTS:
        return ""
    low, high = (
        np.mean([numbers[task, name, "", metric] for task in tasks])
        for name, metric in ((CEILING, "auc_low"), (FLOOR, "auc_high"))
    )
    if low > high:
        return ""
    return (
        f"data: reference and target are alike (AUC from {low:.3f}; "
        f"target against itself up to {high:.3f})"
    )


def _few(tasks, numbers: Numbers, evidence: Evidence) -> str:
    if SEARCHED not in tasks:
        return ""
    found = numbers[SEARCHED, IDEALISED, "", "sic_max"]
    if found >= evidence.improvement:
        return ""
    return (
        "data: the signal events are few (largest improvement by the idealised template "
        f"{found:.2f}; needed: {evidence.improvement:g})"
    )


def _divergence(tasks, trained, numbers: Numbers, evidence: Evidence) -> str:
    # The base transfer moves the reference's density to the learned density of the target.
    kinds = {
        "the learned densities": (UNTRAINED, evidence.divergence),
        "moved densities": (set(trained) - set(UNTRAINED), evidence.divergence_transport),
    }
    for what, (alike, limit) in kinds.items():
        each = [
            [numbers[task, name, "", "divergence"] for task in tasks]
            for name in trained
            if name in alike and (tasks[0], name, "", "divergence") in numbers
        ]
        worst = max(map(np.mean, each), default=0.0)
        if worst > limit:
            return f"budget: {what} are up to {worst:.3f} nats from exact (allowed: {limit:g})"
    return ""


def _shown(tasks, trained, numbers: Numbers, evidence: Evidence) -> str:
    # What moves the signal region is trained in the sidebands.
    if not tasks or not set(tasks) <= COLLIDER_POINTS:
        return ""
    shown = [numbers.get((COLLIDER.name, name, "", "points_shown")) for name in trained]
    shown = [number for number in shown if number is not None]
    if not shown or min(shown) >= evidence.shown * evidence.paper_shown:
        return ""
    part = min(shown) / evidence.paper_shown
    return f"budget: flows were shown {100 * part:.2g} % of the paper's training points"


def _recipe(tasks, used, evidence: Evidence) -> str:
    families = {TASKS[task].family.name for task in tasks if task in TASKS}
    if {*COLLIDER_POINTS, SEARCHED} & set(tasks):
        families.add(COLLIDER.family.name)
    if families <= set(evidence.as_paper) or not set(METHODS) & set(used):
        return ""
    return "recipe: these flows are trained otherwise than the paper's (config/paper.yaml)"
