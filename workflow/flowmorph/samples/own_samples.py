"""The user's two samples as flows are trained on them: cut, split, thinned and in the box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from flowmorph.plan.intervals import gaps
from flowmorph.plan.seeds import seed_for
from flowmorph.preprocess.categories import Categories, Vocabulary
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import own_balance, own_categories, own_rows, row_hashes
from flowmorph.samples.own_rows import Settings, opened
from flowmorph.samples.reading import check_pair
from flowmorph.tables.table import Column, Table
from flowmorph.user.output import Output, check_output

ROWS_COLUMNS = (
    Column("sample", "sample"),
    Column("read", "rows"),
    Column("missing", "left out: missing values"),
    Column("region", "in the training region"),
    Column("train", "trained on"),
    Column("effective", "their effective number"),
    Column("validation", "validation"),
)


def check_moved(
    reference: Mapping, settings: Settings, output: Output, apply: Sequence = ()
) -> None:
    """Raise `InputError` if the moved reference could not be written: known before any training.

    ``reference`` has the keys ``files``, ``tree``, ``format`` and ``weights``; ``apply`` has the
    intervals in which rows are moved.
    """
    files = opened(reference)
    output.check_drop(files)
    region = [settings.regions["column"]] if apply else []
    weights = [reference["weights"]] if settings.balance and reference["weights"] else []
    needed = list(dict.fromkeys([*settings.condition, *settings.event, *region, *weights]))
    whole = {name for name, choice in settings.features.items() if choice.get("integer")}
    # Which categories there are, training rows will say.
    categories = dict.fromkeys(settings.categorical, Categories(()))
    check_output(files, list(settings.features), needed, whole, output, categories)


def prepare(
    samples: Mapping[str, Mapping], settings: Settings, apply: Sequence = ()
) -> tuple[dict[str, dict[str, np.ndarray]], Preprocessor, Table]:
    """Read reference and target, and bring the training region of both to the flows' box.

    Gives, for each sample and the splits ``train`` and ``validation``, arrays ``<split>.points``
    (N, D) and ``<split>.condition`` (N, C), float32, and, where there are weights,
    ``<split>.weights`` (N,), float64, and, where some of them are negative, ``<split>.signed``
    (N,), float64, as they were given; ``train.rows`` (N,), hashes of the events, and
    ``train.told``, whether these tell events apart; ``condition.gaps`` (C,), the widest gap of the
    training region in each condition, scaled, and 0 for a condition on which a feature depends so
    strongly that noise on it would do harm; the preprocessing, which is fitted on the training rows
    of both; and what became of the rows. With ``balance`` the reference has weights, and
    ``balance.<name>``, as `own_balance.balance` says. ``apply`` has the intervals in which rows are
    moved: the reference's have to be of known categories. Raises `InputError` for samples that
    flows cannot be trained between, such as with a category that only one of them has.
    """
    vocabularies = {name: Vocabulary(name) for name in settings.categorical}
    read = {
        name: own_rows.read_rows(name, sample, settings, vocabularies)
        for name, sample in samples.items()
    }
    where = "the training region" if settings.regions["train"] else ""
    categories = {
        name: own_categories.agreed(
            vocabulary, {role: rows.table[name][rows.train] for role, rows in read.items()}, where
        )
        for name, vocabulary in vocabularies.items()
    }
    for role, rows in read.items():
        moved = own_rows.within(rows.table, settings.regions["column"], apply)
        further = [np.flatnonzero(moved)] if role == "reference" else []
        rows.recode(vocabularies, categories, [rows.train, rows.validation, *further])
    weights = {name: sample["weights"] for name, sample in samples.items()}
    splits = {
        name: own_rows.cut(
            rows,
            weights[name],
            settings,
            {"train": rows.train, "validation": rows.validation},
            rows.trained,
            "in the training region",
        )
        for name, rows in read.items()
    }
    features, conditions = list(settings.features), list(settings.condition)
    train = {name: each.tables["train"] for name, each in splits.items()}
    check_pair(train["reference"], train["target"], features, conditions, where)
    preprocessing = Preprocessor.fit(
        list(train.values()),
        {**settings.features, **settings.condition},
        *settings.scaling,
        [train[name][column] if column else None for name, column in weights.items()],
        conditions,
        categories,
    )
    prepared = {name: each.boxed(name, settings, preprocessing) for name, each in splits.items()}
    for name, arrays in prepared.items():
        found = row_hashes.hashes(train[name], settings.identity)
        row_hashes.check_events(name, found, settings.event, settings.folds)
        told = bool(settings.event) or row_hashes.identify(found)
        arrays |= {"train.rows": found, "train.told": np.array(told)}
    notes = []
    for name, known in categories.items():
        notes += own_categories.few(name, known, {each: train[each][name] for each in train})
    balanced = {}
    if settings.balance:
        names = [name for name, _ in preprocessing.names(conditions)]
        region = settings.regions["column"] if settings.regions["train"] else None
        hashes = {
            split: row_hashes.hashes(table, settings.identity)
            for split, table in splits["reference"].tables.items()
        }
        seed = seed_for(settings.seed, "balance")
        balanced, said = own_balance.balance(prepared, hashes, names, region, settings.folds, seed)
        notes += said
    own_rows.check_sums(prepared, "validation")
    widths = _gaps(settings, preprocessing)
    for arrays in prepared.values():
        arrays["condition.gaps"] = widths
    rows = [
        {
            "sample": name, "read": each.dropped.read, "missing": each.dropped.rows,
            "region": int(each.trained.sum()), "train": len(each.train),
            "effective": splits[name].effective("train"), "validation": len(each.validation),
            **(balanced if name == "reference" else {}),
        }
        for name, each in read.items()
    ]  # fmt: skip
    columns = ROWS_COLUMNS + (own_balance.COLUMNS if settings.balance else ())
    return prepared, preprocessing, own_rows.rows_table(columns, rows, splits, notes)


def _gaps(settings: Settings, preprocessing: Preprocessor) -> np.ndarray:
    """Widest gap of the training region in each condition, (C,), in the flows' box.

    Conditions are those that flows are given (`Preprocessor.names`).
    """
    names = preprocessing.names(list(settings.condition))
    widths = np.zeros(len(names))
    column = settings.regions["column"]
    if (column, None) in names:
        ends = np.asarray(gaps(settings.regions["train"]), dtype=float).reshape(-1, 2)
        # No row lies in the part of a gap that is outside of declared bounds.
        ends = np.clip(ends, *(preprocessing.allowed(column).bounds or (-np.inf, np.inf)))
        # The noise of a condition is none: its spikes stay where they are.
        ends = preprocessing.spread(column, ends.ravel(), np.random.default_rng(0))
        scaled = preprocessing.maps[column].forward(ends).reshape(-1, 2)
        widths[names.index((column, None))] = np.ptp(scaled, axis=1).max(initial=0.0)
    return widths
