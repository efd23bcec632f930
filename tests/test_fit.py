"""flowmorph.fit: transports between tables in memory, as the workflow makes them of files."""

from __future__ import annotations

import logging
import subprocess
import sys

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from scripts_by_name import path_of
from test_own_tutorial import SMALL
from test_workflow import OUT, Project
from transports import DEFAULTS, pytorch_with
from yaml import safe_load

import flowmorph
from flowmorph.__main__ import main
from flowmorph.errors import InputError
from flowmorph.flows import setup
from flowmorph.plan import defaults, paths
from flowmorph.plan.imports import modules_of

SETTINGS = safe_load(SMALL)
TINY = {
    "training": {
        name: {**recipe, "batch": 50, "epochs": 1}
        for name, recipe in SETTINGS["training"]["own"].items()
    },
    "flows": SETTINGS["flows"],
    "progress": False,
}
FEATURES = ["x", {"column": "n", "integer": True}, {"column": "s", "spike": [0.0]}]
CONDITION = ["m", {"column": "era", "categorical": True}]
REGIONS = {"column": "m", "train": [[0.0, 1.2], [1.8, 3.0]], "apply": [[1.2, 1.8]]}


def sample(rows: int, shift: float, seed: int) -> dict[str, np.ndarray]:
    """Columns of every kind: the target is the reference, shifted."""
    rng = np.random.default_rng(seed)
    m = rng.uniform(0, 3, rows)
    return {
        "x": (rng.normal(shift, 1, rows) + m).astype(np.float32),
        "n": rng.poisson(5 + shift, rows),
        "s": np.where(rng.random(rows) < 0.3, 0.0, 1 + rng.exponential(1 + shift, rows)),
        "m": m,
        "era": rng.choice(["early", "late"], rows),
        "w": rng.gamma(3, 1, rows),
        "run": np.arange(rows),
    }


REFERENCE, TARGET = sample(500, 0.0, 1), sample(400, 0.5, 2)


def tiny(reference=REFERENCE, target=TARGET, features=("x",), condition=("m",), **options):
    """A fit of a few steps."""
    return flowmorph.fit(reference, target, features, condition, **TINY | options)


def content(transport, folder) -> bytes:
    transport.save(folder / "transport.safetensors")
    return (folder / "transport.safetensors").read_bytes()


@pytest.fixture(scope="module")
def small():
    return tiny()


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("movement_penalty", {"regions": REGIONS, "variations": {"seeds": 0, "bootstrap": 1}}),
        ("base_transfer", {"folds": 2, "negative": "drop"}),
        ("flows_for_flows", {"balance": True}),
    ],
)
def test_the_bytes_are_the_workflows(tmp_path, tmp_path_factory, method, changes):
    reference = dict(REFERENCE)
    if changes.get("negative"):
        reference["w"] = np.where(np.arange(500) % 9 == 0, -1.0, 1.0) * REFERENCE["w"]
    project = Project(tmp_path_factory.mktemp("project"))
    for name, table in {"reference": reference, "target": TARGET}.items():
        pd.DataFrame(table).to_parquet(project.folder / f"{name}.parquet")
    own = {
        "reference": {"files": "reference.parquet", "weights": "w"},
        "target": {"files": "target.parquet"},
        "features": FEATURES,
        "condition": CONDITION,
        "event": ["run"],
        "methods": [method],
        **changes,
    }
    path = paths.bundle(OUT, method)
    override = {"own": own, "seed": 11, "training": {"own": TINY["training"]}}
    override["flows"] = TINY["flows"]
    project.snakemake("--cores", "1", path, override=override)
    transport = flowmorph.fit(
        reference, TARGET, FEATURES, CONDITION, weights=("w", None), event="run", method=method,
        seed=11, **TINY, **changes,
    )  # fmt: skip
    assert content(transport, tmp_path) == (project.folder / path).read_bytes()


