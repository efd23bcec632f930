"""Numbers for the trained flows."""

TOY_DENSITIES = [name for name in targets.DATASETS if name not in targets.SAMPLES]
MEASURES = [
    file(OUT, moved)
    for moved in targets.moved(config)
    for file in (paths.measures, paths.flow_measures)
]


rule evaluate_densities:
    """Measure each toy density's Kullback-Leibler divergence from the exact one."""
    input:
        densities=[paths.weights(paths.density(OUT, name)) for name in TOY_DENSITIES],
        script=script("evaluate_densities.py"),
        code=code("evaluate_densities.py"),
    output:
        csv=report(
            paths.table(OUT, "divergences", "csv"),
            caption="../workflow/report/divergences.rst",
            category="Tables",
            labels={"table": "divergences", "shows": "toy densities against the exact ones"},
        ),
        md=paths.table(OUT, "divergences", "md"),
    log:
        paths.log(OUT, "evaluate_densities"),
    benchmark:
        paths.benchmark(OUT, "evaluate_densities")
    conda:
        "../envs/environment.yaml"
    threads: config["threads"]
    resources:
        mem_mb=scaled(1500),
        runtime=scaled(60),
    params:
        datasets=TOY_DENSITIES,
        toy=as_json(toy_recipe("toy")),
        rotated=as_json(toy_recipe("rotated")),
        seed=lambda wildcards: seed("evaluate_densities"),
        batch=config["training"]["toy"]["density"]["batch"],
        engine=config["engine"],
        device=config["device"],
    shell:
        "python {input.script} --datasets {params.datasets} --densities {input.densities} "
        " --toy-data {params.toy:q} --rotated-data {params.rotated:q} --seed {params.seed} "
        " --batch {params.batch} --engine {params.engine} --device {params.device} --threads {threads} "
        " --output {output.csv} {output.md} > {log} 2>&1"


rule make_likelihood_table:
    """Collect the likelihoods of the target under each method's moved density."""
    input:
        likelihoods=[paths.likelihoods(OUT, moved) for moved in targets.moved(config)],
        script=script("make_likelihood_table.py"),
        code=code("make_likelihood_table.py"),
    output:
        csv=report(
            paths.table(OUT, "likelihoods", "csv"),
            caption="../workflow/report/likelihoods.rst",
            category="Tables",
            labels={"table": "likelihoods", "shows": "target under each method"},
        ),
        md=paths.table(OUT, "likelihoods", "md"),
    log:
        paths.log(OUT, "make_likelihood_table"),
    benchmark:
        paths.benchmark(OUT, "make_likelihood_table")
    conda:
        "../envs/environment.yaml"
    shell:
        "python {input.script} --likelihoods {input.likelihoods} "
        " --output {output.csv} {output.md} > {log} 2>&1"


rule measure_task:
    """Measure how well and how far each method moves a task's points."""
    input:
        moved=paths.moved(OUT, "{moved}"),
        script=script("measure_task.py"),
        code=code("measure_task.py"),
    output:
        csv=paths.measures(OUT, "{moved}"),
    log:
        paths.log(OUT, "measure_task", "{moved}"),
    benchmark:
        paths.benchmark(OUT, "measure_task", "{moved}")
    wildcard_constraints:
        moved="|".join(targets.moved(config)),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=scaled(1500),
        runtime=scaled(60),
    params:
        task=lambda wildcards: measured_task(wildcards.moved),
        methods=targets.methods(config),
        features=lambda wildcards: features_of(wildcards.moved),
        half_width=config["flows"]["transport"]["tail_bound"],
        seed=lambda wildcards: seed("measure_task", wildcards.moved),
        two_sample=config["measures"]["two_sample_points"],
        assignment=config["measures"]["assignment_points"],
    shell:
        "python {input.script} --task {wildcards.moved} --moved {input.moved} "
        " --methods {params.methods} --features {params.features:q} {params.task} "
        " --half-width {params.half_width} --seed {params.seed} "
        " --two-sample-points {params.two_sample} --assignment-points {params.assignment} "
        " --output {output.csv} > {log} 2>&1"


rule make_measure_tables:
    """Arrange the measures of all tasks in tables."""
    input:
        measures=MEASURES,
        script=script("make_measure_tables.py"),
        code=code("make_measure_tables.py"),
    output:
        two_sample=table("two_sample", "how well each method matches the target"),
        movement=table("movement", "how far each method moves, and how far it must"),
        marginals=table("marginals", "match and movement of each feature"),
    log:
        paths.log(OUT, "make_measure_tables"),
    benchmark:
        paths.benchmark(OUT, "make_measure_tables")
    conda:
        "../envs/environment.yaml"
    shell:
        "python {input.script} --measures {input.measures} --two-sample {output.two_sample} "
        " --movement {output.movement} --marginals {output.marginals} > {log} 2>&1"


rule make_claims_table:
    """Test each claim of the paper with a number of this run."""
    input:
        claims="config/claims.yaml",
        measures=MEASURES,
        script=script("make_claims_table.py"),
        code=code("make_claims_table.py"),
    output:
        claims=table("claims", "the paper's claims against this run"),
    log:
        paths.log(OUT, "make_claims_table"),
    benchmark:
        paths.benchmark(OUT, "make_claims_table")
    conda:
        "../envs/environment.yaml"
    shell:
        "python {input.script} --claims {input.claims} --measures {input.measures} "
        " --output {output.claims} > {log} 2>&1"
