"""Everything that is measured on the moved points of one task."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from flowmorph.metrics import distances, optimal_transport, spectra, two_sample
from flowmorph.metrics.measures import BASELINE, CEILING, FLOOR, TARGET, TOO_FEW, Number
from flowmorph.samples import moved, unweighting
from flowmorph.samples.regions import inside

FEWEST_POINTS = 20  # so that half of the target fills five folds, for the floor
#: Ways to cut the target in two, whose mean AUC is the floor: one alone scatters by as much as the
#: methods differ.
HALVINGS = 5
QUANTILES = {"distance_q05": 0.05, "distance_median": 0.5, "distance_q95": 0.95}


@dataclass(frozen=True)
class Sample:
    """One sample to hold against the target: points (n, D), conditions (n, C), weights (n,)."""

    points: np.ndarray
    condition: np.ndarray
    weights: np.ndarray | None = None  # None: all count the same

    def __getitem__(self, rows) -> Sample:
        weights = None if self.weights is None else self.weights[rows]
        return Sample(self.points[rows], self.condition[rows], weights)

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Setting:
    """What a task's measures depend on besides its points.

    Attributes:
        methods: names of the methods to measure.
        features: names of the D features.
        mode: how the condition enters: shared, difference or concat; None if there is none.
        discrete: whether conditions take few values, so that points are compared at equal ones.
        half_width: of the box in which splines act, in scaled units.
        seed: of the choice of subsamples, and of classifier and random directions.
        two_sample_points: most points of each sample for classifier and sliced distance.
        assignment_points: most points of each sample for exact optimal transport, whose time grows
            with their cube.
        spikes: intervals (n, 2), in scaled units, that stand for the spikes of a feature, by name.
    """

    methods: Sequence[str]
    features: Sequence[str]
    mode: str | None
    discrete: bool
    half_width: float
    seed: int
    two_sample_points: int = 20_000
    assignment_points: int = 2_000
    spikes: Mapping[str, np.ndarray] = field(default_factory=dict)


def comparable(given: moved.MovedSample, seed: int) -> tuple[moved.MovedSample | None, int]:
    """A sample whose target is unweighted, None if too little is left to compare, and its points.

    Points are those that signed weights are worth, if there are some; too little is left where
    these add up to zero or less, too.
    """
    sample = given
    if given.weight_target is not None:
        sample = given.target_unweighted(np.random.default_rng(seed))
    signed = [w for w in (sample.signed_reference, given.signed_target) if w is not None]
    points = min([len(sample), *(unweighting.effective_number(len(w), w) for w in signed)])
    weightless = sample.weight_reference is not None and not sample.weight_reference.any()
    weightless |= any(w.sum() <= 0 for w in signed)
    return (None if points < FEWEST_POINTS or weightless else sample), points


def compare(
    sample: moved.MovedSample,
    setting: Setting,
    whole: moved.MovedSample | None,
    names: Collection[str],
) -> Iterator[Number]:
    """What `measure` says of how like the target those ``names`` are; rows are in random order."""
    if sample.weight_reference is not None:
        relative = unweighting.relative(sample.weight_reference)
        sample = replace(sample, weight_reference=relative)
    yield from _two_sample(sample, setting, whole, names)


def measure(
    sample: moved.MovedSample,
    setting: Setting,
    compared: bool = True,
    whole: moved.MovedSample | None = None,
) -> Iterator[Number]:
    """Measure a task whose ``sample`` holds every method; its target counts without weights.

    Rows are shuffled first: metrics that are too slow for all points take the first ones, which are
    then a random choice. Without ``compared``, only distances are measured, and nothing is compared
    with the target: fewer than `FEWEST_POINTS` do not suffice for that. ``whole`` is the sample
    before its target was unweighted, if that has signed weights, in random order: what is made of
    sums, the comparison of single features, then takes this one, with these weights.
    """
    sample = sample.select(np.random.default_rng(setting.seed).permutation(len(sample)))
    if sample.weight_reference is not None:
        relative = unweighting.relative(sample.weight_reference)
        sample = replace(sample, weight_reference=relative)
    if compared:
        yield from _two_sample(sample, setting, whole, (FLOOR, CEILING, *setting.methods))
        yield from _movement(sample, setting)
    else:
        yield Number(TARGET, "", TOO_FEW, float(len(sample)))
        for name in setting.methods:
            yield from _distances(sample, name, setting)


def _two_sample(
    sample: moved.MovedSample,
    setting: Setting,
    whole: moved.MovedSample | None,
    names: Collection[str],
) -> Iterator[Number]:
    half = len(sample) // 2
    balanced = spectra.balanced(sample, setting.discrete, setting.seed)
    compared = _against_target(sample, balanced, setting, moved.MovedSample.weights)
    signed = _against_target(sample, balanced, setting, moved.MovedSample.signed)
    summed = signed
    if whole is not None:
        balanced = spectra.balanced(whole, setting.discrete, setting.seed)
        summed = _against_target(whole, balanced, setting, moved.MovedSample.signed)
    for name in names:
        one, other = compared[name]
        target = compared[CEILING][1]
        auc = _floor(target, setting) if name == FLOOR else _auc(one, other, setting)
        yield Number(name, "", "points", len(one))
        if one.weights is not None:
            effective = unweighting.effective_points(signed[name][0].weights)
            yield Number(name, "", "effective_points", effective)
        yield Number(name, "", "auc", auc.value)
        yield Number(name, "", "auc_low", auc.low)
        yield Number(name, "", "auc_high", auc.high)
        # For equal distributions it falls with the number of points, so it is the same number for
        # all samples.
        points = min(half, setting.two_sample_points)
        sliced = [
            optimal_transport.sliced_wasserstein(
                a.points, b.points, seed=setting.seed, weights=a.weights
            )
            for a, b in _pairs(one, other, setting.discrete, points)
        ]
        yield Number(name, "", "sliced_wasserstein", float(np.mean(sliced)))
        if len(sliced) > 1:
            spread = max(sliced) - min(sliced)
            yield Number(name, "", "condition_spread", spread)
            # Where only chance differs, range and mean fall alike with the number of points.
            yield Number(name, "", "condition_ratio", spread / np.mean(sliced) if spread else 0.0)
        one, other = summed[name]
        results = two_sample.compare_features(
            one.points, other.points, weights=one.weights, target_weights=other.weights
        )
        for feature, result in zip(setting.features, results, strict=True):
            yield Number(name, feature, "ks", result.ks)
            yield Number(name, feature, "ks_pvalue", result.ks_pvalue)
            yield Number(name, feature, "chi2_ndf", result.chi2_per_degree)
        yield from _in_spikes(name, one, other, setting)


def _auc(one: Sample, other: Sample, setting: Setting, number: int = 0) -> two_sample.Auc:
    one, other = one[: setting.two_sample_points], other[: setting.two_sample_points]
    return two_sample.classifier_auc(
        one.points,
        other.points,
        condition_sample=one.condition,
        condition_target=other.condition,
        seed=setting.seed + number,
        weights=one.weights,
    )


def _floor(target: Sample, setting: Setting) -> two_sample.Auc:
    """The mean AUC of the target against itself, over several ways to cut it in two.

    What a point is called, one half or the other, is independent from cut to cut, and so are the
    AUCs: their mean is as many times as certain as the root of their number.
    """
    rng, half = np.random.default_rng(setting.seed), len(target) // 2
    found = []
    for number in range(HALVINGS):
        rows = rng.permutation(len(target))
        one, other = target[rows[:half]], target[rows[half:]]
        found.append(_auc(one, other, setting, number))
    value, low, high = np.mean(found, axis=0)
    below, above = (value - low) / HALVINGS**0.5, (high - value) / HALVINGS**0.5
    return two_sample.Auc(float(value), float(value - below), float(value + above))


def _in_spikes(name: str, one: Sample, other: Sample, setting: Setting) -> Iterator[Number]:
    """Share of each feature's spikes, the lowest first, in a sample and in what it is held against.

    Both are of the same rows as all comparisons, with the same weights.
    """
    for i, feature in enumerate(setting.features):
        for number, interval in enumerate(setting.spikes.get(feature, ()), start=1):
            for end, points in (("", one), ("_target", other)):
                there = inside(points.points[:, i], interval[None])
                share = np.average(there, weights=points.weights)
                yield Number(name, feature, f"spike_{number}{end}", float(share))


def _against_target(
    sample: moved.MovedSample,
    balanced: moved.MovedSample,
    setting: Setting,
    weigh: Callable[[moved.MovedSample, str], np.ndarray | None],
) -> dict[str, tuple[Sample, Sample]]:
    """What is held against what, by name; ``balanced`` is the sample with `spectra.balanced`."""
    start, end = sample.condition_reference, sample.condition_target
    target = Sample(sample.target, end, weigh(sample, "target"))
    half = len(target) // 2
    # Points arrive at the target's condition unless one condition serves reference and target.
    shared = setting.mode == "shared"
    arrival = start if shared else end
    # At the target's conditions the spectrum is the target's.
    arrived = balanced if shared else sample
    return {
        FLOOR: (target[:half], target[half:]),
        CEILING: (Sample(sample.reference, start, weigh(balanced, "reference")), target),
        **{
            name: (Sample(sample.points(name), arrival, weigh(arrived, name)), target)
            for name in setting.methods
        },
    }


def _movement(sample: moved.MovedSample, setting: Setting) -> Iterator[Number]:
    weights = sample.weight_reference
    bounds = _bounds(sample if weights is None else _fair(sample, setting), setting)
    reference, target = sample.reference, sample.target
    bounds["bound_marginals"] = optimal_transport.marginal_bound(reference, target, weights)
    yield from _distances(sample, BASELINE, setting)
    for name in setting.methods:
        yield from _distances(sample, name, setting)
        images = sample.points(name)
        l1 = _mean_l1(distances.per_feature(images, reference), weights)
        own = optimal_transport.marginal_bound(reference, images, weights, weights)
        numbers = {key: bounds[key] for key in ("bound_marginals", "bound_target", "bound_noise")}
        numbers |= {
            "ratio_target": _ratio(l1, bounds["bound_target"]),
            "bound_images": bounds[name],
            # Over the assigned points only, so that it is never below 1.
            "ratio_images": _ratio(bounds[f"{name}_l1"], bounds[name]),
            # Unlike the assignment, it tells a detour where points move less than the distance
            # between neighbours, which then are their own best images whatever the map.
            "ratio_marginals": _ratio(l1, own),
        }
        for key, value in numbers.items():
            yield Number(name, "", key, float(value))


def _distances(sample: moved.MovedSample, name: str, setting: Setting) -> Iterator[Number]:
    """How far one method moves its points, in all features together and in each."""
    weights, signed = sample.weight_reference, sample.signed("reference")
    images = sample.points(name)
    length = distances.euclidean(images, sample.reference)
    each = distances.per_feature(images, sample.reference)
    numbers = {"points": len(length), **_moments(length, weights, signed)}
    numbers["l1_mean"] = _mean_l1(each, signed)
    inside = (np.abs(sample.reference) <= setting.half_width).all(axis=1)
    if name != BASELINE and inside.any():
        numbers["left_box"] = (np.abs(images[inside]) > setting.half_width).any(axis=1).mean()
    for key, value in numbers.items():
        yield Number(name, "", key, float(value))
    for i, feature in enumerate(setting.features):
        for key, value in _moments(each[:, i], weights, signed).items():
            yield Number(name, feature, key, value)


def _mean_l1(distance: np.ndarray, weights: np.ndarray | None) -> float:
    return distances.summarise(distance.sum(axis=1), weights).mean


def _moments(
    distance: np.ndarray, weights: np.ndarray | None, signed: np.ndarray | None
) -> dict[str, float]:
    """Mean and standard deviation, by ``signed`` weights, and quantiles of distances (N,)."""
    summary = distances.summarise(distance, signed)
    how = {} if weights is None else {"weights": weights, "method": "inverted_cdf"}
    quantiles = {key: float(np.quantile(distance, at, **how)) for key, at in QUANTILES.items()}
    return {"distance_mean": summary.mean, "distance_std": summary.std, **quantiles}


def _fair(sample: moved.MovedSample, setting: Setting) -> moved.MovedSample:
    """Rows of the reference in proportion to their weights, as many as `effective_number`."""
    rng = np.random.default_rng(setting.seed)
    rows = unweighting.resampled(sample.weight_reference, rng)
    return sample.select(rows, slice(len(rows)))


def _bounds(sample: moved.MovedSample, setting: Setting) -> dict[str, float]:
    """Least mean L1 movement to the target and, for each method, to the points that it made."""
    start, end = sample.condition_reference, sample.condition_target
    if setting.mode != "shared":
        start = end = np.concatenate([start, end], axis=1)
    rows = np.arange(len(start))[:, None]
    points = 2 * setting.assignment_points
    pairs = _pairs(Sample(rows, start), Sample(rows, end), setting.discrete, points)
    costs: dict[str, list[float]] = {}
    sizes = []
    for from_rows, to_rows in pairs:
        size = len(from_rows) // 2
        sizes.append(size)
        own = from_rows.points[:size, 0]
        near, far = to_rows.points[:size, 0], to_rows.points[size : 2 * size, 0]
        x, y = sample.reference[own], sample.target[near]
        images = {name: sample.points(name)[own] for name in setting.methods}
        numbers = {
            "bound_target": optimal_transport.assignment_cost(x, y),
            # How much of it is there only because points are few: target to target.
            "bound_noise": optimal_transport.assignment_cost(y, sample.target[far]),
        }
        for name, image in images.items():
            numbers[name] = optimal_transport.assignment_cost(x, image)
            numbers[f"{name}_l1"] = distances.per_feature(image, x).sum(axis=1).mean()
        for key, number in numbers.items():
            costs.setdefault(key, []).append(number)
    return {key: float(np.average(values, weights=sizes)) for key, values in costs.items()}


def _pairs(sample: Sample, other: Sample, discrete: bool, points: int) -> list[tuple]:
    """Equally many rows of both samples, ``points`` in all: at each condition if it is discrete."""
    if not discrete:
        size = min(points, len(sample), len(other))
        return [(sample[:size], other[:size])]
    groups = []
    values = np.unique(other.condition, axis=0)
    for value in values:
        a, b = (s[(s.condition == value).all(axis=1)] for s in (sample, other))
        size = min(points // len(values), len(a), len(b))
        if size > 1:
            groups.append((a[:size], b[:size]))
    return groups


def _ratio(movement: float, least: float) -> float:
    """Movement in units of the least possible; 1 where nothing has to move and nothing does."""
    if least:
        return movement / least
    return float("inf") if movement else 1.0
