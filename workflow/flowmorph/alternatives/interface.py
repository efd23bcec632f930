"""Methods that are no flows: what the module of one offers, and how it is found by its name.

A method is one module ``flowmorph.alternatives.<name>`` with

- a frozen dataclass ``Settings``, the entries under ``alternatives.methods.<name>`` of the
  configuration, and
- ``fit(reference, target, settings, seed)``, which learns from the training points of both
  samples, each a pair of points (N, D) and conditions (N, C), float32, and gives a function from
  points (n, D) and conditions (n, C) of the reference to a `Morphed`.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from flowmorph.errors import InputError

if TYPE_CHECKING:  # not at run time: every job reads the Snakefile, which imports this module
    import numpy as np

PACKAGE = "flowmorph.alternatives"

Points = tuple["np.ndarray", "np.ndarray"]


class Morphed(NamedTuple):
    """Reference points after a method: where they are, (N, D), and what each counts, (N,)."""

    points: np.ndarray
    weights: np.ndarray | None = None  # None: all count the same


Morph = Callable[["np.ndarray", "np.ndarray"], Morphed]
Fit = Callable[[Points, Points, int], Morph]


def source_of(method: str) -> str:
    """Path of a method's module, without importing it; raises InputError if there is none."""
    module = f"{PACKAGE}.{method}"
    named = method.isidentifier() and module != __name__
    spec = importlib.util.find_spec(module) if named else None
    if spec is None or spec.origin is None:
        raise InputError(f"no method '{method}': {PACKAGE} has no module of that name")
    return spec.origin


def find(method: str, settings: Mapping[str, object]) -> Fit:
    """Give a method, by its name, as a function of both training samples and a seed.

    Raises InputError for an unknown method, or for settings that are not the method's own.
    """
    source_of(method)
    module = importlib.import_module(f"{PACKAGE}.{method}")
    own = _settings(module, method, settings)
    return lambda reference, target, seed: module.fit(reference, target, own, seed)


def _settings(module: ModuleType, method: str, given: Mapping[str, object]) -> object:
    names = [field.name for field in dataclasses.fields(module.Settings)]
    if set(given) != set(names):
        raise InputError(
            f"config: alternatives.methods.{method}: "
            f"needed are {', '.join(names) or 'no settings'}, given {', '.join(given) or 'none'}"
        )
    return module.Settings(**given)
