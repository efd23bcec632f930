"""The configuration: checked against its schema before any job exists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import reduce
from itertools import combinations
from math import isfinite
from operator import getitem
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from flowmorph.alternatives.interface import source_of
from flowmorph.errors import InputError
from flowmorph.plan import methods, own_config, own_members, targets, tasks
from flowmorph.plan.intervals import overlapping
from flowmorph.plan.jobs.training import NETWORK, RECIPE

# What the text under a key is, for messages.
TEXTS = {
    **dict.fromkeys(("features", "condition", "weights", "column", "drop"), "the column's name"),
    **dict.fromkeys(("files", "reference", "target", "apply", "folder"), "the file's name"),
    "tree": "the tree's name",
    "objects": "the object's name",
}


# Takes 2.0 for no integer, as Python does where it counts: a schema alone lets it pass.
Validator = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


def check(config: dict, schema: str | Path) -> None:
    """Raise InputError, naming key and reason, when ``config`` does not fit the schema.

    Whole numbers that are written as 2.0 or 2.0e+5 become integers, in place, where the schema
    wants these.
    """
    validator = Validator(yaml.safe_load(Path(schema).read_text()))
    for path, whole in _whole_numbers(list(validator.iter_errors(config))):
        *above, last = path
        reduce(getitem, above, config)[last] = whole
    errors = sorted(validator.iter_errors(config), key=lambda error: list(map(str, error.path)))
    if errors:
        error = _at_fault(errors[0])
        key = ".".join(map(str, error.absolute_path)) or "the top level"
        where = f"{_column(error, config)} ({Path(schema).name} describes every key)"
        hint = _quoting(error) or error.message + _advice(error) + where
        raise InputError(f"config: {key}: {hint}")
    _check_regions(config["collider"]["regions_tev"])
    _check_windows(config)
    _check_files(config["collider"])
    shown, angles = (config["rotated"][key] for key in ("shown_angle_deg", "angles_deg"))
    if shown is not None and shown not in angles:
        raise InputError(
            f"config: rotated.shown_angle_deg: {shown:g} is none of angles_deg: "
            f"choose one of {', '.join(f'{angle:g}' for angle in angles)}"
        )
    for family, settings in config["training"].items():
        if smoothing := settings.get("smoothing"):
            _check_smoothing(f"config: training.{family}.smoothing", smoothing)
    _check_search(config)
    own_config.check(config)
    own_members.check(config)
    _check_alternatives(config)


def _whole_numbers(errors: Iterable[ValidationError]) -> Iterator[tuple[Sequence, int]]:
    """Path and value of each float that is refused for its type only, and is a whole number."""
    for error in errors:
        value, wanted = error.instance, error.validator_value
        types = [wanted] if isinstance(wanted, str) else wanted
        if error.validator == "type" and "integer" in types:
            if isinstance(value, float) and value.is_integer():
                yield error.absolute_path, int(value)
        # Of a key that allows several kinds of values.
        yield from _whole_numbers(error.context)


def _at_fault(error: ValidationError) -> ValidationError:
    """Where a key allows several kinds of values, take the error of the kind that the value has.

    The error itself, if no kind, or more than one, fits the value's type.
    """
    branches: dict[int, list[ValidationError]] = {}
    for each in error.context:
        branches.setdefault(each.schema_path[0], []).append(each)
    fitting = [
        each[0]
        for each in branches.values()
        if not any(e.validator == "type" and not e.relative_path for e in each)
    ]
    return _at_fault(fitting[0]) if len(fitting) == 1 else error


def _quoting(error: ValidationError) -> str | None:
    """What to do about a value that YAML does not read as text, where text belongs; else None."""
    wanted = [error.validator_value] if error.validator == "type" else []
    wanted += [e.validator_value for e in error.context if e.validator == "type"]
    if not any("string" in ([types] if isinstance(types, str) else types) for types in wanted):
        return None
    value, keys = error.instance, [key for key in error.absolute_path if isinstance(key, str)]
    read = {True: "on, yes and true", False: "off, no and false", None: "null, ~ and nothing"}
    if value is None or isinstance(value, bool):
        said = f"{yaml.safe_dump(value).split()[0]}, as which YAML reads {read[value]}"
        example = read[value].split(",")[0]
    elif isinstance(value, int | float | date):
        said = f"{value} is a {'date' if isinstance(value, date) else 'number'}"
        example = value
    else:
        return None
    return f"{said}: put {TEXTS.get(keys[-1], 'it')} in quotes ('{example}')"


def _advice(error: ValidationError) -> str:
    """What to do about one value where a list belongs, or a text where a number does."""
    wanted, value = error.validator_value, error.instance
    if error.validator != "type" or not isinstance(value, str | int | float):
        return ""
    if wanted == "array":
        return f": give a list, such as [{value}]"
    if wanted not in ("number", "integer") or not isinstance(value, str):
        return ""
    if not _is_number(value):
        return ": give a number"
    # YAML reads 2e5 as a text, with or without quotes.
    written = yaml.safe_dump(float(value)).split()[0]
    return ": give it without quotes" + (f", as {written}" if _is_text(value) else "")


def _is_text(written: str) -> bool:
    """Whether YAML reads as text what is written without quotes."""
    return isinstance(yaml.safe_load(written), str)


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _column(error: ValidationError, config: dict) -> str:
    """The column that the entry of a list is about in which the fault lies."""
    place = config
    for key in error.absolute_path:
        place = place[key]
        if isinstance(place, dict) and isinstance(place.get("column"), str):
            return f", for column {place['column']!r}"
    return ""


def _check_regions(regions: dict) -> None:
    """Raise InputError where a region is no interval, or shares events with another one."""
    key = "config: collider.regions_tev"
    sidebands, signal = regions["sidebands"], [regions["signal"]]
    for name, intervals in (("sidebands", sidebands), ("signal", signal)):
        for low, high in intervals:
            if low >= high:
                raise InputError(f"{key}.{name}: [{low}, {high}] is not an interval")
    if pair := overlapping(sidebands, signal):
        raise InputError(
            f"{key}.sidebands: {pair[0]} overlaps signal, {pair[1]}, whose events are measured and "
            "not trained on: end it where the other begins (the reference is trained on there too "
            "with collider.regions_tev.reference_in_signal)"
        )
    for first, second in combinations(sidebands, 2):
        if overlapping([first], [second]):
            raise InputError(
                f"{key}.sidebands: {first} overlaps {second}: end it where the other begins, or "
                "make one of them"
            )


def _check_windows(config: dict) -> None:
    """Raise InputError where a window does not begin below its end: no event would lie in it."""
    pythia, scaling = config["collider"]["pythia"], config["collider"]["scaling"]
    windows = {
        "collider.pythia.early_mass_gev": pythia["early_mass_gev"],
        "search.pythia.early_mass_gev": config["search"]["pythia"]["early_mass_gev"],
    }
    windows |= {f"collider.scaling.ranges.{name}": ends for name, ends in scaling["ranges"].items()}
    for key, ends in windows.items():
        if ends and ends[0] >= ends[1]:
            raise InputError(
                f"config: {key}: {ends} is not an interval: give the least value first"
            )
    for key, section, low, high in (
        ("collider.pythia", pythia, "mhat_min_gev", "mhat_max_gev"),
        ("collider.scaling", scaling, "low", "high"),
    ):
        if section[low] >= section[high]:
            raise InputError(
                f"config: {key}.{low}: {section[low]:g} is not below {key}.{high}, "
                f"{section[high]:g}: lower it, or raise the other"
            )


def _check_files(collider: dict) -> None:
    named = collider["lhco_features"]["files"]["reference"]
    if collider["source"] == "lhco_features" and named is None:
        raise InputError(
            "config: collider.lhco_features.files.reference: no such file is published, name yours"
        )
    for sample, files in collider["delphes"]["files"].items():
        if collider["source"] == "delphes" and files is None:
            raise InputError(f"config: collider.delphes.files.{sample}: name your files")


def _check_smoothing(key: str, smoothing: dict) -> None:
    widths, shares = smoothing["widths"], smoothing["shares"]
    if widths != sorted(widths, reverse=True):
        raise InputError(f"{key}.widths: name the widest noise first, not {widths}")
    if widths and len(widths) != len(shares):
        raise InputError(f"{key}.shares: {len(shares)} for {len(widths)} widths: give each its own")
    if widths and sum(shares) >= 1:
        raise InputError(
            f"{key}.shares: their sum is {sum(shares):g}: leave some for the densities themselves"
        )


def _check_search(config: dict) -> None:
    collider = config["collider"]
    mixed = collider["source"].startswith("lhco") and collider["signal_fraction"] > 0
    if targets.searches(config) and mixed:
        raise InputError(
            "config: collider.signal_fraction: the search adds the signal itself: set it to 0, "
            "or search.draws"
        )
    if targets.searches(config) and collider["regions_tev"]["reference_in_signal"]:
        raise InputError(
            "config: search.draws: templates would be made of events that flows are trained on: "
            "set it to 0, or collider.regions_tev.reference_in_signal to false"
        )


def _check_alternatives(config: dict) -> None:
    for name in config["alternatives"]["tasks"]:
        if name not in tasks.PAPER:
            known = ", ".join(tasks.PAPER)
            raise InputError(f"config: alternatives.tasks: no task '{name}' (there are {known})")
        mode = targets.mode(tasks.PAPER[name], config)
        if mode not in (None, "shared"):
            raise InputError(
                f"config: alternatives.tasks: {name} has condition '{mode}', "
                "and only flows go from one condition to another"
            )
    for method, settings in config["alternatives"]["methods"].items():
        if method in methods.FURTHER:
            known = (*RECIPE, *NETWORK)
            if unknown := set(settings or {}) - set(known):
                raise InputError(
                    f"config: alternatives.methods.{method}: no setting '{min(unknown)}' "
                    f"(there are {', '.join(known)})"
                )
        else:
            try:
                source_of(method)
            except InputError as error:
                raise InputError(f"config: alternatives.methods: {error}") from error
