"""The user's own two samples, as the configuration describes them."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from glob import glob
from itertools import pairwise
from pathlib import Path

from flowmorph.errors import InputError
from flowmorph.files import once
from flowmorph.plan import objects
from flowmorph.plan.intervals import overlapping
from flowmorph.plan.suffixes import suffix_of

#: What a column of categories has in place of edges of bins.
CATEGORIES = "categories"


def given(config: dict) -> bool:
    """Whether a run is about the user's own samples."""
    return bool(patterns(config["own"]["reference"]["files"]))


def patterns(files: str | list[str] | None) -> list[str]:
    """Patterns of ``files``, one or several or none."""
    return [files] if isinstance(files, str) else list(files or [])


def matching(files: str | list[str] | None) -> list[str]:
    """Files that match, sorted, each once; InputError for names that Snakemake cannot take."""
    found = set()
    for pattern in patterns(files):
        # A name that exists is that file, even if it has brackets.
        exists = os.path.lexists(pattern)
        found.update([pattern] if exists else glob(pattern, recursive=True))
    for name in found:
        if set(name) & set("{}\n"):
            raise InputError(f"{name!r}: rename this file, without braces and line breaks")
    return once(found)


def suffix(files: str | list[str] | None) -> str:
    """End of the files' names, such as ``.csv.gz``: that of what is made from them."""
    return suffix_of((matching(files) or patterns(files))[0])


def named(files: str | list[str] | None) -> dict[str, str]:
    """Files that match, by the last part of their names; raises InputError if that is not unique.

    A pattern without any match raises InputError too: a run that moves nothing would look like a
    success.
    """
    names: dict[str, str] = {}
    for pattern in patterns(files):
        if not matching(pattern):
            raise InputError(f"apply: {pattern}: no such file")
    for name in matching(files):
        if Path(name).name in names:
            raise InputError(
                f"apply: {names[Path(name).name]} and {name} would be moved to the same file: "
                "move them in two runs, or rename one"
            )
        names[Path(name).name] = name
    return names


def reading_options(sample: dict) -> str:
    """Give the options that say how one sample's files are read, quoted for a shell."""
    options = [f"--{key}={sample[key]}" for key in ("tree", "format") if sample[key] is not None]
    return " ".join(map(shlex.quote, options))


def columns(entries: Iterable[str | dict]) -> list[str]:
    """Names of the columns in ``features`` or ``condition``."""
    return [entry if isinstance(entry, str) else entry["column"] for entry in entries]


def choices(entries: Iterable[str | dict]) -> dict[str, dict]:
    """How each column of ``features`` or ``condition`` is prepared, for `Preprocessor.fit`."""
    result = {}
    for name, entry in zip(columns(entries), entries, strict=True):
        given = {} if isinstance(entry, str) else entry
        result[name] = {"transform": given.get("preprocess", "minmax")}
        result[name] |= {key: given[key] for key in ("bounds", "integer", "spike") if key in given}
        if given.get("categorical"):
            result[name]["categorical"] = True
    return result


def spiked(config: dict) -> bool:
    """Whether any feature has a spike."""
    return any("spike" in choice for choice in choices(config["own"]["features"]).values())


def categorical(config: dict) -> list[str]:
    """Conditions that are categories."""
    return [
        name
        for name, choice in choices(config["own"]["condition"]).items()
        if choice.get("categorical")
    ]


def weighs(config: dict) -> bool:
    """Whether moved files have balanced weights that are made of a column of weights."""
    return config["own"]["balance"] and config["own"]["reference"]["weights"] is not None


def closure_bins(config: dict) -> list[tuple[str, tuple[float, ...]]]:
    """Columns in whose bins comparisons are made, each with its edges; none for categories."""
    return [
        (name, () if bins == CATEGORIES else tuple(map(float, bins)))
        for name, bins in config["own"]["closure_in"].items()
    ]


def closure_columns(config: dict) -> list[str]:
    """Those of them that have to be read: the others are features, or categories."""
    known = {*columns(config["own"]["features"]), *categorical(config)}
    return [name for name in config["own"]["closure_in"] if name not in known]


def applied_elsewhere(config: dict) -> bool:
    """Whether rows outside of the training region are compared with the target's."""
    regions = config["own"]["regions"]
    return bool(regions["train"]) and regions["closure"]


