"""Rows of the user's two samples: read from files, dealt to splits, weighted and in the box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flowmorph.errors import InputError, RowError
from flowmorph.formats.allowed import Allowed
from flowmorph.formats.tables import SampleFiles, open_sample
from flowmorph.plan.seeds import seed_for
from flowmorph.preprocess.categories import Categories, Vocabulary
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import own_categories
from flowmorph.samples.negative_weights import Report, non_negative
from flowmorph.samples.reading import Dropped, read_sample
from flowmorph.samples.regions import inside
from flowmorph.samples.unweighting import effective_number, relative
from flowmorph.tables.table import Column, Table

#: Further columns of a table of rows, where there are negative weights.
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
        regions: keys ``column`` and ``train``, as in the configuration.
        missing: what a missing value does: "error" stops, "drop" leaves out the row.
        rows: most rows of each sample for training, and for validation or closure.
        scaling: ends of the scaled range.
        fraction: part of the rows in the training region that is kept for validation, 0 to 1.
        seed: of order, split and dequantization.
        negative: what negative weights do: "error" stops, others are those of `non_negative`.
        event: columns that identify an event; empty: features and condition do.
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
class Rows:
    """The rows of one sample that have no missing value.

    Attributes:
        name: reference or target.
        table: columns (N,), by name; categories as codes of the vocabularies.
        dropped: what was left out.
        order: the rows' numbers in random order, (N,), as files often are sorted.
        trained: whether each is in the training region, (N,).
        train: numbers of the rows to train on.
        validation: numbers of those to validate on.
    """

    name: str
    table: dict[str, np.ndarray]
    dropped: Dropped
    order: np.ndarray
    trained: np.ndarray
    train: np.ndarray
    validation: np.ndarray

    def recode(
        self,
        vocabularies: Mapping[str, Vocabulary],
        known: Mapping[str, Categories],
        numbers: Sequence[np.ndarray],
    ) -> None:
        """Give columns of categories the codes of those that flows know.

        Raises `InputError`, naming file and row, for a row of these numbers that has another one.
        """
        chosen = np.zeros(len(self.order), dtype=bool)
        chosen[np.concatenate(numbers)] = True
        for name, vocabulary in vocabularies.items():
            try:
                codes = own_categories.recoded(self.table[name], vocabulary, known[name], chosen)
            except RowError as error:
                raise self.dropped.named(error, error.row) from error
            self.table[name] = codes


@dataclass(frozen=True)
class Splits:
    """Rows of one sample by split, in random order.

    Attributes:
        tables: columns by name, by split; weights are not negative.
        signed: weights as they were given, by split; empty if none of them is negative.
        report: what became of negative weights; None likewise.
        weights: name of the weights; None where all rows count the same.
    """

    tables: dict[str, dict[str, np.ndarray]]
    signed: dict[str, np.ndarray]
    report: Report | None
    weights: str | None

    def effective(self, split: str) -> int:
        """Effective number of a split's rows."""
        table = self.tables[split]
        weights = self.signed.get(split, table[self.weights] if self.weights else None)
        return effective_number(len(next(iter(table.values()))), weights)

    def boxed(
        self, name: str, settings: Settings, preprocessing: Preprocessor
    ) -> dict[str, np.ndarray]:
        """Arrays ``<split>.points``, ``.condition``, ``.weights`` and ``.signed``.

        See `own_samples.prepare`; ``name`` is the sample's.
        """
        arrays = {f"{split}.signed": values for split, values in self.signed.items()}
        for split, table in self.tables.items():
            box = preprocessing.forward(table, seed_for(settings.seed, "spread", name, split))
            rows = len(next(iter(table.values())))
            for kind in ("points", "condition"):
                columns = list(settings.features if kind == "points" else settings.condition)
                arrays[f"{split}.{kind}"] = preprocessing.inputs(box, columns, rows)
            if self.weights:
                arrays[f"{split}.weights"] = table[self.weights]
        return arrays


def opened(sample: Mapping) -> SampleFiles:
    """The files of a sample with the keys ``files``, ``tree`` and ``format``, if not open yet."""
    if isinstance(sample["files"], SampleFiles):
        return sample["files"]
    return open_sample(sample["files"], sample["tree"], sample["format"])


