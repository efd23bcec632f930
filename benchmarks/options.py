"""What each option of docs/worked-example.md costs in processor time, as ratios of one run.

    PYTHONPATH=workflow python benchmarks/options.py --events 5000

Trains on the data of that page without any option, then with each option alone, in this process and
on one thread, and moves further photons with what was trained. Prints a table: the processor time
of the training and of moving a photon, divided by those of the first line. Balanced weights count
as a part of the moving, and so do the moves by each variation.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import worked_example

import flowmorph
from flowmorph.user.transport import Transport

SPIKE = {"column": "iso", "spike": [0.0], "preprocess": "logit", "bounds": [0, 1000]}
PT, PART = {"column": "pt", "preprocess": "quantile"}, {"column": "part", "categorical": True}
COLUMNS = ("iso", "width", "pt", "part", "id")
#: Arguments of `flowmorph.fit` by what an option is called.
OPTIONS: dict[str, dict] = {
    "none": {},
    "`negative: resample`": {"weights": ("weight", None), "negative": "resample"},
    "`spike: [0.0]`, with `logit`": {"features": [SPIKE, "width"]},
    "a `categorical` condition": {"condition": [PT, PART]},
    "`balance: true`": {"balance": True},
    "`folds: 5`": {"folds": 5},
    "`variations: {bootstrap: 2}`": {"variations": {"bootstrap": 2}},
}


def seconds(work: Callable[[], object]) -> tuple[float, object]:
    """Processor time, s, and what the work gives."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def shortest(work: Callable[[], object], times: int = 5) -> float:
    """The least processor time, s, of several times: moving takes a moment, and others compute."""
    return min(seconds(work)[0] for _ in range(times))


def fit(data: Path, epochs: int, options: dict) -> Transport:
    """A transport of the page's settings, with these options and no other."""
    reference, target = (
        pd.read_parquet(data / f"photons_{name}.parquet") for name in ("mc", "data")
    )
    recipe = {"batch": 512, "epochs": epochs}
    arguments = {
        "features": ["iso", "width"],
        "condition": [PT],
        "event": ["id"],
        "method": "flows_for_flows",
        "training": {"density": recipe, "transport": recipe},
        "progress": False,
    }
    return flowmorph.fit(reference, target, **arguments | options)


def names(photon: str) -> dict[str, str]:
    """Columns of one of the photons of an event."""
    return {column: f"{photon}_{column}" for column in COLUMNS}


def move(transport: Transport, events: pd.DataFrame, photons: tuple[str, ...]) -> None:
    """Move photons, by each variation, and weigh them if they are to be balanced."""
    known = set(transport.columns)
    objects = {
        photon: {name: column for name, column in names(photon).items() if name in known}
        for photon in photons
    }
    for variation in range(1 + transport.variations):
        transport.move(events, objects=objects, variation=variation)
    if transport.balance is not None:
        for each in objects.values():
            transport.weights(events, rename=each)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=12)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        worked_example.make(data, args.events)
        events = pd.read_parquet(data / "events.parquet")
        # The first training of a process imports and compiles.
        move(fit(data, 1, {}), events, ("lead",))
        print("| option | training | moving |\n| --- | ---: | ---: |")
        first: tuple[float, float] | None = None
        for name, options in OPTIONS.items():
            trained, transport = seconds(lambda options=options: fit(data, args.epochs, options))
            moved = shortest(lambda one=transport: move(one, events, ("lead",)))
            if first is None:
                first, plain = (trained, moved), transport
            print(f"| {name} | {trained / first[0]:.1f} | {moved / first[1]:.1f} |", flush=True)
        both = shortest(lambda: move(plain, events, ("lead", "sublead")))
        print(f"| two objects of a row | 1.0 | {both / first[1]:.1f} |")
        rate = args.events / first[1]
        print(f"\nnone: training {first[0]:.0f} s, {rate:,.0f} photons a second are moved")


if __name__ == "__main__":
    main()
