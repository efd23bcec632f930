"""Morph one dataset into another with normalizing flows.

Reproduces "Flows for Flows: Morphing one Dataset into another with Maximum Likelihood Estimation"
(arXiv:2309.06472). `snakemake` makes everything for config/config.yaml; a figure's name, such as
`snakemake fig9`, makes that figure and what it needs; `--configfile config/quick.yaml` chooses
another run. Paths come from flowmorph.plan.paths, lists of what to make from flowmorph.plan.targets.
"""

import json
import os
import re
import shlex
import sys

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import min_version

min_version("9.27")

# The folder of this file, which workflow/Snakefile includes too.
PROJECT = str(workflow.current_basedir)

# Braces are wildcards to Snakemake, and the command line of a SLURM job is read by a shell once more.
if set("{}$`") & set(PROJECT):
    raise WorkflowError(f"{PROJECT}: rename this folder, without any of {{}}$`")

# The package is found here and in every job, installed or not.
LIBRARY = os.path.join(PROJECT, "workflow")
sys.path.insert(0, LIBRARY)

from flowmorph import __version__
from flowmorph.errors import InputError
from flowmorph.plan import (
    figures,
    inputs,
    methods,
    own_config,
    own_members,
    paths,
    progress,
    recipes,
    scheduler,
    tables,
    targets,
    tasks,
)
from flowmorph.plan.config import check
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.jobs.form import to_json


configfile: "config/config.yaml"


try:
    check(config, os.path.join(PROJECT, "config", "schema.yaml"))
    inputs.expand_home(config)
    OUT = paths.run_folder(config["run"])
    JOBS = Jobs(config, OUT)
    AS_PAPER = recipes.as_in(os.path.join(PROJECT, "config", "paper.yaml"), config)
    inputs.check_apart(config, OUT)
    APPLIED = own_config.named(config["apply"])
    RESULTS = targets.results(OUT, config)
    inputs.check_patterns(config, RESULTS + targets.samples(OUT, config))
except InputError as error:
    raise WorkflowError(str(error)) from None

# For the report, whose texts see the configuration.
config["version"] = __version__

# For every job, by its environment: none of it changes a result, so none is a reason to run again. POT
# (Python Optimal Transport) would import torch, two seconds a job, which gives it numpy's arrays only.
# Snakemake's own prefix, which this replaces, is the first word: without it a program that fails
# before a pipe goes unnoticed. SLURM signals every process of a job, and the shell has to outlive the
# program that saves its state. What grows with the trainings is handed over as @<(lines ...), one
# argument a line, as argparse reads it: Linux takes 128 KiB in an argument, and 2 MiB in all of them.
shell.prefix(
    "set -euo pipefail; trap : TERM USR1; "
    "lines() {{ [ $# = 0 ] || printf '%s\\n' \"$@\"; }}; "
    f"export PYTHONPATH={shlex.quote(LIBRARY)} "
    f"FLOWMORPH_CHECKPOINT_MINUTES={config['checkpoint_minutes']} POT_BACKEND_DISABLE_PYTORCH=1; "
)

# Not where Snakemake starts itself for single jobs, as on a cluster.
if workflow.is_main_process:
    logger.addHandler(
        progress.Progress(
            logger,
            OUT,
            lambda: progress.planned(workflow.dag.needrun_jobs(), workflow.dag.jobid),
            os.path.join(PROJECT, "config", "job_times.yaml"),
        )
    )


onstart:
    scheduler.look_once(workflow.scheduler)


report: f"workflow/report/{'own' if own_config.given(config) else 'workflow'}.rst"


wildcard_constraints:
    sample="|".join((*tasks.SAMPLES, tasks.SIGNAL, *tasks.FURTHER_EVENTS)),
    chunk="[0-9]+",
    family="|".join(tasks.FAMILIES),
    dataset="|".join(dataset.name for dataset in targets.run_datasets(config)),
    task="|".join(tasks.names(targets.run_tasks(config))),
    method="|".join((*methods.TRAINED, *methods.FURTHER)),
    training="[0-9]+",
    split="validation|evaluation|signal|apply",


include: "rules/common.smk"
include: "rules/lhco.smk"
include: "rules/delphes.smk"
include: "rules/data.smk"
include: "rules/density.smk"
include: "rules/transport.smk"
include: "rules/evaluate.smk"
include: "rules/figures.smk"
include: "rules/losses.smk"
include: "rules/alternatives.smk"


if targets.searches(config):

    include: "rules/search.smk"


if own_config.given(config):

    include: "rules/own.smk"


# A local rule takes seconds: not worth a place in a queue, so Snakemake runs it on its own machine.
rule all:
    """Make every figure, table and training picture of the configured run."""
    default_target: True
    input:
        RESULTS,
    localrule: True


rule penalty_scan:
    """Hold accuracy against distance over strengths of the movement penalty (section IV.2)."""
    input:
        paths.figure(OUT, "fig_penalty_scan", "png"),
        paths.table(OUT, "penalty_claims", "csv"),
    localrule: True
