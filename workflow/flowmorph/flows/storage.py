"""Trained flows on disk: safetensors under nflows' parameter names, with what made them."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from flowmorph.errors import InputError
from flowmorph.files import atomic
from flowmorph.flows.flow import Architecture, Flow, build_nflows


def save(flow: Flow, path: str | Path, provenance: dict) -> None:
    """Write the weights, the architecture and ``provenance`` (config slice, versions, seed).

    The names are those of a plain nflows ``CompositeTransform``, so its ``load_state_dict`` takes
    the file as it is.
    """
    weights = {name: value.contiguous() for name, value in flow.to_nflows().state_dict().items()}
    # One metadata entry: safetensors does not keep the order of several, and bytes must repeat.
    note = json.dumps({"architecture": flow.describe(), **provenance}, sort_keys=True)
    with atomic(path) as part:
        part.write_bytes(to_bytes(weights, metadata={"flowmorph": note}))


def load(path: str | Path) -> Flow:
    """Read a flow written by :func:`save`; raises InputError for a file of another kind."""
    weights, note = read(path, "pt")
    return build(note["architecture"], weights)


def read(path: str | Path, framework: str) -> tuple[dict, dict]:
    """Weights, as tensors of ``pt`` or ``numpy``, and the note of a file written by :func:`save`.

    Raises InputError for a file of another kind.
    """
    try:
        with safe_open(path, framework=framework) as file:
            note = json.loads((file.metadata() or {})["flowmorph"])
            return {name: file.get_tensor(name) for name in file.keys()}, note
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path}: not a flow written by this workflow ({type(error).__name__}); "
            "delete it and rerun the training"
        ) from None


def build(architecture: dict, weights: dict) -> Flow:
    """Make a frozen flow of an architecture, as its note has it, with these weights."""
    arch = Architecture(**architecture)
    transform = build_nflows(arch)
    transform.load_state_dict(weights)
    flow = Flow(arch)
    flow.read_nflows(transform)
    return flow.requires_grad_(False)


def provenance(config: dict, seed: int) -> dict:
    """What identifies a training: its configuration, its seed and the versions that matter."""
    versions = {name: metadata.version(name) for name in ("torch", "nflows", "numpy")}
    return {"config": config, "seed": seed, "versions": versions}