def read_rows(
    name: str,
    sample: Mapping,
    settings: Settings,
    vocabularies: Mapping[str, Vocabulary],
    further: Sequence[str] = (),
) -> Rows:
    """Read one sample and deal the rows of its training region to trainings and validation.

    The same files and settings give the same rows in the same splits, whatever ``further`` columns
    are read.

    Args:
        name: reference or target.
        sample: keys ``files``, ``tree``, ``format`` and ``weights``; files that are open already
            have neither tree nor format.
        settings: of both samples.
        vocabularies: of columns of categories; they get the sample's.
        further: columns that may have missing values where these leave out rows.

    Raises:
        InputError: as `read_sample`, or a split without rows.
    """
    regions = settings.regions
    extra = [*([regions["column"]] if regions["column"] else []), *settings.event]
    table, dropped = read_sample(
        opened(sample), list(settings.features), list(settings.condition), sample["weights"], extra,
        settings.missing, settings.negative != "error", vocabularies, further,
    )  # fmt: skip
    rng = np.random.default_rng(seed_for(settings.seed, "split", name))
    order = rng.permutation(len(next(iter(table.values()))))
    most_train, most_validation = settings.rows
    trained = within(table, regions["column"], regions["train"])
    found = order[trained[order]]
    apart = round(settings.fraction * len(found))
    train, validation = found[apart:][:most_train], found[:apart][:most_validation]
    for split, numbers in (("train", train), ("validation", validation)):
        check_number(name, split, numbers, "in the training region")
    return Rows(name, table, dropped, order, trained, train, validation)


def within(table: Mapping[str, np.ndarray], column: str | None, intervals: Sequence) -> np.ndarray:
    """Whether each row, (N,), has a value of the column in an interval; all have without any."""
    if not intervals:
        return np.ones(len(next(iter(table.values()))), dtype=bool)
    return inside(table[column], np.asarray(intervals, dtype=float))


def check_number(name: str, split: str, numbers: np.ndarray, place: str, hint: str = "") -> None:
    """Raise `InputError` for fewer than two rows; ``hint`` says what else can be done."""
    if len(numbers) < 2:
        raise InputError(
            f"{name}: {len(numbers)} events for {split} {place}: widen own.regions, give more "
            f"events{hint}"
        )


def cut(
    rows: Rows,
    weights: str | None,
    settings: Settings,
    chosen: Mapping[str, np.ndarray],
    used: np.ndarray,
    place: str,
    hint: str = "",
) -> Splits:
    """Give splits their rows, and weights that trainings and comparisons can have.

    In each split weights are scaled so that their squares neither underflow nor overflow.

    Args:
        rows: the sample's; those of the splits get weights that are not negative.
        weights: name of the weights, if there are any.
        settings: of both samples.
        chosen: numbers of the rows, by split.
        used: whether each row, (N,), could be in a split.
        place: where the rows of these splits are, for messages.
        hint: what else can be done if there are none.

    Raises:
        InputError: a split without weight, as `non_negative`, and, naming file and row, a
            value outside of declared bounds in any row that could be in a split.
    """
    table, name = rows.table, rows.name
    for column, allowed in settings.allowed.items():
        rows.dropped.check(column, np.where(used, table[column], np.nan), allowed)
    signed, report = {}, None
    if weights:
        every = np.unique(np.concatenate(list(chosen.values())))
        given = table[weights]
        if (given[every] < 0).any():
            table[weights], report = _without_negative(name, table, weights, every, settings)
            signed = {split: relative(given[indices]) for split, indices in chosen.items()}
    tables = {
        split: {column: values[indices] for column, values in table.items()}
        for split, indices in chosen.items()
    }
    if weights:
        for each in tables.values():
            if not each[weights].any():
                raise InputError(f"{name}: the weights of all events {place} are zero{hint}")
            each[weights] = relative(each[weights])
    return Splits(tables, signed, report, weights)


def check_sums(prepared: Mapping[str, Mapping[str, np.ndarray]], split: str) -> None:
    """Raise `InputError` where signed weights of what is compared add up to zero or less."""
    sizes = [len(arrays[f"{split}.points"]) for arrays in prepared.values()]
    for name, arrays in prepared.items():
        signed = arrays.get(f"{split}.signed")
        if signed is not None and min(signed.sum(), signed[: min(sizes)].sum()) <= 0:
            raise InputError(
                f"{name}: the weights of {min(sizes)} {split} events add up to zero or less: "
                "give more events, or weights with fewer negative ones"
            )


def rows_table(
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Any]],
    splits: Mapping[str, Splits],
    notes: Sequence[str],
) -> Table:
    """What became of the rows of both samples, and of negative weights among them.

    ``rows`` has what ``columns`` say, one for each sample of ``splits``; a number that is not there
    is None. ``notes`` are sentences about them.
    """
    reports = {name: each.report for name, each in splits.items() if each.report}
    every = (*columns, *(NEGATIVE_COLUMNS if reports else ()))
    notes = list(notes)
    for name, report in reports.items():
        notes.append(f"{name}: {report}.")
        if report.warning:
            notes.append(f"Warning: {name}: {report.warning}.")
    whole = [
        {**row, **(vars(each.report) if each.report else {})}
        for row, each in zip(rows, splits.values(), strict=True)
    ]
    return Table(
        every, [{column.key: row.get(column.key) for column in every} for row in whole], notes
    )


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
