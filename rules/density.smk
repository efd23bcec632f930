"""Density flows: one job per data set, shared by every task that uses it."""


rule train_density:
    """Train the density of one data set by maximum likelihood."""
    input:
        data=lambda wildcards: JOBS.files(tasks.DATASETS[wildcards.dataset]),
        script=script("train/train_density.py"),
        code=code("train/train_density.py"),
    output:
        flow=paths.flow(paths.density(OUT, "{dataset}", "{training}")),
        losses=paths.loss_table(paths.density(OUT, "{dataset}", "{training}")),
    log:
        paths.log(OUT, "train_density", "{dataset}", "{training}"),
    benchmark:
        paths.benchmark(OUT, "densities", "train_density", "{dataset}", "{training}")
    # Ahead of every transport, several of which wait for it.
    priority: lambda wildcards: 10 * soon(wildcards)
    conda:
        "../envs/environment.yaml"
    threads: config["threads"]
    resources:
        mem_mb=scaled(2500),
        runtime=scaled(240),
    params:
        job=lambda wildcards: to_json(JOBS.density(wildcards.dataset, int(wildcards.training))),
        checkpoint=paths.checkpoint(paths.density(OUT, "{dataset}", "{training}")),
    shell:
        "python {input.script} --job {params.job:q} --threads {threads} "
        " --checkpoint {params.checkpoint} --output {output.flow} --history {output.losses} "
        " 2>&1 | (trap '' INT TERM USR1; exec tee {log})"
