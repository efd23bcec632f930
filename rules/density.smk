"""Density flows: one job per data set, shared by every task that uses it."""


rule train_density:
    """Train the density of one data set by maximum likelihood."""
    input:
        data=lambda wildcards: file_of(wildcards.dataset),
        script=script("train/train_density.py"),
        code=code("train/train_density.py"),
    output:
        weights=paths.weights(paths.density(OUT, "{dataset}")),
        losses=paths.loss_table(paths.density(OUT, "{dataset}")),
    log:
        paths.log(OUT, "train_density", "{dataset}"),
    benchmark:
        paths.benchmark(OUT, "train_density", "{dataset}")
    conda:
        "../envs/environment.yaml"
    threads: config["threads"]
    resources:
        mem_mb=scaled(2500),
        runtime=scaled(240),
    params:
        dataset=lambda wildcards: repeats.plain(wildcards.dataset),
        data=lambda wildcards: recipe_of(wildcards.dataset),
        flow=as_json(config["flows"]["density"]),
        recipe=lambda wildcards: as_json(
            config["training"][targets.family(wildcards.dataset)]["density"]
        ),
        seed=lambda wildcards: seed("density", wildcards.dataset),
        device=config["device"],
        engine=config["engine"],
        checkpoint=paths.checkpoint(paths.density(OUT, "{dataset}")),
    shell:
        "python {input.script} --dataset {params.dataset} --data {params.data:q} "
        " --flow {params.flow:q} --recipe {params.recipe:q} --seed {params.seed} "
        " --device {params.device} --engine {params.engine} --threads {threads} "
        " --checkpoint {params.checkpoint} "
        " --output {output.weights} --history {output.losses} 2>&1 | (trap '' INT TERM USR1; exec tee {log})"
