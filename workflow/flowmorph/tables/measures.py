"""The tables of measures: how well, how far, how likely, at what cost, and how sure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flowmorph.metrics.measures import BASELINE, CEILING, DENSITY, FLOOR, TOO_FAR, TOO_FEW, Measure
from flowmorph.plan.labels import label
from flowmorph.plan.methods import SCANNED, UNTRAINED
from flowmorph.plan.tasks import DATASETS, ENSEMBLE, TASKS
from flowmorph.tables.table import Column, Table

# A density this many times farther from the exact one than another of the same toy was not trained
# as well: seeds of one recipe differ by a factor of two.
FAILED = 3.0


@dataclass(frozen=True)
class Kind:
    """A table: what its columns and its rows are.

    Attributes:
        columns: its columns; the key of each is a metric.
        needed: the metric that every row has.
        spread: metrics whose spread over repeated trainings is given, too.
        per_feature: whether there is a row for each feature, not for all together.
        compares: whether it compares with the target, which small samples do not allow; a note then
            says which.
    """

    columns: tuple[Column, ...]
    needed: str
    spread: tuple[str, ...]
    per_feature: bool = False
    compares: bool = False


TWO_SAMPLE = (
    Column("points", "points", 0),
    Column("effective_points", "effective points", 0),
    Column("auc", "AUC", 4),
    Column("auc_low", "95 % from", 4),
    Column("auc_high", "to", 4),
    Column("sliced_wasserstein", "sliced Wasserstein", 4),
    Column("condition_spread", "its range over conditions", 4),
    Column("condition_ratio", "range / mean", 3),
    Column("without_target", "where the target has none", 4),
    Column("without_reference", "target where it has none", 4),
)
MOVEMENT = (
    Column("points", "points", 0),
    Column("distance_mean", "mean distance", 3),
    Column("distance_std", "std", 3),
    Column("distance_q05", "5 %", 3),
    Column("distance_median", "median", 3),
    Column("distance_q95", "95 %", 3),
    Column("l1_mean", "mean L1", 3),
    Column("bound_marginals", "L1 bound, marginals", 3),
    Column("bound_target", "L1 bound, assignment", 3),
    Column("bound_noise", "of which noise", 3),
    Column("ratio_target", "L1 / assignment", 2),
    Column("bound_images", "L1 bound, own images", 3),
    Column("ratio_images", "L1 / own images", 3),
    Column("ratio_marginals", "L1 / own marginals", 2),
    Column("training_spread", "between trainings", 3),
    Column("same_circle", "same circle", 3),
    Column("arm_information", "circle on arm [nats]", 4),
    Column("left_box", "left the box", 5),
    Column("cycle_mean", "mean cycle error", 7),
    Column("cycle_max", "largest", 5),
    Column("parameters", "parameters", 0),
)
#: Most spikes of a feature that there are columns for, as in config/schema.yaml.
SPIKES = 5
MARGINALS = (
    Column("ks", "KS", 4),
    Column("ks_pvalue", "p (KS)", 4),
    Column("chi2_ndf", "chi2/ndf", 2),
    *(
        Column(f"spike_{number}{end}", heading, 4)
        for number in range(1, SPIKES + 1)
        for end, heading in (("", f"in spike {number}"), ("_target", "of the target"))
    ),
    Column("distance_mean", "mean distance", 4),
    Column("distance_std", "std", 4),
    Column("distance_q05", "5 %", 4),
    Column("distance_median", "median", 4),
    Column("distance_q95", "95 %", 4),
)
LIKELIHOODS = (
    Column("points", "points", 0),
    Column("log_likelihood", "mean log-likelihood [nats]", 4),
    Column("log_likelihood_error", "standard error", 4),
)
DIVERGENCES = (
    Column("points", "points", 0),
    Column("divergence", "KL(exact, flow) [nats]", 4),
    Column("divergence_error", "standard error", 4),
    Column("own_divergence", "the density's own", 4),
    Column("entropy", "exact entropy [nats]", 4),
)
COSTS = (
    Column("parameters", "parameters", 0),
    Column("steps", "optimizer steps", 0),
    Column("points_shown", "points shown", 0),
    Column("returns", "returns to an earlier state", 1),
    Column("restarts", "restarts", 1),
    Column("above_lowest", "above the lowest possible loss [nats]", 4),
)
PENALTY_COLUMNS = (
    "auc", "auc_low", "auc_high", "sliced_wasserstein", "distance_mean", "distance_std", "l1_mean",
    "bound_marginals", "ratio_marginals",
)  # fmt: skip
_ACCURACY = ("auc", "sliced_wasserstein", "condition_spread", "condition_ratio")
_DISTANCES = ("distance_mean", "distance_std", "distance_q05", "distance_median", "distance_q95")
_IN_SPIKES = tuple(f"spike_{number}" for number in range(1, SPIKES + 1))
_BOUNDS = ("l1_mean", "ratio_target", "ratio_images", "ratio_marginals", "left_box", "cycle_mean")
KINDS = {
    "two_sample": Kind(TWO_SAMPLE, "auc", _ACCURACY, compares=True),
    "movement": Kind(MOVEMENT, "distance_mean", _DISTANCES + _BOUNDS, compares=True),
    "marginals": Kind(MARGINALS, "ks", ("ks", "chi2_ndf", *_IN_SPIKES, *_DISTANCES), True, True),
    "likelihoods": Kind(LIKELIHOODS, "log_likelihood", ("log_likelihood",)),
    "divergences": Kind(DIVERGENCES, "divergence", ("divergence", "own_divergence")),
    "costs": Kind(COSTS, "steps", ("above_lowest",)),
}


def measure_table(kind: str, measures: Iterable[Measure]) -> Table:
    """Arrange measures as one of `KINDS`, a row for each task, method and, if asked, feature.

    Where a task was trained several times, the numbers are means over its trainings, their standard
    deviations (of single trainings) stand beside them, and the ensemble has rows of its own. A
    column that no row has a number for is left out.
    """
    chosen, measures = KINDS[kind], list(measures)
    numbers: dict[tuple[str, str, str], dict[str, dict[str, float]]] = {}
    for m in measures:
        if bool(m.feature) == chosen.per_feature and not _same_for_all(m):
            metrics = numbers.setdefault(_row(m), {})
            metrics.setdefault(m.metric, {})[m.training] = m.value
    counts = {
        row: len(metrics[chosen.needed])
        for row, metrics in numbers.items()
        if chosen.needed in metrics
    }
    repeated = max(counts.values(), default=1) > 1
    keys = [Column("task", "task"), Column("method", "method")]
    keys += [Column("feature", "feature")] * chosen.per_feature
    keys += [Column("trainings", "trainings")] * repeated
    given = {metric for row in counts for metric in numbers[row]}
    columns = [
        each
        for column in chosen.columns
        if column.key in given or column.key == chosen.needed
        for each in (column, *_spread(column)[: repeated and column.key in chosen.spread])
    ]
    rows = []
    for (task, method, feature), count in counts.items():
        row = {"task": task, "method": method, "feature": feature, "trainings": count}
        for column in chosen.columns:
            values = list(numbers[task, method, feature].get(column.key, {}).values())
            row[column.key] = _mean(values, column)
            row[_spread(column)[0].key] = deviation(values)
        rows.append(row)
    notes = [
        f"{m.name}: {m.value:.0f} points, or what unweighting leaves of them, are "
        "too few to be compared with the target."
        for m in measures
        if chosen.compares and m.metric == TOO_FEW
    ]
    if kind == "divergences":
        notes += failed(measures)
    if kind == "costs":
        notes += far(measures)
    return Table((*keys, *columns), rows, list(dict.fromkeys(notes)))


def failed(measures: Iterable[Measure]) -> list[str]:
    """Say which trainings of a toy's density failed: others of the same toy are far better."""
    trainings: dict[tuple[str, str], list[Measure]] = {}
    for m in measures:
        if (m.method, m.metric) == (DENSITY, "divergence"):
            dataset = DATASETS[m.task]
            trainings.setdefault((dataset.toy, dataset.family.name), []).append(m)
    notes = []
    for alike in trainings.values():
        best = min(alike, key=lambda m: m.value)
        notes += [
            f"{m.name}: training {m.training} failed. Its density is {m.value:.4f} nats from the "
            f"exact one, that of {best.name}, training {best.training}, {best.value:.4f} nats."
            for m in alike
            if m.value > FAILED * best.value
        ]
    return notes


