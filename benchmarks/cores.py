"""Wall time of a run on more cores: its own jobs, scheduled with the times that they took.

    make && PYTHONPATH=workflow python benchmarks/cores.py

Every job takes one core for as long as its file in the run's ``benchmarks`` says. Jobs start in the
order in which they can, as in benchmarks/cluster.py. What Snakemake itself takes between jobs is
left out, so compare the line of as many cores as the run had with its real wall time. Where cores
share caches, memory or their clock, jobs beside each other take longer than these times.
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
import sys
from pathlib import Path

from cluster import Job, longest_chain, simulate

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n)+)", re.MULTILINE)


def read_jobs(configfiles: list[str]) -> dict[int, Job]:
    """Every job of a run as Snakemake lists it, with the time in its benchmark file."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--nolock"]
    if configfiles:
        command += ["--configfile", *configfiles]
    listed = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    jobs, inputs, makers = {}, {}, {}
    for number, (rule, block) in enumerate(BLOCK.findall(listed.stdout + listed.stderr)):
        given = dict(re.findall(r"^    (\w+): (.*)$", block, re.MULTILINE))
        jobs[number] = Job(rule, {}, set())
        if "benchmark" in given:
            with open(ROOT / given["benchmark"], encoding="utf-8") as stream:
                jobs[number].seconds = float(next(csv.DictReader(stream, delimiter="\t"))["s"])
        inputs[number] = given.get("input", "").split(", ")
        makers |= dict.fromkeys(given.get("output", "").split(", "), number)
    makers.pop("", None)
    for number, job in jobs.items():
        job.needs = {makers[name] for name in inputs[number] if name in makers}
    return jobs


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
    chain = sum(jobs[number].seconds for number in longest_chain(jobs))
    print(f"{len(jobs)} jobs, longest chain {chain / 60:.1f} min\n")
    print("| cores | minutes |\n| ---: | ---: |")
    for cores in args.cores:
        seconds, _ = simulate(jobs, cores, 1, 1e9, 0.0, 0.0, 0)
        print(f"| {cores} | {seconds / 60:.1f} |")


if __name__ == "__main__":
    main()
