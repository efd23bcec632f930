"""Dijet observables, feature tables, regions, and the scripts that make them."""

import csv
import json
import sys

import awkward as ak
import numpy as np
import pytest
import yaml
from scripts_by_name import script

from flowmorph.collider import events, lhco
from flowmorph.collider.features import build_features, delta_r
from flowmorph.errors import InputError, cli
from flowmorph.formats import flat_root
from flowmorph.plan.jobs.events import GenerateJob, PrepareJob
from flowmorph.plan.jobs.form import read, to_json
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import regions


def run(name, *arguments):
    """Run a script as from the shell; return its exit status."""
    argv, sys.argv = sys.argv, [name, *map(str, arguments)]
    try:
        cli(script(name.removesuffix(".py")).main)
    except SystemExit as stop:
        return stop.code or 0
    finally:
        sys.argv = argv
    return 0


def event(*particles, label=0):
    pt, eta, phi = (list(column) for column in zip(*particles, strict=True)) or ([], [], [])
    return {"pt": pt, "eta": eta, "phi": phi, "label": label}


def dijet(pt=1500.0, light=0.1, heavy=0.2, flip=False):
    """Two back-to-back pairs of particles; each pair stands +- its half-angle from its axis."""
    first = [(pt / 2, 0.0, light), (pt / 2, 0.0, -light)]
    second = [(pt / 2, 0.0, np.pi + heavy), (pt / 2, 0.0, np.pi - heavy)]
    return event(*(second + first if flip else first + second))


def as_events(*rows):
    raw = ak.Array(list(rows))
    return events.make_events(raw, ak.to_numpy(raw.label))


def test_known_numbers():
    table, counts = build_features(as_events(dijet(), dijet(flip=True)))
    assert counts.selected == 2
    for i in (0, 1):
        # Massless pair of pT p each, half-angle a, at eta 0: m = 2 p sin(a).
        assert table["m_j1"][i] == pytest.approx(1500 * np.sin(0.1), rel=1e-5)
        assert table["delta_m_jj"][i] == pytest.approx(1500 * (np.sin(0.2) - np.sin(0.1)), rel=1e-5)
        assert table["delta_r_jj"][i] == pytest.approx(np.pi, rel=1e-5)
        assert table["tau21_j1"][i] == pytest.approx(0, abs=1e-4)
        assert table["m_jj"][i] == pytest.approx(3000, rel=1e-2)
    assert list(table) == [*regions.COLUMNS, "label"]


def test_azimuth_is_wrapped():
    jet = {"eta": np.zeros(3), "phi": np.array([3.1, -3.1, 0.5])}
    other = {"eta": np.array([0.0, 0.3, 1.0]), "phi": np.array([-3.1, 3.1, 0.5])}
    gap = 2 * np.pi - 6.2
    assert delta_r(jet, other) == pytest.approx([gap, np.hypot(0.3, gap), 1.0])


def test_events_that_are_left_out():
    spread = event((1500, 0, 0.1), (1500, 0, -0.1), (900, 0, np.pi + 0.1), (900, 0, np.pi - 0.1))
    table, counts = build_features(
        as_events(
            event((3000, 0.0, 0.0)),  # one jet
            {"pt": [], "eta": [], "phi": [], "label": 0},  # nothing
            dijet(pt=1100.0),  # below the trigger
            event((1500, 0, 0.0), (1400, 0, np.pi)),  # jets of one particle: tau_1 = 0
            spread,
        )
    )
    assert (counts.events, counts.fewer_than_two_jets, counts.below_trigger) == (5, 2, 1)
    assert (counts.undefined, counts.selected) == (1, 1)
    assert table["m_j1"] == pytest.approx([1800 * np.sin(0.1)], rel=1e-5)
    assert "5 events: 2 with fewer than two jets, 1 below the trigger" in str(counts)


def test_nothing_selected():
    table, counts = build_features(as_events(event((10.0, 0.0, 0.0))))
    assert counts.selected == 0
    assert all(len(column) == 0 for column in table.values())


