"""LHC Olympics events: features against a plain calculation, feature files, counts, the rules."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
import tables as hdf5
import yaml
from test_events import lhco_rows, write_lhco
from test_features import run
from test_workflow import OUT, Project

from flowmorph.collider import lhco
from flowmorph.collider.features import build_features, features_of_jets
from flowmorph.errors import InputError
from flowmorph.formats import flat_root
from flowmorph.plan import paths
from flowmorph.plan.config import check
from flowmorph.samples import regions

ROOT = Path(__file__).parents[1]


def test_every_real_event_against_plain_numpy_and_pyjet(lhco_tiny):
    pytest.importorskip("pyjet", reason="second jet engine not installed")
    import pyjet_loop

    with hdf5.open_file(lhco_tiny) as file:
        rows = file.root.df.block0_values[:]
    table, counts = build_features(lhco.read_lhco(lhco_tiny, 0, len(rows)))
    assert counts.selected == len(rows) == 1000
    assert (table["label"] == rows[:, 2100]).all()
    theirs = np.array([pyjet_loop.features(row) for row in rows])
    # The particles are kept in single precision: what is left is rounding.
    for column, name in enumerate(regions.COLUMNS):
        np.testing.assert_allclose(table[name], theirs[:, column], rtol=1e-5, atol=1e-5)


def jets(count=60, seed=4, signal=0.3):
    """Jets in the columns of the organisers' feature files."""
    rng = np.random.default_rng(seed)
    frame = pandas.DataFrame(index=range(count))
    for jet, pt in ((1, 1500.0), (2, 1300.0)):
        phi = rng.uniform(-3, 3, count) if jet == 1 else np.arctan2(-frame.pyj1, -frame.pxj1)
        pt = pt + rng.exponential(50, count)
        frame[f"pxj{jet}"], frame[f"pyj{jet}"] = pt * np.cos(phi), pt * np.sin(phi)
        frame[f"pzj{jet}"] = pt * np.sinh(rng.normal(0, 1, count))
        frame[f"mj{jet}"] = rng.gamma(3, 60, count)
        frame[f"tau1j{jet}"] = rng.uniform(0.1, 0.9, count)
        for order in (2, 3):
            frame[f"tau{order}j{jet}"] = frame[f"tau{order - 1}j{jet}"] * rng.uniform(0, 1, count)
    frame["label"] = (rng.random(count) < signal).astype(float)
    return frame


@pytest.mark.parametrize("layout", ["fixed", "table"])
def test_features_of_published_jets_against_plain_numpy(tmp_path, layout):
    frame = jets()
    frame.to_hdf(tmp_path / "a.h5", key="df", format=layout)
    table, counts = features_of_jets(lhco.read_lhco_features(tmp_path / "a.h5"))
    assert (counts.events, counts.selected) == (60, 60)
    for i, row in enumerate(frame.itertuples()):
        pair = []
        for jet in (1, 2):
            p = np.array([getattr(row, f"p{axis}j{jet}") for axis in "xyz"])
            m = getattr(row, f"mj{jet}")
            ratio = getattr(row, f"tau2j{jet}") / getattr(row, f"tau1j{jet}")
            pair.append((m, np.sqrt(p @ p + m * m), p, ratio))
        (m1, e1, p1, t1), (m2, e2, p2, t2) = sorted(pair, key=lambda jet: jet[0])
        eta1, eta2 = (np.arctanh(p[2] / np.sqrt(p @ p)) for p in (p1, p2))
        cosine = p1[:2] @ p2[:2] / np.sqrt((p1[:2] @ p1[:2]) * (p2[:2] @ p2[:2]))
        expected = {
            "m_j1": m1,
            "delta_m_jj": m2 - m1,
            "tau21_j1": t1,
            "tau21_j2": t2,
            "delta_r_jj": np.hypot(eta1 - eta2, np.arccos(np.clip(cosine, -1, 1))),
            "m_jj": np.sqrt((e1 + e2) ** 2 - (p1 + p2) @ (p1 + p2)),
            "label": row.label,
        }
        assert {name: table[name][i] for name in table} == pytest.approx(expected, rel=1e-7)


def test_jets_as_published_from_our_own(lhco_tiny):
    """Written as the organisers write theirs, our jets give the features that particles give."""
    from flowmorph.collider import jets as ours

    array = lhco.read_lhco(lhco_tiny, 0, 50)
    found = ours.cluster(array)
    columns = {"label": np.asarray(array.label)}
    for jet in (1, 2):
        one = found[:, jet - 1]
        tau = ours.subjettiness(array, one.constituents)
        momentum = {f"p{axis}j{jet}": np.asarray(one[f"p{axis}"]) for axis in "xyz"}
        columns |= momentum | {f"mj{jet}": np.asarray(ours.mass(one))}
        columns |= {f"tau{n}j{jet}": tau[:, n - 1] for n in (1, 2)}
    again, _ = features_of_jets(columns)
    for name, column in build_features(array)[0].items():
        np.testing.assert_allclose(again[name], column, rtol=1e-9)


