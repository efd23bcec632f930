"""A search for a resonance: can a classifier of template against data find the signal in the data?

The data of the signal region are background with some signal; the template is what the background
is believed to be. The score of a classifier that tells them apart grows with the ratio of signal
and background if the template is right, and follows the differences of template and background if
it is not (classification without labels, arXiv:1708.02949).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from flowmorph.plan.jobs.searching import SearchClassifier

SUPERVISED, IDEALISED = "supervised", "idealised"  # what templates are compared with
#: Background events that a cut must leave: its background efficiency is then known to 20 %.
LEAST_BACKGROUND = 25
EFFICIENCIES = np.arange(0.01, 1.005, 0.01)  # of the signal, where curves are kept
BACKGROUND_EFFICIENCIES = (1e-2, 1e-3)  # where the improvement is reported
EXCESS_EFFICIENCY = 1e-2  # share of the template behind the cut at which an excess is counted


class Data(NamedTuple):
    """Events of the signal region, (n, D): background, signal among it, and signal to judge by.

    The first two are the data; a classifier does not know which is which.
    """

    background: np.ndarray
    injected: np.ndarray
    judged: np.ndarray

    @property
    def events(self) -> np.ndarray:
        """The data."""
        return np.concatenate([self.background, self.injected])


class Scores(NamedTuple):
    """How signal-like events are: each score is a quantile, 0 to 1, of the data of its own fold.

    Scores of different classifiers cannot be compared, such quantiles can. The template has none
    if the classifier is not one of template against data.
    """

    background: np.ndarray
    injected: np.ndarray
    judged: np.ndarray
    template: np.ndarray | None = None

    @property
    def signal(self) -> np.ndarray:
        """Scores of all signal events."""
        return np.concatenate([self.injected, self.judged])


def weakly_supervised(
    template: np.ndarray,
    data: Data,
    settings: SearchClassifier,
    seed: int,
    weights: np.ndarray | None = None,
) -> Scores:
    """Score events by classifiers of template against data, none of which has seen its events.

    Args:
        template: points, (n, D), in the data's units.
        data: the data, and signal events to judge by.
        settings: of the classifiers.
        seed: of folds and classifiers.
        weights: of the template's points, (n,); None for all the same.
    """
    counts = np.ones(len(template)) if weights is None else weights
    samples = data.events, template, data.judged
    rng = np.random.default_rng(seed)
    folds = [rng.permutation(len(sample)) % settings.folds for sample in samples]
    scores = [np.empty(len(sample)) for sample in samples]
    for fold in range(settings.folds):
        train = [fold != own for own in folds[:2]]
        events, points = (sample[rows] for sample, rows in zip(samples, train, strict=False))
        held = [sample[own == fold] for sample, own in zip(samples, folds, strict=True)]
        found = _ranked(_classified(points, events, counts[train[1]], settings, rng, held))
        for score, own, values in zip(scores, folds, found, strict=True):
            score[own == fold] = values
    background, injected = np.split(scores[0], [len(data.background)])
    return Scores(background, injected, scores[2], scores[1])


def supervised(
    background: np.ndarray, signal: np.ndarray, data: Data, settings: SearchClassifier, seed: int
) -> Scores:
    """Score events by a classifier of true signal against true background: the best there can be.

    ``background`` and ``signal`` are further events, (n, D).
    """
    rng = np.random.default_rng(seed)
    held = [data.events, data.judged]
    weights = np.ones(len(background))
    found = _ranked(_classified(background, signal, weights, settings, rng, held))
    known, injected = np.split(found[0], [len(data.background)])
    return Scores(known, injected, found[1])


def _classified(
    template: np.ndarray,
    events: np.ndarray,
    weights: np.ndarray,
    settings: SearchClassifier,
    rng: np.random.Generator,
    held: Sequence[np.ndarray],
) -> list[np.ndarray]:
    """Scores of the ``held`` samples by an average of classifiers of events against template."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # figures start without it

    x = np.concatenate([template, events])
    is_event = np.repeat([False, True], [len(template), len(events)])
    # Both sides count the same in all, however many points each has.
    counts = np.concatenate([weights * (len(events) / weights.sum()), np.ones(len(events))])
    totals = [np.zeros(len(sample)) for sample in held]
    with threadpool_limits(1):
        for _ in range(settings.members):
            trees = HistGradientBoostingClassifier(
                max_iter=settings.trees,
                learning_rate=settings.learning_rate,
                early_stopping=True,
                random_state=int(rng.integers(2**32)),
            )
            trees.fit(x, is_event, sample_weight=counts)
            for total, sample in zip(totals, held, strict=True):
                total += trees.predict_proba(sample)[:, 1]
    return totals


