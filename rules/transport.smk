"""Transport flows, one job per task, method and training; then all methods' moved points."""


rule train_transport:
    """Train the transport of one task by one method between its two frozen densities."""
    input:
        unpack(lambda wildcards: densities_of(wildcards.task, wildcards.training)),
        unpack(lambda wildcards: smoothed_densities_of(wildcards.task, wildcards.training)),
        data=lambda wildcards: JOBS.files(*tasks.TASKS[wildcards.task].datasets),
        script=script("train/train_transport.py"),
        code=code("train/train_transport.py"),
    output:
        flow=paths.flow(paths.transport(OUT, "{task}", "{method}", "{training}")),
        losses=paths.loss_table(paths.transport(OUT, "{task}", "{method}", "{training}")),
    log:
        paths.log(OUT, "train_transport", "{task}", "{method}", "{training}"),
    benchmark:
        paths.benchmark(OUT, "transports", "train_transport", "{task}", "{method}", "{training}")
    priority: soon
    conda:
        "../envs/environment.yaml"
    threads: config["threads"]
    resources:
        mem_mb=scaled(2500),
        runtime=scaled(480),
    params:
        job=lambda wildcards: to_json(
            JOBS.transport(wildcards.task, wildcards.method, int(wildcards.training))
        ),
        checkpoint=paths.checkpoint(paths.transport(OUT, "{task}", "{method}", "{training}")),
    shell:
        "python {input.script} --job {params.job:q} "
        " --reference-density {input.reference} --target-density {input.target} "
        " --smoothed-reference {input.smoothed_reference} "
        " --smoothed-target {input.smoothed_target} "
        " --threads {threads} --checkpoint {params.checkpoint} "
        " --output {output.flow} --history {output.losses} "
        " 2>&1 | (trap '' INT TERM USR1; exec tee {log})"


rule move_samples:
    """Move a task's reference points by every method; measure the flows while at it."""
    input:
        unpack(lambda wildcards: densities_of(wildcards.task, wildcards.training)),
        data=lambda wildcards: JOBS.move(wildcards.task, wildcards.training, wildcards.split).files,
        transports=lambda wildcards: [
            paths.flow(paths.transport(OUT, wildcards.task, method, wildcards.training))
            for method in targets.transports(wildcards.task, config)
        ],
        script=script("move/move_samples.py"),
        code=code("move/move_samples.py"),
    output:
        moved=paths.moved(OUT, "{task}", "{training}", "{split}"),
        flow_measures=paths.flow_measures(OUT, "{task}", "{training}", "{split}"),
    log:
        paths.log(OUT, "move_samples", "{task}", "{training}", "{split}"),
    benchmark:
        paths.benchmark(OUT, "moving", "move_samples", "{task}", "{training}", "{split}")
    conda:
        "../envs/environment.yaml"
    threads: config["threads"]
    resources:
        mem_mb=scaled(1500),
        runtime=scaled(60),
    params:
        job=lambda wildcards: to_json(
            JOBS.move(wildcards.task, wildcards.training, wildcards.split)
        ),
    shell:
        "python {input.script} --job {params.job:q} "
        " --reference-density {input.reference} --target-density {input.target} "
        " --transports {input.transports} --threads {threads} "
        " --output {output.moved} --flow-measures {output.flow_measures} > {log} 2>&1"


use rule move_samples as move_points with:
    """Move the points of the first figures by the methods that they show, before the others."""
    input:
        unpack(lambda wildcards: densities_of(wildcards.task, "1")),
        data=lambda wildcards: JOBS.files(*tasks.TASKS[wildcards.task].datasets),
        transports=lambda wildcards: [
            paths.flow(paths.transport(OUT, wildcards.task, method, "1"))
            for method in JOBS.move_pointwise(*wildcards).methods
        ],
        script=script("move/move_samples.py"),
        code=code("move/move_samples.py"),
    output:
        moved=paths.moved_pointwise(OUT, "{task}", "{split}"),
        flow_measures=temp(paths.pointwise_flow_measures(OUT, "{task}", "{split}")),
    log:
        paths.log(OUT, "move_points", "{task}", "{split}"),
    benchmark:
        paths.benchmark(OUT, "moving", "move_points", "{task}", "{split}")
    priority: soon
    params:
        job=lambda wildcards: to_json(JOBS.move_pointwise(*wildcards)),


rule mix_ensemble:
    """Send each reference point through one of a task's repeated flows; compare where they send it."""
    input:
        moved=lambda wildcards: [
            paths.moved(OUT, wildcards.task, training, wildcards.split)
            for training in targets.trainings(tasks.TASKS[wildcards.task].family, config)
        ],
        script=script("move/mix_ensemble.py"),
        code=code("move/mix_ensemble.py"),
    output:
        moved=paths.moved(OUT, "{task}", tasks.ENSEMBLE, "{split}"),
        measures=paths.ensemble_measures(OUT, "{task}", "{split}"),
    log:
        paths.log(OUT, "mix_ensemble", "{task}", "{split}"),
    benchmark:
        paths.benchmark(OUT, "moving", "mix_ensemble", "{task}", "{split}")
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        task=lambda wildcards: wildcards.task,
        split=lambda wildcards: wildcards.split,
        seed=lambda wildcards: JOBS.mixing_seed(wildcards.task, wildcards.split),
    shell:
        "python {input.script} --moved {input.moved} --seed {params.seed} "
        " --task {params.task} --split {params.split} "
        " --output {output.moved} --measures {output.measures} > {log} 2>&1"


use rule train_transport as train_scanned_transport with:
    """Train the collider task's transport with a movement penalty of another strength."""
    input:
        **densities_of(tasks.COLLIDER.name, "1"),
        **smoothed_densities_of(tasks.COLLIDER.name, "1"),
        data=JOBS.files(*tasks.COLLIDER.datasets),
        script=script("train/train_transport.py"),
        code=code("train/train_transport.py"),
    output:
        flow=paths.flow(paths.scanned(OUT, "{strength}")),
        losses=paths.loss_table(paths.scanned(OUT, "{strength}")),
    log:
        paths.log(OUT, "train_scanned_transport", "{strength}"),
    benchmark:
        paths.benchmark(
            OUT, "transports", "train_scanned_transport", "collider", methods.SCANNED, "{strength}"
        )
    params:
        job=lambda wildcards: to_json(JOBS.scan_transport(wildcards.strength)),
        checkpoint=paths.checkpoint(paths.scanned(OUT, "{strength}")),


use rule move_samples as move_scanned_samples with:
    """Move the collider task's reference points by the transports of the penalty scan."""
    input:
        **densities_of(tasks.COLLIDER.name, "1"),
        data=JOBS.files(*tasks.COLLIDER.datasets),
        transports=[
            paths.flow(paths.scanned(OUT, f"{strength:g}")) for strength in targets.scanned(config)
        ],
        script=script("move/move_samples.py"),
        code=code("move/move_samples.py"),
    output:
        moved=paths.moved_by_scan(OUT),
        flow_measures=paths.scan_flow_measures(OUT),
    log:
        paths.log(OUT, "move_scanned_samples"),
    benchmark:
        paths.benchmark(OUT, "moving", "move_scanned_samples")
    params:
        job=literal(to_json(JOBS.scan_move())),
