"""The configuration: checked against its schema before any job exists."""

from __future__ import annotations

from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from flowmorph import own
from flowmorph.errors import InputError


def check(config: dict, schema: str | Path) -> None:
    """Raise InputError, naming key and reason, when ``config`` does not fit the schema."""
    validator = Draft202012Validator(yaml.safe_load(Path(schema).read_text()))
    errors = sorted(validator.iter_errors(config), key=lambda error: list(map(str, error.path)))
    if errors:
        error = errors[0]
        key = ".".join(map(str, error.path)) or "the top level"
        raise InputError(
            f"config: {key}: {error.message} ({Path(schema).name} describes every key)"
        )
    bounds = config["collider"]["regions"]
    for low, high in [*bounds["sidebands"], bounds["signal"]]:
        if low >= high:
            raise InputError(f"config: collider.regions: [{low}, {high}] is not an interval")
    collider = config["collider"]
    named = collider["lhco_features"]["files"]["reference"]
    if collider["source"] == "lhco_features" and named is None:
        raise InputError(
            "config: collider.lhco_features.files.reference: no such file is published, name yours"
        )
    for sample, files in collider["delphes"]["files"].items():
        if collider["source"] == "delphes" and files is None:
            raise InputError(f"config: collider.delphes.files.{sample}: name your files")
    own.check(config)
