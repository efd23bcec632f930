"""The configuration: checked against its schema before any job exists."""

from __future__ import annotations

from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from flowmorph import own, targets
from flowmorph.errors import InputError
from flowmorph.morphing import source_of


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
    _check_alternatives(config)


def _check_alternatives(config: dict) -> None:
    for task in config["alternatives"]["tasks"]:
        if task not in targets.TASKS:
            known = ", ".join(targets.TASKS)
            raise InputError(f"config: alternatives.tasks: no task '{task}' (there are {known})")
        condition = targets.condition(task, config)
        if condition not in (None, "shared"):
            raise InputError(
                f"config: alternatives.tasks: {task} has condition '{condition}', "
                "and only flows go from one condition to another"
            )
    for method in config["alternatives"]["methods"]:
        if method not in targets.FLOW_ALTERNATIVES:
            try:
                source_of(method)
            except InputError as error:
                raise InputError(f"config: alternatives.methods: {error}") from error
