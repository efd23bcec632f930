"""What a row costs in an exported model, beside `Transport.move`.

    PYTHONPATH=workflow python benchmarks/export.py results/mine/transports/own/movement_penalty

Moves the same rows, drawn in the range of the training, in turns: by Python's `move`, by
onnxruntime from Python and, where the C++ example is compiled (`--program`), by onnxruntime from
C++, each on one thread. The table has the median over the turns, in microseconds of the processor's
time a row: what computes beside does not count, but for the caches that it fills.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import flowmorph
from flowmorph.user.export import check
from flowmorph.user.export.columns import Column
from flowmorph.user.export.model import FACTOR, FOLD, UNIFORM, weighing
from flowmorph.user.transport import Transport


def drawn(transport: Transport, rows: int) -> dict[str, np.ndarray]:
    """Columns (rows,), evenly in the range of the training."""
    rng, known = np.random.default_rng(1), transport.preprocessing
    return {
        name: known.inverse({name: rng.uniform(*transform.ends, rows)})[name].astype(np.float32)
        for name, transform in known.maps.items()
    } | {name: rng.integers(0, 2, rows) for name in known.categories}


def inputs(transport: Transport, table: dict[str, np.ndarray], also: list[str]) -> dict:
    """Inputs (rows,) of the model."""
    known, rng, given = transport.preprocessing, np.random.default_rng(2), dict(table)
    for name in known.maps:
        if Column.of(known, name).noisy:
            given[name + UNIFORM] = rng.random(len(table[name]), np.float32)
    if FACTOR in also and transport.folds == 1 < len(weighing(transport, 0).odds):
        given[FOLD] = transport.fold(table)
    return given


def seconds(work: Callable[[], object], batch: int) -> float:
    """Of one call; small ones are repeated."""
    repeats = max(1, 200 // batch)
    begin = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - begin) / repeats


def in_cpp(program: str, model: Path, given: dict[str, np.ndarray], names: list[str]) -> float:
    """Seconds of one run, as the C++ example measures it."""
    lines = [",".join(name + ":int" * (values.dtype == int) for name, values in given.items())]
    lines += [
        ",".join(map(repr, row)) for row in zip(*(v.tolist() for v in given.values()), strict=True)
    ]
    done = subprocess.run(
        [program, str(model), ",".join(names)],
        input="\n".join(lines) + "\n", capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stderr.split()[-2])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("transport", help="file, or the folder that holds it")
    parser.add_argument("--fold", type=int)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 1_000, 100_000], help="at once")
    parser.add_argument("--also", nargs="+", default=[], help="further outputs")
    parser.add_argument("--turns", type=int, default=3, help="after a first one")
    parser.add_argument("--program", help="examples/cpp/move.cpp, compiled")
    args = parser.parse_args()
    transport = flowmorph.load(args.transport, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        models = {kind: Path(folder, f"{kind}.onnx") for kind in ("float64", "float32")}
        for kind, path in models.items():
            transport.export(path, arithmetic=kind, fold=args.fold, outputs=args.also)
        sessions = {kind: check.session(path.read_bytes()) for kind, path in models.items()}
        names = [each.name for each in sessions["float64"].get_outputs()]
        print("| rows at once | how | us a row |\n| ---: | --- | ---: |")
        for batch in args.rows:
            table = drawn(transport, batch)
            given = inputs(transport, table, args.also)
            found: dict[str, list[float]] = {}
            # The first turn warms up.
            for turn in range(args.turns + 1):
                ways = {"move": seconds(lambda table=table: transport.move(table), batch)}
                for kind, session in sessions.items():
                    ways[f"onnxruntime, flows in {kind}"] = seconds(
                        lambda session=session, given=given: session.run(names, given), batch
                    )
                    if args.program:
                        taken = in_cpp(args.program, models[kind], given, names)
                        ways[f"the same from C++, {kind}"] = taken
                for way, taken in ways.items() if turn else ():
                    found.setdefault(way, []).append(taken / batch * 1e6)
            for way, each in found.items():
                print(f"| {batch} | {way} | {statistics.median(each):.3g} |", flush=True)


if __name__ == "__main__":
    main()