def test_jets_that_are_left_out(tmp_path):
    frame = jets(6, signal=0)
    frame.loc[0, ["pxj2", "pyj2", "pzj2"]] = 0.0
    frame.loc[1, "pxj2"] = np.nan
    frame.loc[2, ["pxj1", "pxj2"]] = 10.0
    frame.loc[2, ["pyj1", "pyj2"]] = 10.0
    frame.loc[3, ["tau1j1", "tau2j1"]] = 0.0
    frame.loc[4, "tau2j2"] = np.nan
    frame.to_hdf(tmp_path / "a.h5", key="df")
    table, counts = features_of_jets(lhco.read_lhco_features(tmp_path / "a.h5"))
    assert (counts.fewer_than_two_jets, counts.below_trigger) == (2, 1)
    assert (counts.undefined, counts.selected) == (2, 1)
    assert len(table["m_jj"]) == 1


def test_signal_is_dropped_or_kept_by_row_and_not_by_chunk(tmp_path):
    label = (np.random.default_rng(2).random(10_000) < 0.1).astype(int)
    assert lhco.kept(label, 1.0).all()
    assert (lhco.kept(label, 0.0) == (label == 0)).all()
    part = lhco.kept(label, 0.25)
    assert part[label == 0].all()
    assert part[label == 1].mean() == pytest.approx(0.25, abs=0.05)
    assert (lhco.kept(label, 1.0, background=False) == (label == 1)).all()
    assert (lhco.kept(label, 0.25, background=False) == (part & (label == 1))).all()
    pieces = [lhco.kept(label[low : low + 77], 0.25, low) for low in range(0, 10_000, 77)]
    assert (np.concatenate(pieces) == part).all()

    path = write_lhco(tmp_path / "x.h5", lhco_rows(200))
    whole = lhco.read_lhco(path, 0, 200, signal_fraction=0.5)
    halves = [lhco.read_lhco(path, low, low + 100, signal_fraction=0.5) for low in (0, 100)]
    assert whole.tolist() == [event for half in halves for event in half.tolist()]
    assert 0 < np.sum(whole.label) < np.sum(lhco_rows(200)[:, 2100])
    signal = lhco.read_lhco(path, 0, 200, background=False)
    assert np.all(signal.label == 1) and len(signal) == np.sum(lhco_rows(200)[:, 2100])


def test_feature_files_through_the_script(tmp_path):
    frame = jets()
    frame.to_hdf(tmp_path / "a.h5", key="df")
    frame.drop(columns="label").to_hdf(tmp_path / "unlabelled.h5", key="df")
    sizes = {}
    for name, fraction in (("a", 0), ("a", 1), ("unlabelled", 0)):
        output = tmp_path / "a.root"
        arguments = ("--input", tmp_path / f"{name}.h5", "--signal-fraction", fraction)
        assert run("read_lhco_features.py", *arguments, "--output", output) == 0
        sizes[name, fraction] = len(flat_root.read_table(output, "features")["m_jj"])
    background = int((frame.label == 0).sum())
    assert sizes == {("a", 0): background, ("a", 1): 60, ("unlabelled", 0): 60}


def test_feature_files_that_cannot_be_read(tmp_path, capfd):
    path, output = tmp_path / "a.h5", tmp_path / "a.root"
    jets().to_hdf(path, key="df")
    whole = path.read_bytes()
    cases = [
        ("no such file", None),
        ("is empty", b""),
        ("no readable HDF5", whole[:5000]),
    ]
    wrong = jets().drop(columns="tau2j1"), jets().assign(mj1="heavy")
    for number, frame in enumerate(wrong):
        frame.to_hdf(tmp_path / f"{number}.h5", key="df", format="table")
    write_lhco(tmp_path / "2.h5", lhco_rows(3))
    cases += [("no column 'tau2j1'", (tmp_path / "0.h5").read_bytes())]
    cases += [
        (
            "'mj1' is of type object (such as 'heavy'), not a number",
            (tmp_path / "1.h5").read_bytes(),
        )
    ]
    cases += [("no column 'pxj1'", (tmp_path / "2.h5").read_bytes())]
    for reason, content in cases:
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        assert run("read_lhco_features.py", "--input", path, "--output", output) == 1
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith(f"error: {path}: ") and reason in line
        assert not output.exists()


