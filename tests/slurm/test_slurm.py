"""The workflow on a real SLURM cluster, through profiles/slurm as it stands."""

from __future__ import annotations

import math
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import yaml
from test_workflow import CHAIN, CONFIG, OUT, ROOT, Project

from flowmorph.plan import methods, paths, targets, tasks

pytestmark = pytest.mark.slurm

# What this site sets: no accounting, few cores, a look at the states after a usual job's length.
SLURM = ["--workflow-profile", "profiles/slurm", "--cores", str(len(os.sched_getaffinity(0)))]
SLURM += ["--slurm-status-command", "squeue", "--slurm-no-account"]
SLURM += ["--slurm-init-seconds-before-status-checks", "10"]
# What the profile advises for transports that train for seconds.
GROUPS = ["generate_events=chunks", "build_features=chunks", "train_transport=transports"]
SMALL = ["--groups", *GROUPS, "--group-components", "chunks=10", "transports=10"]
STAR = paths.density(OUT, "star", 1)


@pytest.fixture
def project(cluster, tmp_path) -> Project:
    folder = tmp_path / "it's a project; touch pwned"
    folder.mkdir()
    return Project(folder)


@pytest.fixture
def local(tmp_path) -> Project:
    folder = tmp_path / "local"
    folder.mkdir()
    return Project(folder)


def rules_of(jobs: list[tuple[str, str, str]]) -> Counter:
    """Count submissions by their rule, or group and rules."""
    return Counter(comment.partition("_wildcards_")[0] for _, _, comment in jobs)


def test_a_chain_from_events_to_a_figure_gives_the_bytes_of_a_local_run(cluster, project, chain):
    before = len(cluster.jobs())
    project.snakemake(*CHAIN, *SLURM, *SMALL)
    assert project.artefacts() == chain.artefacts()
    assert project.pending(*CHAIN) == Counter()
    # Small jobs went together, collectors and figures nowhere.
    assert rules_of(cluster.jobs()[before:]) == {
        "rule_chunks_build_features_generate_events": 1,
        "rule_train_density": 2,
        "rule_transports_train_transport": 1,
        "rule_morph_by_alternative": len(targets.alternatives(tasks.COLLIDER.name, CONFIG)),
        "rule_move_samples": 1,
        "rule_measure_task": 1,
    }
    assert not list(project.folder.parent.rglob("pwned"))


@pytest.mark.long
def test_the_whole_graph_of_quick_gives_the_bytes_of_a_local_run(cluster, project, local):
    quick = yaml.safe_load((ROOT / "config/quick.yaml").read_text()) | {"run": "tiny"}
    for each in (project, local):
        (each.folder / "tiny.yaml").write_text(yaml.safe_dump(quick))
    before = len(cluster.jobs())
    project.snakemake(*SLURM, *SMALL)
    local.snakemake("--cores", "all")
    assert project.artefacts() == local.artefacts()
    assert project.pending() == Counter()
    # One further flow method is for the collider task.
    transports = len(tasks.PAPER) * len(methods.TRAINED) + 1
    jobs = rules_of(cluster.jobs()[before:])
    assert jobs["rule_chunks_build_features_generate_events"] == 1
    assert jobs["rule_train_density"] == len(targets.run_datasets(CONFIG))
    assert jobs["rule_transports_train_transport"] == math.ceil(transports / 10)


def listening(job: str) -> int | None:
    """The process of a SLURM job's training, once it notes signals instead of dying from them."""
    for process in psutil.process_iter():
        try:
            script = process.cmdline()[1:2] == ["workflow/scripts/train/train_density.py"]
            if script and process.environ().get("SLURM_JOB_ID") == job:
                status = Path(f"/proc/{process.pid}/status").read_text()
                caught = int(status.partition("SigCgt:")[2].split()[0], 16)
                if caught >> (signal.SIGUSR1 - 1) & 1:
                    return process.pid
        except (psutil.Error, OSError):
            continue
    return None


def test_an_interrupted_training_goes_on_to_the_same_bytes(cluster, project, local):
    """By the signal before a time limit, by scancel and by preemption, one after the other."""
    # Nothing is saved unless a signal asks for it. Half a minute: SLURM looks at limits that often.
    star = {"toy": {"density": {"batch": 200, "epochs": 2400}}}
    override = {"engine": "eager", "checkpoint_minutes": 600, "training": star}
    before = len(cluster.jobs())
    with ThreadPoolExecutor() as threads:
        target = paths.flow(STAR)
        run = threads.submit(project.snakemake, target, *SLURM, override=override)
        alone = threads.submit(local.snakemake, "--cores", "1", target, override=override)

        def wait_for(what):
            while (found := what()) is None:
                assert not run.done(), run.result()
                time.sleep(0.2)
            return found

        def submission(number: int) -> str:
            """The job of the attempt with this number."""
            wait_for(lambda: cluster.jobs()[before + number - 1 :] or None)
            return max((job for job, _, _ in cluster.jobs()), key=int)

        first = submission(1)
        wait_for(lambda: listening(first))
        # The profile wants the signal two minutes before the end: now, where at most two are left.
        # Were the limit so short from the start, it could come before a training is there.
        *_, minutes, _ = cluster.run("squeue", "--noheader", "--format=%M", "-j", first).split(":")
        cluster.run("scontrol", "update", f"JobId={first}", f"TimeLimit={int(minutes) + 2}")
        second = submission(2)
        wait_for(lambda: listening(second))
        cluster.run("scancel", second)
        third = submission(3)
        process = wait_for(lambda: listening(third))
        cluster.run("scontrol", "requeue", third)
        wait_for(lambda: listening(third) not in (None, process) or None)
        run.result()
        alone.result()
    states = [state for _, state, _ in sorted(cluster.jobs(), key=lambda job: int(job[0]))]
    # Not TIMEOUT: the signal came before the limit.
    assert states[before:] == ["FAILED", "CANCELLED", "COMPLETED"]
    log = project.folder / paths.log(OUT, "train_density", "star", "1")
    assert "goes on from step" in log.read_text()
    assert not (project.folder / paths.checkpoint(STAR)).exists()
    assert project.artefacts() == local.artefacts()


def test_a_job_killed_for_its_memory_gets_more(cluster, project):
    before = {job for job, _, _ in cluster.jobs()}
    needs = ["--set-resources", "train_density:mem_mb=250 if attempt == 1 else 1500"]
    # SLURM looks at the memory once a second: a training of a moment would escape it.
    longer = {"toy": {"density": {"batch": 200, "epochs": 800}}}
    override = {"engine": "eager", "training": longer}
    project.snakemake(paths.flow(STAR), *SLURM, *needs, override=override)
    states = [state for job, state, _ in cluster.jobs() if job not in before]
    assert len(states) > 1 and states.count("COMPLETED") == 1


def test_a_gpu_that_no_node_has_is_said(cluster, project):
    needs = ["--retries", "0", "--set-resources", "train_density:gres=gpu:1"]
    result = project.snakemake(paths.flow(STAR), *SLURM, *needs, check=False)
    assert result.returncode != 0
    message = "Invalid generic resource (gres) specification"
    assert message in result.stderr and "rule train_density" in result.stderr


def test_a_gpu_that_the_node_lacks_is_said_by_the_rules_log(cluster, project):
    demand = ["--retries", "0", "--config", "device=cuda"]
    result = project.snakemake(paths.flow(STAR), *SLURM, *demand, check=False)
    assert result.returncode != 0
    assert "no GPU is usable" in result.stderr
    assert "no GPU" in (project.folder / paths.log(OUT, "train_density", "star", "1")).read_text()
