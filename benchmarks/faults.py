"""Kill jobs and snakemake at random until a run is done, and compare its bytes with a quiet run's.

    python benchmarks/faults.py --configfile config/quick.yaml --kills 100

Both runs happen in copies of the project under --folder. Of the faults, one in five ends snakemake
itself, one in ten is Ctrl-C, one in ten starts a second snakemake on the same folder; the others
end a random job. Exit status 1 when a file differs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "rules", "workflow", "config", "profiles", "envs")
# What tells of a run instead of being a result of it.
RECORDS = ("logs", "benchmarks")


def copy_project(folder: Path, configfile: str) -> None:
    """Copy what a run needs, so that it has a folder and a cache of its own."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        else:
            shutil.copy(ROOT / part, folder / part)
    shutil.copy(configfile, folder / "run.yaml")


def start(folder: Path, cores: int, log) -> subprocess.Popen:
    """Start snakemake as the leader of a process group of its own."""
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--keep-going"]
    return subprocess.Popen(
        [*command, "--configfile", "run.yaml"],
        cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def jobs(snakemake: subprocess.Popen) -> list[psutil.Process]:
    """The running scripts."""
    found = []
    for process in psutil.Process(snakemake.pid).children(recursive=True):
        try:
            if any("workflow/scripts" in word for word in process.cmdline()[1:2]):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def disturb(snakemake: subprocess.Popen, rng: random.Random, folder: Path, log) -> str | None:
    """Do one random harm; None if there was nothing to harm."""
    chance = rng.random()
    if chance < 0.2:
        snakemake.kill()
        return "snakemake killed"
    if chance < 0.3:
        os.killpg(snakemake.pid, signal.SIGINT)
        return "Ctrl-C"
    if chance < 0.4:
        second = start(folder, 1, log)
        # It finds the folder locked; one that got in would run on, so it is not left alone.
        try:
            second.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(second.pid, signal.SIGKILL)
            return "second snakemake, not refused"
        return "second snakemake"
    running = jobs(snakemake)
    if not running:
        return None
    rng.choice(running).kill()
    return "job killed"


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every result by its path."""
    results = folder / "results"
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(results.rglob("*"))
        if path.is_file() and path.relative_to(results).parts[1] not in RECORDS
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--configfile", required=True)
    parser.add_argument("--kills", type=int, default=100, help="no more faults after this many")
    parser.add_argument("--mean-seconds", type=float, default=2.0, help="between faults")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", help="new folder for both runs (default: a temporary one)")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    top = Path(args.folder or tempfile.mkdtemp(prefix="faults-"))
    quiet, harmed = top / "quiet", top / "harmed"
    for folder in (quiet, harmed):
        folder.mkdir(parents=True)
        copy_project(folder, args.configfile)

    with open(top / "quiet.log", "w") as log:
        if start(quiet, args.cores, log).wait():
            sys.exit(f"the quiet run failed: see {log.name}")

    faults: Counter[str] = Counter()
    runs = 0
    with open(top / "harmed.log", "w") as log:
        while True:
            subprocess.run(
                [sys.executable, "-m", "snakemake", "--unlock", "--configfile", "run.yaml"],
                cwd=harmed, stdout=log, stderr=subprocess.STDOUT, check=True,
            )  # fmt: skip
            snakemake = start(harmed, args.cores, log)
            runs += 1
            while snakemake.poll() is None:
                if faults.total() >= args.kills:
                    snakemake.wait()
                    break
                time.sleep(rng.expovariate(1 / args.mean_seconds))
                if snakemake.poll() is None:
                    fault = disturb(snakemake, rng, harmed, log)
                    faults.update([fault] if fault else [])
            if snakemake.returncode == 0:
                break
            if runs > 2 * args.kills + 5:
                sys.exit(f"not done after {runs} runs: see {log.name}")

    expected, got = digests(quiet), digests(harmed)
    differing = sorted(
        name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name)
    )
    print(f"faults: {faults.total()} ({', '.join(f'{n} {k}' for k, n in faults.items())})")
    print(f"runs needed: {runs}; files compared: {len(expected)}; differing: {len(differing)}")
    for name in differing:
        print(f"  {name}")
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
