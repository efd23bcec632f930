"""Wall time of a run on more cores: its own jobs, scheduled with the times that they took.

    make && python benchmarks/cores.py

Every job takes one core for as long as its file in the run's ``benchmarks`` says. Of the jobs that
can start, the one with the most work behind it does. What Snakemake itself takes between jobs is
left out, so compare the line of as many cores as the run had with its real wall time. Where cores
share caches, memory or their clock, jobs beside each other take longer than these times.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n)+)", re.MULTILINE)


@dataclass
class Job:
    """A node of the graph: its rule, the seconds it took, and the numbers of jobs it waits for."""

    rule: str
    inputs: list[str]
    outputs: list[str]
    seconds: float = 0.0
    needs: set[int] = field(default_factory=set)


def read_jobs(configfiles: list[str]) -> list[Job]:
    """Every job of a run as Snakemake lists it, with the time in its benchmark file."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--nolock"]
    if configfiles:
        command += ["--configfile", *configfiles]
    listed = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    jobs = []
    for rule, block in BLOCK.findall(listed.stdout + listed.stderr):
        given = dict(re.findall(r"^    (\w+): (.*)$", block, re.MULTILINE))
        names = [given.get(key, "").split(", ") for key in ("input", "output")]
        seconds = 0.0
        if "benchmark" in given:
            with open(ROOT / given["benchmark"], encoding="utf-8") as stream:
                seconds = float(next(csv.DictReader(stream, delimiter="\t"))["s"])
        jobs.append(Job(rule, *names, seconds))
    makers = {name: number for number, job in enumerate(jobs) for name in job.outputs if name}
    for job in jobs:
        job.needs = {makers[name] for name in job.inputs if name in makers}
    return jobs


def chains(jobs: list[Job]) -> list[float]:
    """Seconds from the start of each job to the end of the longest chain that begins with it."""
    after: list[list[int]] = [[] for _ in jobs]
    for number, job in enumerate(jobs):
        for need in job.needs:
            after[need].append(number)
    found: dict[int, float] = {}

    def length(number: int) -> float:
        if number not in found:
            behind = max((length(each) for each in after[number]), default=0.0)
            found[number] = jobs[number].seconds + behind
        return found[number]

    return [length(number) for number in range(len(jobs))]


def wall(jobs: list[Job], cores: int) -> float:
    """Seconds until all jobs are done on a number of cores."""
    order = chains(jobs)
    missing = [len(job.needs) for job in jobs]
    ready = [(-order[number], number) for number, count in enumerate(missing) if not count]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < cores:
            _, number = heapq.heappop(ready)
            heapq.heappush(running, (now + jobs[number].seconds, number))
        now, ended = heapq.heappop(running)
        for number, job in enumerate(jobs):
            if ended in job.needs:
                missing[number] -= 1
                if not missing[number]:
                    heapq.heappush(ready, (-order[number], number))
    return now


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--configfile", nargs="+", default=[], help="of the run, beside the default"
    )
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    args = parser.parse_args()

    jobs = read_jobs(args.configfile)
    print(f"{len(jobs)} jobs, longest chain {max(chains(jobs)) / 60:.1f} min\n")
    print("| cores | minutes |\n| ---: | ---: |")
    for cores in args.cores:
        print(f"| {cores} | {wall(jobs, cores) / 60:.1f} |")


if __name__ == "__main__":
    main()
