"""Categories that flows know: those of the training rows of both of the user's samples."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import numpy as np

from flowmorph.errors import InputError
from flowmorph.preprocess.categories import Categories, Vocabulary, shown

#: Training rows of a category, of either sample, below which a flow hardly learns its own map.
FEW = 100


def agreed(vocabulary: Vocabulary, train: Mapping[str, np.ndarray], region: str) -> Categories:
    """Categories of the rows that are trained on.

    Args:
        vocabulary: of the column.
        train: codes (N,) of the training rows by sample, those of the vocabulary.
        region: which part of the samples these are, for messages; may be empty.

    Raises:
        InputError: a category that only one sample has.
    """
    labels, where = vocabulary.labels, f" in {region}" if region else ""
    there = {sample: set(np.unique(codes).astype(int)) for sample, codes in train.items()}
    for sample, other in permutations(there, 2):
        alone = sorted(there[sample] - there[other])
        if alone:
            count = int((train[sample] == alone[0]).sum())
            raise InputError(
                f"condition {vocabulary.name!r}: only the {sample} has the category "
                f"{labels[alone[0]]!r} among the rows to train on{where} ({count} rows), not the "
                f"{other}, which has {shown([labels[i] for i in sorted(there[other])])}: leave "
                f"these rows out, or give the {other} such rows"
            )
    return Categories.of([labels[i] for i in set().union(*there.values())])


def recoded(
    codes: np.ndarray,
    vocabulary: Vocabulary,
    categories: Categories,
    chosen: np.ndarray | None = None,
) -> np.ndarray:
    """Codes (N,) of the vocabulary as those of ``categories``; negative for others than these.

    Raises `RowError` for a row that is of none of them, among those that are ``chosen``, (N,),
    bool; among all where that is None.
    """
    labels = vocabulary.labels
    new, _ = categories.codes(codes.astype(np.int64), labels)
    bad = np.flatnonzero(new < 0 if chosen is None else (new < 0) & chosen)
    if len(bad):
        raise categories.refuse(bad, vocabulary.name, labels[int(codes[bad[0]])])
    return new


def few(name: str, categories: Categories, train: Mapping[str, np.ndarray]) -> list[str]:
    """Name the categories that have fewer than `FEW` training rows of a sample, in sentences.

    ``train`` has the codes (N,) of the training rows of a column of this ``name``, by sample.
    """
    notes = []
    for code, label in enumerate(categories.labels):
        counts = {sample: int((codes == code).sum()) for sample, codes in train.items()}
        if min(counts.values()) < FEW:
            said = " and ".join(f"{count} of the {sample}" for sample, count in counts.items())
            notes.append(
                f"Warning: condition {name!r}: the category {label!r} has few training rows, "
                f"{said}: its map is mostly that of the others."
            )
    return notes
