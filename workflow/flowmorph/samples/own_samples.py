"""The user's two samples as flows are trained on them: cut, split, thinned and in the box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flowmorph.errors import InputError
from flowmorph.formats.allowed import Allowed
from flowmorph.formats.tables import SampleFiles, open_sample
from flowmorph.plan.intervals import gaps
from flowmorph.plan.seeds import seed_for
from flowmorph.preprocess.categories import Categories, Vocabulary
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import own_balance, own_categories, row_hashes
from flowmorph.samples.negative_weights import Report, non_negative
from flowmorph.samples.reading import check_pair, read_sample
from flowmorph.samples.regions import inside
from flowmorph.samples.unweighting import effective_number, relative
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
    Column("apply", "closure, elsewhere"),
)
#: Further ones, where there are negative weights.
NEGATIVE_COLUMNS = (
    Column("negative", "negative weights"),
    Column("change", "sum of weights in trainings / as given", 3),
    Column("clipped", "local means below 0"),
    Column("clipped_sum", "their part of the sum", 4),
    Column("column", "worst histogram before and after"),
    Column("chi2", "its chi2/ndf", 2),
)


@dataclass(frozen=True)
class Settings:
    """How both samples are prepared; the keys of ``own`` in the configuration.

    Attributes:
        features: columns to move, each with the options of `Preprocessor.fit`.
        condition: columns of the condition, likewise.
        regions: keys ``column``, ``train``, ``apply`` and ``closure``, as in the configuration.
        missing: what a missing value does: "error" stops, "drop" leaves out the row.
        rows: most rows of each sample for training, and for validation or closure.
        scaling: ends of the scaled range.
        fraction: part of the rows in the training region that is kept for validation, 0 to 1.
        seed: of order, split and dequantization.
        negative: what negative weights do: "error" stops, others are those of `non_negative`.
        event: columns that identify an event; empty: features and condition do.
        closure: further columns whose bins comparisons are made in.
        balance: whether the reference is weighted to the target's spectrum of the condition.
        folds: of the trainings; None for one training.
    """

    features: Mapping[str, Mapping]
    condition: Mapping[str, Mapping]
    regions: Mapping
    missing: str
    rows: tuple[int, int]
    scaling: tuple[float, float]
    fraction: float
    seed: int
    negative: str = "error"
    event: Sequence[str] = ()
    closure: Sequence[str] = ()
    balance: bool = False
    folds: int | None = None

    @property
    def categorical(self) -> list[str]:
        """Conditions that are categories."""
        return [name for name, choice in self.condition.items() if choice.get("categorical")]

    @property
    def allowed(self) -> dict[str, Allowed]:
        """What the values of features and conditions of numbers may be."""
        choices = {**self.features, **self.condition}
        return {
            name: Allowed.of(choice)
            for name, choice in choices.items()
            if name not in self.categorical
        }

    @property
    def identity(self) -> list[str]:
        """Columns whose values identify an event."""
        return list(self.event or (*self.features, *self.condition))


@dataclass(frozen=True)
class Splits:
    """The rows of one sample.

    Attributes:
        tables: columns by name, by split; weights are not negative.
        signed: weights as they were given, by split; empty if none of them is negative.
        report: what became of negative weights; None likewise.
        moved: codes of the categories of all rows in the regions to apply, by column.
        counts: what `ROWS_COLUMNS` say.
    """

    tables: dict[str, dict[str, np.ndarray]]
    signed: dict[str, np.ndarray]
    report: Report | None
    moved: dict[str, np.ndarray]
    counts: dict


def check_moved(reference: Mapping, settings: Settings, output: Output) -> None:
    """Raise `InputError` if the moved reference could not be written: known before any training.

    ``reference`` has the keys ``files``, ``tree``, ``format`` and ``weights``.
    """
    files = opened(reference)
    output.check_drop(files)
    regions = settings.regions
    region = [regions["column"]] if regions["apply"] else []
    weights = [reference["weights"]] if settings.balance and reference["weights"] else []
    needed = list(dict.fromkeys([*settings.condition, *settings.event, *region, *weights]))
    whole = {name for name, choice in settings.features.items() if choice.get("integer")}
    # Which categories there are, training rows will say.
    categories = dict.fromkeys(settings.categorical, Categories(()))
    check_output(files, list(settings.features), needed, whole, output, categories)


def read_splits(
    name: str, sample: Mapping, settings: Settings, vocabularies: Mapping[str, Vocabulary]
) -> Splits:
    """Read one sample and deal its rows to ``train``, ``validation`` and ``apply``; count them.

    ``sample`` has the keys ``files``, ``tree``, ``format`` and ``weights``; files that are open
    already have neither tree nor format. ``vocabularies`` are those of columns of categories, and
    get the sample's. Rows are in random order in each split,
    because only a part of a split is used where the other sample's is smaller, and files often are
    sorted. In each split weights are scaled so that their squares neither underflow nor overflow.
    ``apply`` is there if there is a training region and closure is asked for. Raises `InputError`
    for a split without rows or weight, as `non_negative`, and, naming file and row, for a value
    outside of declared bounds in any row that could be in a split.
    """
    regions, weights = settings.regions, sample["weights"]
    files = opened(sample)
    extra = [regions["column"]] if regions["train"] or regions["apply"] else []
    extra += [*settings.event, *settings.closure]
    table, dropped = read_sample(
        files, list(settings.features), list(settings.condition), weights, extra,
        settings.missing, settings.negative != "error", vocabularies,
    )  # fmt: skip
    rng = np.random.default_rng(seed_for(settings.seed, "split", name))
    order = rng.permutation(len(next(iter(table.values()))))
    inside_train = _inside(table, regions, "train")
    train, elsewhere = inside_train[order], np.zeros(len(order), dtype=bool)
    most_train, most_validation = settings.rows
    rows = order[train]
    apart = round(settings.fraction * len(rows))
    chosen = {"train": rows[apart:][:most_train], "validation": rows[:apart][:most_validation]}
    if regions["train"] and regions["closure"]:
        elsewhere = _inside(table, regions, "apply") if regions["apply"] else ~inside_train
        chosen["apply"] = order[elsewhere[order]][:most_validation]
    used = inside_train | elsewhere
    for column, allowed in settings.allowed.items():
        dropped.check(column, np.where(used, table[column], np.nan), allowed)
    for split, indices in chosen.items():
        where, hint = _place(split)
        if len(indices) < 2:
            raise InputError(
                f"{name}: {len(indices)} events for {split} {where}: widen own.regions, give more "
                f"events{hint}"
            )
    applied = _inside(table, regions, "apply")
    moved = {column: np.unique(table[column][applied]) for column in vocabularies}
    signed, report = {}, None
    if weights:
        used = np.unique(np.concatenate(list(chosen.values())))
        given = table[weights]
        if (given[used] < 0).any():
            table[weights], report = _without_negative(name, table, weights, used, settings)
            signed = {split: relative(given[indices]) for split, indices in chosen.items()}
    tables = {
        split: {column: values[indices] for column, values in table.items()}
        for split, indices in chosen.items()
    }
    effective = None
    if weights:
        for split, each in tables.items():
            where, hint = _place(split)
            if not each[weights].any():
                raise InputError(f"{name}: the weights of all events {where} are zero{hint}")
            each[weights] = relative(each[weights])
        effective = signed.get("train", tables["train"][weights])
    counts = {
        "sample": name, "read": dropped.read, "missing": dropped.rows, "region": int(train.sum()),
        "train": len(chosen["train"]), "validation": len(chosen["validation"]),
        "apply": len(chosen["apply"]) if "apply" in chosen else None,
        "effective": effective_number(len(chosen["train"]), effective),
    }  # fmt: skip
    return Splits(tables, signed, report, moved, counts)


def prepare(
    samples: Mapping[str, Mapping], settings: Settings
) -> tuple[dict[str, dict[str, np.ndarray]], Preprocessor, Table]:
    """Read reference and target, and bring every split of both to the flows' box.

    Gives, for each sample, arrays ``<split>.points`` (N, D), ``<split>.condition`` (N, C), float32,
    and, where there are weights, ``<split>.weights`` (N,), float64, and, where some of them are
    negative, ``<split>.signed`` (N,), float64, as they were given; ``train.rows`` (N,), hashes
    of the events, and ``train.told``, whether these tell events apart; ``condition.gaps`` (C,), the
    widest gap of the training region in each condition, scaled, and 0 for a condition on which a
    feature depends so strongly that noise on it would do harm; ``<split>.closure`` (N, B), float64,
    columns for bins, if there are any, but for training rows; the preprocessing, which is fitted on
    the training rows of both; and what became of the rows. Raises `InputError` for samples that
    flows cannot be trained between, such as with a category that only one of them has.
    With ``balance`` the reference has weights, and ``balance.<name>``, as `own_balance.balance`
    says.
    """
    vocabularies = {name: Vocabulary(name) for name in settings.categorical}
    read = {
        name: read_splits(name, sample, settings, vocabularies) for name, sample in samples.items()
    }
    features, conditions = list(settings.features), list(settings.condition)
    train = {name: each.tables["train"] for name, each in read.items()}
    where = "the training region" if settings.regions["train"] else ""
    categories = {
        name: _with_categories(vocabulary, read, where) for name, vocabulary in vocabularies.items()
    }
    check_pair(train["reference"], train["target"], features, conditions, where)
    weights = {name: sample["weights"] for name, sample in samples.items()}
    preprocessing = Preprocessor.fit(
        list(train.values()),
        {**settings.features, **settings.condition},
        *settings.scaling,
        [train[name][column] if column else None for name, column in weights.items()],
        conditions,
        categories,
    )
    prepared = {}
    for name, each in read.items():
        prepared[name] = {f"{split}.signed": values for split, values in each.signed.items()}
        for split, table in each.tables.items():
            box = preprocessing.forward(table, seed_for(settings.seed, "spread", name, split))
            rows = len(table[features[0]])
            for kind, columns in (("points", features), ("condition", conditions)):
                values = preprocessing.inputs(box, columns, rows)
                prepared[name][f"{split}.{kind}"] = values
            if weights[name]:
                prepared[name][f"{split}.weights"] = table[weights[name]]
            if settings.closure and split != "train":
                columns = [table[column] for column in settings.closure]
                prepared[name][f"{split}.closure"] = np.stack(columns, axis=1)
            if split == "train":
                found = row_hashes.hashes(table, settings.identity)
                row_hashes.check_events(name, found, settings.event, settings.folds)
                told = bool(settings.event) or row_hashes.identify(found)
                prepared[name] |= {"train.rows": found, "train.told": np.array(told)}
    widths = _gaps(settings, preprocessing)
    notes = []
    for name, known in categories.items():
        notes += own_categories.few(name, known, {each: train[each][name] for each in train})
    balanced = {}
    if settings.balance:
        names = [name for name, _ in preprocessing.names(conditions)]
        region = settings.regions["column"] if settings.regions["train"] else None
        found = {
            split: row_hashes.hashes(table, settings.identity)
            for split, table in read["reference"].tables.items()
        }
        seed = seed_for(settings.seed, "balance")
        balanced, said = own_balance.balance(prepared, found, names, region, settings.folds, seed)
        notes += said
    _check_sums(prepared)
    reports = {name: each.report for name, each in read.items() if each.report}
    for name, report in reports.items():
        notes.append(f"{name}: {report}.")
        if report.warning:
            notes.append(f"Warning: {name}: {report.warning}.")
    for arrays in prepared.values():
        arrays["condition.gaps"] = widths
    further = NEGATIVE_COLUMNS if reports else ()
    rows = [
        each.counts | {column.key: getattr(each.report, column.key, None) for column in further}
        for each in read.values()
    ]
    if settings.balance:
        further = (*own_balance.COLUMNS, *further)
        for row in rows:
            own = balanced if row["sample"] == "reference" else {}
            row |= {column.key: own.get(column.key) for column in own_balance.COLUMNS}
    return prepared, preprocessing, Table((*ROWS_COLUMNS, *further), rows, notes)


def _with_categories(vocabulary: Vocabulary, read: Mapping[str, Splits], region: str) -> Categories:
    """The categories of a column that flows know; the tables get their codes."""
    column = vocabulary.name
    train = {name: each.tables["train"][column] for name, each in read.items()}
    categories = own_categories.agreed(vocabulary, train, region)
    for name, each in read.items():
        for split, table in each.tables.items():
            table[column] = own_categories.recoded(
                table[column], vocabulary, categories, f"{split} rows of the {name}"
            )
    moved = read["reference"].moved[column]
    own_categories.recoded(moved, vocabulary, categories, "rows of the reference, to be moved,")
    return categories


def opened(sample: Mapping) -> SampleFiles:
    """The files of a sample with the keys ``files``, ``tree`` and ``format``, if not open yet."""
    if isinstance(sample["files"], SampleFiles):
        return sample["files"]
    return open_sample(sample["files"], sample["tree"], sample["format"])


def _place(split: str) -> tuple[str, str]:
    """Where the rows of a split are, and what else can be done if there are none."""
    if split == "apply":
        return "outside of the training region", " or set own.regions.closure: false"
    return "in the training region", ""


def _without_negative(
    name: str, table: Mapping[str, np.ndarray], weights: str, used: np.ndarray, settings: Settings
) -> tuple[np.ndarray, Report]:
    """Weights of all rows, zero where they are not used, and what became of negative ones."""
    columns = {column: table[column][used] for column in (*settings.features, *settings.condition)}
    result = np.zeros(len(table[weights]))
    seed = seed_for(settings.seed, "negative", name)
    result[used], report = non_negative(
        columns, table[weights][used], settings.negative, seed, f"{name}: weights {weights!r}"
    )
    return result, report


def _check_sums(prepared: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Raise `InputError` where signed weights of what is compared add up to zero or less."""
    for split in ("validation", "apply"):
        sizes = [len(arrays.get(f"{split}.points", ())) for arrays in prepared.values()]
        for name, arrays in prepared.items():
            signed = arrays.get(f"{split}.signed")
            if signed is not None and min(signed.sum(), signed[: min(sizes)].sum()) <= 0:
                raise InputError(
                    f"{name}: the weights of {min(sizes)} {split} events add up to zero or less: "
                    "give more events, or weights with fewer negative ones"
                )


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


def _inside(table: Mapping[str, np.ndarray], regions: Mapping, kind: str) -> np.ndarray:
    """Whether each row is in the intervals of one kind; every row is where there are none."""
    if not regions[kind]:
        return np.ones(len(next(iter(table.values()))), dtype=bool)
    return inside(table[regions["column"]], np.asarray(regions[kind], dtype=float))
