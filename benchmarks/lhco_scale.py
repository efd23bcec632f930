"""Time and memory of the feature extraction of a large LHC Olympics file, through the real rules.

    PYTHONPATH=workflow python benchmarks/lhco_scale.py --events events_anomalydetection_tiny.h5

Writes a file of the published layout (pandas "fixed", key df, 700 x (pT, eta, phi), label) with
``--rows`` rows, by repeating the given events and jittering each particle (pT by 1 %, eta, phi by
0.01, so that compression and clustering meet new numbers), runs the rules up to the feature table
with ``--cores``, and prints wall and processor time, the peak memory of all processes together and
what both are for 1.1 million events. ``--check`` then does the same in one process, in pieces of
another size, and compares the tables row by row. The files go to a temporary folder in results/.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import budget
import numpy as np
import pandas
import tables
import yaml

from flowmorph.collider.features import build_features
from flowmorph.collider.lhco import LHCO_PARTICLES, read_lhco
from flowmorph.formats.flat_root import read_table
from flowmorph.plan import paths

ROOT = Path(__file__).parents[1]
FULL = 1_100_000


def write_repeated(source: Path, path: Path, rows: int) -> None:
    """Repeat the rows of ``source``, jittered, in the layout that pandas gives one row."""
    with tables.open_file(source) as file:
        real = file.root.df.block0_values[:]
    pandas.DataFrame(real[:1]).to_hdf(path, key="df", mode="w")
    rng = np.random.default_rng(1)
    with tables.open_file(path, "a") as file:
        group, filters = file.root.df, tables.Filters(complevel=5, complib="blosc")
        for name, width in (("block0_values", real.shape[1]), ("axis1", None)):
            old = group._f_get_child(name)
            shape = (0,) if width is None else (0, width)
            new = file.create_earray(
                group, f"new_{name}", old.atom, shape, filters=filters, expectedrows=rows
            )
            for key in old._v_attrs._f_list("user"):
                new._v_attrs[key] = old._v_attrs[key]
            old.remove()
            new.rename(name)
        for first in range(0, rows, len(real)):
            block = real[: rows - first].copy()
            particles = block[:, : 3 * LHCO_PARTICLES].reshape(len(block), LHCO_PARTICLES, 3)
            there = particles[..., 0] != 0
            count = int(there.sum())
            particles[there, 0] *= rng.normal(1, 0.01, count)
            particles[there, 1:] += rng.normal(0, 0.01, (count, 2))
            group.block0_values.append(block)
            group.axis1.append(np.arange(first, first + len(block)))


def run_rules(
    run: str, folder: Path, path: Path, rows: int, chunk: int, cores: int
) -> tuple[float, ...]:
    """Run snakemake to the feature table; give wall and processor seconds, and peak bytes."""
    config = folder / "scale.yaml"
    lhco = {"files": {"reference": str(path), "target": str(path)}, "chunk_events": chunk}
    lhco["events"] = {"reference": rows, "target": rows}
    config.write_text(yaml.safe_dump({"run": run, "collider": {"source": "lhco", "lhco": lhco}}))
    wanted = paths.features(paths.run_folder(run), "target")
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--forceall", wanted]
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(folder / "snakemake.log", "w") as log:
        process = subprocess.Popen(
            [*command, "--configfile", config], cwd=ROOT, stdout=log, stderr=log
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, budget.tree_memory(process.pid))
            time.sleep(1)
    if process.returncode:
        sys.exit((folder / "snakemake.log").read_text()[-3000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - start, used, peak


def check_rows(run: str, path: Path, rows: int, piece: int = 7_777) -> None:
    """Compare the rules' table with one that a single process makes, row by row."""
    merged = read_table(paths.features(paths.run_folder(run), "target"), "features")
    first = 0
    for start in range(0, rows, piece):
        events = read_lhco(path, start, min(start + piece, rows), 0.0)
        table, _ = build_features(events, 1200.0, 1.0, "fastjet")
        found = len(table["label"])
        for name, values in table.items():
            same = merged[name][first : first + found] == values
            if not np.all(same):
                sys.exit(f"column {name}: rows {start:,} to {start + piece:,} are not the same")
        first += found
    if first != len(merged["label"]):
        sys.exit(f"{len(merged['label']):,} rows were merged, {first:,} are right")
    print(f"{first:,} rows of {rows:,} events passed the cuts: all equal, in the same order")


def report(rows: int, cores: int, wall: float, used: float, peak: float) -> None:
    """Print what was measured and what it is for the whole sample."""
    print(
        f"{rows:,} events, {cores} cores: wall {wall / 60:.1f} min, processors {used / 60:.1f} min"
    )
    print(f"peak memory of all processes together: {peak / 1e9:.2f} GB")
    factor = FULL / rows / 60
    print(f"{1000 * used / rows:.2f} ms of a processor an event")
    print(
        f"{FULL:,} events: wall {wall * factor:.1f} min as loaded as this machine was, "
        f"{used * factor / cores:.1f} min if {cores} cores had nothing else to do"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=Path, required=True, help="LHC Olympics particle file")
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--chunk-events", type=int, default=20_000)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--check", action="store_true", help="compare all rows (minutes)")
    args = parser.parse_args()
    Path("results").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="results") as name:
        folder = Path(name).absolute()
        path = folder / "events.h5"
        write_repeated(args.events, path, args.rows)
        print(f"file of {args.rows:,} rows: {path.stat().st_size / 1e9:.2f} GB", flush=True)
        run = f"lhco-scale-{args.rows}"
        wall, used, peak = run_rules(run, folder, path, args.rows, args.chunk_events, args.cores)
        report(args.rows, args.cores, wall, used, peak)
        if args.check:
            check_rows(run, path, args.rows)


if __name__ == "__main__":
    main()
