"""The user's own two samples: from their files to the moved reference in their format."""

# Looked at before anything is trained, and no parameter: where and how the reference is moved is no
# reason to train anew.
OWN_LAYOUT = (
    f"{own_config.layout_options(config)} --outside {config['own']['output']['outside']} "
    f"--apply {shlex.quote(json.dumps(config['own']['regions']['apply']))} "
    f"--varied {own_members.moving(config)[-1].variation}"
)
# What comparisons need beside what flows are trained on; by sample.
CLOSURE = {
    role: [paths.own_closure(OUT, dataset.name)] if own_config.tested_apart(config) else []
    for role, dataset in zip(tasks.SAMPLES, tasks.OWN.datasets)
}


rule prepare_own_samples:
    """Read the user's two samples, cut and split them, and bring them to the flows' box."""
    input:
        reference=own_config.matching(config["own"]["reference"]["files"]),
        target=own_config.matching(config["own"]["target"]["files"]),
        script=script("events/prepare_own_samples.py"),
        code=code("events/prepare_own_samples.py"),
    output:
        reference=paths.own_prepared(OUT, tasks.OWN.reference.name),
        target=paths.own_prepared(OUT, tasks.OWN.target.name),
        preprocessing=paths.preprocessing(OUT),
        rows=table("own_rows", "rows of both samples, and where they went"),
    log:
        paths.log(OUT, "prepare_own_samples"),
    benchmark:
        paths.benchmark(OUT, "features", "prepare_own_samples")
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(60),
    params:
        job=literal(to_json(JOBS.prepare_own())),
    shell:
        "python {input.script} --job {params.job:q} {OWN_LAYOUT} "
        " --output-reference {output.reference} --output-target {output.target} "
        " --output-preprocessing {output.preprocessing} --output-rows {output.rows} > {log} 2>&1"


if own_config.tested_apart(config):

    rule prepare_own_closure:
        """Read rows and columns of the user's samples in which transports are tested only."""
        input:
            reference=own_config.matching(config["own"]["reference"]["files"]),
            target=own_config.matching(config["own"]["target"]["files"]),
            preprocessing=paths.preprocessing(OUT),
            balance=[paths.own_prepared(OUT, tasks.OWN.reference.name)] * config["own"]["balance"],
            script=script("events/prepare_own_closure.py"),
            code=code("events/prepare_own_closure.py"),
        output:
            **CLOSURE,
            rows=(
                table("closure_rows", "rows of both samples outside of the training region")
                if own_config.applied_elsewhere(config)
                else []
            ),
        log:
            paths.log(OUT, "prepare_own_closure"),
        benchmark:
            paths.benchmark(OUT, "features", "prepare_own_closure")
        # Ahead of all trainings: what it refuses is to be known before them.
        priority: 1000
        conda:
            "../envs/environment.yaml"
        resources:
            mem_mb=scaled(4000),
            runtime=scaled(60),
        params:
            job=literal(to_json(JOBS.prepare_closure())),
        shell:
            "python {input.script} --job {params.job:q} --preprocessing {input.preprocessing} "
            " --balance {input.balance} --output-reference {output.reference} "
            " --output-target {output.target} --output-rows {output.rows} > {log} 2>&1"


rule closure_bins:
    """Compare the user's moved samples with the target in bins of columns."""
    input:
        **CLOSURE,
        moved=[
            paths.moved(OUT, tasks.OWN.name, 1, split)
            for split in targets.splits(tasks.OWN, config)
        ],
        preprocessing=paths.preprocessing(OUT),
        script=script("measure/measure_closure_bins.py"),
        code=code("measure/measure_closure_bins.py"),
    output:
        table("closure_bins", "how well each method matches the target in bins of columns"),
    log:
        paths.log(OUT, "closure_bins"),
    benchmark:
        paths.benchmark(OUT, "measures", "closure_bins")
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(120),
    params:
        job=literal(to_json(JOBS.closure())),
    shell:
        "python {input.script} --job {params.job:q} --moved {input.moved} "
        " --reference {input.reference} --target {input.target} "
        " --preprocessing {input.preprocessing} --output {output} > {log} 2>&1"


for row in figures.CLOSURE_FIGURES:

    rule:
        """Draw ratios of features to the target's in bins of columns."""
        name:
            row.name
        input:
            **CLOSURE,
            moved=paths.moved(OUT, tasks.OWN.name, 1, row.split),
            preprocessing=paths.preprocessing(OUT),
            script=script("plot/plot_closure_bins.py"),
            code=code("plot/plot_closure_bins.py"),
        output:
            **figure(row.name),
        log:
            paths.log(OUT, row.name),
        benchmark:
            paths.benchmark(OUT, "figures", row.name)
        localrule: True
        conda:
            "../envs/environment.yaml"
        params:
            job=literal(to_json(JOBS.closure())),
            split=row.split,
            options=literal(row.options(config)),
        shell:
            "python {input.script} --job {params.job:q} --split {params.split} "
            " --moved {input.moved} --reference {input.reference} --target {input.target} "
            " --preprocessing {input.preprocessing} {params.options} "
            " --output {output.pdf} {output.png} > {log} 2>&1"


