"""Numbers for the trained flows: measures, and a table of each kind; a table's rule has its name."""

DENSITIES = targets.densities_trained(config)
MOVED = targets.moved(config)
COSTS = [paths.cost_measures(OUT, family.name) for family in targets.run_families(config)]
MEASURES = [
    paths.measures(OUT, *sample) for sample in MOVED + targets.moved(config, ensembles=True)
]
SEARCH_MEASURES = [
    paths.search_measures(OUT, fraction, draw)
    for fraction, draw in targets.search_draws(config)
    if targets.searches(config) and fraction == targets.search_shown(config)
]
FLOW_MEASURES = [paths.flow_measures(OUT, *sample) for sample in MOVED]
ENSEMBLE_MEASURES = [
    paths.ensemble_measures(OUT, sample.task, sample.split)
    for sample in targets.moved(config, ensembles=True)
]

# Tables of the page of results, and their titles.
PAGE = tables.of_page(config, targets.searches(config))

# Tables of measures, by name: what they show, and the files that have their numbers.
MEASURE_TABLES = {
    "two_sample": ("how well each method matches the target", MEASURES),
    "movement": (
        "how far each method moves, and how far it must",
        MEASURES + FLOW_MEASURES + ENSEMBLE_MEASURES,
    ),
    "marginals": ("match and movement of each feature", MEASURES),
    "likelihoods": (
        "densities, and the target under each method",
        [paths.density_measures(OUT), *FLOW_MEASURES],
    ),
    "divergences": (
        "densities and moved densities against exact ones",
        [paths.density_measures(OUT), *FLOW_MEASURES],
    ),
    "costs": (
        "parameters, steps and points of each training",
        [*COSTS, paths.density_measures(OUT), *FLOW_MEASURES],
    ),
}


rule evaluate_densities:
    """Measure each density's likelihood and, for toys, its divergence from the exact density."""
    input:
        densities=[
            paths.flow(paths.density(OUT, dataset.name, training))
            for dataset, training in DENSITIES
        ],
        data=JOBS.files(*targets.run_datasets(config)),
        script=script("measure/evaluate_densities.py"),
        code=code("measure/evaluate_densities.py"),
    output:
        csv=paths.density_measures(OUT),
    log:
        paths.log(OUT, "evaluate_densities"),
    benchmark:
        paths.benchmark(OUT, "measures", "evaluate_densities")
    conda:
        "../envs/environment.yaml"
    threads: config["threads"]
    resources:
        mem_mb=scaled(1500),
        runtime=scaled(60),
    params:
        job=literal(to_json(JOBS.densities())),
    shell:
        "python {input.script} --job @<(lines {params.job:q}) "
        " --densities @<(lines {input.densities}) "
        " --threads {threads} --output {output.csv} > {log} 2>&1"


rule count_costs:
    """Count the optimizer steps of a family's trainings and the points that they were shown."""
    input:
        flows=lambda wildcards: [
            paths.flow(each.folder) for each in targets.trained(wildcards.family, config, OUT)
        ],
        histories=lambda wildcards: [
            paths.loss_table(each.folder)
            for each in targets.trained(wildcards.family, config, OUT)
        ],
        script=script("measure/count_costs.py"),
        code=code("measure/count_costs.py"),
    output:
        csv=paths.cost_measures(OUT, "{family}"),
    log:
        paths.log(OUT, "count_costs", "{family}"),
    benchmark:
        paths.benchmark(OUT, "measures", "count_costs", "{family}")
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        job=lambda wildcards: to_json(JOBS.costs(wildcards.family)),
    shell:
        "python {input.script} --job @<(lines {params.job:q}) --flows @<(lines {input.flows}) "
        " --histories @<(lines {input.histories}) --output {output.csv} > {log} 2>&1"


rule measure_task:
    """Measure how well and how far each method moves a task's points."""
    input:
        moved=paths.moved(OUT, "{task}", "{training}", "{split}"),
        alternatives=lambda wildcards: [
            paths.alternative(OUT, wildcards.task, wildcards.training, method)
            for method in JOBS.measure(*wildcards).alternatives
        ],
        preprocessing=lambda wildcards: spikes_of(wildcards.task),
        script=script("measure/measure_task.py"),
        code=code("measure/measure_task.py"),
    output:
        csv=paths.measures(OUT, "{task}", "{training}", "{split}"),
    log:
        paths.log(OUT, "measure_task", "{task}", "{training}", "{split}"),
    benchmark:
        paths.benchmark(OUT, "measures", "measure_task", "{task}", "{training}", "{split}")
    wildcard_constraints:
        training=f"[0-9]+|{tasks.ENSEMBLE}",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=scaled(1500),
        runtime=scaled(60),
    params:
        job=lambda wildcards: to_json(JOBS.measure(*wildcards)),
    shell:
        "python {input.script} --job {params.job:q} --moved {input.moved} "
        " --alternatives {input.alternatives} --preprocessing {input.preprocessing} "
        " --output {output.csv} > {log} 2>&1"


use rule measure_task as measure_scan with:
    """Measure the collider task's points after the transports of the penalty scan."""
    input:
        moved=paths.moved_by_scan(OUT),
        alternatives=[],
        preprocessing=[],
        script=script("measure/measure_task.py"),
        code=code("measure/measure_task.py"),
    output:
        csv=paths.scan_measures(OUT),
    log:
        paths.log(OUT, "measure_scan"),
    benchmark:
        paths.benchmark(OUT, "measures", "measure_scan")
    params:
        job=literal(to_json(JOBS.scan_measure())),


