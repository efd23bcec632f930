"""Numbers of a configuration: whole ones, however they are written, and regions without overlap."""

from __future__ import annotations

import functools
import json

import pytest
import yaml
from test_config import SCHEMA, read

from flowmorph.errors import InputError
from flowmorph.plan import targets
from flowmorph.plan.config import check
from flowmorph.plan.jobs.build import Jobs


def integers(node: dict, defs: dict, path: tuple = ()) -> dict[tuple[str, ...], dict]:
    """Keys of the schema that are integers, with what it says of them."""
    if "$ref" in node:
        node = defs[node["$ref"].rsplit("/", 1)[1]]
    if "integer" in node.get("type", ()):
        return {path: node}
    found = {}
    for each in (*node.get("oneOf", ()), *node.get("anyOf", ()), *filter(None, [node.get("then")])):
        found |= integers(each, defs, path)
    for key, child in node.get("properties", {}).items():
        found |= integers(child, defs, (*path, key))
    return found


def test_every_whole_number_may_be_written_as_a_float():
    schema = yaml.safe_load(SCHEMA.read_text())
    keys = integers(schema, schema["$defs"])
    assert len({id(node) for node in keys.values()}) == SCHEMA.read_text().count("type: integer")

    def configured(kind):
        config = read("config")
        for family in ("collider", "own"):
            config["training"][family]["smoothing"] = read("config")["training"]["toy"]["smoothing"]
        for (*above, last), node in keys.items():
            place = config
            for key in above:
                place[key] = {} if place.get(key) is None else place[key]
                place = place[key]
            place[last] = kind(max(2, node.get("minimum", 0)))
        return config

    whole, written = configured(int), configured(float)
    assert json.dumps(written) != json.dumps(whole)
    check(whole, SCHEMA)
    check(written, SCHEMA)
    assert json.dumps(written) == json.dumps(whole)


@pytest.mark.parametrize("path", ["seed", "own.folds", "collider.pythia.events.target"])
@pytest.mark.parametrize("value", [2.5, float("nan"), float("inf"), True])
def test_what_is_no_whole_number_is_refused(path, value):
    config = read("config")
    *folders, last = path.split(".")
    functools.reduce(dict.__getitem__, folders, config)[last] = value
    with pytest.raises(InputError, match=path):
        check(config, SCHEMA)


@pytest.mark.parametrize(
    ("written", "advice"),
    [("'200000'", "quotes"), ("2e5", "quotes, as 200000.0"), ("'x'", "number")],
)
def test_what_yaml_reads_as_text_is_told_how_to_be_written(written, advice):
    config = read("config")
    config["collider"]["pythia"]["events"]["target"] = yaml.safe_load(written)
    with pytest.raises(InputError, match=rf"events.target: .*: give [a-z ]*{advice} \("):
        check(config, SCHEMA)


def test_jobs_do_not_depend_on_how_a_whole_number_is_written():
    configs = [read("config"), read("config")]
    configs[1]["seed"] = float(configs[1]["seed"])
    configs[1]["collider"]["pythia"]["events"] = {"reference": 2.0e5, "target": 2.0e5}
    for config in configs:
        check(config, SCHEMA)
    jobs = [Jobs(config, "out") for config in configs]
    assert jobs[0].density("star", 1) == jobs[1].density("star", 1)
    assert targets.chunks(configs[0], "target") == targets.chunks(configs[1], "target")


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize(
    ("sidebands", "said"),
    [
        ([[2.9, 3.3], [3.7, 4.1]], None),
        ([[2.9, 3.1], [3.1, 3.3]], None),
        (
            [[2.9, 3.5], [3.5, 4.1]],
            r"\[2.9, 3.5\] overlaps signal, \[3.3, 3.7\].*reference_in_signal",
        ),
        ([[2.9, 3.3], [3.69, 4.1]], r"\[3.69, 4.1\] overlaps signal"),
        ([[2.9, 4.1]], r"\[2.9, 4.1\] overlaps signal"),
        ([[3.4, 3.6]], r"\[3.4, 3.6\] overlaps signal"),
        ([[2.9, 3.2], [3.7, 4.1], [3.1, 3.3]], r"\[2.9, 3.2\] overlaps \[3.1, 3.3\]"),
        ([[3.7, 4.1], [3.7, 4.1]], r"\[3.7, 4.1\] overlaps \[3.7, 4.1\]"),
    ],
)
def test_no_sideband_has_events_of_another_region(sidebands, said, trained):
    """Flows would be measured on events that they were trained on."""
    config = read("config")
    regions = config["collider"]["regions_tev"]
    regions |= {"sidebands": sidebands, "reference_in_signal": trained}
    config["search"]["draws"] = 0
    if said is None:
        return check(config, SCHEMA)
    with pytest.raises(InputError, match=f"^config: collider.regions_tev.sidebands: {said}"):
        check(config, SCHEMA)
