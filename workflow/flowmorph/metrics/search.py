"""A search for a resonance: can a classifier of template against data find the signal in the data?

The data of the signal region are background with some signal; the template is what the background
is believed to be. The score of a classifier that tells them apart grows with the ratio of signal
and background if the template is right, and follows the differences of template and background if
it is not (classification without labels, arXiv:1708.02949). What the same cut keeps of both in the
sidebands, where there is no signal, tells how many events too many a wrong template lets pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from flowmorph.plan.jobs.searching import SearchClassifier
from flowmorph.samples.quantile_bins import QuantileBins

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


class Sidebands(NamedTuple):
    """Sideband events that no flow was trained on, (n, D), and weights of the template's, (n,)."""

    target: np.ndarray
    template: np.ndarray
    weights: np.ndarray | None = None


class Pools(NamedTuple):
    """Numbers of events that draws of the data and of their templates are taken from."""

    target: int
    template: int


class SidebandScores(NamedTuple):
    """Scores, (folds, n), of `Sidebands` by the classifiers of every fold."""

    target: np.ndarray
    template: np.ndarray


class Scores(NamedTuple):
    """How signal-like events are: each score is a quantile, 0 to 1, of the data of its own fold.

    Scores of different classifiers cannot be compared, such quantiles can. The template has none
    if the classifier is not one of template against data.
    """

    background: np.ndarray
    injected: np.ndarray
    judged: np.ndarray
    template: np.ndarray | None = None
    sidebands: SidebandScores | None = None

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
    sidebands: Sidebands | None = None,
) -> Scores:
    """Score events by classifiers of template against data, none of which has seen its events.

    Args:
        template: points, (n, D), in the data's units.
        data: the data, and signal events to judge by.
        settings: of the classifiers.
        seed: of folds and classifiers.
        weights: of the template's points, (n,); None for all the same.
        sidebands: events to calibrate the template by; None for none.
    """
    counts = np.ones(len(template)) if weights is None else weights
    samples = data.events, template, data.judged
    rng = np.random.default_rng(seed)
    folds = [rng.permutation(len(sample)) % settings.folds for sample in samples]
    scores = [np.empty(len(sample)) for sample in samples]
    beside = [] if sidebands is None else [sidebands.target, sidebands.template]
    calibrating: list[list[np.ndarray]] = [[] for _ in beside]
    for fold in range(settings.folds):
        train = [fold != own for own in folds[:2]]
        events, points = (sample[rows] for sample, rows in zip(samples, train, strict=False))
        held = [sample[own == fold] for sample, own in zip(samples, folds, strict=True)]
        found = _ranked(
            _classified(points, events, counts[train[1]], settings, rng, [*held, *beside])
        )
        for score, own, values in zip(scores, folds, found, strict=False):
            score[own == fold] = values
        for each, values in zip(calibrating, found[len(held) :], strict=True):
            each.append(values)
    background, injected = np.split(scores[0], [len(data.background)])
    calibration = SidebandScores(*map(np.stack, calibrating)) if beside else None
    return Scores(background, injected, scores[2], scores[1], calibration)


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
    bins = QuantileBins(x)
    x, held = bins(x), [bins(sample) for sample in held]
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


def numbers(
    scores: Scores,
    weights: np.ndarray | None = None,
    sideband_weights: np.ndarray | None = None,
    pools: Pools | None = None,
) -> dict[str, float]:
    """What a search with these scores finds, by metric.

    ``sic_max``: the largest significance improvement, eps_S / sqrt(eps_B), of all cuts;
    ``sic_at_...``: that at a background efficiency; ``signal_auc``: area under the ROC curve of
    signal and background; ``excess``: events behind the cut that leaves `EXCESS_EFFICIENCY` of the
    template, above those that the template lets expect, in standard deviations; ``excess_share``:
    the same as a part of those expected; ``excess_calibrated``, ``excess_calibrated_share``: the
    same where those expected are multiplied by the ratio of what the same cut keeps of target and
    template in the sidebands; ``excess_common``, ``excess_calibrated_common``: the standard
    deviation of an excess by the events that all draws share, those of pools and sidebands, if all
    draws made the same cut. What too few events are left for is not there.

    Args:
        scores: of all events.
        weights: of the template's points, (n,); None for all the same.
        sideband_weights: of the template's points in the sidebands, likewise.
        pools: that other draws are taken from, too; None for a single draw, and for data and
            template that are parts of one sample, where what one lacks the other has.
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
        found |= _excess(scores, weights, sideband_weights, pools)
    return found


def mean_and_error(
    values: Sequence[float], common: Sequence[float] = ()
) -> tuple[float, float | None]:
    """Mean over draws, and the error of this mean; None for a single draw, which has no spread.

    ``common`` are each value's standard deviations by what all draws share; empty for none.
    """
    if len(values) < 2:
        return float(np.mean(values)), None
    shared = float(np.mean(common)) if len(common) else 0.0
    return float(np.mean(values)), float(
        np.hypot(np.std(values, ddof=1) / len(values) ** 0.5, shared)
    )


def _above(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Number of values at or above each cut."""
    return len(values) - np.searchsorted(np.sort(values), cuts, "left")


def _excess(
    scores: Scores,
    weights: np.ndarray | None,
    sideband_weights: np.ndarray | None,
    pools: Pools | None,
) -> dict[str, float]:
    data = np.concatenate([scores.background, scores.injected])
    w = np.ones(len(scores.template)) if weights is None else weights
    order = np.argsort(scores.template)[::-1]
    behind = np.searchsorted(np.cumsum(w[order]), EXCESS_EFFICIENCY * w.sum())
    cut = scores.template[order[min(behind, len(order) - 1)]]
    template = _share_behind(scores.template[None], cut, weights)
    expected = len(data) * template.mean
    if expected == 0:
        return {}
    count = int((data > cut).sum())
    found, error = _compared("excess", count, expected, template.variance)
    shared = 0.0
    if pools is not None:
        drawn = template.variance * len(scores.template) / pools.template
        shared = 1 / (template.mean * pools.target) + drawn
        found["excess_common"] = float(expected * np.sqrt(shared) / error)
    if scores.sidebands is not None:
        target = _share_behind(scores.sidebands.target, cut, None)
        beside = _share_behind(scores.sidebands.template, cut, sideband_weights)
        if target.mean > 0 and beside.mean > 0:
            expected *= target.mean / beside.mean
            common = target.variance + beside.variance
            calibrated, error = _compared(
                "excess_calibrated", count, expected, template.variance + common
            )
            found |= calibrated
            found["excess_calibrated_common"] = float(expected * np.sqrt(common + shared) / error)
    return found


class _Share(NamedTuple):
    """A share of a sample, and its relative variance."""

    mean: float
    variance: float


def _share_behind(scores: np.ndarray, cut: float, weights: np.ndarray | None) -> _Share:
    """The part of events, with scores (folds, n), behind a cut: mean over folds."""
    # Classifiers of several folds judge the same events: their variance is that of these events.
    passing = (scores > cut).mean(axis=0)
    if weights is None:
        weights = np.ones(len(passing))
    total = (weights * passing).sum()
    variance = ((weights * passing) ** 2).sum() / total**2 if total else np.inf
    return _Share(float(total / weights.sum()), float(variance))


def _compared(
    name: str, count: int, expected: float, variance: float
) -> tuple[dict[str, float], float]:
    """A count against what is expected, with the relative variance of that; and the error."""
    error = float(np.sqrt(expected + expected**2 * variance))
    found = {
        name: float((count - expected) / error),
        f"{name}_share": float(count / expected - 1),
    }
    return found, error
