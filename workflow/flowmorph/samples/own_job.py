"""The job that prepares the user's two samples: its settings, and the files that it leaves."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from flowmorph.files import atomic
from flowmorph.plan.jobs.events import OwnJob
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples.own_samples import Settings


def settings(job: OwnJob) -> Settings:
    """How the job prepares both samples."""
    return Settings(
        features=dict(job.features),
        condition=dict(job.condition),
        regions=job.regions,
        missing=job.missing,
        rows=job.rows,
        scaling=job.scaling,
        fraction=job.validation_fraction,
        seed=job.seed,
        negative=job.negative,
        event=job.event,
        closure=job.closure,
        balance=job.balance,
        folds=job.folds,
    )


def save(
    prepared: Mapping[str, Mapping[str, np.ndarray]],
    preprocessing: Preprocessor,
    samples: Mapping[str, str | os.PathLike],
    maps: str | os.PathLike,
) -> None:
    """Write what `own_samples.prepare` gave: ``samples`` are files (npz) by sample, ``maps`` JSON.

    Equal arrays give equal bytes.
    """
    for name, arrays in prepared.items():
        with atomic(samples[name]) as part:
            np.savez(part, **{key: arrays[key] for key in sorted(arrays)})
    with atomic(maps) as part:
        preprocessing.save(part)
