"""Time and memory of reading, preprocessing and writing samples of many rows.

    PYTHONPATH=workflow python benchmarks/rows.py --rows 10000000 --format parquet

Writes a sample of six columns to a temporary folder in results/; then, in a process of
its own, brings its five features to the flows' box and back chunk by chunk, as a move does, into a
file of the same format; then, in another, reads all of it at once, as the preparation of a training
does. Prints wall time, processor time and peak memory (resident, libraries included) of each.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import uproot

from flowmorph.formats.tables import open_sample, open_writer
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples.reading import read_sample

FEATURES = {
    "a": {},
    "b": {"transform": "quantile"},
    "c": {"transform": "logit", "bounds": [0, 1]},
    "n": {"integer": True},
    "tail": {"transform": "quantile"},
}
CHUNK = 200_000


def numbers(rows: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Columns of all the kinds that have a transform, and a number for each row."""
    return {
        "a": rng.normal(0, 1, rows),
        "b": rng.gamma(2, 50, rows),
        "c": rng.beta(2, 5, rows),
        "n": rng.poisson(5, rows),
        "tail": rng.standard_cauchy(rows),
        "row": rng.integers(0, 2**40, rows),
    }


def write(path: Path, rows: int) -> None:
    """Write the sample in pieces."""
    rng = np.random.default_rng(1)
    sizes = [min(CHUNK, rows - first) for first in range(0, rows, CHUNK)]
    if path.suffix == ".parquet":
        schema = pyarrow.table(numbers(1, rng)).schema
        with pyarrow.parquet.ParquetWriter(path, schema) as file:
            for size in sizes:
                file.write_table(pyarrow.table(numbers(size, rng)))
    elif path.suffix == ".csv":
        for first, size in enumerate(sizes):
            frame = pandas.DataFrame(numbers(size, rng))
            frame.to_csv(path, mode="a" if first else "w", header=not first, index=False)
    else:
        with uproot.recreate(path) as file:
            tree = file.mktree("events", {k: v.dtype for k, v in numbers(1, rng).items()})
            for size in sizes:
                tree.extend(numbers(size, rng))


def through_the_box(path: Path) -> None:
    """Bring the features to the box and back, chunk by chunk, into a file of the same format."""
    files, rng = open_sample(str(path)), np.random.default_rng(2)
    some = numbers(100_000, np.random.default_rng(3))
    box = Preprocessor.fit([some], FEATURES)
    with open_writer(path.with_stem("moved"), files) as writer:
        for chunk in files.chunks(None, CHUNK):
            back = box.inverse(
                box.forward({name: files.numbers(chunk, name) for name in FEATURES}, rng)
            )
            writer.write({**chunk, **{f"{name}_moved": values for name, values in back.items()}})


def all_at_once(path: Path) -> None:
    """Read and check the features, and fit the box to them."""
    table, _ = read_sample(open_sample(str(path)), list(FEATURES))
    Preprocessor.fit([table], FEATURES)


def measured(call, path: Path, connection) -> None:
    """Run one of the above and send what it took."""
    start = time.monotonic()
    call(path)
    used = resource.getrusage(resource.RUSAGE_SELF)
    connection.send((time.monotonic() - start, used.ru_utime + used.ru_stime, used.ru_maxrss))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--format", choices=("parquet", "root", "csv"), default="parquet")
    args = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    Path("results").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="results") as folder:
        path = Path(folder) / f"sample.{args.format}"
        write(path, args.rows)
        print(f"{args.rows:,} rows of 6 columns, {path.stat().st_size / 1e9:.2f} GB")
        for call in (through_the_box, all_at_once):
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=measured, args=(call, path, theirs))
            process.start()
            theirs.close()
            wall, used, peak = ours.recv()
            process.join()
            print(
                f"{call.__name__}: wall {wall:.0f} s, processor {used:.0f} s, "
                f"peak memory {peak / 1e6:.2f} GB",
                flush=True,
            )


if __name__ == "__main__":
    main()