def test_blocks_change_nothing(monkeypatch):
    rows = [dijet(pt, flip=pt > 1550) for pt in np.linspace(1150, 1900, 17)]
    whole, counts = build_features(as_events(*rows))
    for size in (1, 5, 16):
        monkeypatch.setattr("flowmorph.collider.features.BLOCK_EVENTS", size)
        table, again = build_features(as_events(*rows))
        assert again == counts and counts.below_trigger == 2
        for name in whole:
            assert (table[name] == whole[name]).all()


def test_label_follows_its_event():
    low, high = dijet(), dijet()
    high["label"] = 1
    table, _ = build_features(as_events(high, low, high))
    assert table["label"].tolist() == [1, 0, 1]
    assert table["label"].dtype == np.int8


def test_real_events(lhco_tiny):
    """Every event of the file has two jets and passes the trigger; medians pinned."""
    table, counts = build_features(lhco.read_lhco(lhco_tiny, 0, 1000, signal_fraction=0))
    assert (counts.events, counts.selected) == (907, 907)
    assert (table["delta_m_jj"] >= 0).all()
    assert all(np.isfinite(column).all() for column in table.values())
    for name in ("tau21_j1", "tau21_j2"):
        assert (table[name] > 0).all() and (table[name] < 1.05).all()
    inside = (table["m_jj"] > 2900) & (table["m_jj"] < 4100)
    assert inside.sum() == 444
    medians = {name: np.median(table[name][inside]) for name in regions.COLUMNS}
    assert medians == pytest.approx(
        {
            "m_j1": 109.022,
            "delta_m_jj": 112.806,
            "tau21_j1": 0.596,
            "tau21_j2": 0.512,
            "delta_r_jj": 3.263,
            "m_jj": 3290.778,
        },
        rel=1e-3,
    )


def test_equal_tables_give_equal_bytes(tmp_path, monkeypatch):
    trees = {"a": {"x": np.arange(5.0), "n": np.arange(5, dtype=np.int8)}, "b": {"x": np.ones(0)}}
    flat_root.write_tables(tmp_path / "one.root", trees)
    monkeypatch.setattr("uproot.writing._cascade.datetime", FutureClock)
    flat_root.write_tables(tmp_path / "two.root", trees)
    assert (tmp_path / "one.root").read_bytes() == (tmp_path / "two.root").read_bytes()


class FutureClock:
    """Stands in for the module datetime, ten years on."""

    class datetime:
        @staticmethod
        def now():
            import datetime

            return datetime.datetime.now() + datetime.timedelta(days=3650)


def test_tables_there_and_back(tmp_path):
    table = {"x": np.random.default_rng(1).normal(size=50_000), "label": np.ones(50_000, np.int8)}
    flat_root.write_tables(tmp_path / "a.root", {"features": table})
    again = flat_root.read_table(tmp_path / "a.root", "features")
    assert list(again) == ["x", "label"]
    for name in table:
        assert again[name].dtype == table[name].dtype
        assert (again[name] == table[name]).all()
    assert list(flat_root.read_table(tmp_path / "a.root", "features", ["label"])) == ["label"]
    joined = flat_root.concatenate([again, again])
    assert (joined["x"] == np.tile(table["x"], 2)).all()


def test_tables_that_cannot_be_read(tmp_path):
    path = tmp_path / "a.root"
    with pytest.raises(InputError, match="a.root: no such file"):
        flat_root.read_table(path, "features")
    flat_root.write_tables(path, {"features": {"x": np.arange(1000.0)}})
    with pytest.raises(InputError, match="no tree 'train' .it has features."):
        flat_root.read_table(path, "train")
    with pytest.raises(InputError, match="no column 'm_jj' .it has x."):
        flat_root.read_table(path, "features", ["x", "m_jj"])
    whole = path.read_bytes()
    for size in (0, 50, 2000, len(whole) - 100):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match="a.root: no readable ROOT file"):
            flat_root.read_table(path, "features")


