"""The trainings of the user's flows: the nominal one and its variations, each once a fold."""

from __future__ import annotations

from dataclasses import dataclass

from flowmorph.errors import InputError
from flowmorph.plan import own_config
from flowmorph.plan.jobs.data import Part


@dataclass(frozen=True)
class Member:
    """One training of the user's flows.

    Attributes:
        number: from 1.
        variation: 0 for the nominal training, else the number of the variation.
        part: which rows it sees, and how often.
    """

    number: int
    variation: int
    part: Part


def members(config: dict) -> list[Member]:
    """Every training, variation by variation, and fold by fold in each.

    The nominal one comes first, then those that differ by their seed, then those with resampled
    events.
    """
    own = config["own"]
    folds, varied = own["folds"] or 0, own["variations"]
    repeated = max(varied["seeds"], config["seeds"]["own"] - 1)
    bootstraps = [0] * (1 + repeated) + list(range(1, varied["bootstrap"] + 1))
    parts = [
        (variation, Part(folds, fold, bootstrap))
        for variation, bootstrap in enumerate(bootstraps)
        for fold in range(max(folds, 1))
    ]
    return [Member(number, *each) for number, each in enumerate(parts, start=1)]


def moving(config: dict) -> list[Member]:
    """Those whose transports are in the transport file.

    Repeated trainings of ``seeds`` say how far the first is to be trusted, and move no file.
    """
    variations = sum(config["own"]["variations"][kind] for kind in ("seeds", "bootstrap"))
    return [each for each in members(config) if each.variation <= variations]


def check(config: dict) -> None:
    """Raise InputError, naming the key, for trainings of own samples that do not go together."""
    own = config["own"]
    if not own_config.given(config):
        return
    several = own["folds"] or any(own["variations"][kind] for kind in ("seeds", "bootstrap"))
    if several and config["seeds"]["own"] > 1:
        raise InputError(
            "config: seeds.own: with own.folds or own.variations trainings are repeated by "
            "own.variations.seeds: set seeds.own to 1"
        )
    used = set(own_config.columns([*own["features"], *own["condition"]]))
    for name in own["event"]:
        if name in used:
            raise InputError(
                f"config: own.event: {name!r} is a feature or a condition: name columns that "
                "identify an event, such as run and event number"
            )
