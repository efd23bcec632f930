"""Configurations: complete, described, and `paper` to the letter."""

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path

import pytest
import yaml

from flowmorph.errors import InputError
from flowmorph.plan import methods, own_config, targets, tasks
from flowmorph.plan.config import check
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.jobs.training import Recipe, Smoothing

FOLDER = Path(__file__).parents[1] / "config"
SCHEMA = FOLDER / "schema.yaml"


def read(name: str) -> dict:
    """A configuration file, without the sharing of what its anchors name, as Snakemake has it."""
    return json.loads(json.dumps(yaml.safe_load((FOLDER / f"{name}.yaml").read_text())))


def merged(*names: str) -> dict:
    def merge(base: dict, other: dict) -> dict:
        result = copy.deepcopy(base)
        for key, value in other.items():
            nested = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merge(result[key], value) if nested else value
        return result

    return functools.reduce(merge, map(read, names), read("config"))


def keys(config: dict, prefix: str = "") -> set[str]:
    found = set()
    for key, value in config.items():
        found.add(prefix + key)
        if isinstance(value, dict):
            found |= keys(value, f"{prefix}{key}.")
    return found


@pytest.mark.parametrize("name", ["config", "quick", "lhco", "paper", "own", "authors"])
def test_shipped_configurations_fit_the_schema(name):
    check(merged(name), SCHEMA)


@pytest.mark.parametrize("name", ["quick", "lhco", "paper", "own", "authors"])
def test_other_runs_change_values_only(name):
    assert keys(read(name)) <= keys(read("config"))
    assert read(name)["run"] == name


def test_every_key_has_a_description():
    schema = yaml.safe_load(SCHEMA.read_text())

    def undescribed(node: dict, path: str) -> list[str]:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
        found = []
        for key, child in node.get("properties", {}).items():
            target = child
            if "$ref" in child:
                target = schema["$defs"][child["$ref"].rsplit("/", 1)[1]]
            described = "description" in target or "description" in node
            found += [] if described or target.get("properties") else [f"{path}.{key}"]
            found += undescribed(child, f"{path}.{key}")
        return found

    assert undescribed(schema, "") == []


def test_an_unknown_key_is_named():
    config = read("config")
    config["flows"]["density"]["widht"] = 64
    with pytest.raises(InputError, match="widht"):
        check(config, SCHEMA)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("training.toy.density.batch", -1),
        ("training.collider.transport.learning_rate", 0),
        ("collider.validation_fraction", 1.0),
        ("collider.jets.engine", "kt"),
        ("rotated.mode.identical", "none"),
        ("rotated.train_angles_deg", []),
        ("rotated.train_angles_deg", [0, 361]),
        ("rotated.shown_angle_deg", 16),
        ("toys.fresh_points", 1),
        ("collider.regions_tev.reference_in_signal", "no"),
        ("collider.regions_tev.sidebands", [[3.3, 2.9]]),
        ("collider.regions_tev.signal", [3.7, 3.7]),
        ("collider.pythia.early_mass_gev", [4400, 2600]),
        ("collider.pythia.early_mass_gev", [2600, 2600]),
        ("collider.pythia.mhat_max_gev", 1800),
        ("collider.pythia.early_jet_pt_gev", 10_000),
        ("search.pythia.early_mass_gev", [3900, 3100]),
        ("collider.scaling.low", 3.0),
        ("collider.scaling.fit", "target"),
        ("collider.scaling.ranges.m_j1", [882.0, 1.6]),
        ("collider.scaling.ranges.m_jj", [2900]),
        ("penalty.toy", -0.1),
        ("alternatives.tasks", ["collider_signal"]),
        ("alternatives.tasks", ["rotated_star_to_star_twin"]),
        ("alternatives.methods", {"telepathy": {}}),
        ("alternatives.methods.reweighting.folds", 1),
        ("alternatives.methods.penalty_identity", {"batch": 0}),
        ("alternatives.methods.simple_network", {"layers": 0}),
        ("alternatives.methods.large_network", {"epochs": 1}),
        *(("own.output.onnx", value) for value in ("float16", "yes", "", 1, 0, 64, None, [True])),
        ("run", "../elsewhere"),
        ("training.toy.smoothing.widths", [0.1, 0.2, 0.05, 0.02]),
        ("training.rotated.smoothing.shares", [0.1, 0.2]),
        ("training.toy.smoothing.shares", [0.3, 0.3, 0.2, 0.2]),
        ("training.toy.smoothing.density.batch", 0),
    ],
)
def test_a_bad_value_names_its_key(path, value):
    config = read("config")
    *folders, last = path.split(".")
    place = config
    for folder in folders:
        place = place[folder]
    place[last] = value
    with pytest.raises(InputError, match=path) as caught:
        check(config, SCHEMA)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("chosen", "precision"),
    [(False, "float32"), (True, "float32"), ("float32", "float32"), ("float64", "float64")],
)
def test_models_have_the_precision_that_is_chosen(chosen, precision):
    config = read("config")
    config["own"]["reference"]["files"] = config["own"]["target"]["files"] = "a.csv"
    config["own"] |= {"features": ["x"], "methods": ["base_transfer"]}
    config["own"]["output"]["onnx"] = chosen
    check(config, SCHEMA)
    assert own_config.model_precision(config) == precision
    assert bool(targets.exported("out", config)) == bool(chosen)


