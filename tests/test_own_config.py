"""The settings of own samples: those that go together, and what a run makes of them."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from flowmorph.errors import InputError
from flowmorph.plan import own_config, targets, tasks

ROOT = Path(__file__).parents[1]
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
REGIONS = {"column": "m", "train": [[0, 1], [2, 3]], "apply": [[1, 2]], "closure": True}


def configured(**changes) -> dict:
    config, changes = copy.deepcopy((CONFIG, changes))
    for role in ("reference", "target"):
        config["own"][role]["files"] = f"{role}.csv"
    config["own"] |= {"features": ["x", {"column": "y", "preprocess": "logit"}], **changes}
    return config


def objects(**named) -> dict:
    return {"output": CONFIG["own"]["output"] | {"objects": named}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": []}, "own.features: name at least one"),
        ({"condition": ["x"]}, "column 'x' is used twice"),
        ({"features": ["x", "x"]}, "column 'x' is used twice"),
        ({"target": {"files": None, "weights": None}}, "own.target.files"),
        ({"target": {"files": [], "weights": None}}, "own.target.files"),
        ({"target": {"files": "t.csv", "weights": "y"}}, "column 'y' is used twice"),
        (
            {"condition": ["x_moved"], "output": CONFIG["own"]["output"] | {"onnx": True}},
            "own.output.onnx: another input or output of the model is named 'x_moved'",
        ),
        ({"regions": REGIONS | {"train": [[2, 1]]}}, r"own.regions.train: \[2, 1\] is not"),
        (
            {"regions": REGIONS | {"apply": [[0.5, 1.5]]}},
            r"own.regions.apply: \[0.5, 1.5\] overlaps own.regions.train, \[0, 1\].*closure: false",
        ),
        ({"regions": REGIONS | {"column": None}}, "own.regions.column: name the column"),
        ({"regions": REGIONS | {"column": "x"}}, "own.regions.column: 'x' is a feature"),
        ({"scaling": {"low": 1, "high": 0}}, "own.scaling"),
        (objects(a={"z": "x1"}), "own.output.objects: object 'a': the transport has no column 'z'"),
        (objects(a={}, b={"x": "x2"}), "own.output.objects: objects 'a' and 'b' would both move"),
        (objects(a={"x": "y"}), "objects: object 'a': 'x' and 'y' of the transport would both be"),
        (
            {"features": [{"column": "x", "spike": [0], "integer": True}]},
            "own.features: spike of 'x': whole numbers have an interval each already",
        ),
        (
            {"condition": [{"column": "m", "spike": [0.0, 1, -0.0]}]},
            "own.condition: spike of 'm': 0.0 is named twice",
        ),
        *(
            (
                {"features": [{"column": "x", "spike": [0.0, value]}]},
                rf"own.features: spike of 'x': {value}.* is no number .*own.missing",
            )
            for value in (float("nan"), float("inf"), -float("inf"), 10**400)
        ),
        (
            {"condition": [{"column": "era", "categorical": True, "bounds": [0, 1]}]},
            "own.condition: 'era' is categorical, and categories have no bounds: take it out",
        ),
        (
            {"condition": [{"column": "m", "categorical": True}], "regions": REGIONS},
            "own.regions.column: 'm' is categorical, and categories have no intervals",
        ),
        *(
            ({"closure_in": bins}, rf"own.closure_in: '.': .*{message}")
            for bins, message in (
                ({"z": [1, 1]}, "in ascending order"),
                ({"x": "categories"}, "categorical conditions, and no other columns"),
            )
        ),
        ({"negative": "resample"}, "own.negative: resample is about weights, and there are none"),
        (
            {"balance": True},
            "own.balance: weights to the target's spectrum of a condition",
        ),
        (
            {"methods": ["base_transfer"], "output": {"methods": ["unidirectional"]}},
            "own.output.methods: unidirectional is not in own.methods",
        ),
    ],
)
def test_settings_that_do_not_fit_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        own_config.check(configured(**changes))


def test_files_to_apply_need_own_samples():
    with pytest.raises(InputError, match="config: apply"):
        own_config.check(CONFIG | {"apply": "more.root"})
    own_config.check(CONFIG)


def test_entries_are_names_or_objects():
    entries = configured()["own"]["features"]
    assert own_config.columns(entries) == ["x", "y"]
    assert own_config.choices(entries) == {
        "x": {"transform": "minmax"},
        "y": {"transform": "logit"},
    }
    spiked = configured(features=["x", {"column": "y", "spike": [0.0]}])
    assert own_config.choices(spiked["own"]["features"])["y"] == {
        "transform": "minmax", "spike": [0.0],
    }  # fmt: skip
    eras = configured(condition=[{"column": "era$", "categorical": True}, "m",
                                 {"column": "n", "categorical": False}])  # fmt: skip
    assert list(own_config.choices(eras["own"]["condition"]).values()) == [
        {"transform": "minmax", "categorical": True}, *[{"transform": "minmax"}] * 2,
    ]  # fmt: skip
    assert own_config.condition_options(eras) == r"--conditions m n --categories 'era\$'"
    assert own_config.condition_options(configured()) == "--conditions"
    assert own_config.spiked(spiked) and not own_config.spiked(configured())
    assert own_config.labels([*entries, {"column": "z$", "label": "$z$"}, "a$"])[2:] == [
        "$z$",
        r"a\$",
    ]


def test_an_own_run_makes_the_own_task_and_nothing_else():
    config = configured(methods=["movement_penalty", "base_transfer"])
    assert targets.moved(config) == [("own", 1, "validation")]
    assert targets.mode(tasks.OWN, config) is None
    assert targets.trained_methods(config) == ["movement_penalty"]
    results = targets.results("results/x", config)
    assert "results/x/moved/reference/base_transfer.csv" in results
    assert not any("collider" in name or "star" in name or "apply" in name for name in results)
    config = configured(regions=REGIONS, condition=["m"])
    assert targets.moved(config) == [("own", 1, "validation"), ("own", 1, "apply")]
    assert targets.mode(tasks.OWN, config) == "shared"
    config["own"]["regions"]["closure"] = False
    assert targets.moved(config) == [("own", 1, "validation")]


def test_files_to_apply_have_names_of_their_own(tmp_path):
    for name in ("a/more.csv", "b/more.csv", "b/last.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = own_config.named(str(tmp_path / "b/*.csv"))
    assert found == {name: str(tmp_path / "b" / name) for name in ("last.csv", "more.csv")}
    with pytest.raises(InputError, match="would be moved to the same file"):
        own_config.named([str(tmp_path / "*/more.csv")])
    with pytest.raises(InputError, match="no such file"):
        own_config.named([str(tmp_path / "b/*.csv"), "nowhere.csv"])
    (tmp_path / "b/last[1].csv").touch()
    assert list(own_config.named(str(tmp_path / "b/last[1].csv"))) == ["last[1].csv"]
    (tmp_path / "b/{x}.csv").touch()
    with pytest.raises(InputError, match="rename this file"):
        own_config.named(str(tmp_path / "b/*.csv"))
