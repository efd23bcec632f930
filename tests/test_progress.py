"""What a run says of itself: the time left, the figures that are there, and which come first."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
import yaml
from snakemake.logging import LogEvent

from flowmorph.plan import figures, paths, tasks
from flowmorph.plan import progress as module
from flowmorph.plan.progress import Expected, Kind, Planned, Progress, Run

ROOT = Path(__file__).parents[1]
SHIPPED = {"train_density": {"toy": 60, "collider": 30}, "measure_task": 6, "default": 2}
DENSITY = Kind("train_density", "toy")


def benchmark(path: Path, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:00\tNA\n")


def run(count: int = 4, earlier: dict | None = None, start: float = 0.0) -> Run:
    planned = {number: Planned(DENSITY, None) for number in range(count)}
    return Run(planned, Expected(earlier or {}, SHIPPED), start)


def test_an_earlier_run_says_what_each_kind_of_job_takes(tmp_path):
    benchmark(tmp_path / "densities/train_density/star/1.tsv", 10)
    benchmark(tmp_path / "densities/train_density/star_twin/1.tsv", 20)
    benchmark(tmp_path / "densities/train_density/target/1.tsv", 5)
    benchmark(tmp_path / "figures/fig3.tsv", 1.5)
    (tmp_path / "figures/fig4.tsv").write_text("s\n")
    (tmp_path / "times.md").write_text("no benchmark")
    assert module.recorded(tmp_path) == {
        DENSITY: 15,
        Kind("train_density", "collider"): 5,
        Kind("fig3", ""): 1.5,
    }
    assert module.recorded(tmp_path / "nowhere") == {}


def test_what_no_earlier_run_says_is_shipped():
    expected = Expected({DENSITY: 15}, SHIPPED)
    assert expected[DENSITY] == 15
    assert expected[Kind("train_density", "collider")] == 30
    assert expected[Kind("train_density", "own")] == 60
    assert expected[Kind("measure_task", "rotated")] == 6
    assert expected[Kind("fig3", "")] == 2


def test_every_rule_of_the_shipped_times_is_one_of_the_workflow():
    shipped = yaml.safe_load((ROOT / "config/job_times.yaml").read_text())
    rules = "".join(path.read_text() for path in [ROOT / "Snakefile", *ROOT.glob("rules/*.smk")])
    for rule, seconds in shipped.items():
        named = f"rule {rule}:" in rules or f" as {rule} with:" in rules
        assert rule == "default" or named, rule
        assert not isinstance(seconds, dict) or seconds.keys() <= tasks.FAMILIES.keys()


def test_time_left_follows_from_the_work_that_was_done_at_once():
    one, two = run(), run()
    one.starts(0, 0.0)
    one.ends(0, 60.0)
    assert one.share_and_time_left(60.0) == pytest.approx((1 / 4, 180))
    for number in (0, 1):
        two.starts(number, 0.0)
        two.ends(number, 60.0)
    assert two.share_and_time_left(60.0) == pytest.approx((1 / 2, 60))


def test_a_running_job_counts_up_to_what_it_should_take():
    halfway = run(2)
    halfway.starts(0, 0.0)
    assert halfway.share_and_time_left(30.0) == pytest.approx((1 / 4, 90))
    # One that takes longer does not turn its delay into work.
    assert halfway.share_and_time_left(600.0)[0] == pytest.approx(1 / 2)


def test_jobs_that_ended_correct_what_was_expected_of_others():
    slow = run(100)
    for number in range(20):
        slow.starts(number, 600.0 * number)
        slow.ends(number, 600.0)
    share, left = slow.share_and_time_left(12_000.0)
    assert share == pytest.approx(1 / 5, rel=0.01)
    assert left == pytest.approx(80 * 600, rel=0.01)
    # Another rule has seen no job end: what it takes is scaled by what the machine has shown.
    assert slow.seconds(Kind("measure_task", "toy")) == pytest.approx(60, rel=0.05)


def test_a_job_that_fails_and_is_run_again_counts_once():
    again = run(2)
    again.starts(0, 0.0)
    again.fails(0)
    assert again.share_and_time_left(10.0)[0] == 0
    again.starts(0, 10.0)
    again.ends(0, None)
    again.ends(0, None)
    assert again.share_and_time_left(70.0)[0] == pytest.approx(1 / 2)


def test_times_are_said_no_more_exactly_than_they_are_known():
    said = [module.duration(seconds) for seconds in (0, 44, 89, 90, 1630, 7830)]
    assert said == ["10 s", "40 s", "90 s", "2 min", "27 min", "2 h 10 min"]
    assert module.line(57, 233, 0.314, 1630) == (
        "progress: 57 of 233 jobs, 31 % of the work, about 27 min left"
    )


def test_a_figure_is_named_by_its_number():
    assert module.figure_line("fig4", "results/default") == (
        "Fig. 4 is there: results/default/figures/fig4.png"
    )
    assert module.figure_line("fig_signal_ratios", "out") == (
        "Signal region (as Fig. 8) is there: out/figures/fig_signal_ratios.png"
    )
    assert module.figure_line("two_sample", "out") is None


class Listener:
    """Snakemake's log with the lines that were added to it, and a clock."""

    def __init__(self, folder: Path, jobs: dict[int, Planned]) -> None:
        self.logger = logging.Logger("snakemake")
        self.lines: list[str] = []
        self.now = 1000.0
        table = folder / "times.yaml"
        table.write_text(yaml.safe_dump(SHIPPED))
        shown = logging.Handler()
        shown.emit = lambda record: self.lines.append(record.getMessage())
        shown.addFilter(lambda record: not hasattr(record, "event"))
        self.logger.addHandler(shown)
        self.progress = Progress(self.logger, "out", lambda: jobs, str(table))
        self.logger.addHandler(self.progress)

    def log(self, event: LogEvent, **values: object) -> None:
        record = logging.LogRecord("snakemake", logging.INFO, "", 0, "", None, None)
        record.created = self.now
        vars(record).update(values, event=event)
        self.logger.handle(record)


