"""Transport flows: one job per task and method."""


rule train_transport:
    """Train the transport of one task by one method between its two frozen densities."""
    input:
        data=lambda wildcards: [
            file
            for role in ("reference", "target")
            for file in file_of(getattr(targets.pair(wildcards.task), role))
        ],
        reference=lambda wildcards: density_of(wildcards.task, "reference"),
        target=lambda wildcards: density_of(wildcards.task, "target"),
        script=script("train/train_transport.py"),
        code=code("train/train_transport.py"),
    output:
        weights=paths.weights(paths.transport(OUT, "{task}", "{method}")),
        losses=paths.loss_table(paths.transport(OUT, "{task}", "{method}")),
    log:
        paths.log(OUT, "train_transport", "{task}", "{method}"),
    benchmark:
        paths.benchmark(OUT, "train_transport", "{task}", "{method}")
    conda:
        "../envs/environment.yaml"
    threads: config["threads"]
    resources:
        mem_mb=scaled(2500),
        runtime=scaled(480),
    params:
        task=lambda wildcards: options_of(wildcards.task),
        reference=lambda wildcards: recipe_of(targets.pair(wildcards.task).reference),
        target=lambda wildcards: recipe_of(targets.pair(wildcards.task).target),
        flow=as_json(config["flows"]["transport"]),
        recipe=lambda wildcards: as_json(transport_recipe(wildcards.task, wildcards.method)),
        penalty=lambda wildcards: penalty_of(wildcards.task, wildcards.method),
        seed=lambda wildcards: seed("transport", wildcards.task, wildcards.method),
        device=config["device"],
        engine=config["engine"],
        checkpoint=paths.checkpoint(paths.transport(OUT, "{task}", "{method}")),
    shell:
        "python {input.script} --task {wildcards.task} --method {wildcards.method} "
        " {params.task} --reference-data {params.reference:q} --target-data {params.target:q} "
        " --reference-density {input.reference} --target-density {input.target} "
        " --flow {params.flow:q} --recipe {params.recipe:q} --penalty {params.penalty} "
        " --seed {params.seed} --device {params.device} --engine {params.engine} "
        " --threads {threads} --checkpoint {params.checkpoint} "
        " --output {output.weights} --history {output.losses} "
        " 2>&1 | (trap '' INT TERM USR1; exec tee {log})"


rule move_samples:
    """Move a task's reference points by all five methods; measure the flows while at it."""
    input:
        data=lambda wildcards: [
            file
            for role in ("reference", "target")
            for file in file_of(getattr(targets.pair(wildcards.moved), role))
        ],
        reference=lambda wildcards: density_of(wildcards.moved, "reference"),
        target=lambda wildcards: density_of(wildcards.moved, "target"),
        transports=lambda wildcards: [
            paths.weights(paths.transport(OUT, task_of(wildcards.moved), method))
            for method in methods_of(wildcards.moved)
        ],
        script=script("move/move_samples.py"),
        code=code("move/move_samples.py"),
    output:
        moved=paths.moved(OUT, "{moved}"),
        flow_measures=paths.flow_measures(OUT, "{moved}"),
    log:
        paths.log(OUT, "move_samples", "{moved}"),
    benchmark:
        paths.benchmark(OUT, "move_samples", "{moved}")
    wildcard_constraints:
        moved=f"({'|'.join(targets.moved(config))})({repeats.SEED})?({repeats.SIGNAL})?"
        f"|{targets.PENALTY_SCAN}",
    conda:
        "../envs/environment.yaml"
    threads: config["threads"]
    resources:
        mem_mb=scaled(1500),
        runtime=scaled(60),
    params:
        task=lambda wildcards: options_of(wildcards.moved),
        split=lambda wildcards: split_of(wildcards.moved),
        reference=lambda wildcards: recipe_of(targets.pair(wildcards.moved).reference),
        target=lambda wildcards: recipe_of(targets.pair(wildcards.moved).target),
        methods=lambda wildcards: methods_of(wildcards.moved),
        seed=lambda wildcards: seed("moved", wildcards.moved),
        batch=lambda wildcards: transport_recipe(wildcards.moved, "")["batch"],
        engine=config["engine"],
        device=config["device"],
    shell:
        "python {input.script} --task {wildcards.moved} --split {params.split} {params.task} "
        " --reference-data {params.reference:q} --target-data {params.target:q} "
        " --reference-density {input.reference} --target-density {input.target} "
        " --methods {params.methods} --transports {input.transports} --seed {params.seed} "
        " --batch {params.batch} --engine {params.engine} --device {params.device} "
        " --threads {threads} "
        " --output {output.moved} --flow-measures {output.flow_measures} > {log} 2>&1"


rule mix_ensemble:
    """Send each reference point through one of a task's repeated flows, chosen at random."""
    input:
        moved=lambda wildcards: [
            paths.moved(OUT, task) for task in repeated([wildcards.name + wildcards.signal])
        ],
        script=script("move/mix_ensemble.py"),
        code=code("move/mix_ensemble.py"),
    output:
        moved=paths.moved(OUT, f"{{name}}{repeats.ENSEMBLE}{{signal}}"),
    log:
        paths.log(OUT, "mix_ensemble", "{name}{signal}"),
    benchmark:
        paths.benchmark(OUT, "mix_ensemble", "{name}{signal}")
    wildcard_constraints:
        name="|".join([*targets.tasks(config), targets.OWN_APPLY]),
        signal=f"({repeats.SIGNAL})?",
    conda:
        "../envs/environment.yaml"
    params:
        seed=lambda wildcards: seed("ensemble", wildcards.name + wildcards.signal),
    shell:
        "python {input.script} --moved {input.moved} --seed {params.seed} "
        " --output {output.moved} > {log} 2>&1"
