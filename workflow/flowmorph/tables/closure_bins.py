"""How like the target moved samples are in bins of columns, a row for each bin and method."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flowmorph.metrics.measures import Number
from flowmorph.plan.labels import label
from flowmorph.samples.binned import Binned
from flowmorph.tables.table import Column, Table

COLUMNS = (
    Column("task", "task"),
    Column("column", "column"),
    Column("bin", "bin"),
    Column("method", "method"),
    Column("points", "points", 0),
    Column("effective_points", "effective points", 0),
    Column("auc", "AUC", 3),
    Column("auc_low", "95 % from", 3),
    Column("auc_high", "to", 3),
    Column("ks", "largest KS", 3),
    Column("feature", "of"),
)


def rows_of(
    task: str, part: Binned, names: Sequence[str], numbers: Iterable[Number], points: int
) -> list[dict]:
    """Rows of one bin; ``points`` are those that were to be compared.

    Args:
        task: name of the task and split.
        part: the bin.
        names: what is compared there.
        numbers: what `comparison.compare` gives of them; none where points are too few.
        points: that were to be compared.
    """
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    distances: dict[str, dict[str, float]] = {name: {} for name in names}
    for number in numbers:
        if number.metric == "ks":
            distances[number.method][number.feature] = number.value
        elif not number.feature:
            found[number.method][number.metric] = number.value
    rows = []
    for name in names:
        row = dict.fromkeys(column.key for column in COLUMNS) | {"points": points}
        row |= {key: value for key, value in found[name].items() if key in row}
        if distances[name]:
            row["feature"] = max(distances[name], key=distances[name].__getitem__)
            row["ks"] = distances[name][row["feature"]]
        rows.append(
            row | {"task": task, "column": part.column, "bin": part.label, "method": label(name)}
        )
    return rows


def closure_table(rows: Sequence[dict], fewest: int) -> Table:
    """The table of all rows; bins with fewer than the ``fewest`` points say so below it."""
    notes = [
        f"{row['task']}: {row['column']} {row['bin']}: {row['points']:.0f} points, or what "
        f"unweighting leaves of them, are fewer than {fewest}, too few to be compared with the "
        "target."
        for row in rows
        if row["auc"] is None
    ]
    return Table(COLUMNS, rows, list(dict.fromkeys(notes)))
