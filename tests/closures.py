"""The user's samples as trainings and comparisons have them, in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowmorph.plan.jobs.events import Closure
from flowmorph.samples import own_balance, own_closure, own_samples
from flowmorph.samples.own_rows import Settings
from flowmorph.tables.table import Table


def prepare_all(
    samples: Mapping[str, Mapping],
    settings: Settings,
    apply: Sequence = ((1, 2),),
    columns: Sequence[str] = (),
) -> tuple[dict, own_samples.Preprocessor, Table, Table]:
    """Arrays of all splits by sample, the preprocessing, and the tables of both jobs."""
    prepared, preprocessing, rows = own_samples.prepare(samples, settings, apply)
    kept = {
        name.removeprefix(own_balance.PREFIX): values
        for name, values in prepared["reference"].items()
        if name.startswith(own_balance.PREFIX)
    }
    closure = Closure(True, tuple(map(tuple, apply)), tuple(columns))
    further, elsewhere = own_closure.prepare(samples, settings, closure, preprocessing, kept)
    arrays = {name: prepared[name] | further[name] for name in prepared}
    assert elsewhere is not None
    return arrays, preprocessing, rows, elsewhere
