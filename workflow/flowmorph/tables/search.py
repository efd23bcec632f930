"""The table of the search: what each template finds, over draws of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowmorph.metrics.measures import Measure
from flowmorph.metrics.search import BACKGROUND_EFFICIENCIES, mean_and_error
from flowmorph.plan.labels import label
from flowmorph.tables.table import Column, Table

METRICS = {
    "sic_max": ("largest SIC", 2),
    **{f"sic_at_{e:g}": (f"SIC at ε_B = {e:g}", 2) for e in BACKGROUND_EFFICIENCIES},
    "signal_auc": ("AUC of the signal", 3),
    "excess": ("excess [σ]", 2),
    "excess_share": ("excess / expected", 3),
    "excess_calibrated": ("excess, calibrated [σ]", 2),
}


def search_table(numbers: Mapping[float, Sequence[Measure]]) -> Table:
    """Give each template's numbers by fraction of signal: means over draws, and their errors.

    ``numbers`` maps fractions of signal to the measures of all draws.
    """
    rows = []
    for fraction, measures in numbers.items():
        values: dict[tuple[str, str], list[float]] = {}
        for m in measures:
            values.setdefault((m.method, m.metric), []).append(m.value)
        for method in dict.fromkeys(m.method for m in measures):
            row = {
                "signal": f"{100 * fraction:g} %",
                "template": label(method),
                "draws": len(values[method, "sic_max"]),
            }
            for metric in METRICS:
                found = values.get((method, metric), [])
                common = values.get((method, f"{metric}_common"), [])
                both = mean_and_error(found, common) if found else (None, None)
                row[metric], row[f"{metric}_error"] = both
            rows.append(row)
    columns = [Column("signal", "signal"), Column("template", "template"), Column("draws", "draws")]
    for metric, (heading, decimals) in METRICS.items():
        if any(row[metric] is not None for row in rows):
            columns.append(Column(metric, heading, decimals))
            columns.append(Column(f"{metric}_error", "±", decimals))
    return Table(columns, rows)
