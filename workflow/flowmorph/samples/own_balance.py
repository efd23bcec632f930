"""The user's reference, weighted to the target's spectrum of the condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from flowmorph.errors import InputError
from flowmorph.samples import balancing
from flowmorph.samples.unweighting import effective_number, relative
from flowmorph.tables.table import Column

#: Further columns of the table of rows.
COLUMNS = (
    Column("balanced", "effective number after balance"),
    Column("unmatched", "weight 0: condition that the target never has"),
)


#: What names of a prepared sample's arrays begin with, of which the factors are made.
PREFIX = "balance."


def balance(
    prepared: Mapping[str, dict[str, np.ndarray]],
    found: Mapping[str, np.ndarray],
    names: Sequence[str],
    region: str | None,
    folds: int | None,
    seed: int,
) -> tuple[dict[str, float], list[str]]:
    """Multiply the reference's weights by what gives it the target's spectrum of the condition.

    Args:
        prepared: arrays of both samples, as `own_samples.prepare` makes them; those of the
            reference get ``<split>.weights``, and ``balance.<name>``, what the factors are made of.
        found: hashes of the reference's rows, (N,), by split.
        names: of the C conditions that flows are given.
        region: the column whose intervals rows are trained in, if there are some.
        folds: of the trainings; None for one training, and the classifier's own number.
        seed: of the classifier.

    Returns:
        What `COLUMNS` say of the reference, and sentences about it.

    Raises:
        InputError: as `balancing.fit`, or no weight of a split is left above zero.
    """
    arrays, target = prepared["reference"], prepared["target"]
    spectra = [
        balancing.Spectrum(each["train.condition"], each.get("train.weights"), each["train.rows"])
        for each in (arrays, target)
    ]
    endless = [name == region for name in names]
    learnt, uncovered = balancing.fit(*spectra, names, folds or balancing.FOLDS, endless, seed)
    before = arrays.get("train.signed", arrays.get("train.weights"))
    unmatched = sum(weigh(arrays, split, learnt, hashes) for split, hashes in found.items())
    arrays |= {PREFIX + name: values for name, values in learnt.to_arrays().items()}
    rows = len(spectra[0].condition)
    after = arrays.get("train.signed", arrays["train.weights"])
    numbers = {"balanced": effective_number(rows, after), "unmatched": unmatched}
    notes = [
        f"The reference has weights that give it the target's spectrum of "
        f"{', '.join(dict.fromkeys(names))}: {rows:,} training rows count as "
        f"{effective_number(rows, before):,} before, and as {numbers['balanced']:,} after."
    ]
    if unmatched:
        notes.append(said_of(unmatched))
    if uncovered:
        notes.append(
            f"Warning: {uncovered:.2%} of the target lies at conditions where the reference has no "
            "rows: no weight gives it these."
        )
    return numbers, notes


def weigh(
    arrays: dict[str, np.ndarray], split: str, learnt: balancing.Balance, hashes: np.ndarray
) -> int:
    """Multiply the weights of one of the reference's splits by the factors.

    Args:
        arrays: of the reference, as `own_samples.prepare` makes them, of which the split's weights
            are changed.
        split: its name.
        learnt: gives the factors.
        hashes: of the split's rows, (N,).

    Returns:
        The number of rows that have no weight now, since the target never has their condition.

    Raises:
        InputError: no weight is left above zero.
    """
    factors = learnt.factors(arrays[f"{split}.condition"], hashes)
    weights = factors * arrays.get(f"{split}.weights", 1.0)
    if not weights.any():
        raise InputError(
            f"reference: own.balance leaves no weight to its {split} events: the target has "
            "none of their conditions: give more events, or set balance: false"
        )
    arrays[f"{split}.weights"] = relative(weights)
    if f"{split}.signed" in arrays:
        arrays[f"{split}.signed"] = relative(factors * arrays[f"{split}.signed"])
    return int((factors == 0).sum())


def said_of(unmatched: int) -> str:
    """A sentence about rows that `weigh` leaves without weight."""
    return (
        f"reference: {unmatched:,} rows have a condition that the target never has, and weight 0."
    )


def kept(*paths: str) -> dict[str, np.ndarray]:
    """What the factors of a prepared reference are made of, as `Balance.to_arrays` gave it.

    ``paths`` are its file, or none without balance.
    """
    found = {}
    for path in paths:
        with np.load(path) as file:
            names = [name for name in file if name.startswith(PREFIX)]
            found |= {name.removeprefix(PREFIX): file[name] for name in names}
    return found
