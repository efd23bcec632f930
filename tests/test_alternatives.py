"""Methods that are no flows: each recovers a morph that is known, and one more is easily added."""

from __future__ import annotations

import csv
import pkgutil
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from jobs import measure_job
from scipy import stats
from scripts_by_name import script
from transports import DEFAULTS, pytorch_with

from flowmorph import alternatives
from flowmorph.alternatives import interface
from flowmorph.errors import InputError
from flowmorph.figures import looks
from flowmorph.metrics import distances, optimal_transport, two_sample
from flowmorph.plan.jobs.data import ToyData
from flowmorph.plan.jobs.form import to_json
from flowmorph.plan.jobs.training import AlternativeJob
from flowmorph.plan.methods import FURTHER, PUBLISHED
from flowmorph.samples import alternative_points, moved, unweighting

ROOT = Path(__file__).parents[1]
SETTINGS = {
    "reweighting": {"folds": 3, "trees": 100, "learning_rate": 0.1},
    "quantile_morphing": {"points_per_level": 50, "bins": 3},
    "optimal_transport": {"points": 700, "batches": 3, "epsilon": 1.0, "condition_weight": 1.0},
    "flow_matching": {
        "width": 32, "layers": 2, "batch": 128, "steps": 600, "learning_rate": 5e-3,
        "condition_weight": 2.0, "integration_steps": 8,
    },
    "gb_reweighting": {
        "trees": 60, "learning_rate": 0.1, "depth": 3, "leaf_points": 200, "subsample": 0.5,
    },
    "switched_density": {
        "layers": 2, "blocks": 1, "width": 16, "bins": 8, "tail_bound": 4.0, "batch": 256,
        "epochs": 20, "learning_rate": 5e-3, "warmup_steps": 20, "clip": 5.0,
        "condition_noise": 0.0,
    },
}  # fmt: skip


def gaussians(
    seed: int, size: int = 3000, conditions: int = 0, shift: float = 0.8
) -> tuple[interface.Points, ...]:
    """A standard normal, and the same shifted along x1; with a condition c, 1 + c / 2 as far."""
    rng = np.random.default_rng(seed)
    samples = []
    for moved_by in (0.0, shift):
        x = rng.normal(size=(size, 2))
        c = rng.uniform(-1, 1, size=(size, conditions))
        x[:, 0] += moved_by * (1 + 0.5 * c.sum(axis=1))
        samples.append((x.astype(np.float32), c.astype(np.float32)))
    return tuple(samples)


def test_every_module_is_configured_and_tested():
    modules = {module.name for module in pkgutil.iter_modules(alternatives.__path__)} - {
        "interface"
    }
    configured = yaml.safe_load((ROOT / "config/config.yaml").read_text())["alternatives"]
    assert modules == set(SETTINGS) == set(configured["methods"]) - set(FURTHER)
    for method, settings in SETTINGS.items():
        assert set(settings) == set(configured["methods"][method])


@pytest.mark.parametrize("method", SETTINGS)
@pytest.mark.parametrize("conditions", [0, 1])
def test_a_method_recovers_a_shift_that_depends_on_the_condition(method, conditions):
    morph = interface.find(method, SETTINGS[method])(*gaussians(1, conditions=conditions), 7)
    (x, c), (y, c_y) = gaussians(2, conditions=conditions)
    before = x.copy()
    points, weights = morph(x, c)
    assert (x == before).all() and points.shape == x.shape and points.dtype == np.float32
    both = {"seed": 3, "condition_sample": c, "condition_target": c_y}
    assert two_sample.classifier_auc(x, y, **both).value > 0.66
    # Weights from 3,000 points leave the interval's low end at 0.525 +- 0.005, by the trees' seed.
    assert two_sample.classifier_auc(points, y, weights=weights, **both).low < 0.55
    if weights is None:
        moved = distances.euclidean(points, x).mean()
        assert moved == pytest.approx(0.8, abs=0.15)  # no farther than it must
    again = interface.find(method, SETTINGS[method])(*gaussians(1, conditions=conditions), 7)(x, c)
    assert (again.points == points).all()
    assert weights is None or (again.weights == weights).all()


