"""The search: scores, significance improvements and excesses, and the events that it uses."""

import numpy as np
import pytest
from scripts_by_name import script

from flowmorph.errors import InputError
from flowmorph.formats import flat_root
from flowmorph.metrics import measures, search
from flowmorph.metrics.search import Data, Scores
from flowmorph.plan.jobs.data import FileData
from flowmorph.plan.jobs.form import to_json
from flowmorph.plan.jobs.searching import SearchClassifier, SearchJob
from flowmorph.samples import regions
from flowmorph.samples.moved import MovedSample

CLASSIFIER = SearchClassifier(folds=3, members=1, trees=50, learning_rate=0.1)
SIGNAL_AT = (2.0, 2.0)


def background(size: int, rng: np.random.Generator, shift: float = 0.0) -> np.ndarray:
    return rng.normal(shift, 1.0, (size, 2))


def signal(size: int, rng: np.random.Generator) -> np.ndarray:
    return rng.normal(SIGNAL_AT, 0.2, (size, 2))


def data(fraction: float, rng: np.random.Generator, size: int = 4000) -> Data:
    injected = signal(round(fraction * size), rng)
    return Data(background(size, rng), injected, signal(1000, rng))


def test_a_right_template_finds_the_signal_and_a_wrong_one_does_not():
    rng = np.random.default_rng(1)
    events = data(0.03, rng)
    right = search.weakly_supervised(background(8000, rng), events, CLASSIFIER, 1)
    # Shifted so that data without any signal lie away from it, on the other side.
    wrong = search.weakly_supervised(background(8000, rng, shift=0.7), events, CLASSIFIER, 1)
    assert search.numbers(right)["sic_max"] > 4
    assert search.numbers(right)["signal_auc"] > 0.9
    assert search.numbers(wrong)["sic_max"] < 1.5
    assert search.numbers(wrong)["signal_auc"] < 0.5


def test_one_that_knows_the_signal_is_at_least_as_good():
    rng = np.random.default_rng(2)
    events = data(0.01, rng)
    template = background(8000, rng)
    weak = search.weakly_supervised(template, events, CLASSIFIER, 2)
    best = search.supervised(template, signal(2000, rng), events, CLASSIFIER, 2)
    assert best.template is None
    assert search.numbers(best)["sic_max"] > search.numbers(weak)["sic_max"]
    assert "excess" not in search.numbers(best)


def test_without_signal_only_a_wrong_template_has_an_excess():
    rng = np.random.default_rng(3)
    events = data(0.0, rng)
    right = search.weakly_supervised(background(8000, rng), events, CLASSIFIER, 3)
    wrong = search.weakly_supervised(background(8000, rng, shift=0.5), events, CLASSIFIER, 3)
    # Were events scored by classifiers that have seen them, this would be far from zero.
    assert abs(search.numbers(right)["excess"]) < 3
    assert search.numbers(wrong)["excess"] > 5


def test_a_wrong_template_is_calibrated_by_what_is_wrong_in_the_sidebands_too():
    rng = np.random.default_rng(9)
    wrong = background(8000, rng, shift=0.5)
    alike = search.Sidebands(background(8000, rng), background(8000, rng, shift=0.5))
    right = search.Sidebands(background(8000, rng), background(8000, rng))
    none, some = data(0.0, rng), data(0.03, rng)
    found = [
        search.numbers(search.weakly_supervised(wrong, events, CLASSIFIER, 3, None, sidebands))
        for events, sidebands in ((none, alike), (none, right), (some, alike))
    ]
    assert found[0]["excess"] > 5
    assert abs(found[0]["excess_calibrated"]) < 2
    assert abs(found[0]["excess_calibrated_share"]) < 0.3
    # Sidebands in which the template is right leave it as wrong as it is.
    assert found[1]["excess_calibrated_share"] > 1
    # The signal stays: as many events again as the cut leaves, less those that are not behind it.
    assert found[2]["excess_calibrated"] > found[0]["excess_calibrated"] + 1


def test_sidebands_change_no_score():
    rng = np.random.default_rng(10)
    events, template = data(0.03, rng, size=500), background(500, rng)
    sidebands = search.Sidebands(background(300, rng), background(200, rng))
    plain = search.weakly_supervised(template, events, CLASSIFIER, 7)
    calibrated = search.weakly_supervised(template, events, CLASSIFIER, 7, None, sidebands)
    assert all(np.array_equal(a, b) for a, b in zip(plain[:4], calibrated[:4], strict=True))
    assert calibrated.sidebands.target.shape == (CLASSIFIER.folds, 300)
    assert calibrated.sidebands.template.shape == (CLASSIFIER.folds, 200)