def far(measures: Iterable[Measure]) -> list[str]:
    """Say which trainings ended far from the lowest possible loss."""
    return [
        f"{m.name}, {label(m.method)}: training {m.training} failed. Its loss is {m.value:.3f} "
        "nats above the lowest possible one."
        for m in measures
        if m.metric == TOO_FAR
    ]


def penalty_table(
    measures: Iterable[Measure], methods: Mapping[float, str], *, configured: float, paper: float
) -> Table:
    """Arrange accuracy and movement by strength of the movement penalty, other methods below.

    ``methods`` maps strengths to names in ``measures``; those of this run and the paper are marked.
    """
    columns = [c for c in (*TWO_SAMPLE, *MOVEMENT) if c.key in PENALTY_COLUMNS]
    numbers: dict[str, dict[str, float]] = {}
    for m in measures:
        if not m.feature:
            numbers.setdefault(m.method, {})[m.metric] = m.value
    strengths = {methods[strength]: strength for strength in sorted(methods)}
    rows = []
    for method in (*strengths, *(name for name in numbers if name not in strengths)):
        strength = strengths.get(method)
        marks = {"this run's": configured, "the paper's": paper}
        row = {
            "method": label(SCANNED if method in strengths else method),
            "strength": strength,
            "mark": ", ".join(mark for mark, value in marks.items() if value == strength),
        }
        rows.append(row | {column.key: numbers[method].get(column.key) for column in columns})
    keys = [Column("method", "method"), Column("strength", "strength", 3), Column("mark", "which")]
    return Table((*keys, *columns), rows)


