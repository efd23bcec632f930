"""All that it takes to use a trained transport in one file: flows, preprocessing, column names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from flowmorph.errors import InputError
from flowmorph.files import atomic
from flowmorph.flows import storage
from flowmorph.flows.flow import Flow
from flowmorph.plan import paths
from flowmorph.plan.jobs.form import as_dict
from flowmorph.plan.jobs.moving import BundleJob
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples.balance import Balance

VERSION = 4
KEY = "flowmorph_transport"

#: The flows of a training; base transfer has the densities only.
ROLES = (("reference", "target"), ("reference", "target", "transport"))

#: What names of the balance's numbers begin with.
BALANCE = "balance."

HINT = "delete it and run the workflow again, which makes it from the trained flows"


def write(
    trainings: Sequence[dict[str, str]],
    note: dict,
    path: str | Path,
    balance: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Join flows, files of `storage.save` by role for each training, and the ``note`` (JSON).

    Roles are ``reference`` and ``target``, the densities, and ``transport``, which base transfer
    does not have. Trainings are in the order of the transport's variations, and in each of its
    folds. Each flow keeps the note about what made it, but for the places of files there.
    ``balance`` are the numbers of a `Balance` by name, where the reference has weights to the
    target's spectrum. Equal input gives equal bytes. Raises InputError for a note or flows that
    `read` would refuse.
    """
    tensors: dict[str, Tensor] = {}
    made: dict[str, Any] = {}
    for number, files in enumerate(trainings, start=1):
        for role, file in files.items():
            name = f"{role}.{number}"
            parameters, about = storage.read(file)
            made[name] = _without_places(about)
            tensors |= {f"{name}.{key}": value for key, value in parameters.items()}
    tensors |= _balance_tensors(balance or {})
    # As it will be read: with lists, not tuples.
    note = json.loads(json.dumps({"version": VERSION, "flows": made, **note}))
    build(note, tensors, path)
    _write(note, tensors, path)


def describe(job: BundleJob, preprocessing: Preprocessor) -> dict:
    """The note of a transport that a job asks for."""
    return as_dict(job) | {"preprocessing": preprocessing.to_json()}


def save(
    note: Mapping,
    trainings: Sequence[Mapping[str, Flow]],
    path: str | Path,
    balance: Balance | None = None,
) -> None:
    """Write what `read` gave; the bytes are those of the file that was read.

    A folder gets a file of the name that `read` looks for.
    """
    with _undrawn():
        tensors = {
            f"{role}.{number}.{key}": value.contiguous()
            for number, flows in enumerate(trainings, start=1)
            for role, flow in flows.items()
            for key, value in flow.to_nflows().state_dict().items()
        }
    tensors |= _balance_tensors({} if balance is None else balance.to_arrays())
    _write(note, tensors, file_of(path))


def file_of(path: str | Path) -> Path:
    """The file of a transport that is named by itself, or by its folder."""
    return Path(path, paths.BUNDLE) if Path(path).is_dir() else Path(path)


def _undrawn() -> AbstractContextManager[None]:
    """Keep the user's random numbers: a flow draws first weights, which a file's replace."""
    return torch.random.fork_rng(devices=[])


