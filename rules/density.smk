"""Density flows: one job per data set, and one per width of noise, for all tasks and methods."""

# Widths of the noise by data set.
SMOOTHED = {
    dataset.name: [str(width) for width in targets.smoothing(dataset.family, config).widths]
    for dataset in targets.run_datasets(config)
    if targets.smoothing(dataset.family, config).widths
}


rule train_density:
    """Train the density of one data set by maximum likelihood."""
    input:
        data=lambda wildcards: JOBS.density(wildcards.dataset, int(wildcards.training)).files,
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


use rule train_density as train_smoothed_density with:
    """Train the density of a data set's points with Gaussian noise, where transports begin."""
    input:
        data=lambda wildcards: JOBS.smoothed(
            wildcards.dataset, int(wildcards.training), wildcards.width
        ).files,
        script=script("train/train_density.py"),
        code=code("train/train_density.py"),
    output:
        flow=paths.flow(paths.smoothed(OUT, "{dataset}", "{training}", "{width}")),
        losses=paths.loss_table(paths.smoothed(OUT, "{dataset}", "{training}", "{width}")),
    log:
        paths.log(OUT, "train_smoothed_density", "{dataset}", "{training}", "{width}"),
    benchmark:
        paths.benchmark(
            OUT, "densities", "train_smoothed_density", "{dataset}", "{training}", "{width}"
        )
    wildcard_constraints:
        # Without smoothed densities these match nothing.
        dataset="|".join(SMOOTHED) or "(?!)",
        width="|".join(sorted({re.escape(width) for each in SMOOTHED.values() for width in each}))
        or "(?!)",
    params:
        job=lambda wildcards: to_json(
            JOBS.smoothed(wildcards.dataset, int(wildcards.training), wildcards.width)
        ),
        checkpoint=paths.checkpoint(paths.smoothed(OUT, "{dataset}", "{training}", "{width}")),