rule bundle_transport:
    """Put all that it takes to use a method's trained transports in one file."""
    input:
        unpack(lambda wildcards: flows_to_move(wildcards.method)),
        preprocessing=paths.preprocessing(OUT),
        balance=[paths.own_prepared(OUT, tasks.OWN.reference.name)] * config["own"]["balance"],
        script=script("move/bundle_transport.py"),
        code=code("move/bundle_transport.py"),
    output:
        bundle=paths.bundle(OUT, "{method}"),
    log:
        paths.log(OUT, "bundle_transport", "{method}"),
    benchmark:
        paths.benchmark(OUT, "moving", "bundle_transport", "{method}")
    wildcard_constraints:
        method="|".join(methods.PUBLISHED),
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        job=lambda wildcards: to_json(JOBS.bundle(wildcards.method)),
    shell:
        "python {input.script} --job {params.job:q} --transports @<(lines {input.transports}) "
        " --reference-densities @<(lines {input.reference}) "
        " --target-densities @<(lines {input.target}) "
        " --preprocessing {input.preprocessing} --balance {input.balance} "
        " --output {output.bundle} > {log} 2>&1"


rule export_transport:
    """Write a method's transport as models for programs without Python."""
    input:
        transport=paths.bundle(OUT, "{method}"),
        script=script("move/export_transport.py"),
        code=code("move/export_transport.py"),
    output:
        paths.models(OUT, "{method}", config["own"]["folds"]),
    log:
        paths.log(OUT, "export_transport", "{method}"),
    benchmark:
        paths.benchmark(OUT, "moving", "export_transport", "{method}")
    wildcard_constraints:
        method="|".join(methods.PUBLISHED),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(60),
    params:
        also="--also balance_factor" if config["own"]["balance"] else "",
        precision=own_config.model_precision(config),
    shell:
        "python {input.script} --transport {input.transport} --precision {params.precision} "
        " {params.also} "
        " --outputs {output} > {log} 2>&1"


rule move_reference:
    """Move the user's reference by one method, and write it as it came."""
    input:
        files=own_config.matching(config["own"]["reference"]["files"]),
        transport=paths.bundle(OUT, "{method}"),
        script=script("move/move_file.py"),
        code=code("move/move_file.py"),
    output:
        moved=paths.moved_reference(
            OUT, "{method}", own_config.suffix(config["own"]["reference"]["files"])
        ),
    log:
        paths.log(OUT, "move_reference", "{method}"),
    benchmark:
        paths.benchmark(OUT, "moving", "move_reference", "{method}")
    wildcard_constraints:
        method="|".join(methods.PUBLISHED),
    conda:
        "../envs/environment.yaml"
    threads: config["threads"]
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(120),
    params:
        tree=lambda wildcards: own_config.reading_options(config["own"]["reference"]),
        # The rule of further files is this one with a name.
        layout=lambda wildcards: own_config.layout_options(config, "name" in wildcards.keys()),
        outside=config["own"]["output"]["outside"],
        chunk=config["own"]["output"]["chunk_rows"],
        device=config["device"],
    shell:
        "python {input.script} move --transport {input.transport} --input {input.files:q} "
        " {params.tree} {params.layout} --outside {params.outside} "
        " --chunk {params.chunk} --device {params.device} --threads {threads} "
        " --output {output.moved:q} > {log:q} 2>&1"


use rule move_reference as move_file with:
    """Move one further file of the user's by one method."""
    input:
        files=lambda wildcards: APPLIED[wildcards.name],
        transport=paths.bundle(OUT, "{method}"),
        script=script("move/move_file.py"),
        code=code("move/move_file.py"),
    output:
        moved=paths.applied(OUT, "{method}", "{name}"),
    log:
        paths.log(OUT, "move_file", "{method}", "{name}"),
    benchmark:
        paths.benchmark(OUT, "moving", "move_file", "{method}", "{name}")
    wildcard_constraints:
        method="|".join(methods.PUBLISHED),
        name="|".join(map(re.escape, APPLIED)) or "nothing to apply",


rule apply:
    """Move the user's further files (key apply) with the trained transports."""
    input:
        lambda wildcards: targets.applied(OUT, config),
    localrule: True
