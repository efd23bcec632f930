"""Time and memory of moving files of many rows, and what each option costs.

    PYTHONPATH=workflow python benchmarks/moving.py                       # ratios, in turns
    PYTHONPATH=workflow python benchmarks/moving.py --rows 10000000 --turns 1 \\
        --options "folds: 5, two objects"

Each row has two objects, each with two features, a condition and a category, and a signed weight.
Transports have flows of the default size, unless ``--layers`` says otherwise, with random
parameters, which move as fast as trained ones. Files are parquet, and each move is the command
``flowmorph move`` in a process of its own. Prints processor time a million objects, start-up taken
off, as a ratio to the move of one object without any option, the mean over turns, and the peak
memory (resident, libraries included).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
import yaml

from flowmorph.flows import storage
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.preprocess.categories import Categories
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import balancing, row_hashes
from flowmorph.user import bundle

CHUNK = 200_000
FEATURES, CONDITION = ["iso", "width"], ["pt", "part"]
PARTS = ("barrel", "endcap")
#: What a transport has, and what the command is told.
OPTIONS: dict[str, tuple[dict, list[str]]] = {
    "plain": ({}, []),
    "two objects": ({}, ["--object"]),
    "folds: 5": ({"folds": 5}, []),
    "balance": ({"balance": True}, []),
    "variations: 2": ({"variations": 2}, ["--variations", "envelope"]),
    "support": ({}, ["--support"]),
    "all": (
        {"folds": 5, "balance": True, "variations": 2},
        ["--object", "--variations", "envelope", "--support"],
    ),
    "folds: 5, two objects": ({"folds": 5}, ["--object"]),
}


def rows(number: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Rows of two objects."""
    result: dict[str, np.ndarray] = {"weight": rng.choice([-1.0, 1.0, 1.0], number)}
    for name in ("", "2"):
        result |= {
            f"iso{name}": np.where(rng.random(number) < 0.5, 0.0, rng.exponential(1, number)),
            f"width{name}": rng.normal(1, 0.2, number),
            f"pt{name}": rng.exponential(40, number),
            f"part{name}": np.where(rng.random(number) < 0.5, *PARTS),
            f"id{name}": rng.integers(0, 2**50, number),
        }
    return result


def write(path: Path, number: int) -> None:
    """Write a sample in pieces."""
    rng = np.random.default_rng(1)
    with pyarrow.parquet.ParquetWriter(path, pyarrow.table(rows(1, rng)).schema) as file:
        for first in range(0, number, CHUNK):
            file.write_table(pyarrow.table(rows(min(CHUNK, number - first), rng)))


def transport(
    folder: Path, layers: int, folds: int = 1, variations: int = 0, balance: bool = False
) -> Path:
    """A transport file whose flows have random parameters, in so many layers."""
    torch.manual_seed(1)
    table = rows(20_000, np.random.default_rng(2))
    table["part"] = (table["part"] == PARTS[1]).astype(float)
    choices = {"iso": {"spike": [0.0]}, "pt": {"transform": "quantile"}, "part": {}}
    choices["part"] = {"categorical": True}
    choices["width"] = {}
    fit = Preprocessor.fit(
        [table], {name: choices[name] for name in (*FEATURES, *CONDITION)},
        conditions=CONDITION, categories={"part": Categories(PARTS)},
    )  # fmt: skip
    network = yaml.safe_load(Path("config/config.yaml").read_text())["flows"]
    folder.mkdir()
    trainings = []
    for number in range(folds * (1 + variations)):
        files = {}
        for role in ("reference", "target", "transport"):
            size = network["transport" if role == "transport" else "density"]
            flow = Flow(Architecture(len(FEATURES), 3, **(size | {"layers": layers})))
            with torch.no_grad():
                flow.flat.add_(0.1 * torch.randn_like(flow.flat) * flow.mask)
            files[role] = str(folder / f"{role}_{number}.safetensors")
            storage.save(flow, files[role], {"config": {}, "seed": 1})
        trainings.append(files)
    regions = {"column": None, "train": [], "apply": [], "closure": True}
    note = {"method": "flows_for_flows", "features": FEATURES, "condition": CONDITION}
    note |= {"regions": regions, "preprocessing": fit.to_json(), "event": ["id"], "folds": folds}
    note |= {"variations": variations, "weights": "weight" if balance else None}
    bundle.write(trainings, note, folder / "transport.safetensors", weights(fit, table, balance))
    return folder


def weights(fit: Preprocessor, table: dict, balance: bool) -> dict[str, np.ndarray]:
    """What balances a sample against one that is harder, as arrays; none where it is not asked."""
    if not balance:
        return {}
    box = fit.inputs(fit.forward(table), CONDITION, len(table["pt"]))
    found = row_hashes.hashes(table, ["id"])
    harder = np.random.default_rng(3).random(len(box)) < table["pt"] / 100
    learnt, _ = balancing.fit(
        balancing.Spectrum(box, None, found),
        balancing.Spectrum(box[harder], None, found[harder]),
        [name for name, _ in fit.names(CONDITION)],
    )
    return learnt.to_arrays()


def moved(made: Path, source: Path, options: list[str]) -> tuple[float, float, float]:
    """Wall and processor time, s, and peak memory, GB, of one move."""
    told = []
    for option in options:
        told.append(option)
        if option == "--object":
            names = (*FEATURES, *CONDITION, "id")
            told += ["one", "--object", "two", *(f"{name}={name}2" for name in names)]
    output = source.with_stem("moved")
    command = [sys.executable, "-m", "flowmorph", "move", "--transport", str(made)]
    command += ["--input", str(source), "--output", str(output), *told]
    child = (
        "import json, os, resource, subprocess, sys, time; start = time.monotonic();"
        "subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL);"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(json.dumps([time.monotonic() - start, used.ru_utime + used.ru_stime,"
        " used.ru_maxrss / 1e6]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", child, *command], check=True, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": "workflow"},
    )  # fmt: skip
    output.unlink()
    return tuple(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--options", nargs="+", choices=OPTIONS, default=list(OPTIONS))
    parser.add_argument("--layers", type=int, default=4, help="of each flow")
    args = parser.parse_args()
    Path("results").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="results") as name:
        folder = Path(name)
        sources = [folder / "few.parquet", folder / "many.parquet"]
        for source, number in zip(sources, (1, args.rows), strict=True):
            write(source, number)
        transports = {
            option: transport(folder / str(i), args.layers, **OPTIONS[option][0])
            for i, option in enumerate(args.options)
        }
        taken: dict[str, list[np.ndarray]] = {option: [] for option in args.options}
        for _ in range(args.turns):
            for option, made in transports.items():
                few, many = (np.array(moved(made, s, OPTIONS[option][1])) for s in sources)
                taken[option].append(np.array([many[0], many[1] - few[1], many[2]]))
    first = None
    for option, each in taken.items():
        wall, used, peak = np.mean(each, axis=0)[:2].tolist() + [max(e[2] for e in each)]
        first = first or used
        print(
            f"{option}: {args.rows:,} rows, wall {wall:.0f} s, processor {used:.1f} s "
            f"({used / first:.2f} times the first), peak memory {peak:.2f} GB",
            flush=True,
        )


if __name__ == "__main__":
    main()