def tested_apart(config: dict) -> bool:
    """Whether comparisons need anything that no training reads."""
    return applied_elsewhere(config) or bool(closure_columns(config))


def labels(entries: Iterable[str | dict]) -> list[str]:
    """What figures call each feature; dollar signs in a column's name are not read as mathtext."""
    return [
        entry["label"] if isinstance(entry, dict) and "label" in entry else name.replace("$", r"\$")
        for name, entry in zip(columns(entries), entries, strict=True)
    ]


def label_options(config: dict) -> str:
    """Give the option of figures that names the features, quoted for a shell."""
    return shlex.join(["--labels", *labels(config["own"]["features"])])


def condition_options(config: dict) -> str:
    """Give the options of figures that name the conditions, quoted for a shell."""
    named = dict(
        zip(columns(config["own"]["condition"]), labels(config["own"]["condition"]), strict=True)
    )
    without = [named.pop(name) for name in categorical(config)]
    return shlex.join(
        ["--conditions", *named.values(), *(["--categories", *without] if without else [])]
    )


def figure_options(config: dict, methods: list[str], applied: bool = False) -> str:
    """Give the options of figures with methods and region, quoted for a shell.

    The region is the one where flows are trained, or, with ``applied``, where they are applied.
    """
    regions = config["own"]["regions"]
    shown = regions["apply" if applied else "train"]
    note = "outside of the training region" if applied else "all rows"
    if shown:
        intervals = ", ".join(f"{low:g} to {high:g}" for low, high in shown)
        note = f"{regions['column']} in {intervals}".replace("$", r"\$")
    note += ", balanced weights" if config["own"]["balance"] else ""
    return shlex.join(["--methods", *methods, "--note", note])


def layout_options(config: dict, further: bool = False) -> str:
    """Give the options that say which columns a moved file has, quoted for a shell.

    A ``further`` file, such as data, may lack columns that are left out of the reference's.
    """
    output = config["own"]["output"]
    options = ["--columns", output["columns"], "--suffix", output["suffix"]]
    options += ["--variations", output["variations"], *["--support"] * output["support"]]
    if output["drop"]:
        options += [*["--may-lack"] * further, "--drop", *output["drop"]]
    for name, columns in output["objects"].items():
        options += ["--object", name, *map("=".join, columns.items())]
    return shlex.join(options)


def output_methods(config: dict) -> list[str]:
    """Methods that move the reference and further files."""
    return config["own"]["output"]["methods"] or config["own"]["methods"]


def model_precision(config: dict) -> str:
    """Type of the numbers that exported models take and give."""
    chosen = config["own"]["output"]["onnx"]
    return chosen if isinstance(chosen, str) else "float32"


def _check_export(config: dict) -> None:
    """Names of a model's inputs and outputs, which `flowmorph.user.export.model` gives them."""
    own = config["own"]
    taken = {f"{name}_moved" for name in columns(own["features"])}
    for kind in ("features", "condition"):
        for name, choice in choices(own[kind]).items():
            taken |= {f"{name}_uniform"} if choice.get("integer") or choice.get("spike") else set()
    taken |= {"balance_factor", "balance_fold"} if own["balance"] else set()
    for name in [*columns(own["features"]), *columns(own["condition"])]:
        if name in taken:
            raise InputError(
                f"config: own.output.onnx: another input or output of the model is named {name!r}, "
                "as this column: rename the column, or set onnx: false"
            )


