"""The trainings of the user's flows: the nominal one and its variations, each once a fold."""

from __future__ import annotations

from dataclasses import dataclass

from flowmorph.errors import InputError
from flowmorph.plan import own_config
from flowmorph.plan.jobs.data import Part

#: Most variations of either kind, as the schema has it.
MOST = 99


@dataclass(frozen=True)
class Member:
    """One training of the user's flows.

    Attributes:
        number: from 1, in folders and seeds. It follows from the kind of the training alone: more
            variations of one kind leave those of the other as they are.
        variation: 0 for the nominal training, else the number of the variation.
        part: which rows it sees, and how often.
    """

    number: int
    variation: int
    part: Part


def members(config: dict) -> list[Member]:
    """Every training, variation by variation, and fold by fold in each.

    The nominal one comes first, then those that differ by their seed, then those with resampled
    events. Without folds their numbers are 1, from 2 on and from 101 on; with folds each number
    stands for that of one training a fold.
    """
    own = config["own"]
    folds, varied = own["folds"] or 0, own["variations"]
    repeated = max(varied["seeds"], config["seeds"]["own"] - 1)
    # Each with its place among all that there may be, and the number of its resampling.
    seeds = [(place, 0) for place in range(1 + repeated)]
    bootstraps = [(MOST + number, number) for number in range(1, varied["bootstrap"] + 1)]
    trainings = max(folds, 1)
    return [
        Member(1 + place * trainings + fold, variation, Part(folds, fold, bootstrap))
        for variation, (place, bootstrap) in enumerate(seeds + bootstraps)
        for fold in range(trainings)
    ]


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