def test_a_known_difference_is_learnt():
    rng = np.random.default_rng(3)
    tables = []
    for shift in (0.0, 1.0):
        m = rng.uniform(0, 1, 4000)
        tables.append({"x": rng.normal(shift * (1 + m), 1.0, 4000), "m": m})
    training = {
        "density": {"batch": 250, "epochs": 24, "learning_rate": 5e-3},
        "transport": {"batch": 250, "epochs": 12, "learning_rate": 5e-3},
    }
    transport = tiny(*tables, training=training)
    moved = transport.move(tables[0])
    # x of the reference has to go up by 1 + m.
    assert np.abs(moved["x"] - tables[0]["x"] - 1 - tables[0]["m"]).mean() < 0.2
    assert np.array_equal(moved["m"], tables[0]["m"])


def test_the_seed_decides(small, tmp_path):
    first = content(small, tmp_path)
    assert content(tiny(), tmp_path) == first
    assert content(tiny(seed=2309), tmp_path) == first
    assert content(tiny(seed=1), tmp_path) != first


def test_saved_and_loaded_it_is_the_same(small, tmp_path):
    first = content(small, tmp_path)
    again = flowmorph.load(str(tmp_path / "transport.safetensors"))
    folder = tmp_path / "folder"
    folder.mkdir()
    again.save(folder)
    assert (folder / paths.BUNDLE).read_bytes() == first
    assert np.array_equal(again.move(REFERENCE)["x"], small.move(REFERENCE)["x"])


@pytest.mark.parametrize("method", ["base_transfer", "unidirectional", "identity_initialization"])
def test_every_method_can_be_saved(tmp_path, method):
    transport = tiny(method=method, folds=2)
    content(transport, tmp_path)
    again = flowmorph.load(str(tmp_path))
    assert again.method == method and again.folds == 2
    assert np.array_equal(again.move(REFERENCE)["x"], transport.move(REFERENCE)["x"])