def test_more_events_asked_for_than_there_are(tmp_path, capfd):
    path = write_lhco(tmp_path / "x.h5", lhco_rows(20))
    arguments = ("--input", path, "--start", 20, "--stop", 40, "--output", tmp_path / "a.parquet")
    assert run("extract_lhco_events.py", *arguments) == 1
    assert "only 20 events: lower collider.lhco.events" in capfd.readouterr().err


def test_a_file_that_names_no_signal_says_what_to_set(tmp_path, capfd):
    """Black boxes have no labels: known from the first chunk, before anything is clustered."""
    particles = write_lhco(tmp_path / "x.h5", lhco_rows(20, label=False))
    for number, frame in enumerate((jets().drop(columns="label"), jets(signal=0))):
        frame.to_hdf(tmp_path / f"{number}.h5", key="df")
    rows = ("--start", 0, "--stop", 10)
    for command, path, more in (
        ("extract_lhco_events.py", particles, rows),
        ("read_lhco_features.py", tmp_path / "0.h5", ()),
        ("read_lhco_features.py", tmp_path / "1.h5", ()),
    ):
        arguments = (command, "--input", path, *more, "--output", tmp_path / "out")
        assert run(*arguments, "--signal-fraction", 1, "--no-background") == 1
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith(f"error: {path}: this file names no signal events")
        assert "search.draws: 0" in line and not (tmp_path / "out").exists()
        assert run(*arguments) == 0  # all of them are background
        (tmp_path / "out").unlink()
        capfd.readouterr()
    # Of a labelled file another chunk may have some.
    labelled = lhco_rows(20)
    labelled[:10, 2100] = 0
    assert (
        len(lhco.read_lhco(write_lhco(tmp_path / "y.h5", labelled), 0, 10, background=False)) == 0
    )


def test_counts_next_to_the_published_ones(tmp_path, capfd):
    mass = np.repeat([1600.0, 3300.0, 3699.9, 3700.0, 6000.0], [300, 200, 100, 98, 5])
    label = np.zeros(len(mass), np.int8)
    target = {"m_jj": np.append(mass, 3500.0), "label": np.append(label, 1).astype(np.int8)}
    for name, table in (("reference", {"m_jj": mass, "label": label}), ("target", target)):
        flat_root.write_tables(tmp_path / f"{name}.root", {"features": table})
    counts = {"total": 703, "1500-3300": 300, "3300-3700": 300, "3700-5500": 98}
    published = {"herwig": counts, "pythia_v2_qcd": counts | {"3700-5500": 100}}
    facts = tmp_path / "facts.yaml"
    facts.write_text(yaml.safe_dump({"event_counts": published}, sort_keys=False))
    inputs = ("--reference", tmp_path / "reference.root", "--target", tmp_path / "target.root")
    outputs = (tmp_path / "c.csv", tmp_path / "c.md")
    command = ("compare_counts.py", *inputs, "--published", facts, "--output", *outputs)
    assert run(*command) == 0
    rows = list(csv.DictReader(outputs[0].read_text().splitlines()))
    assert [row["events"] for row in rows] == ["703", "300", "300", "98"] * 2
    assert [row["verdict"] for row in rows] == ["agrees"] * 7 + ["WARNING: MISMATCH"]
    assert float(rows[-1]["difference"]) == pytest.approx(-2)
    assert "WARNING: MISMATCH" in capfd.readouterr().err
    assert "WARNING: MISMATCH" in outputs[1].read_text()

    facts.write_text("{}")
    assert run(*command) == 1
    assert "event_counts has no herwig" in capfd.readouterr().err


def test_feature_files_need_a_reference_of_ones_own():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["collider"]["source"] = "lhco_features"
    with pytest.raises(InputError, match="collider.lhco_features.files.reference"):
        check(config, ROOT / "config/schema.yaml")
    config["collider"]["lhco_features"]["files"]["reference"] = "mine.h5"
    check(config, ROOT / "config/schema.yaml")


def planned(folder: Path, target: str, collider: dict) -> dict[str, int]:
    """Rules that snakemake would run for a target, with the number of their jobs."""
    settings = folder / "settings.yaml"
    settings.write_text(yaml.safe_dump({"run": "planned", "collider": collider}))
    command = (sys.executable, "-m", "snakemake", "--dry-run", "--nolock", target)
    result = subprocess.run(
        [*command, "--configfile", settings], cwd=ROOT, text=True, capture_output=True, timeout=300
    )
    assert result.returncode == 0, result.stdout + result.stderr
    table = re.search(r"^job +count\n[- ]+\n((?:\w+ +\d+\n)+)", result.stdout, re.MULTILINE)
    rows = dict(line.split() for line in table.group(1).splitlines())
    return {name: int(count) for name, count in rows.items() if name != "total"}