def test_bands_and_split():
    table = {"m_jj": np.array([2.8, 2.9, 3.3, 3.7, 4.1]), "x": np.arange(5)}
    bands = np.array([[2.9, 3.3], [3.7, 4.1]])
    assert regions.select(table, "m_jj", bands)["x"].tolist() == [1, 3]
    table = {"x": np.arange(1000), "y": -np.arange(1000)}
    train, validation = regions.split(table, 0.2, np.random.default_rng(1))
    assert (len(train["x"]), len(validation["x"])) == (800, 200)
    assert sorted([*train["x"], *validation["x"]]) == list(range(1000))
    assert (train["y"] == -train["x"]).all() and (np.diff(train["x"]) > 0).all()


@pytest.fixture
def feature_files(tmp_path):
    """Merged feature tables of two samples with known numbers of events."""
    rng = np.random.default_rng(3)
    for name, count in (("reference", 600), ("target", 500)):
        table = {column: rng.gamma(3, 1, count) for column in regions.FEATURES}
        table["m_jj"] = np.repeat([2800.0, 3000.0, 3500.0, 3900.0, 4200.0], count // 5)
        table["label"] = np.zeros(count, np.int8)
        flat_root.write_tables(tmp_path / f"{name}.root", {"features": table})
    return tmp_path


PREPARE = {
    "sidebands_tev": [[2.9, 3.3], [3.7, 4.1]],
    "signal_tev": [3.3, 3.7],
    "validation_fraction": 0.2,
    "low": -3,
    "high": 3,
    "seed": 5,
}


def prepare(folder, **changes):
    return run(
        "prepare_samples.py",
        *("--reference", folder / "reference.root", "--target", folder / "target.root"),
        *("--job", to_json(PrepareJob(**(PREPARE | changes)))),
        *("--output-reference", folder / "r.root", "--output-target", folder / "t.root"),
        *("--output-scaling", folder / "scaling.json"),
    )


def test_prepared_samples(feature_files):
    assert prepare(feature_files) == 0
    sizes = {
        name: [
            len(flat_root.read_table(feature_files / f"{name}.root", tree)["m_jj"])
            for tree in ("train", "validation", "signal")
        ]
        for name in ("r", "t")
    }
    assert sizes == {"r": [192, 48, 120], "t": [160, 40, 100]}
    scaling = Preprocessor.load(feature_files / "scaling.json")
    assert scaling.columns == regions.COLUMNS
    assert (scaling.maps["m_jj"].minimum, scaling.maps["m_jj"].maximum) == (3000, 3900)
    train = [flat_root.read_table(feature_files / f"{name}.root", "train") for name in ("r", "t")]
    for name in regions.COLUMNS:
        both = np.concatenate([table[name] for table in train])
        assert (both.min(), both.max()) == pytest.approx((-3, 3))
    signal = scaling.inverse(flat_root.read_table(feature_files / "t.root", "signal"))
    assert signal["m_jj"] == pytest.approx(np.full(100, 3500.0))
    first = (feature_files / "r.root").read_bytes()
    assert prepare(feature_files) == 0
    assert (feature_files / "r.root").read_bytes() == first


def m_jj(folder, file, tree):
    """M of a prepared tree's events, GeV."""
    scaling = Preprocessor.load(folder / "scaling.json")
    return scaling.inverse(flat_root.read_table(folder / file, tree))["m_jj"]


def test_the_reference_alone_may_be_trained_on_in_the_signal_region(feature_files):
    table = flat_root.read_table(feature_files / "reference.root", "features")
    assert prepare(feature_files, reference_in_signal=True) == 0
    mass = {tree: m_jj(feature_files, "r.root", tree) for tree in ("train", "validation", "signal")}
    assert [len(mass["train"]), len(mass["validation"])] == [288, 72]  # of 240 + 120 events
    assert (mass["train"] > 3300).sum() > (mass["train"] > 3700).sum() > 0
    assert mass["signal"] == pytest.approx(np.full(len(mass["signal"]), 3500.0))
    # What is measured there is what no flow was trained on.
    scaling = Preprocessor.load(feature_files / "scaling.json")
    seen, apart = (
        scaling.inverse(flat_root.read_table(feature_files / "r.root", tree))["m_j1"]
        for tree in ("train", "signal")
    )
    inside = table["m_j1"][table["m_jj"] == 3500]
    assert 0 < len(apart) < len(inside) and np.isclose(apart[:, None], inside).any(axis=1).all()
    assert not np.isclose(apart[:, None], seen, rtol=1e-12).any()
    for tree, count in (("train", 160), ("validation", 40), ("signal", 100)):
        found = m_jj(feature_files, "t.root", tree)
        assert len(found) == count and np.isclose(found, 3500).all() == (tree == "signal")


def test_the_scaling_may_be_that_of_the_reference_alone(feature_files, capfd):
    table = flat_root.read_table(feature_files / "target.root", "features")
    wider = table | {"m_j1": 10 * table["m_j1"]}
    flat_root.write_tables(feature_files / "target.root", {"features": wider})
    assert prepare(feature_files, fit="reference") == 0
    train = {name: flat_root.read_table(feature_files / f"{name}.root", "train") for name in "rt"}
    for name in regions.COLUMNS:
        assert (train["r"][name].min(), train["r"][name].max()) == pytest.approx((-3, 3))
    outside = (train["t"]["m_j1"] > 3).sum()
    assert outside > 50
    assert f"target: beyond the scaled range {outside} in m_j1" in capfd.readouterr().err
    # The map goes on beyond its range, and back.
    back = Preprocessor.load(feature_files / "scaling.json").inverse(train["t"])["m_j1"]
    assert np.isclose(back[:, None], wider["m_j1"]).any(axis=1).all()


def test_the_scaling_may_be_given(feature_files, capfd):
    assert prepare(feature_files) == 0
    fitted = Preprocessor.load(feature_files / "scaling.json").maps
    assert prepare(feature_files, ranges={"m_jj": (2900, 4100), "m_j1": (0, 500)}) == 0
    scaling = Preprocessor.load(feature_files / "scaling.json").maps
    assert (scaling["m_jj"].minimum, scaling["m_jj"].maximum) == (2900, 4100)
    assert (scaling["m_j1"].minimum, scaling["m_j1"].maximum) == (0, 500)
    assert {n: m for n, m in scaling.items() if n not in ("m_jj", "m_j1")} == {
        n: m for n, m in fitted.items() if n not in ("m_jj", "m_j1")
    }
    scaled = flat_root.read_table(feature_files / "t.root", "train")["m_jj"]
    assert set(np.round(scaled, 9)) == {-2.5, 2.0}  # 3,000 and 3,900 GeV
    capfd.readouterr()
    before = (feature_files / "scaling.json").read_bytes()
    assert prepare(feature_files, ranges={"m_jj": (2.9, 4.1)}) == 1
    assert capfd.readouterr().err.splitlines()[-1] == (
        "error: config: collider.scaling.ranges.m_jj: no training event of the reference lies in "
        "[2.9, 4.1]: give the range of its values, masses in GeV"
    )
    assert (feature_files / "scaling.json").read_bytes() == before


def test_empty_region_and_constant_feature(feature_files, capfd):
    table = flat_root.read_table(feature_files / "target.root", "features")
    low = {name: column[table["m_jj"] < 3600] for name, column in table.items()}
    constant = {**table, "delta_r_jj": np.full(500, 3.1)}
    cases = [
        (low | {"m_jj": np.full(len(low["m_jj"]), 3500.0)}, "no event for 'train' in target"),
        ({name: column[table["m_jj"] != 3500] for name, column in table.items()}, "'signal'"),
    ]
    for broken, message in cases:
        flat_root.write_tables(feature_files / "target.root", {"features": broken})
        assert prepare(feature_files) == 1
        captured = capfd.readouterr().err.splitlines()
        assert captured[-1].startswith("error: ") and message in captured[-1]
    for name in ("target", "reference"):
        flat_root.write_tables(feature_files / f"{name}.root", {"features": constant})
    assert prepare(feature_files) == 1
    assert "'delta_r_jj' has zero range" in capfd.readouterr().err
    assert not list(feature_files.glob("r.root")) and not list(feature_files.glob("*.json"))


def test_a_scaled_range_has_a_width(feature_files, capfd):
    assert prepare(feature_files, low=3, high=-3) == 1
    assert "low must be below high" in capfd.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_a_share_of_events_is_apart(fraction):
    text = json.dumps(PREPARE | {"validation_fraction": fraction})
    with pytest.raises(InputError, match="^--job: validation_fraction: Input should be"):
        read(PrepareJob, text)


def test_chain_from_generation_to_medians(tmp_path, capfd):
    chunk = tmp_path / "events.parquet"
    job = GenerateJob("simple", 40, 1150, 2700, 3, -1, 1100, (2600, 4400))
    generate = ("--job", to_json(job))
    assert run("generate_events.py", *generate, "--output", chunk) == 0
    first = chunk.read_bytes()
    assert run("generate_events.py", *generate, "--output", chunk) == 0
    assert chunk.read_bytes() == first

    merged = tmp_path / "merged.root"
    for name in ("a", "b"):
        output = tmp_path / f"{name}.root"
        assert run("build_features.py", "--input", chunk, "--output", output) == 0
    inputs = (tmp_path / "a.root", tmp_path / "b.root")
    assert run("merge_features.py", "--input", *inputs, "--output", merged) == 0
    one, two = (flat_root.read_table(path, "features") for path in (inputs[0], merged))
    assert len(one["m_jj"]) > 15
    for name in one:
        assert (two[name] == np.tile(one[name], 2)).all()

    published = tmp_path / "published.yaml"
    values = {"m_jj_tev": 3.471, "m_j1_gev": 107.7, "delta_m_gev": 126.1}
    values |= {"tau21_j1": 0.600, "tau21_j2": 0.491}
    published.write_text(yaml.safe_dump({"pythia_v2_signal_region_medians": values}))
    outputs = (tmp_path / "medians.csv", tmp_path / "medians.md")
    compare = ("--target", merged, "--signal", 2.0, 6.0, "--output", *outputs)
    assert run("compare_medians.py", *compare, "--reference", published) == 0
    rows = list(csv.DictReader(outputs[0].read_text().splitlines()))
    assert [row["observable"] for row in rows] == list(values)
    mass = np.median(two["m_jj"]) / 1000
    assert float(rows[0]["generated"]) == pytest.approx(mass, rel=1e-5)
    assert float(rows[0]["ratio"]) == pytest.approx(mass / 3.471, rel=1e-5)
    assert "| dijet mass M [TeV] " in outputs[1].read_text()

    capfd.readouterr()
    published.write_text("{}")
    assert run("compare_medians.py", *compare, "--reference", published) == 1
    assert "missing or incomplete" in capfd.readouterr().err


def test_lhco_rows_to_features(lhco_tiny, tmp_path):
    for start in (0, 40):
        output = tmp_path / f"{start}.parquet"
        arguments = ("--input", lhco_tiny, "--start", start, "--stop", start + 40)
        arguments += ("--signal-fraction", 1)
        assert run("extract_lhco_events.py", *arguments, "--output", output) == 0
        assert len(events.read_events(output)) == 40
    # Past the end is the end.
    arguments = ("--input", lhco_tiny, "--start", 990, "--stop", 1040, "--signal-fraction", 0)
    assert run("extract_lhco_events.py", *arguments, "--output", output) == 0
    assert len(events.read_events(output)) <= 10
    assert run("build_features.py", "--input", output, "--output", tmp_path / "a.root") == 0


def test_missing_and_broken_inputs_leave_nothing(tmp_path, capfd):
    nowhere, output = tmp_path / "nowhere", tmp_path / "out.root"
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 but no more")
    lhco = ("extract_lhco_events.py", "--input", nowhere, "--start", 0, "--stop", 1)
    for command in (
        lhco,
        ("build_features.py", "--input", nowhere),
        ("build_features.py", "--input", broken),
        ("merge_features.py", "--input", nowhere),
    ):
        assert run(*command, "--output", output) == 1
        lines = capfd.readouterr().err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: ")
        assert str(nowhere) in lines[0] or str(broken) in lines[0]
    assert not list(tmp_path.glob("*.root")) and not list(tmp_path.glob(".*"))


def test_scaling_file_is_plain_json(feature_files):
    assert prepare(feature_files) == 0
    saved = json.loads((feature_files / "scaling.json").read_text())
    assert {column["transform"] for column in saved["columns"]} == {"minmax"}
    assert set(saved["columns"][0]) >= {"name", "minimum", "maximum", "low", "high"}