@pytest.mark.parametrize("method", ["reweighting", "gb_reweighting"])
def test_weights_are_the_ratio_of_the_densities(method):
    morph = interface.find(method, SETTINGS[method])(*gaussians(1, 20_000, shift=1.0), 7)
    x = gaussians(2)[0][0]
    points, weights = morph(x, np.empty((len(x), 0), dtype=np.float32))
    assert points is x and weights.mean() == pytest.approx(1.0)
    exact = stats.norm.logpdf(x[:, 0], 1.0) - stats.norm.logpdf(x[:, 0])
    middle = np.abs(x[:, 0] - 0.5) < 1.5
    difference = (np.log(weights) - exact)[middle]
    assert difference.mean() == pytest.approx(0.0, abs=0.1)
    assert difference.std() < 0.25
    # (E w)^2 / E w^2 = exp(-shift^2), the part of the points' statistical power that is left.
    share = unweighting.effective_points(weights) / len(x)
    assert share == pytest.approx(np.exp(-1.0), abs=0.1)


def test_the_switched_density_goes_through_the_base_by_quantiles():
    rng = np.random.default_rng(4)
    none = np.empty((6000, 0), dtype=np.float32)
    x, y = (rng.normal(m, s, size=(6000, 1)).astype(np.float32) for m, s in ((-0.5, 1), (1, 0.5)))
    morph = interface.find("switched_density", SETTINGS["switched_density"])
    start = np.linspace(-2, 1, 50, dtype=np.float32)[:, None]
    moved = morph((x, none), (y, none), 3)(start, none[:50]).points
    # Of one feature there is one increasing map from a Gaussian to a Gaussian.
    assert np.abs(moved - (1 + 0.5 * (start + 0.5))).mean() < 0.05


@pytest.mark.parametrize("method", ["flow_matching", "switched_density"])
@pytest.mark.parametrize("other", DEFAULTS, ids=str)
def test_other_defaults_of_pytorch_give_the_same(method, other):
    settings = SETTINGS[method] | ({"steps": 5} if method == "flow_matching" else {"epochs": 1})
    reference, target = gaussians(1, size=400, conditions=1)

    def points() -> np.ndarray:
        return interface.find(method, settings)(reference, target, 0)(*reference).points

    expected = points()
    with pytorch_with(*other):
        assert np.array_equal(points(), expected)


def test_quantile_morphing_is_the_exact_transport_of_one_feature():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(500, 1)), rng.exponential(size=(500, 1))
    none = np.empty((500, 0))
    fit = interface.find("quantile_morphing", {"points_per_level": 1, "bins": 3})
    moved = fit((x, none), (y, none), 0)(x, none).points
    np.testing.assert_allclose(np.sort(moved, axis=0), np.sort(y, axis=0), atol=1e-9)
    np.testing.assert_array_equal(np.argsort(moved[:, 0]), np.argsort(x[:, 0]))
    moved_by = np.abs(moved - x).mean()
    assert moved_by == pytest.approx(optimal_transport.assignment_cost(x, y), rel=1e-9)
    beyond = fit((x, none), (y, none), 0)(x[:1] * 0 - 50, none[:1]).points
    assert beyond[0, 0] == pytest.approx(-50 + y.min() - x.min())


def test_quantile_morphing_interpolates_between_sidebands():
    rng = np.random.default_rng(6)
    c = np.repeat([-1.0, 1.0], 500)[:, None] + 0.01 * rng.normal(size=(1000, 1))
    x = rng.normal(size=(1000, 1))
    fit = interface.find("quantile_morphing", {"points_per_level": 10, "bins": 2})
    morph = fit((x, c), (x + c, c), 0)
    start = np.zeros((3, 1))
    moved = morph(start, np.array([[-1.0], [0.0], [1.0]])).points
    np.testing.assert_allclose(moved[:, 0], [-1.0, 0.0, 1.0], atol=0.05)
    with pytest.raises(InputError, match="one condition at most"):
        fit((x, np.zeros((1000, 2))), (x, np.zeros((1000, 2))), 0)


def test_effective_points_of_known_weights():
    assert unweighting.effective_points(np.full(8, 0.3)) == pytest.approx(8)
    assert unweighting.effective_points(np.array([1.0, 1.0, 0.0, 0.0])) == 2
    assert unweighting.effective_points(np.array([3.0, 1.0])) == pytest.approx(16 / 10)


