"""The simulation behind docs/cluster.md."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
MOVING = ("move_samples", "measure_task")


@pytest.fixture(scope="module")
def plan():
    spec = importlib.util.spec_from_file_location("cluster_plan", ROOT / "benchmarks/cluster.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def simulate(plan, jobs, slots=1, copies=1, rate=1.0, notice=10.0, overhead=5.0):
    return plan.simulate(jobs, slots, copies, rate, notice, overhead, local_cores=1)


def test_a_chain_pays_for_submission_start_and_notice_at_each_link(plan):
    jobs = {0: plan.Job("a", {}, set(), 100.0), 1: plan.Job("b", {}, {0}, 50.0)}
    seconds, busy = simulate(plan, jobs)
    assert seconds == 2 * (1 + 5 + 10) + 150
    assert busy == pytest.approx(160 / seconds)


def test_independent_jobs_share_the_slots(plan):
    jobs = {number: plan.Job("a", {}, set(), 100.0) for number in range(4)}
    # The two last start when the two first end, 1 and 2 seconds after the start.
    assert simulate(plan, jobs, slots=2)[0] == 2 + 2 * 105 + 10
    assert simulate(plan, jobs, slots=100)[0] == 4 + 105 + 10
    assert simulate(plan, jobs, slots=100, rate=0.01)[0] == 400 + 105 + 10


def test_local_jobs_take_no_slot_and_no_submission(plan):
    jobs = {number: plan.Job("a", {}, set(), 3.0, local=True) for number in range(4)}
    assert simulate(plan, jobs, copies=2) == (12.0, 0.0)


def test_the_longest_chain_is_the_shortest_run(plan):
    jobs = {
        0: plan.Job("a", {}, set(), 1.0),
        1: plan.Job("b", {}, set(), 2.0),
        2: plan.Job("c", {}, {0, 1}, 3.0),
        3: plan.Job("d", {}, {0}, 4.0),
    }
    assert plan.longest_chain(jobs) in ([1, 2], [0, 3])
    assert simulate(plan, jobs, 9, rate=1e9, notice=0, overhead=0)[0] == pytest.approx(5)


def test_the_graph_is_snakemakes_and_its_groups_are_the_profiles(plan):
    jobs = plan.read_graph("config/paper.yaml")
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    trainings = [job for job in jobs.values() if job.rule == "train_transport"]
    assert len(trainings) == 19 * 4 + 1
    assert all({"task", "method"} <= job.wildcards.keys() for job in trainings)
    local = plan.local_rules("config/paper.yaml")
    assert {"all", "fig9", "two_sample", "fig_alternatives", "download_lhco"} <= local
    assert not local & {"train_density", "train_transport", "move_samples", "measure_task"}
    assert {
        plan.family_of(job.wildcards["task"]) for job in jobs.values() if job.rule in MOVING
    } == {"toy", "rotated", "collider"}
    for job in jobs.values():
        job.seconds, job.local = 1.0, job.rule in local
    joined = plan.grouped(jobs, profile)
    assert sorted(rule for job in joined.values() for rule in job.members) == sorted(
        job.rule for job in jobs.values()
    )
    chunks = [job for job in joined.values() if "build_features" in job.members]
    assert len(chunks) == 11
    # Ten chunks of two jobs of a second each, as many at a time as the profile gives cores.
    assert max(job.seconds for job in chunks) == 20 / profile["cores"]
    assert len(plan.topological(joined)) == len(joined)


def test_a_rule_is_local_or_says_what_it_needs_and_asks_for_more_at_each_retry(plan):
    """Of every rule that is written out; one made by `use rule` has the resources of its base."""
    submitted = 0
    for path in (ROOT / "rules").glob("*.smk"):
        for rule in re.split(r"^ *rule (?=\w+:$)|^ *rule:$", path.read_text(), flags=re.M)[1:]:
            name = rule.partition(":")[0]
            if "localrule: True" in rule:
                continue
            submitted += 1
            for resource in ("mem_mb", "runtime"):
                assert re.search(rf"^ +{resource}=scaled\(\d+\),$", rule, re.MULTILINE), name
    assert submitted >= 8
