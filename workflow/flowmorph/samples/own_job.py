"""The jobs that prepare the user's two samples: their settings, and the files that they leave."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from flowmorph.files import atomic
from flowmorph.plan.jobs import form
from flowmorph.plan.jobs.events import OwnJob
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples.own_rows import Settings


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
        balance=job.balance,
        folds=job.folds,
    )


def files(job: OwnJob) -> dict[str, dict[str, Any]]:
    """Files and weights of both samples, by sample."""
    return {"reference": form.as_dict(job.reference), "target": form.as_dict(job.target)}


def save(
    prepared: Mapping[str, Mapping[str, np.ndarray]],
    preprocessing: Preprocessor,
    samples: Mapping[str, str | os.PathLike],
    maps: str | os.PathLike,
) -> None:
    """Write what `own_samples.prepare` gave: ``samples`` are files (npz) by sample, ``maps`` JSON.

    Equal arrays give equal bytes.
    """
    save_arrays(prepared, samples)
    with atomic(maps) as part:
        preprocessing.save(part)


def save_arrays(
    prepared: Mapping[str, Mapping[str, np.ndarray]], samples: Mapping[str, str | os.PathLike]
) -> None:
    """Write arrays of both samples, each to its file (npz); equal arrays give equal bytes."""
    for name, arrays in prepared.items():
        with atomic(samples[name]) as part:
            np.savez(part, **{key: arrays[key] for key in sorted(arrays)})
