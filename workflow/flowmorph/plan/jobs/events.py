"""Jobs that make events, and samples of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from flowmorph.plan.jobs.form import job

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(gt=0)]


@job
class GenerateJob:
    """Collider events of one chunk: a shower, its phase space (GeV), and a seed.

    A ``mhat_max_gev`` of -1 is none. ``early_jet_pt_gev`` and ``early_mass_gev`` end an event that
    cannot pass the later cuts; ``settings`` are further ones of Pythia's, ``name = value``.
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
    """Sidebands and signal region (TeV), the share of validation events, and the scaled range."""

    sidebands_tev: tuple[tuple[float, float], ...]
    signal_tev: tuple[float, float]
    validation_fraction: Share
    low: float
    high: float
    seed: int


@job
class OwnFiles:
    """Files of one of the user's samples, as in the configuration."""

    files: str | list[str]
    tree: str | None
    format: str | None
    weights: str | None


@job
class OwnJob:
    """The user's two samples and how they are prepared, as the key ``own`` describes it.

    ``features`` and ``condition`` map columns to how they are prepared; ``rows`` is the most for
    training and for validation; ``scaling`` is the scaled range.
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
