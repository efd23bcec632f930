"""The file of a transport: what is damaged, of another version, cut or edited is named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from test_features import run
from test_preprocess import alterations
from transports import REGIONS, make

import flowmorph
from flowmorph.errors import InputError
from flowmorph.flows import storage
from flowmorph.plan.jobs.form import to_json
from flowmorph.plan.jobs.moving import BundleJob
from flowmorph.user import bundle

NAME = "transport.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("transport"), ("x", "k"), ("m",), regions=REGIONS)


def content(path: Path, key: str = bundle.KEY) -> tuple[dict, dict]:
    with safe_open(path, framework="pt") as stored:
        note = json.loads(stored.metadata()[key])
        return note, {name: stored.get_tensor(name).clone() for name in stored.keys()}


def put(path: Path, note, tensors: dict, key: str = bundle.KEY) -> Path:
    """Write an edited file whose checksum is right."""
    if key == bundle.KEY and isinstance(note, dict):
        note = {name: value for name, value in note.items() if name != "checksum"}
        note["checksum"] = bundle.checksum(note, tensors)
    save_file(tensors, path, metadata={key: json.dumps(note)})
    return path


def refused(path: Path, load=flowmorph.load) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(InputError) as caught:
        load(str(path))
    message = str(caught.value)
    assert path.name in message and "\n" not in message
    return message


def test_equal_input_gives_equal_bytes(folder, tmp_path):
    make(tmp_path, ("x", "k"), ("m",), regions=REGIONS)
    assert (tmp_path / NAME).read_bytes() == (folder / NAME).read_bytes()
    note, tensors = content(folder / NAME)
    assert len(note["checksum"]) == 64 and note["version"] == 4
    assert put(tmp_path / "same.safetensors", note, tensors)
    flowmorph.load(str(tmp_path / "same.safetensors"))


def test_any_flipped_bit_is_found(folder, tmp_path):
    """In the header, names or numbers: refused, or without any effect (such as in padding)."""
    good = (folder / NAME).read_bytes()
    rng = np.random.default_rng(1)
    header = 8 + int.from_bytes(good[:8], "little")
    places = [*range(0, header, 41), *rng.integers(header, len(good), 150).tolist(), len(good) - 1]
    file = tmp_path / NAME
    accepted = 0
    for place in places:
        bad = bytearray(good)
        bad[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(bad)
        try:
            note, *_ = bundle.read(file)
        except InputError as error:
            assert NAME in str(error) and "\n" not in str(error)
            if place >= header:
                assert "damaged" in str(error) and "copy it again" in str(error)
        else:
            assert place < header and note == bundle.read(folder)[0]
            accepted += 1
    assert accepted < 3


def test_other_versions_are_refused(folder, tmp_path):
    note, tensors = content(folder / NAME)
    for version, message in {
        99: "of version 99, not 4: update flowmorph",
        1: "of version 1, not 4: delete it and run the workflow again, .* from the trained flows",
        "4": "of version '4', not 4",
        None: "of version None, not 4",
    }.items():
        file = put(tmp_path / "new.safetensors", note | {"version": version}, tensors)
        with pytest.raises(InputError, match=message):
            flowmorph.load(str(file))
    first = {name: value for name, value in note.items() if name != "checksum"} | {"version": 1}
    save_file(tensors, file, metadata={bundle.KEY: json.dumps(first)})
    assert "of version 1, not 4" in refused(file)
    save_file(tensors, file, metadata={bundle.KEY: json.dumps(first | {"version": 4})})
    assert "damaged" in refused(file)


def test_what_is_no_file_of_a_transport_is_named(folder, tmp_path):
    good = (folder / NAME).read_bytes()
    for name, data in {
        "empty": b"", "text": b"x,y\n1,2\n", "cut": good[:3000], "cut at the end": good[:-1],
        "long": good + b"\0", "header": (2**62).to_bytes(8, "little") + good[8:],
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
        assert "not a transport written by this workflow" in refused(tmp_path / name)
        assert "not a flow written by this workflow" in refused(tmp_path / name, storage.load)
    assert "no such file of a trained transport" in refused(tmp_path / "absent")
    assert "no such file of a trained transport" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "no such file" in refused(tmp_path / "pipe")
    for name in ("pipe", "absent"):
        assert "no such file" in refused(tmp_path / name, storage.load)
    assert "no such file" in refused(tmp_path, storage.load)
    assert "not a transport" in refused(folder / "reference_weights_0.safetensors")
    assert "not a flow" in refused(folder / NAME, storage.load)
    _, tensors = content(folder / NAME)
    for text in ("[]", "{", "3", "[" * 100_000):
        save_file(tensors, tmp_path / "note", metadata={bundle.KEY: text})
        with pytest.raises(InputError, match="not a transport") as caught:
            flowmorph.load(str(tmp_path / "note"))
        assert caught.value.__cause__ is not None


#: What is read from the note; the rest is for people.
READ = (
    "weights",
    "method",
    "features",
    "condition",
    "regions",
    "preprocessing",
    "event",
    "folds",
    "variations",
)


def edited(note: dict):
    """The note with each thing that is read missing or of another kind."""
    for key in (*READ, "flows", "checksum"):
        yield {name: value for name, value in note.items() if name != key}
    for key in ("method", "features", "condition", "regions", "event", "folds", "variations"):
        for other in alterations(note[key]):
            yield note | {key: other}
    for other in alterations(json.loads(note["preprocessing"])):
        yield note | {"preprocessing": json.dumps(other)}
    for other in (None, 3, "", "{}", [], {}):
        yield note | {"preprocessing": other}
        yield note | {"flows": other}
        yield note | {"flows": note["flows"] | {"another": other}}
    for flow, made in note["flows"].items():
        yield note | {"flows": {k: v for k, v in note["flows"].items() if k != flow}}
        for other in (None, 3, [], {}):
            yield note | {"flows": note["flows"] | {flow: other}}
        for other in alterations(made["architecture"]):
            yield note | {"flows": note["flows"] | {flow: made | {"architecture": other}}}
        for key in made["architecture"]:
            for other in (0, 2, 7, 10**9, 10**15):
                changed = made["architecture"] | {key: other}
                yield note | {"flows": note["flows"] | {flow: made | {"architecture": changed}}}


def test_an_edited_note_is_refused_or_still_that_of_a_transport(folder):
    """Behind the checksum, which an edited file need not have wrong."""
    note, tensors = content(folder / NAME)
    count = 0
    for other in edited(note):
        count += 1
        try:
            bundle.build(other, tensors, "edited")
        except InputError as error:
            assert str(error).startswith("edited: ") and "\n" not in str(error)
            assert error.__cause__ is not None
            continue
        changed = {key for key in (*READ, "flows") if other.get(key) != note[key]}
        assert changed <= {"method", "regions", "preprocessing", "event", "flows"}
        for flow, made in other["flows"].items():
            parts = made["architecture"].items() - note["flows"][flow]["architecture"].items()
            assert {key for key, _ in parts} <= {"tail_bound"}
    assert count > 500


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": ["x"]}, "'preprocessing' is of the columns"),
        ({"features": ["x", "x"]}, "a column is there twice"),
        ({"features": []}, "'features' is not names of columns"),
        ({"condition": "m"}, "'condition' is not names of columns"),
        ({"regions": REGIONS | {"column": None}}, "'column' is not the name of a column"),
        ({"regions": REGIONS | {"apply": [[1, 0]]}}, "'apply' is not intervals"),
        ({"regions": {}}, "'train' is missing"),
        ({"method": None}, "'method' is not text"),
        ({"flows": {}}, "'flows' are"),
        ({"folds": 2}, "'flows' are"),
        ({"variations": 1}, "'flows' are"),
        ({"variations": -1}, "'variations' is not a whole number"),
        ({"folds": 1.0}, "'folds' is not a whole number"),
        ({"event": "run"}, "'event' is not names of columns"),
    ],
)
def test_an_edited_file_is_named(folder, tmp_path, change, message):
    note, tensors = content(folder / NAME)
    assert message in refused(put(tmp_path / "edited", note | change, tensors))


def test_tensors_that_do_not_fit_are_named(folder, tmp_path):
    note, tensors = content(folder / NAME)
    name = next(n for n in tensors if n.endswith("final_layer.weight") and "target" in n)
    short = name.removeprefix("target.1.")
    broken = tensors[name].clone()
    broken[1, 2] = np.nan
    for change, message in (
        ({name: None}, f"'{short}' is missing"),
        ({name: tensors[name][:-1].clone()}, f"'{short}' is torch.float32 [21, 8], not"),
        ({name: tensors[name].double()}, f"'{short}' is torch.float64"),
        ({name: tensors[name].to(torch.bfloat16)}, f"'{short}' is torch.bfloat16"),
        ({name: broken}, f"'{short}' has values that are not finite"),
        ({"target.1.more": tensors[name].clone()}, "'more' is unknown"),
        ({"more.x": tensors[name].clone()}, "'more.x' belongs to no flow"),
        (dict.fromkeys(n for n in tensors if n.startswith("transport.")), "too few"),
    ):
        other = {n: v for n, v in (tensors | change).items() if v is not None}
        assert message in refused(put(tmp_path / "edited", note, other))


def test_an_edited_flow_is_named(folder, tmp_path):
    file = folder / "reference_weights_0.safetensors"
    note, weights = content(file, storage.KEY)
    for other in [{}, *({"architecture": a} for a in alterations(note["architecture"]))]:
        edited = put(tmp_path / "flow", other, weights, storage.KEY)
        try:
            flow = storage.load(edited)
        except InputError as error:
            assert "flow: " in str(error) and "delete it and rerun the training" in str(error)
            assert "\n" not in str(error) and error.__cause__ is not None
        else:  # the box is all that the weights do not fix
            changed = flow.describe().items() - note["architecture"].items()
            assert {key for key, _ in changed} <= {"tail_bound"}
    name = sorted(weights)[0]
    for change, message in (
        ({name: None}, "is missing"),
        ({name: weights[name][:1].clone()}, "not torch.float32"),
    ):
        other = {n: v for n, v in (weights | change).items() if v is not None}
        assert message in refused(put(tmp_path / "flow", note, other, storage.KEY), storage.load)


def test_nothing_is_written_that_would_not_be_read(folder, tmp_path):
    note, _ = content(folder / NAME)
    roles = ("reference", "target", "transport")
    files = [{role: str(folder / f"{role}_weights_0.safetensors") for role in roles}]
    good = {key: note[key] for key in READ}
    bundle.write(files, good, tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == (folder / NAME).read_bytes()
    with pytest.raises(InputError, match="bad.safetensors: no complete transport .'preprocessing'"):
        bundle.write(files, good | {"features": ["x", "y"]}, tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match="flow 'reference.1' is of 2 features, 1 conditions"):
        moved = good | {"features": ["x"], "condition": ["k", "m"]}
        bundle.write(files, moved, tmp_path / "bad.safetensors")
    assert not (tmp_path / "bad.safetensors").exists()


def test_the_script_writes_the_same_file(folder, tmp_path, capsys):
    note, _ = content(folder / NAME)
    (tmp_path / "fit.json").write_text(note["preprocessing"])
    arguments = {
        "--job": [to_json(BundleJob(note["method"], ("x", "k"), ("m",), REGIONS, (), 1, 0))],
        "--transports": [folder / "transport_weights_0.safetensors"],
        "--reference-densities": [folder / "reference_weights_0.safetensors"],
        "--target-densities": [folder / "target_weights_0.safetensors"],
        "--preprocessing": [tmp_path / "fit.json"],
        "--output": [tmp_path / NAME],
    }
    listed = [part for name, values in arguments.items() for part in (name, *values)]
    assert run("bundle_transport.py", *listed) == 0
    assert (tmp_path / NAME).read_bytes() == (folder / NAME).read_bytes()
    (tmp_path / "fit.json").write_text("{}")
    assert run("bundle_transport.py", *listed[:-1], tmp_path / "other.safetensors") == 1
    assert "fit.json: no preprocessing" in capsys.readouterr().err
    assert not (tmp_path / "other.safetensors").exists()
