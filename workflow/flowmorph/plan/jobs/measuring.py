"""Jobs that measure densities, moved samples and trainings."""

from __future__ import annotations

from flowmorph.plan.jobs.data import Data
from flowmorph.plan.jobs.form import job


@job
class TrainedDensity:
    """A training of a data set's density, and the ``split`` of the points that it is tried on.

    ``batch`` of them are evaluated at a time.
    """

    data: Data
    training: int
    split: str
    batch: int


@job
class DensitiesJob:
    """Densities to measure."""

    densities: tuple[TrainedDensity, ...]
    seed: int
    device: str = "auto"
    engine: str = "auto"


@job
class MeasureJob:
    """How well and how far each method moves a task's points.

    ``mode`` is how the condition enters, None if not, and ``discrete`` whether it takes few values.
    ``half_width`` bounds the box in which splines work. ``parts`` names the toys of reference and
    target, whose parts are told apart, None where there are none. ``two_sample_points`` and
    ``assignment_points`` are the most that are compared.
    """

    task: str
    split: str
    training: str
    methods: tuple[str, ...]
    alternatives: tuple[str, ...]
    features: tuple[str, ...]
    mode: str | None
    discrete: bool
    parts: tuple[str, str] | None
    half_width: float
    two_sample_points: int
    assignment_points: int
    seed: int


@job
class CountedTraining:
    """A training of a task or a data set, by a method or of its density."""

    name: str
    method: str
    training: int


@job
class CostsJob:
    """Trainings whose steps and points are counted."""

    trainings: tuple[CountedTraining, ...]
