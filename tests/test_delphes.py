"""Delphes' ROOT files: objects against plain uproot, files in order, bad ones, and the rules."""

from __future__ import annotations

import re
import shutil

import awkward as ak
import numpy as np
import pytest
import uproot
import yaml
from test_config import SCHEMA, read
from test_features import run
from test_workflow import OUT, Project

from flowmorph.collider import delphes
from flowmorph.collider.features import build_features
from flowmorph.errors import InputError
from flowmorph.formats import flat_root
from flowmorph.plan import paths
from flowmorph.plan.config import check


def write(path, branches, seed=1, count=30, tree="Delphes"):
    """Write objects into branches such as EFlowTrack, as uproot can: flat, not in a record."""
    rng = np.random.default_rng(seed)
    columns = {}
    for name, pt in branches.items():
        sizes = rng.integers(2, 9, count)
        total = sizes.sum()
        values = {
            pt: rng.exponential(400, total),
            "Eta": rng.normal(0, 1, total),
            "Phi": rng.uniform(-np.pi, np.pi, total),
        }
        columns |= {
            f"{name}.{leaf}": ak.unflatten(v.astype(np.float32), sizes)
            for leaf, v in values.items()
        }
    with uproot.recreate(path) as file:
        file.mktree(tree, {key: "var * float32" for key in columns}).extend(columns)
    return path


def test_the_real_file(delphes_file):
    files = delphes.count_events(str(delphes_file))
    assert files == [(delphes_file, 10)]
    array, objects = delphes.read_delphes(files, 0, 10)
    tree = uproot.open(delphes_file)["Delphes"]
    expected = []
    for number in range(10):
        event = []
        for name, pt in (("EFlowTrack", "PT"), ("EFlowPhoton", "ET"), ("EFlowNeutralHadron", "ET")):
            columns = [tree[f"{name}.{leaf}"].array()[number] for leaf in (pt, "Eta", "Phi")]
            event += [row for row in zip(*map(ak.to_list, columns), strict=True) if row[0] > 0]
        expected.append(event)
    found = [list(zip(e["pt"], e["eta"], e["phi"], strict=True)) for e in array.tolist()]
    assert found == expected
    assert (objects.kept, objects.zero_pt, objects.absurd_eta) == (1724, 374, 0)
    assert ak.max(np.abs(array.eta)) < 5 and not ak.any(array.label)
    table, counts = build_features(array, trigger_pt=50)
    assert counts.selected == 10 and np.isfinite(table["m_jj"]).all()


def test_files_follow_each_other_in_sorted_order(tmp_path):
    for number in (2, 1):
        write(tmp_path / f"run{number}.root", delphes.EFLOW, number)
    files = delphes.count_events(str(tmp_path / "run*.root"))
    assert [(path.name, count) for path, count in files] == [("run1.root", 30), ("run2.root", 30)]
    whole, _ = delphes.read_delphes(files, 0, 60)
    parts = [delphes.read_delphes(files, low, low + 20)[0] for low in (0, 20, 40)]
    assert whole.tolist() == [event for part in parts for event in part.tolist()]
    second, _ = delphes.read_delphes(files[1:], 0, 30)
    assert whole[30:].tolist() == second.tolist()


def test_absurd_objects_are_dropped_and_counted_and_impossible_ones_named(tmp_path):
    pt = ak.Array([[5.0, 0.0], [], [3.0, 4.0, 0.0]])
    eta = ak.Array([[1.0, 999.9], [], [-7.0, 2.0, 0.0]])
    columns = {"Tower.ET": pt, "Tower.Eta": eta, "Tower.Phi": eta * 0}
    path = tmp_path / "a.root"
    for spoiled in (False, True):
        if spoiled:
            columns["Tower.ET"] = ak.Array([[5.0, 1.0], [], [-3.0, np.nan, 1.0]])
            columns["Tower.Eta"] = eta * 0
        with uproot.recreate(path) as file:
            file.mktree("Delphes", {key: "var * float32" for key in columns}).extend(columns)
        if not spoiled:
            array, objects = delphes.read_delphes([(path, 3)], 0, 3)
            assert array.pt.tolist() == [[5.0], [], [4.0]]
            assert (objects.kept, objects.zero_pt, objects.absurd_eta) == (2, 2, 1)
            assert "2 objects of Tower; left out: 2 with zero pT, 1 with |eta| > 6" == str(objects)
        else:
            with pytest.raises(InputError, match="a.root: event 2 has a particle with negative"):
                delphes.read_delphes([(path, 3)], 0, 3)


