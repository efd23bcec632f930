"""What a run says beside Snakemake's own lines: which figure is there, and how long it will take.

A job takes what jobs like it took in an earlier run, as its benchmark files say, or else what
``config/job_times.yaml`` says; the jobs that have ended in this run correct both.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import yaml
from snakemake.logging import LogEvent

from flowmorph.plan import figures, paths, tasks

#: Seconds between two lines that say how far a run is.
EVERY = 30.0
#: Seconds of finished jobs from which on a machine's speed is believed.
BELIEVED = 30.0


class Kind(NamedTuple):
    """Jobs that take about as long as each other: a rule's, for the tasks of one family."""

    rule: str
    family: str


class Planned(NamedTuple):
    """A job that a run makes: what it is, and the benchmark file that it will leave, if any."""

    kind: Kind
    benchmark: str | None


def kind_of(rule: str, wildcards: Iterable[str]) -> Kind:
    """The kind of a job, from the values of its wildcards."""
    names = (tasks.TASKS.get(name) or tasks.DATASETS.get(name) for name in wildcards)
    return Kind(rule, next((each.family.name for each in names if each), ""))


def seconds_in(benchmark: str | Path) -> float | None:
    """Seconds of a job, from its benchmark file; None where that is missing or half written."""
    try:
        with open(benchmark, newline="") as stream:
            return sum(float(row["s"]) for row in csv.DictReader(stream, delimiter="\t")) or None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def recorded(folder: str | Path) -> dict[Kind, float]:
    """Mean seconds of each kind of job, from the benchmark files below a run's folder."""
    found: dict[Kind, list[float]] = {}
    for path in Path(folder).glob("*/**/*.tsv"):
        _, rule, *wildcards = path.relative_to(folder).with_suffix("").parts
        seconds = seconds_in(path)
        if seconds is not None:
            found.setdefault(kind_of(rule, wildcards), []).append(seconds)
    return {kind: sum(each) / len(each) for kind, each in found.items()}


@dataclass
class Expected:
    """Seconds that a job of each kind is expected to take.

    Attributes:
        earlier: of an earlier run of the same configuration.
        shipped: of the default configuration, by rule, or by rule and family; ``default`` is for
            rules without an entry.
    """

    earlier: dict[Kind, float]
    shipped: dict[str, float | dict[str, float]]

    def __getitem__(self, kind: Kind) -> float:
        if kind in self.earlier:
            return self.earlier[kind]
        seconds = self.shipped.get(kind.rule, self.shipped["default"])
        if isinstance(seconds, dict):
            return seconds.get(kind.family, max(seconds.values()))
        return seconds


@dataclass
class Run:
    """A run under way: what is planned, what runs, what has ended, and what follows from that.

    Attributes:
        planned: each job by its number.
        expected: seconds of a job of each kind, as far as known before.
        start: when the first job started; all times are in seconds.
        running: when each job that runs was started.
        ended: seconds of the jobs of each kind that have ended.
    """

    planned: dict[int, Planned]
    expected: Expected
    start: float
    running: dict[int, float] = field(default_factory=dict)
    ended: dict[Kind, list[float]] = field(default_factory=dict)
    _left: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self._left = set(self.planned)

    def starts(self, number: int, now: float) -> None:
        """Note that a job starts, perhaps not for the first time."""
        self.running[number] = now

    def fails(self, number: int) -> None:
        """Note that a job has failed: it may be started again."""
        self.running.pop(number, None)

    def ends(self, number: int, seconds: float | None) -> None:
        """Note that a job has ended, after ``seconds`` where these were measured."""
        self.running.pop(number, None)
        if number in self._left:
            self._left.remove(number)
            kind = self.planned[number].kind
            self.ended.setdefault(kind, []).append(
                self.seconds(kind) if seconds is None else seconds
            )

    def speed(self) -> float:
        """How many times longer the ended jobs took than was expected."""
        took = sum(map(sum, self.ended.values()))
        thought = sum(self.expected[kind] * len(each) for kind, each in self.ended.items())
        return (BELIEVED + took) / (BELIEVED + thought)

    def seconds(self, kind: Kind) -> float:
        """Seconds of a job: what was expected counts as much as one job that has ended."""
        ended = self.ended.get(kind, [])
        return (self.expected[kind] * self.speed() + sum(ended)) / (1 + len(ended))

    def share_and_time_left(self, now: float) -> tuple[float, float]:
        """Share of the work that is done, and seconds that the rest will take.

        Work is done as fast as it has been so far, by all jobs that ran at the same time: there is
        no need to know how many cores or nodes there are.
        """
        each = {kind: self.seconds(kind) for kind in {job.kind for job in self.planned.values()}}
        begun = sum(
            min(now - since, each[self.planned[number].kind])
            for number, since in self.running.items()
            if number in self._left
        )
        done = begun + sum(map(sum, self.ended.values()))
        left = sum(each[self.planned[number].kind] for number in self._left) - begun
        if not done:
            return 0.0, left
        return done / (done + left), left * (now - self.start) / done


