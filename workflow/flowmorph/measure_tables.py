"""The tables of measures: accuracy, movement, and both for each feature."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flowmorph.metrics.measures import Measure
from flowmorph.tables import Column, Table, label


@dataclass(frozen=True)
class Kind:
    """A table: the metrics in its columns, the one that every row has, and what a row is about."""

    columns: tuple[Column, ...]
    needed: str
    per_feature: bool = False


TWO_SAMPLE = (
    Column("points", "points", 0),
    Column("effective_points", "effective points", 0),
    Column("auc", "AUC", 4),
    Column("auc_low", "95 % from", 4),
    Column("auc_high", "to", 4),
    Column("sliced_wasserstein", "sliced Wasserstein", 4),
    Column("condition_spread", "its range over conditions", 4),
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
    Column("left_box", "left the box", 5),
    Column("cycle_mean", "mean cycle error", 7),
    Column("cycle_max", "largest", 5),
    Column("parameters", "parameters", 0),
)
MARGINALS = (
    Column("ks", "KS", 4),
    Column("ks_pvalue", "p (KS)", 4),
    Column("chi2_ndf", "chi2/ndf", 2),
    Column("distance_mean", "mean distance", 4),
    Column("distance_std", "std", 4),
    Column("distance_q05", "5 %", 4),
    Column("distance_median", "median", 4),
    Column("distance_q95", "95 %", 4),
)
KINDS = {
    "two_sample": Kind(TWO_SAMPLE, needed="auc"),
    "movement": Kind(MOVEMENT, needed="distance_mean"),
    "marginals": Kind(MARGINALS, needed="ks", per_feature=True),
}


def measure_table(kind: str, measures: Iterable[Measure]) -> Table:
    """Arrange measures as one of `KINDS`, a row for each task, method and, if asked, feature."""
    columns, needed, per_feature = KINDS[kind].columns, KINDS[kind].needed, KINDS[kind].per_feature
    numbers: dict[tuple[str, str, str], dict[str, float]] = {}
    for m in measures:
        if bool(m.feature) == per_feature:
            numbers.setdefault((m.task, m.method, m.feature), {})[m.metric] = m.value
    rows = [
        {"task": task, "method": label(method), "feature": feature}
        | {column.key: _number(values.get(column.key), column) for column in columns}
        for (task, method, feature), values in numbers.items()
        if needed in values
    ]
    keys = [Column("task", "task"), Column("method", "method")]
    keys += [Column("feature", "feature")] * per_feature
    return Table((*keys, *columns), rows)


def _number(value: float | None, column: Column) -> float | int | None:
    return int(value) if value is not None and column.decimals == 0 else value
