"""What of the user's samples tests transports only, and is no reason to train anything anew.

Rows outside of the training region, and columns in whose bins comparisons are made.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from flowmorph.plan.jobs.events import Closure
from flowmorph.plan.tasks import OWN
from flowmorph.preprocess.categories import Vocabulary
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import own_balance, own_rows, row_hashes
from flowmorph.samples.balance import Balance
from flowmorph.samples.own_rows import Rows, Settings, Splits
from flowmorph.tables.table import Column, Table

#: The split of the rows outside of the training region.
APPLY = OWN.family.beyond
# Where they are, and what else can be done if there are none.
PLACE = "outside of the training region", " or set own.regions.closure: false"

ROWS_COLUMNS = (
    Column("sample", "sample"),
    Column("region", "where transports are applied"),
    Column("apply", "compared there"),
    Column("effective", "their effective number"),
)


def prepare(
    samples: Mapping[str, Mapping],
    settings: Settings,
    closure: Closure,
    preprocessing: Preprocessor,
    balance: Mapping[str, np.ndarray],
) -> tuple[dict[str, dict[str, np.ndarray]], Table | None]:
    """Bring rows outside of the training region to the flows' box; give columns for bins.

    Args:
        samples: as of `own_samples.prepare`.
        settings: those with which the samples were prepared.
        closure: what is wanted.
        preprocessing: of the prepared samples.
        balance: what its factors are made of; empty without balance.

    Returns:
        For each sample, arrays ``apply.points``, ``apply.condition``, ``apply.weights`` and
        ``apply.signed``, as those of the splits of `own_samples.prepare`, and
        ``validation.closure`` and ``apply.closure``, (N, B), float64, the B columns, if there are
        any: not finite where a value is missing. And what became of the rows, None where none of
        them is outside of the training region.

    Raises:
        InputError: as `own_rows.read_rows` and `own_rows.cut`, or a category that no row that is
            trained on has.
    """
    vocabularies = {name: Vocabulary(name) for name in settings.categorical}
    prepared: dict[str, dict[str, np.ndarray]] = {}
    splits: dict[str, Splits] = {}
    counts: dict[str, int] = {}
    for name, sample in samples.items():
        rows = own_rows.read_rows(name, sample, settings, vocabularies, closure.columns)
        chosen, arrays = {"validation": rows.validation}, {}
        if closure.elsewhere:
            where = _elsewhere(rows, settings, closure)
            chosen[APPLY] = rows.order[where[rows.order]][: settings.rows[1]]
            own_rows.check_number(name, APPLY, chosen[APPLY], *PLACE)
            rows.recode(vocabularies, preprocessing.categories, [chosen[APPLY]])
            found = own_rows.cut(
                rows, sample["weights"], settings, {APPLY: chosen[APPLY]}, where, *PLACE
            )
            arrays = found.boxed(name, settings, preprocessing)
            splits[name], counts[name] = found, int(where.sum())
        if closure.columns:
            columns = np.stack([rows.table[column] for column in closure.columns], axis=1)
            arrays |= {f"{split}.closure": columns[numbers] for split, numbers in chosen.items()}
        prepared[name] = arrays
    if not closure.elsewhere:
        return prepared, None
    notes = []
    if balance:
        inputs = len(preprocessing.names(list(settings.condition)))
        hashes = row_hashes.hashes(splits["reference"].tables[APPLY], settings.identity)
        learnt = Balance.from_arrays(balance, inputs)
        unmatched = own_balance.weigh(prepared["reference"], APPLY, learnt, hashes)
        notes += [own_balance.said_of(unmatched)] if unmatched else []
    own_rows.check_sums(prepared, APPLY)
    rows = [
        {
            "sample": name, "region": counts[name], "apply": len(prepared[name][f"{APPLY}.points"]),
            "effective": each.effective(APPLY),
        }
        for name, each in splits.items()
    ]  # fmt: skip
    return prepared, own_rows.rows_table(ROWS_COLUMNS, rows, splits, notes)


def _elsewhere(rows: Rows, settings: Settings, closure: Closure) -> np.ndarray:
    """Whether each row, (N,), is where transports are applied."""
    if not closure.apply:
        return ~rows.trained
    return own_rows.within(rows.table, settings.regions["column"], closure.apply)
