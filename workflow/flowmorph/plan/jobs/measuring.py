"""Jobs that measure densities, moved samples and trainings."""

from __future__ import annotations

from flowmorph.plan.jobs.data import Data
from flowmorph.plan.jobs.form import job


@job
class TrainedDensities:
    """Trainings of a data set's density, and the ``split`` of the points that they are tried on."""

    data: Data
    split: str
    trainings: tuple[int, ...]


@job
class DensitiesJob:
    """Densities to measure, in the order of their files."""

    densities: tuple[TrainedDensities, ...]
    seed: int
    device: str = "auto"
    engine: str = "auto"


@job
class MeasureJob:
    """Measure how well and how far each method moves a task's points.

    Attributes:
        task: name of the task.
        split: split of the points.
        training: number of the flows' training, as text, or "ensemble".
        methods: methods whose points are in the moved sample.
        alternatives: methods that are no flows, whose points are in files of their own.
        features: names of the D features.
        mode: how the condition enters: shared, difference or concat; None if there is none.
        discrete: whether conditions take few values.
        parts: toys of reference and target, whose parts are told apart; None for other samples.
        half_width: of the box in which splines act, in scaled units.
        two_sample_points: most points of each sample for classifier and sliced distance.
        assignment_points: most points of each sample for exact optimal transport.
        seed: of all random choices; the same for all trainings of the task.
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
class ClosureJob:
    """Compare moved samples of the user's with the target in bins of columns.

    Attributes:
        task: name of the task.
        splits: splits of the points, in order.
        methods: methods whose points are in the moved samples.
        features: names of the D features.
        condition: columns of the condition.
        bins: columns, each with the edges of its bins; none for one of categories.
        others: those of them that are neither features nor categories.
        mode: how the condition enters: shared, or None if there is none.
        two_sample_points: most points of each sample for classifier and sliced distance.
        seed: of all random choices.
    """

    task: str
    splits: tuple[str, ...]
    methods: tuple[str, ...]
    features: tuple[str, ...]
    condition: tuple[str, ...]
    bins: tuple[tuple[str, tuple[float, ...]], ...]
    others: tuple[str, ...]
    mode: str | None
    two_sample_points: int
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