def test_weights_make_a_template_right():
    rng = np.random.default_rng(4)
    events = data(0.03, rng)
    template = background(12000, rng, shift=0.5)
    # Ratio of both densities.
    weights = np.exp(-0.5 * template.sum(axis=1) + 0.25)
    weighted = search.weakly_supervised(template, events, CLASSIFIER, 4, weights)
    plain = search.weakly_supervised(template, events, CLASSIFIER, 4)
    assert search.numbers(weighted, weights)["sic_max"] > 2 * search.numbers(plain)["sic_max"]


def test_the_same_seed_gives_the_same_scores():
    events = data(0.03, np.random.default_rng(5), size=500)
    template = background(500, np.random.default_rng(6))
    first, second, other = (
        search.weakly_supervised(template, events, CLASSIFIER, seed) for seed in (7, 7, 8)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first.background, other.background)


def test_improvements_of_known_scores():
    # Half of the signal lies above all but 0.5 % of the background, the rest below all of it.
    judged = np.repeat([0.0, 0.9955], 500)
    known = Scores(np.linspace(0.1, 1, 10_000), np.empty(0), judged, np.linspace(0, 1, 100))
    found = search.numbers(known)
    assert found["sic_max"] == pytest.approx(0.5 / np.sqrt(0.005), rel=0.02)
    assert found["sic_at_0.01"] == pytest.approx(0.5 / np.sqrt(0.01), rel=0.01)
    assert "sic_at_0.001" not in found  # ten events are too few
    assert found["signal_auc"] == pytest.approx(0.4975, abs=0.001)


def test_cuts_that_leave_too_few_events_do_not_count():
    # All of the signal lies above the background: a cut that leaves nothing would be infinite.
    known = Scores(np.linspace(0, 0.9, 10_000), np.empty(0), np.ones(100))
    assert search.numbers(known)["sic_max"] == pytest.approx(
        1 / np.sqrt(search.LEAST_BACKGROUND / 10_000)
    )
    assert np.isnan(search.background_efficiency(known)).all()


def test_no_cut_at_all_improves_nothing():
    # All of the signal lies below the background.
    known = Scores(np.linspace(0.1, 1, 1000), np.empty(0), np.zeros(100))
    assert search.numbers(known)["sic_max"] == 1


def test_background_efficiency_falls_with_that_of_the_signal():
    uniform = Scores(np.linspace(0, 1, 1000), np.empty(0), np.linspace(0, 1, 1000))
    found = search.background_efficiency(uniform)
    kept = ~np.isnan(found)
    np.testing.assert_allclose(found[kept], search.EFFICIENCIES[kept], atol=2e-3)
    assert (~kept).sum() == 2  # 1 and 2 % leave fewer than 25 events


def test_an_excess_is_counted_in_its_errors():
    template = np.arange(10_000) / 10_000
    doubled = Scores(np.concatenate([template, template[-100:]]), np.empty(0), np.ones(1), template)
    found = search.numbers(doubled)
    # 200 events where 100 of the template, and 1 % more data, let expect 101.
    assert found["excess_share"] == pytest.approx(200 / 101 - 1, abs=0.02)
    assert found["excess"] == pytest.approx(99 / np.sqrt(101 + 102), rel=0.03)
    # Weights of one half say the same with half of the points as errors.
    weighted = search.numbers(doubled, np.full(10_000, 0.5))
    assert weighted["excess"] == pytest.approx(found["excess"])


def test_a_calibrated_excess_has_the_errors_of_all_four_samples():
    template = np.arange(10_000) / 10_000
    data_scores = np.concatenate([template, template[-100:]])
    # Of 10,000 sideband events each, 200 of the target and 100 of the template are behind the cut.
    beside = np.arange(10_000) / 10_000
    twice = np.where(beside >= 0.98, 0.995, beside)
    sidebands = search.SidebandScores(np.tile(twice, (3, 1)), np.tile(beside, (3, 1)))
    scores = Scores(data_scores, np.empty(0), np.ones(1), template, sidebands)
    found = search.numbers(scores)
    expected = 101 * 2
    assert found["excess_calibrated_share"] == pytest.approx(200 / expected - 1, abs=0.03)
    error = np.sqrt(expected + expected**2 * (1 / 100 + 1 / 200 + 1 / 100))
    assert found["excess_calibrated"] == pytest.approx((200 - expected) / error, abs=0.1)
    common = expected * np.sqrt(1 / 100 + 1 / 200) / error
    assert found["excess_calibrated_common"] == pytest.approx(common, rel=0.02)
    # Weights of one half say the same with half of the points as errors.
    halves = np.full(10_000, 0.5)
    assert search.numbers(scores, halves, halves) == pytest.approx(found)


