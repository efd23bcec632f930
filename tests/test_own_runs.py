"""Whole runs on small samples of one's own: settings of the output, and what they make again."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_own_tutorial import SMALL
from test_workflow import OUT, Project
from yaml import safe_load

import flowmorph
from flowmorph.__main__ import main
from flowmorph.plan import paths

pytestmark = pytest.mark.workflow

APPLIED = paths.applied(OUT, "movement_penalty", "more.csv.gz")
ODD = "it's; touch pwned"
OBJECTS = {"lead": {}, "sublead": {"x": "x2_gen", "n": "n2_gen"}}
MOVED = paths.moved_reference(OUT, "movement_penalty", ".csv.gz")


def sample(path: Path, rows: int, shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = {"x": rng.normal(shift, 1, rows), "n": rng.poisson(5 + shift, rows)}
    table |= {"m": rng.uniform(0, 3, rows), "x_gen": rng.normal(0, 1, rows), ODD: rng.random(rows)}
    table["w"] = rng.gamma(3, 1, rows)
    table |= {"x2_gen": rng.normal(shift, 1, rows), "n2_gen": rng.poisson(5 + shift, rows)}
    path.parent.mkdir(exist_ok=True)
    pd.DataFrame(table).to_csv(path, index=False)


def settings(rows: int = 600, batch: int = 100, **changes) -> dict:
    """A small run on compressed CSV files; ``changes`` are of ``own.output``."""
    own = {
        "reference": {"files": "data/reference.csv.gz", "weights": "w"},
        "target": {"files": "data/target.csv.gz"},
        "features": ["x", {"column": "n", "integer": True, "label": "$n_{21}$"}],
        "condition": ["m"],
        "methods": ["base_transfer", "movement_penalty"],
        "output": {"methods": ["movement_penalty"], **changes},
    }
    small = safe_load(SMALL)
    for recipe in small["training"]["own"].values():
        recipe["batch"] = batch
    return small | {"own": own}


def project_with(folder: Path, rows: int) -> Project:
    project = Project(folder)
    for seed, (name, shift) in enumerate({"reference": 0, "target": 0.5, "more": 0}.items()):
        sample(folder / f"data/{name}.csv.gz", rows, shift, seed)
    return project


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = project_with(tmp_path_factory.mktemp("own"), 600)
    project.snakemake("--cores", "2", override=settings())
    return project


def test_the_moved_reference_is_compressed_as_it_came(project):
    before = pd.read_csv(project.folder / "data/reference.csv.gz")
    after = pd.read_csv(project.folder / MOVED)
    assert (project.folder / MOVED).read_bytes()[:2] == b"\x1f\x8b"
    assert list(after.columns) == [*before.columns, "x_moved", "n_moved", "flowmorph_moved"]
    assert project.pending(override=settings()) == Counter()


@pytest.mark.parametrize(
    "changes",
    [
        {"suffix": "_new"},
        {"columns": "replace"},
        {"drop": ["w"]},
        {"outside": "keep"},
        {"objects": OBJECTS},
    ],
    ids=str,
)
def test_a_setting_of_the_output_trains_nothing(project, changes):
    assert project.pending(override=settings(**changes)) == Counter({"move_reference": 1})


def test_a_model_for_programs_without_python_is_that_of_the_command(project):
    override = settings(onnx=True)
    assert project.pending(override=override) == Counter({"export_transport": 1})
    project.snakemake("--cores", "1", override=override)
    (model,) = paths.models(OUT, "movement_penalty", None)
    by_hand = project.folder / "hand.onnx"
    bundle = str(project.folder / paths.bundle(OUT, "movement_penalty"))
    main(["export", "--transport", bundle, "--output", str(by_hand)])
    assert by_hand.read_bytes() == (project.folder / model).read_bytes()
    log = project.folder / paths.log(OUT, "export_transport", "movement_penalty")
    assert "transport.onnx: agrees with the transport in" in log.read_text()
    project.snakemake("--cores", "1", override=settings())


def test_settings_of_the_output_reach_both_commands_as_they_are(project):
    changes = {"drop": ["*_gen", ODD], "outside": "keep", "suffix": "_new"}
    override = settings(**changes) | {"apply": "data/more.csv.gz"}
    project.snakemake("--cores", "1", MOVED, "apply", override=override)
    for name in (MOVED, APPLIED):
        columns = pd.read_csv(project.folder / name).columns
        assert list(columns) == ["x", "n", "m", "w", "x_new", "n_new", "flowmorph_new"]
    assert not list(project.folder.rglob("pwned*"))
    # Data lack what only simulation has, which is left out.
    more = pd.read_csv(project.folder / "data/more.csv.gz").drop(columns=ODD)
    more.to_csv(project.folder / "data/without.csv.gz", index=False)
    override["apply"] = "data/without.csv.gz"
    project.snakemake("--cores", "1", "apply", override=override)
    log = project.folder / paths.log(OUT, "move_file", "movement_penalty", "without.csv.gz")
    assert f"{ODD!r} matches no column that could be dropped" in log.read_text()
    project.snakemake("--cores", "1", override=settings())


def test_objects_are_moved_by_both_rules_as_by_hand(project):
    lists = pd.DataFrame({name: [[5.0, 2.0], [], [3.0]] for name in ("x", "n", "x2_gen", "n2_gen")})
    lists.assign(m=[0.5, 1.5, 2.5]).to_parquet(project.folder / "data/lists.parquet")
    override = settings(objects=OBJECTS) | {"apply": ["data/more.csv.gz", "data/lists.parquet"]}
    project.snakemake("--cores", "1", MOVED, "apply", override=override)
    bundle = project.folder / paths.bundle(OUT, "movement_penalty")
    options = ["--object", "lead", "--object", "sublead", "x=x2_gen", "n=n2_gen"]
    new = ["x_moved", "n_moved", "flowmorph_lead_moved"]
    new += ["x2_gen_moved", "n2_gen_moved", "flowmorph_sublead_moved"]
    for name, source in ((MOVED, "reference"), (APPLIED, "more")):
        path, by_hand = project.folder / f"data/{source}.csv.gz", project.folder / "hand.csv.gz"
        main(["move", "--transport", str(bundle), "--input", str(path), "--output", str(by_hand),
              *options])  # fmt: skip
        assert by_hand.read_bytes() == (project.folder / name).read_bytes()
        before, after = pd.read_csv(path), pd.read_csv(project.folder / name)
        assert list(after.columns) == [*before.columns, *new]
        assert (after["flowmorph_sublead_moved"] == 1).all()
        assert (after["x2_gen_moved"] != before["x2_gen"]).mean() > 0.9
        assert (after["n2_gen_moved"] % 1 == 0).all()
    applied = paths.applied(OUT, "movement_penalty", "lists.parquet")
    after = pd.read_parquet(project.folder / applied)
    for name in new:
        assert after[name].str.len().tolist() == [2, 0, 1]
    for log in (paths.log(OUT, "move_reference", "movement_penalty"),
                paths.log(OUT, "move_file", "movement_penalty", "more.csv.gz")):  # fmt: skip
        said = (project.folder / log).read_text()
        assert ": lead: 600 rows: 600 moved" in said and ": sublead: 600 rows: 600 moved" in said
    project.snakemake("--cores", "1", override=settings())


def test_objects_that_cannot_be_are_refused_before_anything_is_trained(tmp_path):
    project = project_with(tmp_path, 600)
    changes = {"lead": {}, "sublead": {"x": "x3", "n": "n2_gen"}}
    result = project.snakemake("--cores", "1", check=False, override=settings(objects=changes))
    said = result.stdout + result.stderr
    (line,) = re.findall("^.*error: .*$", said, re.M)
    assert result.returncode == 1 and "reference.csv.gz: no column 'x3'" in line
    assert re.findall(r"^(?:local)?rule (\w+):", said, re.M) == ["prepare_own_samples"]


def refused(project: Project, rule: str) -> None:
    result = project.snakemake("--cores", "1", check=False, override=settings(suffix="_gen"))
    assert result.returncode == 1
    said = result.stdout + result.stderr
    (line,) = re.findall("^.*error: .*$", said, re.M)
    assert "reference.csv.gz: column 'x_gen' is there already" in line
    assert re.findall(r"^(?:local)?rule (\w+):", said, re.M) == [rule]


def test_an_output_that_cannot_be_is_refused_before_anything_is_trained(tmp_path):
    refused(project_with(tmp_path, 600), "prepare_own_samples")


def test_a_column_to_drop_that_is_not_there_is_a_slip_of_the_pen(tmp_path):
    project = project_with(tmp_path, 600)
    result = project.snakemake("--cores", "1", check=False, override=settings(drop=["x_gn"]))
    (line,) = re.findall("^.*error: .*$", result.stdout + result.stderr, re.M)
    assert result.returncode == 1 and "x_gn" in line


def test_after_a_refused_output_nothing_is_trained_anew(project):
    refused(project, "move_reference")
    assert project.pending(override=settings()) == Counter({"move_reference": 1})


def test_negative_weights_of_a_run(tmp_path):
    """A run that is told what to do with them; others end before anything is trained."""
    project = project_with(tmp_path, 600)
    table = pd.read_csv(tmp_path / "data/reference.csv.gz")
    table.loc[table.index % 7 == 0, "w"] *= -1
    table.to_csv(tmp_path / "data/reference.csv.gz", index=False)
    override = settings()
    result = project.snakemake("--cores", "1", check=False, override=override)
    (line,) = re.findall("^.*error: .*$", result.stdout + result.stderr, re.M)
    assert "reference.csv.gz: weight 'w' of row 0 is negative" in line
    override["own"]["negative"] = "resample"
    project.snakemake("--cores", "2", override=override)
    said = "reference: 86 of 600 rows (14.3%) have negative weights: trainings take local means"
    assert said in (tmp_path / paths.table(OUT, "own_rows", "md")).read_text()
    assert said in (tmp_path / paths.log(OUT, "prepare_own_samples")).read_text()
    assert pd.read_csv(tmp_path / MOVED)["w"].equals(table["w"])
    marginals = pd.read_csv(tmp_path / paths.table(OUT, "marginals", "csv"))
    assert np.isfinite(marginals["chi2_ndf"].dropna()).all() and len(marginals) > 4


def test_samples_too_small_to_be_compared_still_end_with_what_was_asked_for(tmp_path):
    """Nor are their weights, of 1e-300 or so, a reason to stop."""
    project = project_with(tmp_path, 30)
    table = pd.read_csv(tmp_path / "data/reference.csv.gz")
    table.assign(w=1e-300 * table["w"]).to_csv(tmp_path / "data/reference.csv.gz", index=False)
    regions = {"column": "m", "train": [[0, 2]], "apply": [[2, 3]]}
    override = settings(batch=5)
    override["own"] |= {"regions": regions, "validation_fraction": 0.3}
    override["own"]["features"][0] = {"column": "x", "preprocess": "quantile"}
    project.snakemake("--cores", "2", override=override)
    after = pd.read_csv(tmp_path / MOVED)
    moved = after["flowmorph_moved"] == 1
    assert moved.any() and (moved == ((after["m"] >= 2) & (after["m"] < 3))).all()
    for name in ("two_sample", "marginals", "movement"):
        text = (tmp_path / paths.table(OUT, name, "md")).read_text()
        assert text.count("are too few to be compared with the target.") == 2  # both regions
        assert "nan" not in text and "inf" not in text
    assert len((tmp_path / paths.table(OUT, "movement", "csv")).read_text().splitlines()) == 5
    assert len((tmp_path / paths.table(OUT, "two_sample", "csv")).read_text().splitlines()) == 1
    for split in ("validation", "apply"):
        log = (tmp_path / paths.log(OUT, "measure_task", "own", "1", split)).read_text()
        assert "cannot be compared with the target: fewer than 20" in log
    project.snakemake("--report", str(tmp_path / "report.html"), override=override)
    assert "fig_own_ratios.png" in (tmp_path / "report.html").read_text()


def blinded(apply: list, closure: bool = False, **closure_in: list) -> dict:
    """A run that trains below m = 2."""
    override = settings()
    regions = {"column": "m", "train": [[0, 2]], "apply": apply, "closure": closure}
    override["own"] |= {"regions": regions, "missing": "drop", "closure_in": closure_in}
    return override


def test_where_flows_are_tested_is_no_reason_to_train_them_anew(tmp_path):
    """A region that is unblinded, another one, and columns for bins with missing values."""
    project = project_with(tmp_path, 900)
    path = tmp_path / "data/target.csv.gz"
    table = pd.read_csv(path)
    table.loc[::9, "x_gen"] = np.nan
    table.to_csv(path, index=False)
    project.snakemake("--cores", "2", override=blinded([]))
    trained = sorted(tmp_path.glob(f"{OUT}/**/flow.safetensors"))
    before = [each.read_bytes() for each in trained]
    tables = [tmp_path / paths.table(OUT, name, "csv") for name in ("closure_rows", "closure_bins")]
    assert len(trained) == 3 and not any(each.exists() for each in tables)
    for apply in ([], [[2.5, 3]]):
        override = blinded(apply, closure=True, x_gen=[-9, 0, 9])
        rules = project.pending(override=override)
        assert rules["prepare_own_closure"] == 1
        assert not {"prepare_own_samples", *(rule for rule in rules if "train" in rule)} & {*rules}
        project.snakemake("--cores", "2", override=override)
        assert [each.read_bytes() for each in trained] == before
        rows, bins = map(pd.read_csv, tables)
        there = table["m"] >= (2.5 if apply else 2)
        assert rows["region"].tolist()[1] == there.sum() == rows["apply"].tolist()[1]
        # A row without a value is in no bin, and is compared all the same.
        whole = bins[(bins["task"] == "own_apply") & (bins["method"] == "ceiling")]
        assert whole["points"].sum() < 0.95 * rows["apply"].min()


def test_where_flows_cannot_be_tested_is_said_before_anything_is_trained(tmp_path):
    project = project_with(tmp_path, 600)
    result = project.snakemake("--cores", "1", check=False, override=blinded([[7, 8]], True))
    said = result.stdout + result.stderr
    (line,) = re.findall("^.*error: .*$", said, re.M)
    assert result.returncode == 1 and "0 events for apply outside of the training region" in line
    assert re.findall(r"^(?:local)?rule (\w+):", said, re.M) == [
        "prepare_own_samples", "prepare_own_closure",
    ]  # fmt: skip


def test_folds_and_variations_move_the_reference_and_further_files_alike(tmp_path):
    project = project_with(tmp_path, 600)
    override = settings() | {"apply": "data/*.csv.gz"}
    changes = {"folds": 2, "event": [ODD], "variations": {"seeds": 0, "bootstrap": 1}}
    override["own"] |= changes | {"methods": ["movement_penalty"]}
    pending = project.pending(override=override)
    # Two folds, nominal and resampled, of two samples.
    assert (pending["train_density"], pending["train_transport"]) == (8, 4)
    applied = paths.applied(OUT, "movement_penalty", "reference.csv.gz")
    project.snakemake("--cores", "2", MOVED, applied, "two_sample", override=override)
    after = pd.read_csv(project.folder / MOVED)
    new = ["x_moved", "x_moved_1", "n_moved", "n_moved_1", "flowmorph_moved"]
    assert list(after.columns)[-len(new) :] == new
    assert (after["x_moved"] != after["x_moved_1"]).mean() > 0.9
    assert (project.folder / applied).read_bytes() == (project.folder / MOVED).read_bytes()
    table = pd.read_csv(project.folder / paths.table(OUT, "two_sample", "csv"))
    assert table["trainings"].max() == 4
    # What is written of them is no reason to train anew.
    override["own"]["output"]["variations"] = "envelope"
    assert set(project.pending(MOVED, override=override)) == {"move_reference"}


def test_a_category_goes_from_files_to_moved_files(tmp_path):
    """Texts beside a number as conditions, with weights and folds; a new category is refused."""
    project = project_with(tmp_path, 600)
    for name in ("reference", "target", "more"):
        path = tmp_path / f"data/{name}.csv.gz"
        table = pd.read_csv(path)
        table["era"] = np.where(table["w"] < 3, "2016 pre", "2017")
        table.to_csv(path, index=False)
    override = settings() | {"apply": "data/more.csv.gz"}
    override["own"] |= {
        "condition": [{"column": "era", "categorical": True}, "m"], "folds": 2,
        "closure_in": {"era": "categories", "m": [0, 1.5, 3], "x": [-3, 0, 3], "x_gen": [-1, 9]},
    }  # fmt: skip
    project.snakemake("--cores", "1", override=override)
    project.snakemake("--cores", "1", "apply", override=override)
    for name, source in ((MOVED, "reference"), (APPLIED, "more")):
        before = pd.read_csv(tmp_path / f"data/{source}.csv.gz")
        after = pd.read_csv(tmp_path / name)
        assert after["era"].equals(before["era"]) and (after["flowmorph_moved"] == 1).all()
        assert (after["x_moved"] != after["x"]).mean() > 0.9
    closure = pd.read_csv(tmp_path / paths.table(OUT, "closure_bins", "csv"))
    assert list(dict.fromkeys(zip(closure["column"], closure["bin"], strict=True))) == [
        ("era", "2017"), ("era", "2016 pre"), ("m", "0 to 1.5"), ("m", "1.5 to 3"),
        ("x", "-3 to 0"), ("x", "0 to 3"), ("x_gen", "-1 to 9"),
    ]  # fmt: skip
    assert set(closure["method"]) == {"floor", "ceiling", "base transfer", "movement penalty"}
    assert (tmp_path / paths.figure(OUT, "fig_own_closure_bins", "png")).stat().st_size
    transport = flowmorph.load(tmp_path / paths.bundle(OUT, "movement_penalty"))
    assert transport.preprocessing.categories["era"].labels == (2017, "2016 pre")
    by_hand = transport.move(pd.read_csv(tmp_path / "data/more.csv.gz"))
    applied = pd.read_csv(tmp_path / APPLIED)
    np.testing.assert_allclose(by_hand["x"], applied["x_moved"], rtol=1e-6)

    more = pd.read_csv(tmp_path / "data/more.csv.gz")
    more.loc[9, "era"] = "2018"
    more.to_csv(tmp_path / "data/new.csv.gz", index=False)
    override["apply"] = "data/new.csv.gz"
    project.snakemake("--cores", "1", "apply", check=False, override=override)
    log = paths.log(OUT, "move_file", "movement_penalty", "new.csv.gz")
    said = (tmp_path / log).read_text()
    assert "new.csv.gz: column 'era': row 9 has the category 2018, which the training" in said
