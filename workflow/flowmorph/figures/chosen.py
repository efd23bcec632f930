"""Which of many features a figure has panels for: a hundred would be too small, or too many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flowmorph.errors import InputError
from flowmorph.samples.moved import MovedSample

MOST = 20  # features that a figure draws
ROWS = 20_000  # that are compared to choose them: they are in random order


@dataclass(frozen=True)
class Chosen:
    """Features that a figure draws.

    Attributes:
        places: theirs among all features of the sample, in the order of the panels.
        labels: their symbols, in the same order.
        note: what the figure has to say about the choice; empty where all are drawn.
    """

    places: np.ndarray
    labels: tuple[str, ...]
    note: str

    def of(self, sample: MovedSample) -> MovedSample:
        """Keep these features of a sample."""
        return sample.with_features(self.places)

    def noted(self, text: str) -> str:
        """Put the note on a line below another text; either may be empty."""
        return "\n".join(filter(None, (text, self.note)))


def largest_differences(sample: MovedSample, names: Sequence[str], labels: Sequence[str]) -> Chosen:
    """Choose the features that differ most from the target, largest difference first.

    Each feature counts with the largest Kolmogorov-Smirnov distance of the reference and the named
    methods: what a method spoils is drawn as well as what there was to correct. Up to `MOST`
    features are all drawn, in their own order.

    Args:
        sample: a moved sample.
        names: the methods that the figure draws.
        labels: symbols of the D features, in order.

    Raises:
        InputError: the number of labels is not that of the features.
    """
    features = sample.target.shape[1]
    if len(labels) != features:
        raise InputError(f"{len(labels)} labels for {features} features")
    if features <= MOST:
        return Chosen(np.arange(features), tuple(labels), "")
    # Here: scripts that draw should start without scipy.
    from flowmorph.metrics import two_sample

    some = sample.select(slice(ROWS))
    distances = [
        two_sample.ks_distances(
            some.points(name), some.target, some.signed(name), some.signed("target")
        )
        for name in ("reference", *names)
    ]
    places = np.argsort(-np.max(distances, axis=0), kind="stable")[:MOST]
    return Chosen(
        places,
        tuple(labels[place] for place in places),
        f"{MOST} of {features} features,\nlargest differences first",
    )