def test_what_draws_share_does_not_average_out():
    values = [1.0, 2.0, 3.0, 2.0]
    mean, error = search.mean_and_error(values)
    assert (mean, error) == pytest.approx((2, np.std(values, ddof=1) / 2))
    assert search.mean_and_error(values, [0.5] * 4)[1] == pytest.approx(np.hypot(error, 0.5))
    assert search.mean_and_error([1.0], [0.5]) == (1.0, None)


def test_the_error_of_many_draws_is_that_of_the_pools_they_are_taken_from():
    """Of 40 pairs of pools, all of one distribution, the mean excess of eight draws."""
    rng, pulls, alone = np.random.default_rng(1), [], []
    for _ in range(40):
        target, reference = rng.random((2, 12_000))
        pools = search.Pools(len(target), len(reference))
        found = [
            search.numbers(
                Scores(
                    rng.choice(target, 4_000, replace=False),
                    np.empty(0),
                    np.ones(1),
                    rng.choice(reference, 8_000, replace=False),
                ),
                pools=pools,
            )
            for _ in range(8)
        ]
        values, common = ([each[key] for each in found] for key in ("excess", "excess_common"))
        mean, error = search.mean_and_error(values, common)
        pulls.append(mean / error)
        alone.append(mean / search.mean_and_error(values)[1])
    assert 0.75 < np.std(pulls) < 1.25 and np.std(alone) > 1.8
    # 40 events are expected, 1 % of each pool and 80 of the template are behind the cut.
    assert common == pytest.approx([40 * np.sqrt(2 / 120) / np.sqrt(40 + 40**2 / 80)] * 8)


def test_without_an_event_behind_the_cut_nothing_is_calibrated():
    template = np.arange(1000) / 1000
    empty = search.SidebandScores(np.zeros((2, 10)), np.ones((2, 10)))
    found = search.numbers(Scores(template, np.empty(0), np.ones(1), template, empty))
    assert "excess" in found and "excess_calibrated" not in found


def features(path, masses: np.ndarray, mark: float = 0.0) -> str:
    rng = np.random.default_rng(len(masses))
    table = {name: rng.normal(100, 5, len(masses)) + mark for name in regions.FEATURES}
    flat_root.write_tables(path, {"features": table | {"m_jj": masses}})
    return str(path)


def prepare(tmp_path, leak: float, signal_events: int = 200) -> dict[str, np.ndarray]:
    from flowmorph.plan.jobs.events import PrepareJob

    masses = np.linspace(2900, 4100, 1201)
    job = PrepareJob([[2.9, 3.3], [3.7, 4.1]], [3.3, 3.7], 0.2, -3.0, 3.0, 1, leak)
    signal_masses = np.tile([3200.0, 3500.0, 3600.0, 1000.0], 50)[:signal_events]
    options = [
        "--reference", features(tmp_path / "reference_features.root", masses),
        "--target", features(tmp_path / "target_features.root", masses),
        "--signal", features(tmp_path / "signal_features.root", signal_masses, mark=500),
        "--job", to_json(job),
        "--output-reference", str(tmp_path / "reference.root"),
        "--output-target", str(tmp_path / "target.root"),
        "--output-scaling", str(tmp_path / "scaling.json"),
    ]  # fmt: skip
    script("prepare_samples").main(options)
    return {
        tree: flat_root.read_table(tmp_path / "target.root", tree)["m_jj"]
        for tree in ("train", "validation", "signal")
    }


def test_the_leaking_signal_is_in_the_sidebands_in_its_own_proportion(tmp_path):
    found = prepare(tmp_path, 0.1)
    # 400 background events in the signal region: 40 signal events, which half as many accompany.
    assert len(found["train"]) + len(found["validation"]) == 800 + 20
    assert len(found["signal"]) == 400  # to which the search adds its own


