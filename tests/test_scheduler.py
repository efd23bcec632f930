"""How often Snakemake looks at the jobs that are ready."""

from types import SimpleNamespace

from flowmorph.plan import scheduler


def test_one_timer_waits_at_a_time(monkeypatch):
    clock, started = [100.0], []
    monkeypatch.setattr(scheduler.time, "monotonic", lambda: clock[0])
    snakemakes = SimpleNamespace(_schedule_reevalutation=started.append)
    scheduler.look_once(snakemakes)
    for seconds in (0.0, 0.25, 0.5, 0.25, 0.5, 0.5):
        clock[0] += seconds
        snakemakes._schedule_reevalutation(1.0)
    # At 100, at 101 when the first timer has run out, and at 102.
    assert started == [1.0, 1.0, 1.0]


def test_a_sooner_look_and_a_clock_that_was_set_back_get_their_own_timer(monkeypatch):
    clock, started = [100.0], []
    monkeypatch.setattr(scheduler.time, "monotonic", lambda: clock[0])
    snakemakes = SimpleNamespace(_schedule_reevalutation=started.append)
    scheduler.look_once(snakemakes)
    snakemakes._schedule_reevalutation(10.0)
    snakemakes._schedule_reevalutation(1.0)
    clock[0] -= 60
    snakemakes._schedule_reevalutation(1.0)
    snakemakes._schedule_reevalutation(1.0)
    assert started == [10.0, 1.0, 1.0]


def test_a_snakemake_without_such_timers_is_left_alone():
    other = SimpleNamespace()
    scheduler.look_once(other)
    assert vars(other) == {}


def test_this_snakemake_has_such_timers():
    from snakemake.scheduling.job_scheduler import JobScheduler

    assert callable(JobScheduler._schedule_reevalutation)
