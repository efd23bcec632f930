"""Jobs that look for a signal in the signal region."""

from __future__ import annotations

from flowmorph.plan.jobs.data import FileData
from flowmorph.plan.jobs.events import Count
from flowmorph.plan.jobs.form import job


@job
class SearchClassifier:
    """How template and data are told apart: by gradient-boosted trees.

    Attributes:
        folds: every event is scored by classifiers that were trained on the other folds.
        members: classifiers whose average scores a fold, each with its own events for stopping.
        trees: most trees of a classifier.
        learning_rate: of the boosting.
    """

    folds: int
    members: int
    trees: int
    learning_rate: float


@job
class SearchJob:
    """Look for a signal in one draw of data with every template.

    Attributes:
        task: name of the task.
        split: name of the events in the files.
        sideband_split: name of the sideband events by which templates are calibrated.
        draw: number of the draw.
        fraction: signal events for each background event in the data.
        background_events: background events in the data.
        methods: methods whose moved points are templates, besides the reference as it is.
        alternatives: methods that are no flows, with files of their own, which are templates too.
        signal: where signal events are.
        classifier: settings of the classifiers.
        seed: of all random choices; the same for all fractions, so that they share their events.
    """

    task: str
    split: str
    sideband_split: str
    draw: int
    fraction: float
    background_events: Count
    methods: tuple[str, ...]
    alternatives: tuple[str, ...]
    signal: FileData
    classifier: SearchClassifier
    seed: int
