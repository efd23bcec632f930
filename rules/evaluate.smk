"""Numbers for the trained flows."""

TOY_DENSITIES = [name for name in targets.DATASETS if name not in targets.SAMPLES]


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
        mem_mb=1500,
        runtime=60,
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
        likelihoods=[paths.likelihoods(OUT, moved) for moved in targets.MOVED],
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