def _ranked(scores: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Quantiles of the scores among the first of these samples, the data."""
    data = np.sort(scores[0])
    # Few trees give the same score to many events: these get the middle of their places.
    places = [[np.searchsorted(data, each, side) for side in ("left", "right")] for each in scores]
    return [(low + high) / (2 * len(data)) for low, high in places]


def background_efficiency(scores: Scores) -> np.ndarray:
    """Background efficiency at each of `EFFICIENCIES` of the signal, (n,).

    NaN where fewer than `LEAST_BACKGROUND` events are left.
    """
    cuts = np.quantile(scores.signal, 1 - EFFICIENCIES, method="lower")
    left = _above(scores.background, cuts)
    return np.where(left < LEAST_BACKGROUND, np.nan, left / len(scores.background))


def numbers(scores: Scores, weights: np.ndarray | None = None) -> dict[str, float]:
    """What a search with these scores finds, by metric.

    ``sic_max``: the largest significance improvement, eps_S / sqrt(eps_B), of all cuts;
    ``sic_at_...``: that at a background efficiency; ``signal_auc``: area under the ROC curve of
    signal and background; ``excess``: events behind the cut that leaves `EXCESS_EFFICIENCY` of the
    template, above those that the template lets expect, in standard deviations; ``excess_share``:
    the same as a part of those expected. What too few events are left for is not there.

    Args:
        scores: of all events.
        weights: of the template's points, (n,); None for all the same.
    """
    background, signal = np.sort(scores.background), scores.signal
    cuts = np.concatenate([[-np.inf], np.unique(background)])  # the first one is no cut
    eps_b = _above(background, cuts) / len(background)
    eps_s = _above(signal, cuts) / len(signal)
    kept = eps_b * len(background) >= LEAST_BACKGROUND
    sic = eps_s[kept] / np.sqrt(eps_b[kept])
    found = {"sic_max": float(sic.max())}
    for efficiency in BACKGROUND_EFFICIENCIES:
        if efficiency * len(background) >= LEAST_BACKGROUND:
            # Cuts rise, so efficiencies fall.
            found[f"sic_at_{efficiency:g}"] = float(
                np.interp(efficiency, eps_b[::-1], eps_s[::-1]) / np.sqrt(efficiency)
            )
    below = np.searchsorted(background, signal, "left") + np.searchsorted(
        background, signal, "right"
    )
    found["signal_auc"] = float(below.mean() / (2 * len(background)))
    if scores.template is not None:
        found |= _excess(scores, weights)
    return found


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean over draws, and the error of this mean; None for a single draw, which has no spread."""
    spread = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else None
    return float(np.mean(values)), None if spread is None else float(spread)


def _above(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Number of values at or above each cut."""
    return len(values) - np.searchsorted(np.sort(values), cuts, "left")


def _excess(scores: Scores, weights: np.ndarray | None) -> dict[str, float]:
    data = np.concatenate([scores.background, scores.injected])
    w = np.ones(len(scores.template)) if weights is None else weights
    scale = len(data) / w.sum()
    order = np.argsort(scores.template)[::-1]
    behind = np.searchsorted(np.cumsum(w[order]), EXCESS_EFFICIENCY * w.sum())
    cut = scores.template[order[min(behind, len(order) - 1)]]
    passing = w[scores.template > cut]
    expected = scale * passing.sum()
    if expected == 0:
        return {}
    found = (data > cut).sum()
    error = np.sqrt(expected + scale**2 * (passing**2).sum())
    return {
        "excess": float((found - expected) / error),
        "excess_share": float(found / expected - 1),
    }
