"""How long a configuration takes on a cluster: list scheduling of snakemake's own job graph.

    PYTHONPATH=workflow python benchmarks/cluster.py --configfile config/paper.yaml

Prints the stages, the longest chain, and the wall time over slots, copies of the run (one for each
seed) and submission rates. A slot runs one submission at a time. Submissions leave one after the
other; the end of a job is noticed --notice seconds later, as snakemake polls; local rules have
--local-cores. Groups and local rules are those of profiles/slurm and the Snakefile.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import re
import subprocess
import sys
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, ResourceSettings

from flowmorph.plan import tasks

ROOT = Path(__file__).parents[1]
HOUR = 3600.0


@dataclass
class Job:
    """A node of the graph: what it is, how long it takes on one core, what it waits for."""

    rule: str
    wildcards: dict[str, str]
    needs: set[int]
    seconds: float = 0.0
    local: bool = False
    members: list[str] = field(default_factory=list)


def read_graph(configfile: str) -> dict[int, Job]:
    """Every job of a configuration, by number, from ``snakemake --dag``."""
    command = [sys.executable, "-m", "snakemake", "--dag", "dot", "--forceall", "--nolock"]
    dot = subprocess.run(
        [*command, "--configfile", configfile], cwd=ROOT, text=True, capture_output=True, check=True
    ).stdout
    jobs = {}
    for number, label in re.findall(r'^\t(\d+)\[label = "([^"]*)"', dot, re.MULTILINE):
        rule, *wildcards = label.split(r"\n")
        jobs[int(number)] = Job(rule, dict(each.split(": ", 1) for each in wildcards), set())
    for before, after in re.findall(r"^\t(\d+) -> (\d+)", dot, re.MULTILINE):
        jobs[int(after)].needs.add(int(before))
    # A label leaves out the wildcards of what the job needs.
    for number in topological(jobs):
        job = jobs[number]
        if job.rule in ("move_samples", "measure_task"):
            (task,) = {
                jobs[need].wildcards["task"] for need in job.needs if "task" in jobs[need].wildcards
            } or {job.wildcards.get("task")}
            job.wildcards["task"] = task
    return jobs


def read_config(configfile: str) -> dict:
    """The configuration as snakemake merges it."""

    def merge(below: dict, above: dict) -> dict:
        merged = below | above
        for key in below.keys() & above.keys():
            if isinstance(below[key], dict):
                merged[key] = merge(below[key], above[key])
        return merged

    files = (ROOT / "config/config.yaml", ROOT / configfile)
    return merge(*(yaml.safe_load(path.read_text()) for path in files))


def family_of(name: str) -> str:
    """The family of a data set or a task."""
    return (tasks.DATASETS.get(name) or tasks.TASKS[name]).family.name


def steps_of(config: dict, family: str, kind: str, events: dict, sample: str) -> float:
    """Optimizer steps of one training."""
    recipe = config["training"][family][kind]
    if family == "collider":
        points = events[f"{sample}_train"]
    else:
        points = config["toys" if family == "toy" else "rotated"]["points"]["train"]
    return recipe["epochs"] * points / recipe["batch"]


def seconds_of(job: Job, config: dict, times: dict, events: dict) -> float:
    """Time of one job on one core."""
    if job.rule == "train_density":
        dataset = job.wildcards["dataset"]
        family = family_of(dataset)
        sample = dataset if family == "collider" else ""
        steps = steps_of(config, family, "density", events, sample)
        return times["training_start"] + steps * times["step_ms"][family]["density"] / 1000
    if job.rule == "train_transport":
        family = family_of(job.wildcards["task"])
        # The larger sample sets the length, and in the paper's numbers that is the reference.
        steps = steps_of(config, family, "transport", events, "reference")
        ms = times["step_ms"][family]
        one = ms["inverse"] if job.wildcards["method"] == "unidirectional" else None
        return times["training_start"] + steps * (one or (ms["forward"] + ms["inverse"]) / 2) / 1000
    seconds = times["seconds"].get(job.rule, times["seconds"]["default"])
    return seconds[family_of(job.wildcards["task"])] if isinstance(seconds, dict) else seconds


def local_rules(configfile: str) -> set[str]:
    """The rules that stay on the machine where snakemake runs."""
    given = ConfigSettings(configfiles=[ROOT / configfile])
    with SnakemakeApi() as api, contextlib.chdir(ROOT):
        parsed = api.workflow(ResourceSettings(), given, snakefile=ROOT / "Snakefile")._workflow
        return parsed._localrules


def grouped(jobs: dict[int, Job], profile: dict) -> dict[int, Job]:
    """Join chains of grouped rules, several chains to a submission, as snakemake does."""
    rules = dict(each.split("=") for each in profile["groups"])
    sizes = {name: int(n) for name, n in (x.split("=") for x in profile["group-components"])}
    leader = {number: number for number in jobs}
    chains: dict[str, list[int]] = {}
    for number, job in jobs.items():
        if job.rule in rules and not any(jobs[n].rule in rules for n in job.needs):
            chains.setdefault(rules[job.rule], []).append(number)
    for name, firsts in chains.items():
        for index, number in enumerate(firsts):
            leader[number] = firsts[index - index % sizes[name]]
    for number in topological(jobs):
        inside = [n for n in jobs[number].needs if jobs[n].rule in rules]
        if jobs[number].rule in rules and inside:
            leader[number] = leader[inside[0]]
    joined: dict[int, Job] = {}
    for number in topological(jobs):
        job, head = jobs[number], leader[number]
        entry = joined.setdefault(head, Job(job.rule, job.wildcards, set(), local=job.local))
        entry.needs |= {leader[n] for n in job.needs} - {head}
        entry.seconds += job.seconds / (profile["cores"] if job.rule in rules else 1)
        entry.members.append(job.rule)
    return joined


def topological(jobs: dict[int, Job]) -> list[int]:
    """Numbers so that each comes after what it needs."""
    order, missing = [], {number: len(job.needs) for number, job in jobs.items()}
    after = followers(jobs)
    ready = deque(number for number, count in missing.items() if not count)
    while ready:
        number = ready.popleft()
        order.append(number)
        for follower in after[number]:
            missing[follower] -= 1
            if not missing[follower]:
                ready.append(follower)
    return order


def followers(jobs: dict[int, Job]) -> dict[int, list[int]]:
    """Who waits for each job."""
    after: dict[int, list[int]] = {number: [] for number in jobs}
    for number, job in jobs.items():
        for need in job.needs:
            after[need].append(number)
    return after


def longest_chain(jobs: dict[int, Job]) -> list[int]:
    """The jobs whose times add up to the shortest possible run."""
    ends: dict[int, float] = {}
    before: dict[int, int | None] = {}
    for number in topological(jobs):
        before[number] = max(jobs[number].needs, key=ends.get, default=None)
        ends[number] = jobs[number].seconds + ends.get(before[number], 0.0)
    number, chain = max(ends, key=ends.get), []
    while number is not None:
        chain.append(number)
        number = before[number]
    return chain[::-1]


def simulate(
    jobs: dict[int, Job], slots: int, copies: int, rate: float, notice: float,
    overhead: float, local_cores: int,
) -> tuple[float, float]:  # fmt: skip
    """Seconds until ``copies`` of the graph are done, and the mean number of busy slots.

    Parameters
    ----------
    slots
        Submissions that run at the same time, first come first served.
    rate
        Submissions per second of all copies together.
    notice, overhead
        Seconds between a job's end and the start of what waits for it; added to each submission.
    local_cores
        Local jobs of each copy at the same time.
    """
    after = followers(jobs)
    missing = {(c, n): len(job.needs) for c in range(copies) for n, job in jobs.items()}
    free, free_local = slots, [local_cores] * copies
    waiting, waiting_local = deque(), [deque() for _ in range(copies)]
    events: list[tuple[float, int, str, tuple[int, int]]] = []
    count, now, busy, submitted = 0, 0.0, 0.0, 0.0

    def at(moment: float, what: str, key: tuple[int, int]) -> None:
        nonlocal count
        count += 1
        heapq.heappush(events, (moment, count, what, key))

    def release(key: tuple[int, int]) -> None:
        nonlocal submitted
        if jobs[key[1]].local:
            waiting_local[key[0]].append(key)
        else:
            submitted = max(submitted, now) + 1 / rate
            at(submitted, "arrives", key)

    def start() -> None:
        nonlocal free, busy
        while free and waiting:
            key = waiting.popleft()
            free -= 1
            length = overhead + jobs[key[1]].seconds
            busy += length
            at(now + length, "leaves", key)
        for copy, queue in enumerate(waiting_local):
            while free_local[copy] and queue:
                key = queue.popleft()
                free_local[copy] -= 1
                at(now + jobs[key[1]].seconds, "ends", key)

    for key, needed in missing.items():
        if not needed:
            release(key)
    start()
    while events:
        now, _, what, key = heapq.heappop(events)
        copy, number = key
        if what == "arrives":
            waiting.append(key)
        elif what == "leaves":
            free += 1
            at(now + notice, "noticed", key)
        else:
            free_local[copy] += what == "ends"
            for follower in after[number]:
                missing[copy, follower] -= 1
                if not missing[copy, follower]:
                    release((copy, follower))
        start()
    return now, busy / now


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--configfile", default="config/paper.yaml")
    parser.add_argument("--times", default="benchmarks/paper_times.yaml", help="of each job")
    parser.add_argument("--slots", type=int, nargs="+", default=[2, 10, 32, 100, 1000, 10_000])
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.1, 1.0, 5.0])
    parser.add_argument("--notice", type=float, default=60.0)
    parser.add_argument("--local-cores", type=int, default=2)
    args = parser.parse_args()

    config = read_config(args.configfile)
    times = yaml.safe_load((ROOT / args.times).read_text())
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    numbers = yaml.safe_load((ROOT / "config/paper_numbers.yaml").read_text())
    jobs, local = read_graph(args.configfile), local_rules(args.configfile)
    for job in jobs.values():
        job.seconds = seconds_of(job, config, times, numbers["science_preparation"]["events"])
        job.local = job.rule in local

    print("| stage | jobs | hours of one job | core hours |\n| --- | --- | --- | --- |")
    stages: dict[str, list[float]] = {}
    for job in jobs.values():
        names = [job.wildcards[key] for key in ("dataset", "task") if key in job.wildcards]
        kind = f"{job.rule}, {family_of(names[0])}" if names else job.rule
        stages.setdefault("local rules" if job.local else kind, []).append(job.seconds / HOUR)
    for stage, hours in sorted(stages.items(), key=lambda item: -sum(item[1])):
        span = " to ".join(dict.fromkeys(f"{h:.3g}" for h in (min(hours), max(hours))))
        print(f"| {stage} | {len(hours)} | {span} | {sum(hours):.3g} |")
    total = sum(job.seconds for job in jobs.values())
    print(f"| all | {len(jobs)} | | {total / HOUR:.1f} |\n")

    chain = longest_chain(jobs)
    print(f"Longest chain: {sum(jobs[n].seconds for n in chain) / HOUR:.2f} h")
    for n in chain:
        what = " ".join([jobs[n].rule, *jobs[n].wildcards.values()])
        print(f"  {jobs[n].seconds / HOUR:8.3f} h  {what}")

    submissions = grouped(jobs, profile)
    count = sum(not job.local for job in submissions.values())
    print(f"\nSubmissions of one run: {count}\n")
    print("| slots | copies | " + " | ".join(f"{rate:g} a second" for rate in args.rates) + " |")
    print("| --- | --- |" + " --- |" * len(args.rates))
    for copies in args.copies:
        for slots in args.slots:
            cells = []
            for rate in args.rates:
                seconds, busy = simulate(
                    submissions, slots, copies, rate, args.notice, times["submission"],
                    args.local_cores,
                )  # fmt: skip
                cells.append(f"{seconds / HOUR:.1f} h, {busy / slots:.0%} busy")
            print(f"| {slots:,} | {copies} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