@pytest.mark.parametrize(
    ("key", "written", "where", "said"),
    [
        ("own.features", "[0, 1]", ".0", "0 is a number: put the column's name in quotes ('0')"),
        ("own.features", "[{column: 7}]", ".0.column", "7 is a number: put the column's name in"),
        ("own.features", "[x, on]", ".1", "true, as which YAML reads on, yes and true: put the"),
        ("own.features", "[{column: x, label: 3}]", ".0.label", "3 is a number: put it in quotes"),
        ("own.condition", "[2.5]", ".0", "2.5 is a number: put the column's name in quotes"),
        ("own.condition", "[no]", ".0", "false, as which YAML reads off, no and false: put the"),
        ("own.condition", "[null]", ".0", "null, as which YAML reads null, ~ and nothing: put"),
        ("own.target.weights", "no", "", "false, as which YAML reads"),
        ("own.target.tree", "5", "", "5 is a number: put the tree's name in quotes ('5')"),
        ("own.target.files", "[1.5]", ".0", "1.5 is a number: put the file's name in quotes"),
        ("own.regions.column", "1", "", "1 is a number: put the column's name in quotes ('1')"),
        ("own.output.drop", "[0]", ".0", "0 is a number: put the column's name in quotes ('0')"),
        ("own.output.suffix", "1", "", "1 is a number: put it in quotes ('1')"),
        ("own.output.objects", "{1: {}}", "", "1 is a number: put the object's name in quotes"),
        ("own.output.objects", "{a: {0: x}}", ".a", "0 is a number: put it in quotes ('0')"),
        ("own.output.objects", "{a: {x: 0}}", ".a.x", "0 is a number: put it in quotes ('0')"),
        ("apply", "2024", "", "2024 is a number: put the file's name in quotes ('2024')"),
        ("apply", "2024-05-01", "", "2024-05-01 is a date: put the file's name in quotes"),
        ("collider.lhco.files.target", "yes", "", "true, as which YAML reads"),
        ("collider.download.folder", "", "", "null, as which YAML reads null, ~ and nothing"),
        ("run", "2024", "", "2024 is a number: put it in quotes ('2024')"),
    ],
)
def test_what_yaml_does_not_read_as_text_is_to_be_quoted(key, written, where, said):
    config = read("config")
    *above, last = key.split(".")
    functools.reduce(dict.__getitem__, above, config)[last] = yaml.safe_load(written)
    with pytest.raises(InputError) as caught:
        check(config, SCHEMA)
    assert str(caught.value).startswith(f"config: {key}{where}: {said}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ([{"column": "x", "preprocess": "log"}], "own.features.0.preprocess: 'log' is not one of"),
        ([{"column": "x", "bins": 3}], "own.features.0: Additional properties .*'bins'"),
        ([{}], "own.features.0: 'column' is a required property"),
        (
            [{"column": "x", "spike": 0}],
            "own.features.0.spike: 0 is not of type 'array': give a list, such as .0., for column",
        ),
        ([{"column": "x", "spike": "0"}], "spike: '0' is not of type 'array': give a list"),
        (
            [{"column": "x", "spike": ["0"]}],
            "spike.0: '0' is not of type 'number': give it without quotes, for column 'x'",
        ),
        ([{"column": "x", "spike": ["none"]}], "'none' is not of type 'number': give a number"),
        ([{"column": "x", "spike": ["[", 1]}], "'.' is not of type 'number': give a number"),
        ([{"column": "x", "spike": []}], r"own.features.0.spike: \[\] should be non-empty"),
        ([["x"]], "own.features.0: "),
    ],
)
def test_an_entry_that_is_a_name_or_an_object_names_what_is_wrong_with_it(features, said):
    config = read("config")
    config["own"]["features"] = features
    with pytest.raises(InputError, match=said):
        check(config, SCHEMA)


def test_paper_is_the_paper():
    paper = merged("paper")
    assert paper["toys"]["points"]["train"] == 10**6
    assert paper["collider"]["source"] == "lhco"
    assert paper["flows"]["density"] == {
        "layers": 4, "blocks": 2, "width": 128, "bins": 8, "tail_bound": 4.0
    }  # fmt: skip
    assert paper["flows"]["transport"] == {
        "layers": 8, "blocks": 3, "width": 128, "bins": 8, "tail_bound": 4.0
    }  # fmt: skip
    for family in ("toy", "rotated", "collider"):
        for flow, epochs in (("density", 60), ("transport", 64)):
            recipe = Recipe(**paper["training"][family][flow])
            assert recipe == Recipe(
                batch=128, epochs=epochs, learning_rate=1e-4, warmup_steps=0, clip=5.0,
                beta2=0.999, starts=1, start_share=recipe.start_share, far_nats=recipe.far_nats,
            )  # fmt: skip
        assert targets.smoothing(tasks.FAMILIES[family], paper) == Smoothing()
    assert paper["penalty"] == {"toy": 1.0, "rotated": 1.0, "collider": 0.05, "own": 0.005}
    assert paper["rotated"]["angles_deg"] == [7.5, 15, 22.5, 30, 37.5, 45]