KINDS = {
    "pandas": pd.DataFrame,
    "pandas with an index": lambda table: pd.DataFrame(table).set_index(-table["run"]),
    "pyarrow": pa.table,
    "awkward": ak.Array,
    "structured": lambda table: pd.DataFrame(table).to_records(index=False),
    "lists": lambda table: {name: values.tolist() for name, values in table.items()},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_gives_the_same(kind, tmp_path):
    options = {
        "features": ["x", "s"],
        "condition": [{"column": "era", "categorical": True}],
        "weights": ("w", "w"),
    }
    expected = content(tiny(**options), tmp_path)
    tables = [KINDS[kind](table) for table in (REFERENCE, TARGET)]
    assert content(tiny(*tables, **options), tmp_path) == expected


def test_matrices_need_names(small, tmp_path):
    expected = content(tiny(features=["x", "s"], condition="m"), tmp_path)
    matrices = [np.stack([t["x"], t["m"], t["s"]], axis=1) for t in (REFERENCE, TARGET)]
    found = tiny(*matrices, features=["x", "s"], condition="m", columns=["x", "m", "s"])
    assert content(found, tmp_path) == expected
    with pytest.raises(InputError, match="reference: a plain array has no column names"):
        tiny(*matrices)


def test_entries_may_be_given_by_name(tmp_path):
    options = {"n": {"integer": True}, "x": None}
    expected = content(tiny(features=[{"column": "n", "integer": True}, "x"]), tmp_path)
    assert content(tiny(features=options), tmp_path) == expected
    tables = [pd.DataFrame(table)[["n", "x", "m"]] for table in (REFERENCE, TARGET)]
    by_index = tiny(*tables, features=tables[0].columns[:2])
    assert content(by_index, tmp_path) == content(tiny(features=["n", "x"]), tmp_path)
    # Tuples, arrays and numpy's numbers are as good as lists and numbers.
    regions = {"column": "m", "train": ((0, np.float64(1.0)), (2, 3))}
    expected = content(tiny(regions={"column": "m", "train": [[0, 1.0], [2, 3]]}), tmp_path)
    assert content(tiny(regions=regions, seed=np.int64(2309)), tmp_path) == expected


def test_weights_may_be_arrays(tmp_path):
    expected = content(tiny(weights=("w", None)), tmp_path)
    assert content(tiny(weights=(REFERENCE["w"], None)), tmp_path) == expected
    assert content(tiny(weights=(pd.Series(REFERENCE["w"]), None)), tmp_path) == expected


def test_balanced_weights_of_an_array_are_the_factors(tmp_path, caplog):
    by_name = tiny(weights=("w", None), balance=True)
    with caplog.at_level(logging.INFO, "flowmorph"):
        by_array = tiny(weights=(REFERENCE["w"], None), balance=True)
    assert "balance: the reference's weights are an array" in caplog.text
    assert "weights of the reference" not in str(by_array.note) + str(by_array.columns)
    bare = {name: values for name, values in REFERENCE.items() if name != "w"}
    np.testing.assert_allclose(by_array.weights(bare) * REFERENCE["w"], by_name.weights(REFERENCE))
    with pytest.raises(InputError, match="no column 'w', which the transport needs"):
        by_name.weights(bare)
    pd.DataFrame(bare).to_parquet(tmp_path / "a.parquet")
    by_array.save(tmp_path)
    main(["move", "--transport", str(tmp_path), "--input", str(tmp_path / "a.parquet"),
          "--output", str(tmp_path / "b.parquet")])  # fmt: skip
    moved = pd.read_parquet(tmp_path / "b.parquet")
    np.testing.assert_allclose(moved["flowmorph_weight"], by_array.weights(bare))


NEGATIVE = REFERENCE | {"w": -REFERENCE["w"]}
ONE = {"reference": REFERENCE | {"one": np.ones(500)}, "target": TARGET | {"one": TARGET["run"]}}
NAN = REFERENCE | {"x": np.where(np.arange(500) == 7, np.nan, REFERENCE["x"])}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": []}, "^features: name at least one column to move"),
        ({"features": ["y"]}, "^reference: no column 'y' .it has x, n, s"),
        ({"features": ["x", "x"]}, "^column 'x' is used twice"),
        ({"features": {"x": {"preprocess": "log"}}}, "^features"),
        ({"features": "era"}, "^reference: column 'era'"),
        ({"features": {"x": "quantile"}}, "^features: 'x': 'quantile' are no options"),
        ({"features": {"x"}}, "^features: .* is not of type 'array'"),
        ({"features": {1: None}}, "^features.*put the column's name in quotes"),
        ({"seed": "one"}, "^seed: 'one' is not of type 'integer'"),
        ({"threads": "2"}, "^threads: '2': give a positive whole number"),
        ({"method": "magic"}, "^method: 'magic' is not one of"),
        ({"condition": "x"}, "^column 'x' is used twice"),
        ({"reference": NAN}, "^reference: column 'x': the value of row 7 is not a number"),
        ({"reference": NEGATIVE, "weights": ("w", None)}, "weight 'w' of row 0 .* or let negative"),
        ({"weights": "w"}, "^weights: give a pair"),
        ({"weights": (np.ones(3), None)}, "'weights of the reference' has 3 rows"),
        ({"reference": {"x": 5.0, "m": 1.0}}, "^reference: column 'x' is 5.0, not one value a row"),
        ({"reference": 5}, "^reference: int is no table"),
        ({"reference": ak.Array({"x": [[1.0], [2.0]], "m": [0.0, 1.0]})}, "^reference: column 'x'"),
        ({"training": {"density": {"epoch": 1}}}, "^training.density: .*epoch"),
        ({"training": {"transport": {"batch": 5000}}}, "fewer than one batch of 5000"),
        ({"flows": {"density": {"width": -1}}}, "^flows.density.width: -1 is less"),
        ({"penalty": -1}, "^penalty: -1 is less"),
        ({"regions": {"train": [[0, 1]]}}, "^regions.column: name the column"),
        ({"regions": {"column": "m", "train": [[7, 8]]}}, "events for train .*widen regions"),
        ({"folds": 1}, "^folds: 1 is less"),
        ({"threads": 0}, "^threads: 0: give a positive whole number"),
        ({"threads": True}, "^threads: True: give a positive whole number"),
        ({"threads": 10**9}, "^threads: 1000000000: give a positive whole number, 1024 at most"),
        ({"device": "tpu"}, "^device: 'tpu' is not one of"),
        ({"features": "n", "condition": (), "variations": {"bootstrap": 1}}, "need event"),
        ({"event": ["one"], "folds": 2, **ONE}, "^reference: event: 'one': the same in all 400"),
        ({"folds": 100}, "^reference: folds: the 400 rows .* fill .* of 100 folds: name fewer"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_used_is_refused_before_any_training(options, message, monkeypatch):
    from flowmorph.user import fitting

    monkeypatch.setattr(fitting, "run", lambda *_, **__: pytest.fail("a training was begun"))
    with pytest.raises(InputError, match=message) as error:
        tiny(**options)
    assert "\n" not in str(error.value) and "own." not in str(error.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_no_surprise_later():
    with pytest.raises(InputError, match="device 'cuda' was asked for but no GPU is usable"):
        tiny(device="cuda")


@pytest.mark.parametrize("flushes", [False, True])
def test_pytorch_is_left_as_it_was(flushes, tmp_path):
    threads = torch.get_num_threads()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    torch.set_flush_denormal(flushes)
    tiny(threads=threads + 1).save(tmp_path)
    assert torch.get_num_threads() == threads and setup.flushes() == flushes
    flowmorph.load(tmp_path, threads=threads + 1)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.rand(2), expected) and setup.flushes() == flushes


@pytest.mark.parametrize("other", DEFAULTS, ids=str)
def test_other_defaults_of_pytorch_give_the_same(small, tmp_path, other):
    with pytorch_with(*other):
        found = tiny()
    assert content(found, tmp_path) == content(small, tmp_path)


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_a_program_without_gradients_can_train(small, tmp_path, without):
    with without():
        found = tiny()
    assert content(found, tmp_path) == content(small, tmp_path)


def test_progress_is_a_bar_or_nothing(capfd, caplog):
    tiny(progress=True)
    shown = capfd.readouterr().err
    for name in ("density own_reference", "density own_target", "transport own movement_penalty"):
        assert f"{name}: 100%" in shown
    with caplog.at_level(logging.INFO, "flowmorph"):
        tiny(training={name: {**r, "starts": 2} for name, r in TINY["training"].items()})
    assert capfd.readouterr() == ("", "")
    assert "density own_reference: start 2 of 2" in caplog.text


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tiny()
    with pytest.raises(InputError):
        tiny(features=["y"])
    assert list(tmp_path.iterdir()) == []


def test_defaults_are_those_of_the_workflow():
    root = defaults.HERE.parents[2] / "config"
    assert defaults.config() == safe_load((root / "config.yaml").read_text())
    assert defaults.SCHEMA.read_text() == (root / "schema.yaml").read_text()


def test_jobs_that_move_files_need_no_figure():
    needed = modules_of(path_of("move_file"))
    assert "user/transport.py" in needed
    assert not [name for name in needed if name.startswith(("figures/", "user/report"))]


@pytest.mark.parametrize("folder", ["events", "train", "move"])
def test_another_colour_is_no_reason_to_train_anew(folder):
    scripts = sorted(path_of("move_file").parents[1].glob(f"{folder}/*.py"))
    assert scripts
    for script in scripts:
        assert not [name for name in modules_of(script) if name.startswith("figures/")], script


def test_importing_the_package_imports_nothing_large():
    code = "import sys, flowmorph; print({'torch', 'numpy', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
