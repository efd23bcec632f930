"""The workflow on a real SLURM cluster, through profiles/slurm as it stands."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from test_workflow import OUT, Project

from flowmorph import paths, targets

pytestmark = pytest.mark.slurm

# What this site sets: no accounting, few cores, a look at the states every few seconds.
SLURM = ["--workflow-profile", "profiles/slurm", "--cores", str(len(os.sched_getaffinity(0)))]
SLURM += ["--slurm-status-command", "squeue", "--slurm-no-account"]
SLURM += ["--slurm-init-seconds-before-status-checks", "5"]
# What the profile advises for transports that train for seconds.
GROUPS = ["generate_events=chunks", "build_features=chunks", "train_transport=transports"]
SMALL = ["--groups", *GROUPS, "--group-components", "chunks=10", "transports=10"]
STAR = paths.density(OUT, "star")


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


def lengthen(project: Project) -> None:
    """Let toy densities train for about 20 seconds and save their state every second."""
    path = project.folder / "tiny.yaml"
    config = yaml.safe_load(path.read_text())
    config["training"]["toy"]["density"]["epochs"] = 600
    path.write_text(yaml.safe_dump(config | {"checkpoint_minutes": 0.02}))


def artefacts(project: Project) -> dict[str, bytes]:
    """Every result by its name; logs and benchmarks tell times, and are none."""
    out = project.folder / OUT
    names = (path.relative_to(out) for path in out.rglob("*") if path.is_file())
    return {
        str(name): (out / name).read_bytes()
        for name in names
        if name.parts[0] not in ("logs", "benchmarks")
    }


def rules_of(jobs: list[tuple[str, str, str]]) -> Counter:
    """Count submissions by their rule, or group and rules."""
    return Counter(comment.partition("_wildcards_")[0] for _, _, comment in jobs)


def test_the_whole_graph_gives_the_bytes_of_a_local_run(cluster, project, local):
    before = len(cluster.jobs())
    project.snakemake(*SLURM, *SMALL)
    local.snakemake("--cores", "all")
    there, here = artefacts(project), artefacts(local)
    assert there.keys() == here.keys()
    assert [name for name in here if there[name] != here[name]] == []
    assert project.pending() == Counter()
    # One further flow method, and four others, are for the science task.
    transports = len(targets.TASKS) * len(targets.TRAINED_METHODS) + 1
    # Small jobs went together, collectors and figures nowhere.
    assert rules_of(cluster.jobs()[before:]) == {
        "rule_chunks_build_features_generate_events": 1,
        "rule_train_density": len(targets.DATASETS),
        "rule_transports_train_transport": math.ceil(transports / 10),
        "rule_morph_by_alternative": 4,
        "rule_move_samples": len(targets.MOVED),
        "rule_measure_task": len(targets.MOVED),
        "rule_evaluate_densities": 1,
    }


@pytest.mark.parametrize(
    ("command", "states"),
    [("scancel", {"CANCELLED": 1, "COMPLETED": 1}), ("scontrol requeue", {"COMPLETED": 1})],
)
def test_an_interrupted_training_goes_on_to_the_same_bytes(
    cluster, project, local, command, states
):
    lengthen(project)
    lengthen(local)
    before = len(cluster.jobs())
    checkpoint = project.folder / paths.checkpoint(STAR)
    with ThreadPoolExecutor() as threads:
        run = threads.submit(project.snakemake, paths.weights(STAR), *SLURM)
        while not checkpoint.exists():
            assert not run.done(), run.result()
            time.sleep(0.1)
        ((job, _, _),) = cluster.jobs()[before:]
        cluster.run(*command.split(), job)
        run.result()
    assert Counter(state for _, state, _ in cluster.jobs()[before:]) == states
    assert not list(project.folder.parent.rglob("pwned"))
    log = (project.folder / paths.log(OUT, "train_density", "star")).read_text()
    assert "goes on from step" in log
    assert not checkpoint.exists()
    local.snakemake("--cores", "1", paths.weights(STAR))
    assert artefacts(project) == artefacts(local)


def test_a_job_killed_for_its_memory_gets_more(cluster, project):
    lengthen(project)
    before = len(cluster.jobs())
    needs = ["--set-resources", "train_density:mem_mb=250 * attempt"]
    project.snakemake(paths.weights(STAR), *SLURM, *needs)
    states = [state for _, state, _ in cluster.jobs()[before:]]
    assert len(states) > 1 and states.count("COMPLETED") == 1


def test_a_gpu_that_no_node_has_is_said(cluster, project):
    needs = ["--retries", "0", "--set-resources", "train_density:gres=gpu:1"]
    result = project.snakemake(paths.weights(STAR), *SLURM, *needs, check=False)
    assert result.returncode != 0
    message = "Invalid generic resource (gres) specification"
    assert message in result.stderr and "rule train_density" in result.stderr


def test_a_gpu_that_the_node_lacks_is_said_by_the_rules_log(cluster, project):
    demand = ["--retries", "0", "--config", "device=cuda"]
    result = project.snakemake(paths.weights(STAR), *SLURM, *demand, check=False)
    assert result.returncode != 0
    assert "no GPU is usable" in result.stderr
    assert "no GPU" in (project.folder / paths.log(OUT, "train_density", "star")).read_text()