def test_the_log_gains_a_line_a_figure_and_one_now_and_then(tmp_path):
    listener = Listener(tmp_path, {number: Planned(DENSITY, None) for number in range(20)})
    listener.progress.jobs()[19] = Planned(Kind("fig1", ""), None)
    listener.log(LogEvent.JOB_STARTED, jobs=[0])
    for number in range(20):
        listener.log(LogEvent.JOB_INFO, jobid=number)
        listener.now += 20
        listener.log(LogEvent.JOB_FINISHED, job_id=number)
        listener.log(LogEvent.PROGRESS, done=number + 1, total=20)
    said = [line for line in listener.lines if line.startswith("progress: ")]
    assert said[0].startswith("progress: 2 of 20 jobs, ") and len(said) == 9
    assert listener.lines[-1] == "Fig. 1 is there: out/figures/fig1.png"


def test_a_fault_in_it_stops_it_and_not_the_run(tmp_path):
    listener = Listener(tmp_path, {})
    listener.log(LogEvent.JOB_STARTED, jobs=[0])
    listener.log(LogEvent.JOB_FINISHED, job_id=7)
    assert listener.progress not in listener.logger.handlers


def test_what_the_first_figures_need_comes_before_what_they_do_not():
    circles, twin, star = map(figures.urgency, ("fourcircles", "fourcircles_twin", "star"))
    assert circles > twin > star > figures.urgency("star_twin") == 0
    assert figures.urgency("fourcircles_to_fourcircles_twin") > figures.urgency(
        "fourcircles_to_star"
    )
    assert figures.urgency("fourcircles", 2) == figures.urgency("collider") == 0
    shown, other = (
        figures.urgency("fourcircles_to_star", 1, method)
        for method in ("flows_for_flows", "unidirectional")
    )
    assert shown > other == 0
    for name in figures.FIRST:
        assert figures.urgency(name) and figures.FIGURES[name].repeated is False


@pytest.mark.workflow
def test_a_run_says_that_a_figure_is_there_and_a_dry_run_says_nothing(tmp_path):
    from test_workflow import OUT, Project

    project = Project(tmp_path)
    there = f"Fig. 1 is there: {paths.figure(OUT, 'fig1', 'png')}"
    assert there not in project.snakemake("--dry-run", "fig1").stdout
    done = project.snakemake("fig1", "--cores", "1", "--quiet", "rules")
    assert done.stderr.splitlines().count(there) == 1
    assert "rule fig1" not in done.stderr
    again = project.snakemake("fig1", "--forcerun", "fig1", "--cores", "1", "--quiet")
    assert "is there" not in again.stderr


@pytest.mark.workflow
def test_the_first_figures_jobs_are_started_first(tmp_path):
    from test_workflow import Project

    project = Project(tmp_path)
    shown = project.snakemake("--dry-run", "--forceall").stdout
    ahead = {job.split(":")[0] for job in shown.split("rule ") if "    priority: " in job}
    trainings = {"train_density", "train_smoothed_density", "train_transport"}
    assert ahead == {*trainings, "move_points", *figures.FIRST}
    needed = project.snakemake("--dry-run", "--forceall", *figures.FIRST).stdout
    wanted = set(re.findall(r"wildcards: task=\w+, method=(\w+)", needed))
    assert wanted == {"flows_for_flows"}
