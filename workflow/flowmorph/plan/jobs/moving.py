"""Jobs that move points with trained flows."""

from __future__ import annotations

from flowmorph.plan.jobs.data import Data, files_of
from flowmorph.plan.jobs.form import job


@job
class MoveJob:
    """Move a task's reference points of one split by every method.

    Attributes:
        task: name of the task.
        split: split of the points.
        training: number of the flows' training, as text.
        mode: how the condition enters: shared, difference or concat; None if there is none.
        reference: data set of the reference.
        target: data set of the target.
        methods: names of the methods that have a trained transport, in the order of their files.
        seed: of all random numbers.
        device: auto, cpu or cuda.
        engine: auto, compile or eager, as in the configuration.
    """

    task: str
    split: str
    training: str
    mode: str | None
    reference: Data
    target: Data
    methods: tuple[str, ...]
    seed: int
    device: str = "auto"
    engine: str = "auto"

    @property
    def files(self) -> list[str]:
        """The files that the points are read from."""
        return files_of(self.reference, self.target)


@job
class BundleJob:
    """Put one transport of the user's samples in one file, with its columns and regions.

    Attributes:
        method: name of the method.
        features: columns that are moved.
        condition: columns that they depend on.
        regions: keys ``column``, ``train``, ``apply`` and ``closure``, as in the configuration.
        event: columns that identify a row; empty: features and condition do.
        folds: trainings of each variation, each of which has not seen one fold of the rows.
        variations: number of further trainings that vary the result, each ``folds`` times.
        weights: column of the reference's weights, if these are to be balanced and there is one.
    """

    method: str
    features: tuple[str, ...]
    condition: tuple[str, ...]
    regions: dict
    event: tuple[str, ...]
    folds: int
    variations: int
    weights: str | None = None