@pytest.mark.workflow
def test_files_are_downloaded_unless_they_are_named(tmp_path):
    features, counts = (
        f"results/planned/{name}" for name in ("features/target.root", "tables/event_counts.csv")
    )
    chunks = {"extract_lhco_events": 2, "build_features": 2, "merge_features": 1}
    lhco = {"chunk_events": 50_000, "events": {"target": 100_000}}
    wanted = {"source": "lhco", "lhco": lhco}
    assert planned(tmp_path, features, wanted) == chunks | {"download_lhco": 1}
    lhco["files"] = {"target": "my.h5"}
    assert planned(tmp_path, features, wanted) == chunks
    mine = {"files": {"reference": "mine.h5"}}
    wanted = {"source": "lhco_features", "lhco_features": mine}
    rules = {"download_lhco": 1, "read_lhco_features": 1}
    assert planned(tmp_path, features, wanted) == rules
    both = rules | {"read_lhco_features": 2, "compare_counts": 1}
    assert planned(tmp_path, counts, wanted) == both


@pytest.mark.workflow
def test_the_search_takes_the_signal_events_of_the_file(tmp_path, lhco_tiny):
    project = Project(tmp_path)
    settings = yaml.safe_load((tmp_path / "tiny.yaml").read_text())
    events = {"reference": 1000, "target": 1000}
    files = dict.fromkeys(events, str(lhco_tiny))
    settings["collider"] |= {
        "source": "lhco",
        "lhco": {"files": files, "events": events, "chunk_events": 500},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(settings))
    samples = {name: tmp_path / paths.features(OUT, name) for name in ("signal", "target")}
    project.snakemake("--cores", "2", *(paths.features(OUT, name) for name in samples))
    both, _ = build_features(lhco.read_lhco(lhco_tiny, 0, 1000))
    for name, label in (("signal", 1), ("target", 0)):
        found = flat_root.read_table(samples[name], "features")
        assert len(found["m_jj"]) > 10
        assert np.array_equal(found["m_jj"], both["m_jj"][both["label"] == label])


@pytest.mark.workflow
def test_a_black_box_ends_before_its_events_are_clustered(tmp_path):
    project = Project(tmp_path)
    settings = yaml.safe_load((tmp_path / "tiny.yaml").read_text())
    box = write_lhco(tmp_path / "box.h5", lhco_rows(40, label=False))
    files = {"reference": str(box), "target": str(box)}
    events = dict.fromkeys(files, 40)
    settings["collider"] |= {
        "source": "lhco",
        "lhco": {"files": files, "events": events, "chunk_events": 20},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(settings))
    failed = project.snakemake("--cores", "1", paths.prepared(OUT, "target"), check=False)
    assert failed.returncode != 0
    said = (tmp_path / paths.log(OUT, "extract_lhco_events", "signal", "0000")).read_text()
    assert "this file names no signal events" in said and "search.draws: 0" in said
    assert not list((tmp_path / OUT).rglob("*.root"))


@pytest.mark.workflow
def test_own_files_go_through_the_rules_where_they_are(tmp_path, lhco_tiny):
    """Real events in chunks, a verified file, a loud table of counts; then nothing is left."""
    project = Project(tmp_path)
    (tmp_path / "data").mkdir()
    name = "events_LHCO2020_BlackBox2.h5"
    shutil.copy(lhco_tiny, tmp_path / "data" / name)
    settings = yaml.safe_load((tmp_path / "tiny.yaml").read_text())
    settings["collider"] |= {
        "source": "lhco",
        "lhco": {
            "files": {"target": str(lhco_tiny)},
            "events": {"reference": 1000, "target": 1000},
            "chunk_events": 300,
        },
        "signal_fraction": 1.0,
    }
    settings["search"]["draws"] = 0
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(settings))
    wanted = paths.table(OUT, "event_counts", "csv")
    project.snakemake("--cores", "2", wanted)
    direct, _ = build_features(lhco.read_lhco(lhco_tiny, 0, 1000))
    for sample in ("reference", "target"):
        merged = flat_root.read_table(tmp_path / paths.features(OUT, sample), "features")
        for column in direct:
            assert (merged[column] == direct[column]).all()
    verified = json.loads((tmp_path / paths.verified(OUT, name)).read_text())
    assert verified["bytes"] == lhco_tiny.stat().st_size
    assert (tmp_path / "data" / f"{name}.sha256").read_text().startswith(verified["sha256"])
    assert not list((tmp_path / OUT).rglob("*.parquet"))
    assert "WARNING: MISMATCH" in (tmp_path / wanted).read_text()
    assert project.pending(wanted) == {}
    project.snakemake(wanted, "--report", "report.html")
    assert (
        "WARNING: event counts are not the published ones" in (tmp_path / "report.html").read_text()
    )