def test_nothing_leaks_unless_asked_for(tmp_path):
    found = prepare(tmp_path, 0.0)
    assert len(found["train"]) + len(found["validation"]) == 800


def test_too_few_signal_events_to_leak_are_refused(tmp_path):
    with pytest.raises(InputError, match="100 signal events.*160 needed"):
        prepare(tmp_path, 0.4)


def test_without_any_signal_event_there_is_no_search(tmp_path):
    with pytest.raises(InputError, match=": 0 signal events.*4 needed.*search.draws: 0"):
        prepare(tmp_path, 0.01, signal_events=0)
    prepare(tmp_path, 0.0, signal_events=0)
    options = ["--scaling", str(tmp_path / "scaling.json"), "--signal", "3.3", "3.7"]
    options += ["--features", str(tmp_path / "signal_features.root")]
    with pytest.raises(InputError, match="no event in the signal region: .*search.draws: 0"):
        script("prepare_search").main([*options, "--output", str(tmp_path / "out.root")])


def test_events_of_the_signal_region_are_cut_out_and_scaled(tmp_path):
    prepare(tmp_path, 0.0)
    further = features(tmp_path / "further.root", np.linspace(3000, 3800, 81))
    options = ["--scaling", str(tmp_path / "scaling.json"), "--signal", "3.3", "3.7"]
    options += ["--features", str(tmp_path / "target_features.root"), further]
    options += ["--prepared", str(tmp_path / "target.root"), "--output", str(tmp_path / "out.root")]
    script("prepare_search").main(options)
    found = flat_root.read_table(tmp_path / "out.root", "search")
    assert len(found["m_jj"]) == 400 + 40
    # The ends of the training events in the sidebands are those of the box [-3, 3].
    assert found["m_jj"].min() == pytest.approx(-1, abs=0.01)
    assert found["m_jj"].max() < 1
    train = flat_root.read_table(tmp_path / "out.root", "train")["m_jj"]
    assert np.array_equal(train, flat_root.read_table(tmp_path / "target.root", "train")["m_jj"])


def drawn(tmp_path, size: int = 600, **changes) -> dict[tuple[str, str], float]:
    rng = np.random.default_rng(11)
    columns = tuple(regions.FEATURES)[:2]
    flat_root.write_tables(
        tmp_path / "signal.root",
        {"search": dict(zip(columns, signal(200, rng).T, strict=True))},
    )
    none = np.empty((size, 0))
    shifted = background(size, rng, shift=0.7)
    MovedSample(
        shifted, background(size, rng), none, none, {"flows_for_flows": shifted - 0.7}
    ).save(tmp_path / "moved.npz")
    settings = {
        "task": "collider",
        "split": "search",
        "sideband_split": "validation",
        "draw": 1,
        "fraction": 0.05,
        "background_events": 300,
        "methods": ("flows_for_flows",),
        "alternatives": (),
        "signal": FileData("signal", str(tmp_path / "signal.root"), columns, ()),
        "classifier": CLASSIFIER,
        "seed": 3,
    }
    job = SearchJob(**(settings | changes))
    outputs = [str(tmp_path / name) for name in ("curves.npz", "numbers.csv")]
    options = ["--job", to_json(job), "--moved", str(tmp_path / "moved.npz")]
    options += ["--sidebands", str(tmp_path / "moved.npz")]
    script("search_draw").main([*options, "--output", outputs[0], "--measures", outputs[1]])
    with np.load(outputs[0]) as curves:
        assert {len(curves[name]) for name in curves} == {len(search.EFFICIENCIES)}
    return {(m.method, m.metric): m.value for m in measures.read(outputs[1:])}


def test_a_draw_compares_every_template(tmp_path):
    found = drawn(tmp_path)
    templates = {"supervised", "idealised", "reference", "flows_for_flows"}
    assert {method for method, _ in found} == templates
    assert found["flows_for_flows", "sic_max"] > found["reference", "sic_max"]
    assert found == drawn(tmp_path)
    assert found != drawn(tmp_path, seed=4)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"background_events": 600}, "600 target events.*lower search.background_events"),
        ({"fraction": 0.7}, "200 signal events.*210 of them"),
    ],
)
def test_a_draw_that_asks_for_more_than_there_is_is_refused(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        drawn(tmp_path, **changes)
