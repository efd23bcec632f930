"""Harm a run at random until it is done, and compare its bytes with those of a quiet run.

    python benchmarks/faults.py --configfile config/quick.yaml --kills 100

The quiet run has one core, the harmed one two. Both happen in copies of the project under
--folder, at the same time. Faults come at random moments until --kills SIGKILLs have hit jobs or
snakemake itself; after each end snakemake is started again. As root the harmed copy lies on a small
file system of its own, which then is full or read-only for some seconds now and then. With
libfaketime the clock that all its programs see jumps ahead by up to two days at a time. Exit
status 1 when a file differs.
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
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import yaml

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "rules", "workflow", "config", "profiles", "envs")
# What tells of a run instead of being a result of it.
RECORDS = ("logs", "benchmarks")
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
SHARED_MEMORY = Path("/dev/shm")
KILLS = ("job killed", "snakemake killed")
SHARES = {
    "job killed": 45, "snakemake killed": 20, "Ctrl-C": 8, "second snakemake": 7,
    "disk full": 8, "read-only results": 6, "clock jump": 6,
}  # fmt: skip


def copy_project(folder: Path, configfile: str | Path, override: dict) -> None:
    """Copy what a run needs; its configuration becomes run.yaml."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        else:
            shutil.copy(ROOT / part, folder / part)
    config = yaml.safe_load(Path(configfile).read_text()) | override
    (folder / "run.yaml").write_text(yaml.safe_dump(config))


def snakemake(folder: Path, log, *arguments: str, clock: Path | None = None) -> subprocess.Popen:
    """Start snakemake as the leader of a process group of its own."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--configfile", "run.yaml"]
    environment = dict(os.environ)
    if clock:
        forget_clocks_of_the_killed()
        # File times stay true, as on a file server with a right clock; so does the monotonic clock,
        # which no jump of the real one moves.
        environment |= {
            "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }  # fmt: skip
    return subprocess.Popen(
        command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, env=environment,
        start_new_session=True,
    )  # fmt: skip


def forget_clocks_of_the_killed() -> None:
    """Delete what libfaketime shares between processes, where its process is no more.

    A process that is killed leaves it behind, and one that later has the same number then ends with
    "shm_open failed" before it does anything.
    """
    for file in SHARED_MEMORY.glob("*faketime_*"):
        number = file.name.rpartition("_")[2]
        if number.isdigit() and not psutil.pid_exists(int(number)):
            file.unlink(missing_ok=True)


def scripts_below(process: int) -> list[psutil.Process]:
    """The running scripts of a snakemake."""
    found = []
    for child in psutil.Process(process).children(recursive=True):
        try:
            if any("workflow/scripts" in word for word in child.cmdline()[1:2]):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def scripts_in(folder: Path) -> list[psutil.Process]:
    """Every running script of a project, those whose snakemake was killed included."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and "workflow/scripts" in " ".join(process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@contextmanager