def test_densities_of_events_begin_on_both_samples_and_those_of_toys_do_not():
    config = read("config")
    for name in tasks.SAMPLES:
        config["own"][name]["files"] = f"{name}.csv"
    config["own"]["features"] = ["pt"]
    jobs = Jobs(config, "out")
    for one, other in (("reference", "target"), ("own_reference", "own_target")):
        for name, partner in ((one, other), (other, one)):
            job = jobs.density(name, 1)
            assert job.other == jobs.data(tasks.DATASETS[partner], 1)
            assert job.files == [*job.data.files, *job.other.files]
            assert job.recipe.both_share == 0.75
    assert jobs.density("star", 1).other is None
    assert Jobs(merged("paper"), "out").density("reference", 1).other is None


def test_a_toy_has_no_other_sample():
    config = read("config")
    config["training"]["toy"]["density"]["both_share"] = 0.5
    with pytest.raises(InputError, match="training.toy.density.*both_share"):
        check(config, SCHEMA)


def test_own_samples_are_trained_as_the_collider_task():
    default = read("config")
    for config in (default, merged("own")):
        assert config["training"]["own"] == default["training"]["collider"]
        assert config["penalty"]["own"] == default["penalty"]["collider"]
        assert config["flows"] == default["flows"]


def test_tasks_and_how_their_conditions_enter():
    config = read("config")
    assert len(tasks.PAPER) == 19
    task = tasks.PAPER["rotated_star_to_star_twin"]
    assert (task.family.name, task.identical) == ("rotated", True)
    assert [each.name for each in task.datasets] == ["rotated_star", "rotated_star_twin"]
    modes = {
        "star_to_star_twin": None,
        "rotated_star_to_star_twin": "difference",
        "rotated_star_to_checkerboard": "shared",
        "collider": "shared",
    }
    for name, mode in modes.items():
        assert targets.mode(tasks.PAPER[name], config) == mode
    assert all(tasks.DATASETS[d.name] == d for t in tasks.TASKS.values() for d in t.datasets)


def test_alternatives_are_those_that_the_configuration_names():
    config = read("config")
    assert targets.flow_alternatives("collider", config) == ["penalty_identity"]
    assert "reweighting" in targets.alternatives("collider", config)
    assert "penalty_identity" not in targets.alternatives("collider", config)
    assert targets.alternatives("star_to_checkerboard", config) == []
    config["alternatives"]["methods"] |= {"reweighting": None, "penalty_identity": None}
    check(config, SCHEMA)
    assert "reweighting" not in targets.alternatives("collider", config)
    assert targets.flow_alternatives("collider", config) == []


def test_a_setting_that_a_further_flow_method_does_not_have_is_named(monkeypatch):
    monkeypatch.setattr(methods, "FURTHER", (*methods.FURTHER, "twice"))
    config = read("config")
    config["alternatives"]["methods"]["twice"] = {"epochs": 1, "layers": 2}
    check(config, SCHEMA)
    config["alternatives"]["methods"]["twice"] = {"epoch": 1}
    with pytest.raises(InputError, match="methods.twice: no setting 'epoch' .*batch, epochs"):
        check(config, SCHEMA)


def test_only_further_flows_with_settings_are_trained():
    config = read("config")
    assert targets.further_flows(config) == ["penalty_identity"]
    config["alternatives"]["methods"] |= {"penalty_identity": None, "large_network": {"layers": 8}}
    assert targets.further_flows(config) == ["large_network"]


def test_raising_the_number_of_events_changes_no_chunk():
    config = read("config")
    before = targets.chunks(config, "target")
    config["collider"]["pythia"]["events"]["target"] += 1
    assert targets.chunks(config, "target")[: len(before)] == before
    assert len(targets.chunks(config, "target")) == len(before) + 1


def test_events_whose_signal_is_known_are_searched():
    config = read("config")
    assert targets.searches(config)
    found = targets.search_draws(config)
    assert found == [(fraction, draw) for fraction in (0.0, 0.02) for draw in (1, 2, 3, 4)]
    assert "fig_search" in "".join(targets.results("out", config))
    config["collider"]["source"] = "delphes"
    config["collider"]["delphes"]["files"] = {"reference": "a.root", "target": "b.root"}
    check(config, SCHEMA)
    assert not targets.searches(config)
    assert "fig_search" not in "".join(targets.results("out", config))
    config = read("config")
    config["collider"] |= {"source": "lhco", "signal_fraction": 0.1}
    with pytest.raises(InputError, match="collider.signal_fraction: the search adds the signal"):
        check(config, SCHEMA)
    config["search"]["draws"] = 0
    check(config, SCHEMA)


def test_templates_of_a_search_mix_the_trainings():
    config = read("config")
    assert targets.search_templates(config) == 1
    config["seeds"]["collider"] = 3
    assert targets.search_templates(config) == "ensemble"