def test_whole_weights_measure_as_repeated_points():
    rng = np.random.default_rng(8)
    sample, target = rng.normal(0.2, 1, size=(600, 2)), rng.normal(size=(900, 2))
    times = rng.integers(0, 3, size=600)
    repeated, weights = np.repeat(sample, times, axis=0), times.astype(float)
    for many, one in zip(
        two_sample.compare_features(repeated, target),
        two_sample.compare_features(sample, target, weights=weights),
        strict=True,
    ):
        assert one.ks == pytest.approx(many.ks, abs=1e-12)
        assert one.ks_pvalue > many.ks_pvalue  # fewer points than it seems
        assert one.chi2 < many.chi2
    short = target[: len(sample)]
    weighted = optimal_transport.sliced_wasserstein(sample, short, seed=1, weights=weights)
    plain = [stats.wasserstein_distance(repeated @ d, short @ d) for d in directions(2)]
    assert weighted == pytest.approx(np.mean(plain), rel=1e-9)


def directions(features: int) -> np.ndarray:
    vectors = np.random.default_rng(1).normal(size=(features, 64))
    return (vectors / np.linalg.norm(vectors, axis=0)).T


def test_equal_weights_change_no_measure():
    rng = np.random.default_rng(9)
    sample, target = rng.normal(size=(1000, 2)), rng.normal(size=(1000, 2))
    ones = np.full(1000, 2.5)
    for plain, weighted in zip(
        two_sample.compare_features(sample, target),
        two_sample.compare_features(sample, target, weights=ones),
        strict=True,
    ):
        assert weighted == pytest.approx(plain, rel=1e-9)
    sliced = optimal_transport.sliced_wasserstein(sample, target, seed=1)
    again = optimal_transport.sliced_wasserstein(sample, target, seed=1, weights=ones)
    assert again == pytest.approx(sliced, rel=1e-9)


def test_the_classifier_takes_weights():
    rng = np.random.default_rng(10)
    sample, target = rng.normal(size=(4000, 1)), rng.normal(0.7, 1, size=(4000, 1))
    exact = np.exp(stats.norm.logpdf(sample[:, 0], 0.7) - stats.norm.logpdf(sample[:, 0]))
    plain = two_sample.classifier_auc(sample, target, seed=1)
    assert plain.value == pytest.approx(stats.norm.cdf(0.7 / np.sqrt(2)), abs=0.02)
    weighted = two_sample.classifier_auc(sample, target, seed=1, weights=exact)
    assert weighted.low < 0.51 and weighted.value < 0.53
    assert weighted.high - weighted.low > plain.high - plain.low


def test_weighted_bootstrap_interval_is_the_spread_over_experiments():
    rng = np.random.default_rng(11)
    values, widths = [], []
    for _ in range(200):
        negative, positive = rng.normal(size=150), rng.normal(0.5, 1, size=250)
        weights = rng.exponential(size=150)
        first, *resampled = two_sample._bootstrapped(negative, positive, 60, rng, weights)
        values.append(first)
        widths.append(np.std(resampled))
    assert np.mean(widths) == pytest.approx(np.std(values), rel=0.15)
    assert np.mean(values) == pytest.approx(stats.norm.cdf(0.5 / np.sqrt(2)), abs=0.01)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("telepathy", {}, "no method 'telepathy'"),
        ("../flows", {}, r"no method '\.\./flows'"),
        ("reweighting", {"folds": 3}, "needed are folds, trees, learning_rate, given folds"),
        (
            "quantile_morphing",
            {"points_per_level": 9, "bins": 1, "typo": 1},
            "given points_per_level, bins, typo",
        ),
    ],
)
def test_unknown_methods_and_settings_are_named(method, settings, message):
    with pytest.raises(InputError, match=message):
        interface.find(method, settings)