for kind, (shows, files) in MEASURE_TABLES.items():

    rule:
        """Make a table of measures."""
        name:
            kind
        input:
            measures=files,
            script=script("measure/make_measure_table.py"),
            code=code("measure/make_measure_table.py"),
        output:
            table=table(kind, shows),
        log:
            paths.log(OUT, kind),
        benchmark:
            paths.benchmark(OUT, "figures", kind)
        localrule: True
        conda:
            "../envs/environment.yaml"
        params:
            kind=kind,
        shell:
            "python {input.script} --kind {params.kind} --measures @<(lines {input.measures}) "
            " --output {output.table} > {log} 2>&1"


rule distances:
    """Put the distances travelled next to the paper's."""
    input:
        collider=targets.moved_together(OUT, [tasks.COLLIDER], config),
        different=targets.moved_together(OUT, tasks.DIFFERENT, config),
        identical=targets.moved_together(OUT, tasks.IDENTICAL, config),
        paper="config/paper_numbers.yaml",
        spreads="config/fidelity.csv",
        script=script("measure/make_distance_table.py"),
        code=code("measure/make_distance_table.py"),
    output:
        table=table("distances", "distances next to the paper's"),
    log:
        paths.log(OUT, "distances"),
    benchmark:
        paths.benchmark(OUT, "figures", "distances")
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        trainings=[config["seeds"][family] for family in ("collider", "toy", "toy")],
    shell:
        "python {input.script} --collider {input.collider} --different {input.different} "
        " --identical {input.identical} --trainings {params.trainings} --paper {input.paper} "
        " --spreads {input.spreads} --output {output.table} > {log} 2>&1"


rule fidelity:
    """Compare the toys and the collider task with the paper over several trainings."""
    input:
        measures=lambda wildcards: targets.fidelity_measures(OUT, config),
        distances=paths.table(OUT, "distances", "csv"),
        reasons="config/fidelity_reasons.yaml",
        script=script("measure/make_fidelity_table.py"),
        code=code("measure/make_fidelity_table.py"),
    output:
        table=table("fidelity", "the paper's numbers and several trainings"),
    log:
        paths.log(OUT, "fidelity"),
    benchmark:
        paths.benchmark(OUT, "figures", "fidelity")
    localrule: True
    conda:
        "../envs/environment.yaml"
    shell:
        "python {input.script} --distances {input.distances} --measures {input.measures} "
        " --reasons {input.reasons} --output {output.table} > {log} 2>&1"


rule claims:
    """Test each claim of the paper with a number of this run."""
    input:
        claims="config/claims.yaml",
        paper="config/paper_numbers.yaml",
        measures=[*MEASURES, *FLOW_MEASURES, *ENSEMBLE_MEASURES, *COSTS, *SEARCH_MEASURES],
        script=script("measure/make_claims_table.py"),
        code=code("measure/make_claims_table.py"),
    output:
        claims=table("claims", "the paper's claims against this run"),
    log:
        paths.log(OUT, "claims"),
    benchmark:
        paths.benchmark(OUT, "figures", "claims")
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        as_paper=AS_PAPER,
        options="",
    shell:
        "python {input.script} --claims {input.claims} --paper {input.paper} "
        " --measures {input.measures} --as-paper {params.as_paper} {params.options} "
        " --output {output.claims} > {log} 2>&1"


use rule claims as penalty_claims with:
    """Test the claims that need the penalty scan."""
    input:
        claims="config/claims.yaml",
        paper="config/paper_numbers.yaml",
        measures=[
            paths.scan_measures(OUT),
            paths.measures(OUT, tasks.COLLIDER.name, 1, tasks.COLLIDER.family.held_out),
            paths.cost_measures(OUT, tasks.COLLIDER.family.name),
        ],
        script=script("measure/make_claims_table.py"),
        code=code("measure/make_claims_table.py"),
    output:
        claims=table("penalty_claims", "the claim that needs the penalty scan"),
    log:
        paths.log(OUT, "penalty_claims"),
    benchmark:
        paths.benchmark(OUT, "figures", "penalty_claims")
    localrule: True
    params:
        as_paper=AS_PAPER,
        options='--needing "snakemake penalty_scan"',


rule results_page:
    """Write the run's tables on one page, with the commit and the machine that made them."""
    input:
        tables=[paths.table(OUT, name, "md") for name in PAGE],
        script=script("measure/make_results_page.py"),
        code=code("measure/make_results_page.py"),
    output:
        md=paths.results_page(OUT),
    log:
        paths.log(OUT, "results_page"),
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        run=config["run"],
        seed=config["seed"],
        trainings=[f"{family}={number}" for family, number in config["seeds"].items()],
        titles=list(PAGE.values()),
    shell:
        "python {input.script} --run {params.run:q} --seed {params.seed} "
        " --trainings {params.trainings} --tables {input.tables} --titles {params.titles:q} "
        " --output {output.md} > {log} 2>&1"


rule times:
    """Add up what the run's time went into, by stage, rule and method."""
    input:
        everything=RESULTS,
        script=script("measure/sum_times.py"),
        code=code("measure/sum_times.py"),
    output:
        md=paths.times(OUT),
    log:
        paths.log(OUT, "times"),
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        folder=lambda wildcards, output: os.path.dirname(output.md),
    shell:
        "python {input.script} --benchmarks {params.folder} --output {output.md} 2>&1 | tee {log}"