def check(config: dict) -> None:
    """Raise InputError, naming the key, for settings of ``own`` that do not go together."""
    own = config["own"]
    here = {role: bool(patterns(own[role]["files"])) for role in ("reference", "target")}
    if not any(here.values()):
        if config["apply"]:
            raise InputError(
                "config: apply: files are moved by transports of own samples: give own"
            )
        return
    for role, there in here.items():
        if not there:
            raise InputError(f"config: own.{role}.files: name the files of both samples")
    features, conditions = columns(own["features"]), columns(own["condition"])
    if not features:
        raise InputError("config: own.features: name at least one column to move")
    used = [*features, *conditions, *(own[r]["weights"] for r in here if own[r]["weights"])]
    for name in {*features, *conditions}:
        if used.count(name) > 1:
            raise InputError(
                f"config: own: column {name!r} is used twice: a column is one of a feature, "
                "a condition and a weight"
            )
    for kind in ("features", "condition"):
        for name, choice in choices(own[kind]).items():
            _check_spikes(f"config: own.{kind}: spike of {name!r}", choice)
    for entry in own["condition"]:
        _check_categorical(entry)
    if own["negative"] != "error" and not any(own[role]["weights"] for role in here):
        raise InputError(
            f"config: own.negative: {own['negative']} is about weights, and there are none: name "
            "own.reference.weights or own.target.weights, or leave it at error"
        )
    if own["balance"] and not conditions:
        raise InputError(
            "config: own.balance: weights to the target's spectrum of a condition need one: name "
            "columns in own.condition, or set balance: false"
        )
    regions = own["regions"]
    for kind in ("train", "apply"):
        for low, high in regions[kind]:
            if low >= high:
                raise InputError(f"config: own.regions.{kind}: [{low}, {high}] is not an interval")
        if regions[kind] and regions["column"] is None:
            raise InputError("config: own.regions.column: name the column of the intervals")
    pair = overlapping(regions["train"], regions["apply"])
    if regions["closure"] and pair:
        raise InputError(
            f"config: own.regions.apply: {list(pair[1])} overlaps own.regions.train, "
            f"{list(pair[0])}, whose rows are trained on and test no map: end it where the other "
            "begins, or set own.regions.closure: false"
        )
    if regions["column"] in features:
        raise InputError(
            f"config: own.regions.column: {regions['column']!r} is a feature, and moving would "
            "take it out of its region: choose a condition or another column"
        )
    for name, bins in own["closure_in"].items():
        _check_closure(config, name, bins)
    if regions["column"] in categorical(config):
        raise InputError(
            f"config: own.regions.column: {regions['column']!r} is categorical, and categories "
            "have no intervals: choose another column"
        )
    if not own["scaling"]["low"] < own["scaling"]["high"]:
        raise InputError("config: own.scaling: low must be below high")
    for kind, flow in config["flows"].items():
        if flow["width"] < len(features) - 1:
            raise InputError(
                f"config: flows.{kind}.width: {len(features)} features need a width of at least "
                f"{len(features) - 1}, not {flow['width']}"
            )
    for method in own["output"]["methods"]:
        if method not in own["methods"]:
            raise InputError(f"config: own.output.methods: {method} is not in own.methods")
    if own["output"]["onnx"]:
        _check_export(config)
    regional = [regions["column"]] if regions["column"] else []
    weighed = [own["reference"]["weights"]] if weighs(config) else []
    others = [*conditions, *own["event"], *(regional if regions["apply"] else []), *weighed]
    known = [*features, *conditions, *own["event"], *regional, *weighed]
    try:
        moved = objects.moved_objects(objects=own["output"]["objects"])
        objects.check(moved, features, others, known)
    except InputError as error:
        raise InputError(f"config: own.output.objects: {error}") from error


def _check_closure(config: dict, name: str, bins: str | list[float]) -> None:
    key, own = f"config: own.closure_in: {name!r}", config["own"]
    if (bins == CATEGORIES) != (name in categorical(config)):
        raise InputError(
            f"{key}: categorical conditions, and no other columns, have {CATEGORIES} for bins"
        )
    if name in (own["reference"]["weights"], own["target"]["weights"]):
        raise InputError(f"{key}: is a weight: choose another column")
    if bins != CATEGORIES and not all(low < high for low, high in pairwise(bins)):
        raise InputError(f"{key}: {bins} are no edges: give them in ascending order")


def _check_categorical(entry: str | dict) -> None:
    if isinstance(entry, dict) and entry.get("categorical"):
        for key in ("preprocess", "bounds", "spike"):
            if key in entry:
                raise InputError(
                    f"config: own.condition: {entry['column']!r} is categorical, and categories "
                    f"have no {key}: take it out"
                )


def _check_spikes(key: str, choice: dict) -> None:
    spikes = choice.get("spike", [])
    if spikes and choice.get("integer"):
        raise InputError(
            f"{key}: whole numbers have an interval each already: take out spike, or integer"
        )
    for value in spikes:
        if not abs(value) <= sys.float_info.max:
            raise InputError(
                f"{key}: {value} is no number that a row can have: own.missing says what happens "
                "to rows without one"
            )
        if spikes.count(value) > 1:
            raise InputError(f"{key}: {value} is named twice: once is enough")
