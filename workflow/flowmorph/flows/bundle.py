"""All that it takes to use a trained transport in one file: flows, preprocessing, column names."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from flowmorph import paths
from flowmorph.errors import InputError
from flowmorph.files import atomic
from flowmorph.flows import storage
from flowmorph.flows.flow import Flow

VERSION = 1


def write(files: dict[str, str], note: dict, path: str | Path) -> None:
    """Join flows, files of `storage.save` by name, and the ``note`` about them (JSON).

    Names are ``reference`` and ``target``, the densities, and ``transport``, which base transfer
    does not have. Each flow keeps the note about what made it.
    """
    tensors, made = {}, {}
    for name, file in files.items():
        weights, made[name] = storage.read(file, "numpy")
        tensors |= {f"{name}.{key}": value for key, value in weights.items()}
    text = json.dumps({"version": VERSION, "flows": made, **note}, sort_keys=True)
    with atomic(path) as part:
        save_file(tensors, part, metadata={"flowmorph_transport": text})


def read(path: str | Path) -> tuple[dict, dict[str, Flow]]:
    """Read note and flows of a file, or of the folder that holds it.

    Raises InputError for a file of another kind or of a later version.
    """
    file = Path(paths.bundle(str(path))) if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise InputError(f"{file}: no such file of a trained transport")
    try:
        with safe_open(file, framework="pt") as stored:
            note = json.loads((stored.metadata() or {})["flowmorph_transport"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise InputError(
            f"{file}: not a transport written by this workflow ({type(error).__name__}): "
            "name transport.safetensors, or its folder"
        ) from None
    if note["version"] != VERSION:
        raise InputError(f"{file}: of version {note['version']}, not {VERSION}: update flowmorph")
    flows = {}
    for name, made in note["flows"].items():
        weights = {
            key.partition(".")[2]: value
            for key, value in tensors.items()
            if key.startswith(f"{name}.")
        }
        flows[name] = storage.build(made["architecture"], weights)
    return note, flows