def small_disk(folder: Path, megabytes: int):
    """A file system of its own for a folder."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "faults", str(folder)], check=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def unwritable(folder: Path):
    """Nothing in a folder can be opened for writing."""
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Harmer:
    """One project that is run and harmed until it is done."""

    def __init__(self, folder: Path, arguments: list[str], log: Path, rng: random.Random) -> None:
        """``arguments`` are snakemake's."""
        self.folder, self.arguments, self.rng = folder, arguments, rng
        self.log = open(log, "a")
        self.megabytes = 0
        self.hours = 0  # that the clock is ahead
        self.clock: Path | None = None
        self.faults: Counter[str] = Counter()
        self.runs = 0
        self.failed = 0
        self.started = 0.0
        self.running: subprocess.Popen | None = None

    def start(self) -> None:
        """Start the next run, as a person would who finds the last one dead."""
        if any((self.folder / ".snakemake/locks").glob("*")):
            snakemake(self.folder, self.log, "--unlock").wait()
        self.running = snakemake(self.folder, self.log, *self.arguments, clock=self.clock)
        self.runs += 1

    def wait_for_job(self) -> None:
        """Wait until a job runs, or snakemake has ended."""
        while self.running.poll() is None:
            with suppress(psutil.NoSuchProcess):
                if scripts_below(self.running.pid):
                    return
            time.sleep(0.1)

    def possible(self) -> dict[str, int]:
        """Weights of the faults that this machine allows."""
        missing = set() if self.megabytes else {"disk full", "read-only results"}
        missing |= set() if self.clock else {"clock jump"}
        return {name: share for name, share in SHARES.items() if name not in missing}

    def harm(self, name: str) -> None:
        """Do one harm, and count it if there was something to harm."""
        harms: dict[str, Callable[[], str | None]] = {
            "job killed": self.kill_job, "snakemake killed": self.kill_snakemake,
            "Ctrl-C": self.interrupt, "second snakemake": self.second, "disk full": self.fill_disk,
            "read-only results": self.read_only, "clock jump": self.jump,
        }  # fmt: skip
        try:
            done = harms[name]()
        except psutil.NoSuchProcess:
            return
        if done:
            self.faults[done] += 1
            print(f"{time.monotonic() - self.started:6.0f} s run {self.runs}: {done}", flush=True)

    def kill_job(self) -> str | None:
        """SIGKILL for one script."""
        scripts = scripts_below(self.running.pid)
        if not scripts:
            return None
        self.rng.choice(scripts).kill()
        return "job killed"

    def kill_snakemake(self) -> str:
        """SIGKILL for snakemake alone; its jobs go on, as they do on a cluster."""
        self.running.kill()
        self.running.wait()
        return "snakemake killed"

    def interrupt(self) -> str:
        """What a terminal does at Ctrl-C."""
        os.killpg(self.running.pid, signal.SIGINT)
        return "Ctrl-C"

    def second(self) -> str | None:
        """Another snakemake on the same folder, which has to find it locked."""
        if not any((self.folder / ".snakemake/locks").glob("*")):
            return None
        other = snakemake(self.folder, self.log, *self.arguments, clock=self.clock)
        while other.poll() is None and self.running.poll() is None:
            time.sleep(0.2)
        if other.poll() is None:  # the first one ended meanwhile
            os.killpg(other.pid, signal.SIGKILL)
            return None
        return "second snakemake" if other.returncode else "second snakemake, not refused"

    def fill_disk(self) -> str:
        """No byte is left for some seconds."""
        self.resize(max(1, psutil.disk_usage(str(self.folder)).used >> 10))
        time.sleep(self.rng.uniform(1, 5))
        self.resize(self.megabytes << 10)
        return "disk full"

    def resize(self, kilobytes: int) -> None:
        """Set the size of the file system."""
        options = f"remount,size={kilobytes}k"
        subprocess.run(["mount", "-o", options, str(self.folder)], check=True)

    def read_only(self) -> str | None:
        """Nothing in the results folder can be opened for writing for some seconds."""
        results = self.folder / "results"
        if not results.is_dir():
            return None
        with unwritable(results):
            time.sleep(self.rng.uniform(1, 5))
        return "read-only results"

    def jump(self) -> str:
        """A later time of day for snakemake and every job, from now on.

        A clock that goes back behind the time of a file stops Snakemake, which names the file.
        """
        self.hours += self.rng.randint(1, 48)
        self.clock.write_text(f"{self.hours:+d}h\n")
        return "clock jump"

    def run(self, kills: int, mean_seconds: float) -> None:
        """Run until done, with faults until ``kills`` SIGKILLs have hit.

        A run that is done before that many is begun again from nothing.
        """
        self.started = time.monotonic()
        chances = self.possible()
        while True:
            self.start()
            while self.running.poll() is None:
                if self.kills() >= kills:
                    self.running.wait()
                    break
                if self.rng.random() < 0.8:  # or most faults of a slow machine hit its start
                    self.wait_for_job()
                time.sleep(self.rng.expovariate(1 / mean_seconds))
                if self.running.poll() is None:
                    self.harm(self.rng.choices(list(chances), list(chances.values()))[0])
            if self.running.returncode == 0 and self.kills() >= kills:
                break
            if self.running.returncode == 0:
                self.wait_for_scripts()
                shutil.rmtree(self.folder / "results")
            else:
                self.failed += 1
            if self.failed > 2 * self.faults.total() + 5:
                end = Path(self.log.name).read_text()[-3000:]
                raise TimeoutError(f"{self.failed} runs failed; {self.log.name} ends with\n{end}")
        self.wait_for_scripts()
        self.log.close()

    def kills(self) -> int:
        """SIGKILLs so far."""
        return sum(self.faults[name] for name in KILLS)

    def wait_for_scripts(self) -> None:
        """Until the jobs whose snakemake was killed have ended too."""
        while scripts_in(self.folder):
            time.sleep(0.5)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every result by its path."""
    results = folder / "results"
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(results.rglob("*"))
        if path.is_file() and path.relative_to(results).parts[1] not in RECORDS
    }


def differing(one: Path, other: Path) -> list[str]:
    """Results of two projects that are not the same, or in one of them only."""
    first, second = digests(one), digests(other)
    return sorted(
        name for name in first.keys() | second.keys() if first.get(name) != second.get(name)
    )


def resumed(folder: Path) -> int:
    """Trainings whose last attempt went on from a checkpoint."""
    logs = (folder / "results").rglob("logs/train_*/**/*.log")
    return sum("goes on from step" in path.read_text() for path in logs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--configfile", default="config/quick.yaml")
    parser.add_argument("--kills", type=int, default=100, help="SIGKILLs; no faults after these")
    parser.add_argument("--mean-seconds", type=float, default=6.0, help="between faults")
    parser.add_argument("--checkpoint-minutes", type=float, default=0.01)
    parser.add_argument("--megabytes", type=int, default=4000, help="size of the small disk")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", help="new folder for both runs (default: a temporary one)")
    parser.add_argument("targets", nargs="*", help="of snakemake (default: everything)")
    args = parser.parse_args()
    top = Path(args.folder or tempfile.mkdtemp(prefix="faults-")).resolve()
    quiet, harmed = top / "quiet", top / "harmed"
    quiet.mkdir(parents=True)
    harmed.mkdir()
    override = {"checkpoint_minutes": args.checkpoint_minutes}
    arguments = [*args.targets, "--keep-going", "--cores"]
    print(f"logs: {top}", flush=True)
    with ExitStack() as stack:
        harmer = Harmer(harmed, [*arguments, "2"], top / "harmed.log", random.Random(args.seed))
        if os.geteuid() == 0:
            stack.enter_context(small_disk(harmed, args.megabytes))
            harmer.megabytes = args.megabytes
        else:
            print("not root: no full disk and no read-only folder")
        if FAKETIME.exists():
            harmer.clock = top / "clock"
            harmer.clock.write_text("+0h\n")
        else:
            print("no libfaketime: no clock jumps")
        for folder in (quiet, harmed):
            copy_project(folder, args.configfile, override)
        log = stack.enter_context(open(top / "quiet.log", "w"))
        still = snakemake(quiet, log, *arguments, "1")
        harmer.run(args.kills, args.mean_seconds)
        seconds = time.monotonic() - harmer.started
        if still.wait():
            sys.exit(f"the quiet run failed: see {log.name}")
        different = differing(quiet, harmed)
        counts = ", ".join(f"{count} {name}" for name, count in harmer.faults.most_common())
        print(f"faults: {harmer.faults.total()} ({counts}) in {seconds / 60:.0f} min")
        print(f"trainings that went on from a checkpoint: {resumed(harmed)}")
        print(f"runs needed: {harmer.runs}; files compared: {len(digests(quiet))}; ", end="")
        print(f"differing: {len(different)}")
        for name in different:
            print(f"  {name}")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