def test_files_that_cannot_be_read(tmp_path, capfd):
    output = tmp_path / "chunk.parquet"
    tracks = {"EFlowTrack": "PT"}
    cases = [
        (write(tmp_path / "part.root", tracks), 0, "no branch 'EFlowPhoton' beside EFlowTrack"),
        (write(tmp_path / "none.root", {"Jet": "PT"}), 0, "no branch EFlowTrack, EFlowPhoton"),
        (write(tmp_path / "tree.root", delphes.EFLOW, tree="events"), 0, "no tree 'Delphes' (it h"),
        (write(tmp_path / "few.root", delphes.EFLOW), 30, "only 30 events: lower collider.delphes"),
        (tmp_path / "absent*.root", 0, "no file matches this pattern"),
    ]
    whole = (tmp_path / "few.root").read_bytes()
    (tmp_path / "cut.root").write_bytes(whole[: len(whole) // 2])
    cases.append((tmp_path / "cut.root", 0, "no readable ROOT file"))
    for path, start, message in cases:
        arguments = ("--input", path, "--start", start, "--stop", start + 5, "--output", output)
        assert run("extract_delphes_events.py", *arguments) == 1
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith(f"error: {path}: ") and message in line
        assert not output.exists()


def test_files_must_be_named():
    config = read("config")
    config["collider"]["source"] = "delphes"
    with pytest.raises(InputError, match="collider.delphes.files.reference: name your files"):
        check(config, SCHEMA)
    config["collider"]["delphes"]["files"] = {
        "reference": ["a.root", "b/*.root"],
        "target": "c.root",
    }
    check(config, SCHEMA)


@pytest.mark.workflow
def test_chunks_go_through_the_rules(tmp_path):
    """Files by pattern, with a space in the folder's name; chunks across files; then nothing."""
    project = Project(tmp_path)
    folder = tmp_path / "my runs"
    folder.mkdir()
    for number in (1, 2):
        write(folder / f"run{number}.root", delphes.EFLOW, number)
    shutil.copy(folder / "run1.root", tmp_path / "reference.root")
    settings = yaml.safe_load((tmp_path / "tiny.yaml").read_text())
    settings["collider"] |= {
        "source": "delphes",
        "delphes": {
            "files": {"reference": "reference.root", "target": [str(folder / "*.root")]},
            "events": {"reference": 30, "target": 60},
            "chunk_events": 25,
        },
        "trigger_pt_gev": 300,
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(settings))
    wanted = [paths.features(OUT, sample) for sample in ("reference", "target")]
    project.snakemake("--cores", "1", *wanted)
    files = delphes.count_events(str(folder / "*.root"))
    direct, counts = build_features(delphes.read_delphes(files, 0, 60)[0], trigger_pt=300)
    assert counts.selected > 20
    merged = flat_root.read_table(tmp_path / wanted[1], "features")
    for column in direct:
        assert (merged[column] == direct[column]).all()
    assert not list((tmp_path / OUT).rglob("*.parquet"))
    log = (tmp_path / paths.log(OUT, "extract_delphes_events", "target", "0001")).read_text()
    assert re.search(r"read events 25 to 50: \d+ objects of EFlowTrack, EFlowPhoton", log)
    assert project.pending(*wanted) == {}