def duration(seconds: float) -> str:
    """A time in words, no more exact than an estimate is."""
    if seconds < 90:
        return f"{max(10, 10 * round(seconds / 10))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def line(done: int, total: int, share: float, left: float) -> str:
    """What is said of a run: its jobs, its work, and the time left."""
    share = min(share, 0.99)  # there is work left as long as this is said
    return (
        f"progress: {done} of {total} jobs, {share:.0%} of the work, about {duration(left)} left"
    ).replace("%", " %")


def figure_line(rule: str, out: str) -> str | None:
    """What is said when a rule's job has ended, if the rule makes a figure."""
    row = figures.FIGURES.get(rule)
    if row is None:
        return None
    numbered = row.number.startswith(("Fig.", "Table"))
    title = row.number if numbered else f"{row.category} ({row.number})"
    return f"{title} is there: {paths.figure(out, rule, 'png')}"


class Progress(logging.Handler):
    """Listens to Snakemake's log, and adds lines to it.

    Nothing is added by a dry run, or by ``--quiet``: neither has records of jobs that have ended.
    """

    def __init__(
        self, logger: logging.Logger, out: str, jobs: Callable[[], dict[int, Planned]], table: str
    ) -> None:
        """Listen to the log of one run.

        Args:
            logger: that of Snakemake.
            out: the run's folder.
            jobs: gives the jobs that the run makes, once it has started.
            table: file with the seconds of each rule's jobs.
        """
        super().__init__(logging.INFO)
        self.logger, self.out, self.jobs, self.table = logger, out, jobs, table
        self.run: Run | None = None
        self.said = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Note what a record says; whatever goes wrong here is no reason to stop a run."""
        try:
            for text in self._lines(record):
                self.logger.info(text)
        except Exception as error:
            self.logger.removeHandler(self)
            self.logger.debug(f"no lines about progress: {type(error).__name__}: {error}")

    def _lines(self, record: logging.LogRecord) -> Iterator[str]:
        event, now = getattr(record, "event", None), record.created
        if event == LogEvent.JOB_STARTED and self.run is None:
            expected = Expected(
                recorded(paths.benchmarks(self.out)), yaml.safe_load(Path(self.table).read_text())
            )
            self.run, self.said = Run(self.jobs(), expected, now), now
        if self.run is None:
            return
        if event == LogEvent.JOB_INFO:
            self.run.starts(record.jobid, now)
        elif event == LogEvent.JOB_ERROR:
            self.run.fails(record.jobid)
        elif event == LogEvent.JOB_FINISHED:
            job = self.run.planned[record.job_id]
            self.run.ends(record.job_id, seconds_in(job.benchmark) if job.benchmark else None)
            text = figure_line(job.kind.rule, self.out)
            if text:
                yield text
        elif event == LogEvent.PROGRESS and now - self.said >= EVERY and record.done < record.total:
            self.said = now
            yield line(record.done, record.total, *self.run.share_and_time_left(now))


def planned(jobs: Iterable, number: Callable) -> dict[int, Planned]:
    """The jobs of Snakemake's graph by their numbers, which ``number`` gives."""
    return {
        number(job): Planned(
            kind_of(job.rule.name, job.wildcards_dict.values()),
            None if job.benchmark is None else str(job.benchmark),
        )
        for job in jobs
    }