def _balance_tensors(numbers: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The numbers of a `Balance` by their names in a transport's file."""
    return {
        BALANCE + name: torch.from_numpy(np.ascontiguousarray(values))
        for name, values in numbers.items()
    }


def _without_places(about: Any) -> Any:
    """What made a flow, without the paths of its data: a shared file has no use for them."""
    if isinstance(about, dict):
        return {key: _without_places(value) for key, value in about.items() if key != "path"}
    return about


def _write(note: Mapping, tensors: Mapping[str, Tensor], path: str | Path) -> None:
    text = json.dumps({**note, "checksum": checksum(note, tensors)}, sort_keys=True)
    with atomic(path) as part:
        save_file(dict(tensors), part, metadata={KEY: text})


def read(path: str | Path) -> tuple[dict, list[dict[str, Flow]], Balance | None]:
    """Read note, flows, by role for each training, and balance of a file, or of its folder.

    Raises InputError for a file of another kind or version, and for one that was damaged.
    """
    file = file_of(path)
    if not file.is_file():
        raise InputError(f"{file}: no such file of a trained transport")
    hint = "name transport.safetensors, or its folder"
    tensors, note = storage.read_file(file, KEY, "a transport", hint)
    version = note.get("version")
    if type(version) is int and version > VERSION:
        raise InputError(f"{file}: of version {version}, not {VERSION}: update flowmorph")
    if type(version) is not int or version < VERSION:
        raise InputError(f"{file}: of version {version!r}, not {VERSION}: {HINT}")
    if note.pop("checksum", None) != checksum(note, tensors):
        raise InputError(
            f"{file}: damaged: its contents do not have its checksum: copy it again, or {HINT}"
        )
    return note, *build(note, tensors, file)


def checksum(note: Mapping, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of a note and of tensors with their names, types and shapes, as text."""
    total = hashlib.sha256(json.dumps(note, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        total.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        # torch views no empty tensor as bytes, and it has none.
        if value.numel():
            total.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def build(
    note: Mapping, tensors: Mapping[str, Tensor], place: str | Path
) -> tuple[list[dict[str, Flow]], Balance | None]:
    """Make the flows of a note and its tensors, by role for each training, and the balance.

    Raises InputError, naming the ``place`` that they come from, for a note that is not complete
    and for tensors that do not fit it.
    """
    try:
        known = _check(note, place)
        expected = tuple(len(known.names(note[kind])) for kind in ("features", "condition"))
        flows = {}
        for name, made in note["flows"].items():
            start = f"{name}."
            parameters = {
                k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)
            }
            try:
                with _undrawn():
                    flows[name] = storage.build(made["architecture"], parameters)
            except ValueError as error:
                raise ValueError(f"flow {name!r}: {error}") from error
            sizes = (flows[name].arch.features, flows[name].arch.context)
            if sizes != expected:
                raise ValueError(f"flow {name!r} is of {sizes[0]} features, {sizes[1]} conditions")
        weighing = {k.removeprefix(BALANCE): v for k, v in tensors.items() if k.startswith(BALANCE)}
        balance = _balance(note, weighing, expected[1])
        for name in tensors:
            if not any(name.startswith(f"{flow}.") for flow in flows) and not (
                name.startswith(BALANCE)
            ):
                raise ValueError(f"tensor {name!r} belongs to no flow")
    except ValueError as error:
        raise InputError(f"{place}: no complete transport ({error}): {HINT}") from error
    return [
        {role: flows[f"{role}.{number}"] for role in roles}
        for number, roles in _trainings(note).items()
    ], balance


def _balance(note: Mapping, tensors: Mapping[str, Tensor], conditions: int) -> Balance | None:
    """What weights are made of; raises ValueError for what does not go together."""
    if tensors:
        try:
            arrays = {name: values.numpy() for name, values in tensors.items()}
        except TypeError as error:  # a type that numpy does not have
            raise ValueError(f"balance: {error}") from error
        return Balance.from_arrays(arrays, conditions)
    if note["weights"] is not None:
        raise ValueError("'weights' are named, and there is nothing that balances them")
    return None


def made(note: Mapping) -> tuple[dict[str, dict], ...]:
    """What made the flows of each training, by role, in the order of `build`."""
    return tuple(
        {role: note["flows"][f"{role}.{number}"] for role in roles}
        for number, roles in _trainings(note).items()
    )


def _check(note: Mapping, place: str | Path) -> Preprocessor:
    """Raise ValueError for a key of the note that is missing or of another kind.

    Gives the preprocessing.
    """
    _want(note, "method", "text", lambda v: isinstance(v, str))
    _want(note, "features", "names of columns", lambda v: _names(v) and v)
    _want(note, "condition", "names of columns", _names)
    columns = [*note["features"], *note["condition"]]
    if len(set(columns)) < len(columns):
        raise ValueError("a column is there twice")
    _want(note, "preprocessing", "text", lambda v: isinstance(v, str))
    preprocessing = Preprocessor.from_json(note["preprocessing"], str(place))
    if set(preprocessing.columns) != set(columns):
        raise ValueError(
            f"'preprocessing' is of the columns {list(preprocessing.columns)}, not {columns}"
        )
    if not preprocessing.categories.keys() <= set(note["condition"]):
        raise ValueError("a feature has categories")
    _want(note, "regions", "an object", lambda v: isinstance(v, dict))
    regions = note["regions"]
    _want(regions, "train", "intervals", _intervals)
    _want(regions, "apply", "intervals", _intervals)
    _want(regions, "closure", "true or false", lambda v: isinstance(v, bool))
    if regions["train"] or regions["apply"]:
        _want(regions, "column", "the name of a column", lambda v: isinstance(v, str))
    else:
        _want(regions, "column", "text or null", lambda v: v is None or isinstance(v, str))
    _want(note, "event", "names of columns", _names)
    _want(note, "weights", "text or null", lambda v: v is None or isinstance(v, str))
    if note["weights"] in columns:
        raise ValueError("the weights are a feature or a condition")
    _want(note, "folds", "a whole number", lambda v: type(v) is int and v >= 1)
    _want(note, "variations", "a whole number", lambda v: type(v) is int and v >= 0)
    _want(note, "flows", "an object of flows", lambda v: isinstance(v, dict))
    trainings = _trainings(note)
    numbered = list(trainings) == list(range(1, len(trainings) + 1))
    complete = len(trainings) == note["folds"] * (1 + note["variations"])
    alike = any(set(trainings.values()) == {roles} for roles in ROLES)
    if not (numbered and complete and alike):
        raise ValueError(f"'flows' are {list(note['flows'])}")
    for name, made in note["flows"].items():
        _want(note["flows"], name, "an object", lambda v: isinstance(v, dict))
        _want(made, "architecture", "an object", lambda v: isinstance(v, dict))
    return preprocessing


def _trainings(note: Mapping) -> dict[int, tuple[str, ...]]:
    """The roles of each training's flows, sorted, by the training's number; in its order."""
    found: dict[int, list[str]] = {}
    for name in note["flows"]:
        role, _, number = name.rpartition(".")
        if not (number.isdecimal() and str(int(number)) == number):
            raise ValueError(f"'flows' has {name!r}")
        found.setdefault(int(number), []).append(role)
    return {number: tuple(sorted(found[number])) for number in sorted(found)}


def _want(note: Mapping, key: str, what: str, holds: Callable[[Any], bool]) -> None:
    if key not in note:
        raise ValueError(f"{key!r} is missing")
    if not holds(note[key]):
        raise ValueError(f"{key!r} is not {what}")


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _intervals(value: Any) -> bool:
    """Whether this is a list of [low, high], of which the ends may be infinite."""
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(map(_end, pair)) and pair[0] < pair[1]
        for pair in value
    )


def _end(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 2**63)
