"""Jobs that make events, and samples of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flowmorph.plan.jobs.form import choice, job

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(gt=0)]


@job
class GenerateJob:
    """Generate the collider events of one chunk.

    Attributes:
        shower: parton shower: simple, vincia or vincia_sector.
        events: number of events.
        pthat_min_gev: least transverse momentum of the hard process, GeV.
        mhat_min_gev: least invariant mass of the hard process, GeV.
        seed: of Pythia and the detector; at least 0.
        mhat_max_gev: largest invariant mass of the hard process, GeV; -1 for no limit.
        early_jet_pt_gev: events whose hardest parton-level jet is softer than this, GeV, are
            dropped early.
        early_mass_gev: events whose parton-level dijet mass is outside of this interval, GeV, are
            dropped early.
        settings: further settings of Pythia, ``name = value``.
    """

    shower: str
    events: Count
    pthat_min_gev: float
    mhat_min_gev: float
    seed: int
    mhat_max_gev: float = -1.0
    early_jet_pt_gev: float = 0.0
    early_mass_gev: tuple[float, float] = (0.0, float("inf"))
    settings: tuple[str, ...] = ()


@job
class PrepareJob:
    """Cut, split and scale the collider samples.

    Attributes:
        sidebands_tev: intervals of M in which flows are trained, TeV.
        signal_tev: interval of M that is the signal region, TeV.
        validation_fraction: part of the sidebands' events that is kept for validation.
        low: lower end of the scaled range.
        high: upper end of the scaled range.
        seed: of the split into training and validation.
        leak: signal events in the signal region for each background event of the target there;
            those that fall into the sidebands beside them are trained on.
        reference_in_signal: whether the reference's training events are those of the signal region
            too.
        fit: samples whose training events fill the scaled range.
        ranges: by column, the values that come to its ends instead; masses in GeV.
    """

    sidebands_tev: tuple[tuple[float, float], ...]
    signal_tev: tuple[float, float]
    validation_fraction: Share
    low: float
    high: float
    seed: int
    leak: float = 0.0
    reference_in_signal: bool = choice(False)
    fit: Literal["both", "reference"] = choice("both")
    ranges: dict[str, tuple[float, float]] = choice({})


@job
class OwnFiles:
    """Files of one of the user's samples, as in the configuration."""

    files: str | list[str]
    tree: str | None
    format: str | None
    weights: str | None


@job
class OwnJob:
    """Cut, split and scale the user's two samples, as the key ``own`` describes it.

    Attributes:
        reference: files of the reference.
        target: files of the target.
        features: columns to move, each with the options of `Preprocessor.fit`.
        condition: columns of the condition, likewise.
        regions: keys ``column`` and ``train``, as in the configuration.
        missing: what a missing value does: "error" stops, "drop" leaves out the row.
        rows: most rows of each sample for training, and for validation.
        scaling: ends of the scaled range.
        validation_fraction: part of the rows in the training region that is kept for validation.
        seed: of order, split and dequantization.
        negative: what negative weights do: "error", "absolute", "drop" or "resample".
        event: columns that identify an event; empty: features and condition do.
        balance: whether the reference is weighted to the target's spectrum of the condition.
        folds: of the trainings, which the classifier behind these weights shares; None for one
            training.
    """

    reference: OwnFiles
    target: OwnFiles
    features: list[tuple[str, dict]]
    condition: list[tuple[str, dict]]
    regions: dict
    missing: str
    rows: tuple[int, int]
    scaling: tuple[float, float]
    validation_fraction: Share
    seed: int
    negative: Literal["error", "absolute", "drop", "resample"] = choice("error")
    event: tuple[str, ...] = choice(())
    balance: bool = choice(False)
    folds: int | None = choice(None)


@job
class Closure:
    """What of the user's samples is compared beside validation rows, features and categories.

    Attributes:
        elsewhere: whether rows outside of the training region are.
        apply: intervals of the region's column in which these lie; none: wherever is no training.
        columns: columns whose bins comparisons are made in.
    """

    elsewhere: bool
    apply: tuple[tuple[float, float], ...] = ()
    columns: tuple[str, ...] = ()


@job
class OwnClosureJob:
    """Give the rows and columns of the user's samples in which transports are tested only.

    Attributes:
        own: how the samples were prepared for trainings.
        closure: what is tested.
    """

    own: OwnJob
    closure: Closure
