"""Morph one data set into another with normalizing flows (arXiv:2309.06472).

A transport is trained, kept and used in a few lines (docs/python.md):

    import flowmorph
    transport = flowmorph.fit(simulation, data, features=["pt", "tau21"], condition=["mass"])
    moved = transport.move(simulation)
    transport.save("transport.safetensors")
    transport = flowmorph.load("transport.safetensors")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowmorph.user.report import Report
    from flowmorph.user.transport import Transport

__all__ = ["fit", "load", "report"]

#: The one place of the version: packaging, bundles and reports take it from here.
__version__ = "0.1.0"

# PyTorch and matplotlib are imported by these functions, not by ``import flowmorph``.


def fit(
    reference: Any,
    target: Any,
    features: str | Sequence[str | Mapping] | Mapping[str, Mapping | None],
    condition: str | Sequence[str | Mapping] | Mapping[str, Mapping | None] = (),
    *,
    weights: Sequence[Any] = (None, None),
    columns: Sequence[str] | None = None,
    method: str = "movement_penalty",
    seed: int | None = None,
    penalty: float | None = None,
    training: Mapping[str, Mapping] | None = None,
    flows: Mapping[str, Mapping] | None = None,
    regions: Mapping[str, Any] | None = None,
    missing: str | None = None,
    negative: str | None = None,
    balance: bool | None = None,
    event: str | Sequence[str] | None = None,
    folds: int | None = None,
    variations: Mapping[str, int] | None = None,
    rows: Mapping[str, int] | None = None,
    scaling: Mapping[str, float] | None = None,
    validation_fraction: float | None = None,
    device: str | None = None,
    engine: str | None = None,
    threads: int = 1,
    progress: bool = True,
) -> Transport:
    """Train a transport that moves one table into another, as the workflow trains it.

    Of the same rows with the same settings and seed it has the bytes of the workflow's own. What
    is None has the default of ``config/config.yaml``, whose keys are described in
    ``config/schema.yaml``; the arguments from ``penalty`` to ``engine`` are keys there, of ``own``
    if it has them, and a part of the keys inside one is enough.

    Args:
        reference: the table that is moved, N rows: a pandas DataFrame, a pyarrow table, an awkward
            array of records, a structured numpy array, a dict of arrays (N,), or a matrix (N, K).
        target: the table that it shall look like, M rows, in the same units.
        features: columns that are moved, 1 to 100: a name each, an entry such as ``{"column": "pt",
            "preprocess": "quantile"}``, or the options of each by its name.
        condition: columns that the map depends on and that stay as they are, likewise.
        weights: those of reference and target: the name of a column, an array (N,), or None. With
            ``balance``, weights that are a column are a part of what `Transport.weights` gives; an
            array has no name by which another table could have it, and is to be multiplied by it.
        columns: names of the K columns, if both tables are matrices.
        method: one of the paper's: base_transfer, unidirectional, flows_for_flows,
            movement_penalty or identity_initialization.
        seed: of every random number.
        penalty: strength of the movement penalty, per unit of scaled L1 distance.
        training: settings of the trainings, ``{"density": {...}, "transport": {...}}``.
        flows: sizes of the networks, likewise.
        regions: intervals of a column whose rows are trained on, ``{"column": ..., "train":
            [[low, high], ...]}``; in the column's unit.
        missing: "error" stops at a missing value, "drop" leaves the row out.
        negative: what is done about negative weights: error, absolute, drop or resample.
        balance: whether the reference is weighted to the target's spectrum of the condition.
        event: columns that identify an event, for folds, resampling and the noise on whole numbers.
        folds: trainings, each without one part of the rows, which it moves.
        variations: further trainings, with other ``seeds``, or of resampled events (``bootstrap``).
        rows: most rows of each sample to train on and to validate with.
        scaling: ends of the scaled range, ``low`` and ``high``.
        validation_fraction: part of the rows that is kept for validation.
        device: auto, cpu or cuda.
        engine: auto, compile or eager: how flows run on a CPU.
        threads: of the CPU. Sums of several threads have other last digits.
        progress: whether each training shows a bar; else it goes to the logger ``flowmorph``.

    Returns:
        The transport, with `move`, `log_prob`, `support`, `report` and `save`.

    Raises:
        flowmorph.errors.InputError: a table, a column, a value or an argument that cannot be used;
            before anything is trained. Or a loss that is not finite.
    """
    from flowmorph.user.fitting import fit as fit_transport

    own: dict[str, Any] = {"features": features, "condition": condition}
    own |= {"methods": [method]}
    own |= {"regions": regions, "missing": missing, "negative": negative, "event": event}
    own |= {"folds": folds, "variations": variations, "rows": rows, "scaling": scaling}
    own |= {"validation_fraction": validation_fraction, "balance": balance}
    others: dict[str, Any] = {"seed": seed, "flows": flows, "device": device, "engine": engine}
    others |= {"penalty": None if penalty is None else {"own": penalty}}
    others |= {"training": None if training is None else {"own": training}}
    return fit_transport(reference, target, weights, columns, own, others, threads, progress)


def load(path: str, device: str = "auto", threads: int = 1) -> Transport:
    """Read a trained transport from its file, or from the folder that holds it.

    ``device`` is ``cpu``, ``cuda`` or ``auto``; ``threads`` are those with which the transport
    computes: PyTorch has as many as before at all other times. Raises
    `flowmorph.errors.InputError` for a file of another kind, and for what is no device or number
    of threads.
    """
    from flowmorph.user.transport import load as load_transport

    return load_transport(path, device=device, threads=threads)


def report(
    transport: Transport,
    reference: Any,
    target: Any,
    *,
    weights: Sequence[Any] = (None, None),
    columns: Sequence[str] | None = None,
    missing: str = "error",
    negative: str = "error",
    labels: Mapping[str, str] | None = None,
    limits: tuple[float, float] = (-3.0, 3.0),
    points: int = 20_000,
    seed: int = 0,
) -> Report:
    """Compare a reference, before and after moving, with the target; `Transport.report` is this.

    Take rows that were not trained on: a map may fit its own rows better than others. No region is
    applied here, and where the spectra of the condition differ, the reference is weighted to that
    of the target.

    Args:
        transport: the map.
        reference: a table of N rows that is moved, of any kind that `fit` takes.
        target: a table of M rows. As many of each are compared as the smaller one has.
        weights: those of both, as in `fit`.
        columns: names of the columns, if both tables are matrices.
        missing: "error" stops at a missing value, "drop" leaves the row out.
        negative: what classifiers take for negative weights, as in `fit`.
        labels: what the figure calls features and conditions, by name, instead of their names.
        limits: ends of the axes, in scaled units.
        points: most rows of each sample for classifiers and distances.
        seed: of the choice of rows, and of the classifiers.

    Returns:
        A table of the AUC and other distances, and a figure of ratios and correlations.

    Raises:
        flowmorph.errors.InputError: a table, column or value that cannot be used, or too few rows.
    """
    from flowmorph.user.report import report as make

    given = labels or {}
    return make(
        transport, reference, target, weights, columns, missing, negative, given, limits, points,
        seed,
    )  # fmt: skip
