"""Morph one dataset into another with normalizing flows.

Reproduces "Flows for Flows: Morphing one Dataset into another with Maximum Likelihood Estimation"
(arXiv:2309.06472). `snakemake` makes everything for config/config.yaml; a figure's name, such as
`snakemake fig9`, makes that figure and what it needs; `--configfile config/quick.yaml` chooses
another run. Paths come from flowmorph.plan.paths, lists of what to make from flowmorph.plan.targets.
"""

import json
import os
import shlex
import sys

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.27")

# Braces are wildcards to Snakemake, and the command line of a SLURM job is read by a shell once more.
if set("{}$`") & set(workflow.basedir):
    raise WorkflowError(f"{workflow.basedir}: rename this folder, without any of {{}}$`")

# The package is found here and in every job, installed or not.
LIBRARY = os.path.join(workflow.basedir, "workflow")
sys.path.insert(0, LIBRARY)

from flowmorph.plan import inputs, methods, own_config, paths, repeats, targets
from flowmorph.plan.config import check
from flowmorph.errors import InputError


configfile: "config/config.yaml"


try:
    check(config, os.path.join(workflow.basedir, "config", "schema.yaml"))
    inputs.expand_home(config)
    OUT = paths.run_folder(config["run"])
    inputs.check_apart(config, OUT)
    APPLIED = own_config.named(config["apply"])
    RESULTS = targets.results(OUT, config)
    inputs.check_patterns(config, RESULTS + targets.samples(OUT, config))
except InputError as error:
    raise WorkflowError(str(error)) from None

# For every job, by its environment: neither changes a result, so neither is a reason to run again.
# Snakemake's own prefix, which this replaces, is the first word: without it a program that fails
# before a pipe goes unnoticed. SLURM signals every process of a job, and the shell has to outlive the
# program that saves its state.
shell.prefix(
    "set -euo pipefail; trap : TERM USR1; "
    f"export PYTHONPATH={shlex.quote(LIBRARY)} "
    f"FLOWMORPH_CHECKPOINT_MINUTES={config['checkpoint_minutes']}; "
)


report: f"workflow/report/{'own' if own_config.given(config) else 'workflow'}.rst"


wildcard_constraints:
    sample="|".join(targets.SAMPLES),
    chunk="[0-9]+",
    family="|".join(targets.families(config)),
    dataset="(" + "|".join(targets.datasets(config)) + f")({repeats.SEED})?",
    task="(" + "|".join(targets.tasks(config)) + f")({repeats.SEED})?",
    method="(" + "|".join((*methods.TRAINED, *methods.FURTHER)) + r")(_w[0-9.]+)?",


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


if own_config.given(config):

    include: "rules/own.smk"


# Seconds each: not worth a place in a queue, so Snakemake runs them on the machine that it runs on.
localrules:
    all,
    penalty_scan,
    prepare_samples,
    compare_medians,
    count_costs,
    two_sample,
    movement,
    marginals,
    likelihoods,
    divergences,
    costs,
    claims,
    distances,
    mix_ensemble,
    times,
    plot_density_losses,
    plot_transport_losses,
    plot_alternative_losses,
    fig1,
    fig2,
    fig3,
    fig4,
    fig5,
    fig6,
    fig7,
    fig8,
    fig9,
    fig10,
    fig_signal_ratios,
    fig_signal_distances,
    fig_closure,
    fig_penalty_scan,
    penalty_claims,
    fig_alternatives,
    fig_alternative_ratios,
    fig_alternative_distances,
    figA1,
    figA2,
    figB1,
    figB2,
    figB3,
    figB4,
    figB5,
    table1,


rule all:
    """Make every figure, table and training picture of the configured run."""
    default_target: True
    input:
        RESULTS,


rule penalty_scan:
    """Hold accuracy against distance over strengths of the movement penalty (section IV.2)."""
    input:
        paths.figure(OUT, "fig_penalty_scan", "png"),
        paths.table(OUT, "penalty_claims", "csv"),
