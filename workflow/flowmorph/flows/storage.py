"""Trained flows on disk: safetensors under nflows' parameter names, with what made them."""

from __future__ import annotations

import json
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from flowmorph import __version__
from flowmorph.errors import InputError
from flowmorph.files import atomic
from flowmorph.flows.flow import Architecture, Flow, build_nflows

#: Least value of each number of an architecture.
LEAST = {"features": 1, "context": 0, "layers": 1, "blocks": 0, "width": 1, "bins": 1}

KEY = "flowmorph"
HINT = "delete it and rerun the training"


def save(flow: Flow, path: str | Path, provenance: dict) -> None:
    """Write the parameters, the architecture and ``provenance`` (config slice, versions, seed).

    The names are those of a plain nflows ``CompositeTransform``, so its ``load_state_dict`` takes
    the file as it is.
    """
    parameters = {name: value.contiguous() for name, value in flow.to_nflows().state_dict().items()}
    # One metadata entry: safetensors does not keep the order of several, and bytes must repeat.
    note = json.dumps({"architecture": flow.describe(), **provenance}, sort_keys=True)
    with atomic(path) as part:
        part.write_bytes(to_bytes(parameters, metadata={KEY: note}))


def load(path: str | Path) -> Flow:
    """Read a flow written by :func:`save`; raises InputError for a file of another kind."""
    parameters, note = read(path)
    try:
        return build(note.get("architecture"), parameters)
    except ValueError as error:
        raise InputError(f"{path}: {error}: {HINT}") from error


def read(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    """Weights and the note of a file written by :func:`save`.

    Raises InputError for a file of another kind.
    """
    return read_file(path, KEY, "a flow", HINT)


def read_file(path: str | Path, key: str, what: str, hint: str) -> tuple[dict[str, Tensor], dict]:
    """Tensors of a safetensors file and the note, JSON, under a ``key`` of its metadata.

    Raises InputError, which says that this is not ``what`` and gives a ``hint``, for anything else.
    """
    # To open a pipe would wait for its writer.
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            note = json.loads((file.metadata() or {})[key])
            if not isinstance(note, dict):
                raise ValueError("the note is no object")
            return {name: file.get_tensor(name) for name in file.keys()}, note
    except (SafetensorError, KeyError, ValueError, RecursionError, OSError) as error:
        raise InputError(
            f"{path}: not {what} written by this workflow ({type(error).__name__}): {hint}"
        ) from error


def build(architecture: Any, parameters: dict[str, Tensor]) -> Flow:
    """Make a frozen flow of an architecture, as its note has it, with these parameters.

    Raises ValueError for what is no architecture, and for parameters of another one.
    """
    arch = _architecture(architecture)
    # So that a wrong number does not allocate more memory than there is: a layer has at least this.
    least = arch.width * max(arch.features * (3 * arch.bins - 1), arch.context, arch.blocks)
    if arch.layers * least > sum(value.numel() for value in parameters.values()):
        raise ValueError("the parameters are too few for their architecture")
    transform = build_nflows(arch)
    _check(parameters, transform.state_dict())
    transform.load_state_dict(parameters)
    flow = Flow(arch)
    flow.read_nflows(transform)
    return flow.requires_grad_(False)


def provenance(config: dict, seed: int) -> dict:
    """What identifies a training: its configuration, its seed and the versions that matter."""
    versions = {name: metadata.version(name) for name in ("torch", "nflows", "numpy")}
    versions["flowmorph"] = __version__
    return {"config": config, "seed": seed, "versions": versions}


def _architecture(note: Any) -> Architecture:
    names = {field.name for field in fields(Architecture)}
    if not isinstance(note, dict) or set(note) != names:
        raise ValueError(f"the architecture has not the keys {', '.join(sorted(names))}")
    for name, least in LEAST.items():
        if type(note[name]) is not int or note[name] < least:
            raise ValueError(f"the architecture's {name} is {note[name]!r}")
    bound = note["tail_bound"]
    if type(bound) not in (int, float) or not 0 < bound < 1e9:
        raise ValueError(f"the architecture's tail_bound is {bound!r}")
    return Architecture(**note)


def _check(parameters: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Raise ValueError for a tensor that is missing, too many, of another shape or not finite."""
    for name in sorted(parameters.keys() | expected.keys()):
        if name not in parameters or name not in expected:
            raise ValueError(f"tensor {name!r} is {'missing' if name in expected else 'unknown'}")
        found, wanted = parameters[name], expected[name]
        if (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
            raise ValueError(
                f"tensor {name!r} is {found.dtype} {list(found.shape)}, "
                f"not {wanted.dtype} {list(wanted.shape)}"
            )
        if not torch.isfinite(found).all():
            raise ValueError(f"tensor {name!r} has values that are not finite")