def with_own_divergences(measures: Iterable[Measure]) -> list[Measure]:
    """Add to each moved density's divergence the divergence of the density that the method moves.

    A bijection changes no divergence. A transport that takes the true reference to the true target
    therefore takes the learned p_R to a density that is as far from the true target as the learned
    p_R is from the true reference. The base transfer gives the learned p_T, whatever p_R is.
    """
    measures = list(measures)
    own = {
        (m.task, m.training): m.value
        for m in measures
        if (m.method, m.metric) == (DENSITY, "divergence")
    }
    added = []
    for m in measures:
        if m.metric == "divergence" and m.method != DENSITY:
            task = TASKS[m.task]
            dataset = task.target if m.method in UNTRAINED else task.reference
            value = own.get((dataset.name, m.training))
            if value is not None:
                added.append(m._replace(metric="own_divergence", value=value))
    return measures + added


def deviation(values: Sequence[float]) -> float | None:
    """Spread of a number over trainings: the standard deviation of a single one, not of their mean.

    None for a single training, and for values that are not finite.
    """
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    return float(np.std(values, ddof=1)) if np.ptp(values) else 0.0


def _same_for_all(m: Measure) -> bool:
    """Whether a number of the ensemble is one that does not depend on any training."""
    return m.training == ENSEMBLE and m.method in (FLOOR, CEILING, BASELINE)


def _row(m: Measure) -> tuple[str, str, str]:
    of_many = ", ensemble" if m.training == ENSEMBLE else ""
    return m.name, label(m.method) + of_many, m.feature


def _spread(column: Column) -> tuple[Column]:
    return (Column(f"{column.key}_spread", "± trainings", column.decimals),)


def _mean(values: Sequence[float], column: Column) -> float | int | None:
    if not values:
        return None
    mean = float(np.mean(values))
    return round(mean) if column.decimals == 0 else mean