def test_files_of_morphed_points_belong_to_their_points(tmp_path):
    x = np.arange(6.0).reshape(3, 2)
    path = tmp_path / "science" / "method.npz"
    splits = {"validation": (x, interface.Morphed(x + 1, np.array([1.0, 2.0, 0.0])))}
    alternative_points.save(path, splits | {"signal": (x[:2], interface.Morphed(x[:2]))})
    points, weights = alternative_points.load(path, "validation", x)
    assert (points == x + 1).all() and weights.tolist() == [1, 2, 0]
    assert alternative_points.load(path, "signal", x[:2]).weights is None
    with pytest.raises(InputError, match="method.npz: made of other reference points"):
        alternative_points.load(path, "signal", x[1:])
    with pytest.raises(InputError, match="not a file of morphed points"):
        alternative_points.load(path, "evaluation", x)
    with pytest.raises(InputError, match="no such file"):
        alternative_points.load(tmp_path / "none.npz", "signal", x)
    alternative_points.save(path, {"signal": (x, interface.Morphed(x, np.array([1.0, -1.0, 1.0])))})
    with pytest.raises(InputError, match="are not weights"):
        alternative_points.load(path, "signal", x)
    alternative_points.save(path, {"signal": (x, interface.Morphed(x * np.nan))})
    with pytest.raises(InputError, match="not a table of finite numbers"):
        alternative_points.load(path, "signal", x)


def test_a_method_is_added_by_one_module_as_the_documentation_says(tmp_path, monkeypatch):
    text = (ROOT / "docs/methods.md").read_text()
    module, entry = (
        re.search(rf"```{kind}\n(.+?)```", text, re.S)[1] for kind in ("python", "yaml")
    )
    ((method, settings),) = yaml.safe_load(entry)["alternatives"]["methods"].items()
    (tmp_path / f"{method}.py").write_text(module)
    monkeypatch.setattr(alternatives, "__path__", [*alternatives.__path__, str(tmp_path)])
    points = {"train": 4000, "evaluation": 1000}
    data = [ToyData(name, name, points, 1) for name in ("star", "checkerboard")]
    files = {name: str(tmp_path / f"{name}.npz") for name in (method, "reweighting")}
    for name, path in files.items():
        chosen = settings if name == method else SETTINGS[name]
        job = AlternativeJob(name, chosen, *data, ("evaluation",), 3)
        script("morph_by_alternative").main(["--job", to_json(job), "--output", path])
    with np.load(files[method]) as stored:
        x = stored["evaluation.reference"]
    none = np.empty((len(x), 0))
    moved.MovedSample(x, x[::-1], none, none, {"base_transfer": x}).save(tmp_path / "moved.npz")
    job = replace(
        measure_job(("base_transfer",), ("x1", "x2"), tuple(files)), split="evaluation", seed=2
    )
    script("measure_task").main(
        ["--job", to_json(job), "--moved", str(tmp_path / "moved.npz")]
        + ["--alternatives", *files.values(), "--output", str(tmp_path / "measures.csv")]
    )
    rows = {}
    for kind in ("two_sample", "movement", "marginals"):
        path = str(tmp_path / f"{kind}.csv")
        script("make_measure_table").main(
            ["--kind", kind, "--measures", str(tmp_path / "measures.csv"), "--output", path]
        )
        with open(path, newline="") as stream:
            rows[kind] = {row["method"]: row for row in csv.DictReader(stream)}
        assert {"base transfer", "mean shift", "reweighting"} <= set(rows[kind])
    assert float(rows["movement"]["mean shift"]["distance_std"]) == pytest.approx(0, abs=1e-6)
    assert float(rows["movement"]["reweighting"]["distance_mean"]) == 0
    effective = rows["two_sample"]["reweighting"]["effective_points"]
    assert 0 < int(effective) < 1000 and not rows["two_sample"]["mean shift"]["effective_points"]
    assert rows["two_sample"]["reweighting"]["points"] == "1000"


def test_a_new_method_gets_a_look_for_one_figure():
    known = looks.with_spares(["flows_for_flows", "mean_shift", "another"])
    assert looks.look("mean_shift", known).label == "mean shift"
    assert looks.look("mean_shift", known).colour != looks.look("another", known).colour
    assert looks.look("flows_for_flows", known) is looks.look("flows_for_flows")
    assert known == looks.with_spares(["mean_shift", "another"])
    with pytest.raises(InputError, match="no style for sample 'mean_shift'"):
        looks.look("mean_shift")


def test_looks_of_further_methods_differ():
    drawn = [looks.look(name) for name in (*SETTINGS, *FURTHER, *PUBLISHED)]
    assert len({look.colour for look in drawn}) == len(drawn)
    assert len({str(look.line) for look in drawn}) == len(drawn)
