"""The user's own two samples: from their files to the moved reference in their format."""

# Options of the figures: names and range of the features; methods and region.
OWN_LABELS = own_config.label_options(config)
OWN_LIMITS = own_config.limit_options(config)
OWN_TRAINED = own_config.figure_options(config, targets.methods(config))
OWN_APPLIED = own_config.figure_options(config, targets.methods(config), applied=True)

# Looked at before anything is trained, and no parameter: another layout is no reason to train anew.
OWN_LAYOUT = own_config.layout_options(config)


rule prepare_own_samples:
    """Read the user's two samples, cut and split them, and bring them to the flows' box."""
    input:
        reference=own_config.matching(config["own"]["reference"]["files"]),
        target=own_config.matching(config["own"]["target"]["files"]),
        script=script("events/prepare_own_samples.py"),
        code=code("events/prepare_own_samples.py"),
    output:
        reference=paths.own_prepared(OUT, "own_reference"),
        target=paths.own_prepared(OUT, "own_target"),
        preprocessing=paths.preprocessing(OUT),
        rows=table("own_rows", "rows of both samples, and where they went"),
    log:
        paths.log(OUT, "prepare_own_samples"),
    benchmark:
        paths.benchmark(OUT, "prepare_own_samples")
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(60),
    params:
        reference=as_json(config["own"]["reference"]),
        target=as_json(config["own"]["target"]),
        features=json.dumps(own_config.choices(config["own"]["features"])),
        condition=json.dumps(own_config.choices(config["own"]["condition"])),
        regions=as_json(config["own"]["regions"]),
        missing=config["own"]["missing"],
        rows=[config["own"]["rows"][split] for split in ("train", "validation")],
        scaling=[config["own"]["scaling"][edge] for edge in ("low", "high")],
        fraction=config["own"]["validation_fraction"],
        seed=seed("prepare_own_samples"),
    shell:
        "python {input.script} --reference {params.reference:q} --target {params.target:q} "
        " --features {params.features:q} --condition {params.condition:q} "
        " --regions {params.regions:q} --missing {params.missing} --rows {params.rows} "
        " --scaling {params.scaling} --validation-fraction {params.fraction} "
        " --seed {params.seed} {OWN_LAYOUT} --output-reference {output.reference} "
        " --output-target {output.target} --output-preprocessing {output.preprocessing} "
        " --output-rows {output.rows} > {log} 2>&1"


rule bundle_transport:
    """Put all that it takes to use a trained transport in one file."""
    input:
        transport=lambda wildcards: (
            [paths.weights(paths.transport(OUT, targets.OWN, wildcards.method))]
            if wildcards.method in methods.TRAINED
            else []
        ),
        reference=density_of(targets.OWN, "reference"),
        target=density_of(targets.OWN, "target"),
        preprocessing=paths.preprocessing(OUT),
        script=script("move/bundle_transport.py"),
        code=code("move/bundle_transport.py"),
    output:
        bundle=paths.bundle(paths.transport(OUT, targets.OWN, "{method}")),
    log:
        paths.log(OUT, "bundle_transport", "{method}"),
    benchmark:
        paths.benchmark(OUT, "bundle_transport", "{method}")
    wildcard_constraints:
        method="|".join(methods.PUBLISHED),
    conda:
        "../envs/environment.yaml"
    params:
        features=own_config.columns(config["own"]["features"]),
        condition=own_config.columns(config["own"]["condition"]),
        regions=as_json(config["own"]["regions"]),
    shell:
        "python {input.script} --method {wildcards.method} --transport {input.transport} "
        " --reference-density {input.reference} --target-density {input.target} "
        " --preprocessing {input.preprocessing} --features {params.features:q} "
        " --condition {params.condition:q} --regions {params.regions:q} "
        " --output {output.bundle} > {log} 2>&1"


rule move_reference:
    """Move the user's reference by one method, and write it as it came."""
    input:
        files=own_config.matching(config["own"]["reference"]["files"]),
        transport=paths.bundle(paths.transport(OUT, targets.OWN, "{method}")),
        script=script("move/move_file.py"),
        code=code("move/move_file.py"),
    output:
        moved=paths.moved_reference(
            OUT, "{method}", own_config.suffix(config["own"]["reference"]["files"])
        ),
    log:
        paths.log(OUT, "move_reference", "{method}"),
    benchmark:
        paths.benchmark(OUT, "move_reference", "{method}")
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
        layout=own_config.layout_options(config),
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
        transport=paths.bundle(paths.transport(OUT, targets.OWN, "{method}")),
        script=script("move/move_file.py"),
        code=code("move/move_file.py"),
    output:
        moved=paths.applied(OUT, "{method}", "{name}"),
    log:
        paths.log(OUT, "move_file", "{method}", "{name}"),
    benchmark:
        paths.benchmark(OUT, "move_file", "{method}", "{name}")
    wildcard_constraints:
        method="|".join(methods.PUBLISHED),
        name="|".join(map(re.escape, APPLIED)) or "nothing to apply",


rule apply:
    """Move the user's further files (key apply) with the trained transports."""
    input:
        lambda wildcards: targets.applied(OUT, config),


use rule fig8 as fig_own_ratios with:
    """Show the user's morphed features and their ratios to the target."""
    input:
        moved=moved_with([targets.OWN]),
        script=script("plot/plot_ratios.py"),
        code=code("plot/plot_ratios.py"),
    output:
        **figure("fig_own_ratios", "Own samples", "as Fig. 8", "features and ratios"),
    log:
        paths.log(OUT, "fig_own_ratios"),
    benchmark:
        paths.benchmark(OUT, "fig_own_ratios")
    params:
        options=lambda wildcards: f"{OWN_LABELS} {OWN_LIMITS} {OWN_TRAINED}",


use rule fig6 as fig_own_distances with:
    """Show the distances travelled in the space of the user's features."""
    input:
        moved=moved_with([targets.OWN]),
        script=script("plot/plot_distances.py"),
        code=code("plot/plot_distances.py"),
    output:
        **figure("fig_own_distances", "Own samples", "as Fig. 9", "distance"),
    log:
        paths.log(OUT, "fig_own_distances"),
    benchmark:
        paths.benchmark(OUT, "fig_own_distances")
    params:
        trainings=config["seeds"]["own"],
        options=lambda wildcards: f'--units "scaled features" {OWN_TRAINED}',


use rule fig10 as fig_own_feature_distances with:
    """Show the distances travelled in each of the user's features."""
    input:
        moved=moved_with([targets.OWN]),
        script=script("plot/plot_distances_per_feature.py"),
        code=code("plot/plot_distances_per_feature.py"),
    output:
        **figure("fig_own_feature_distances", "Own samples", "as Fig. 10", "distance per feature"),
    log:
        paths.log(OUT, "fig_own_feature_distances"),
    benchmark:
        paths.benchmark(OUT, "fig_own_feature_distances")
    params:
        options=lambda wildcards: f"{OWN_LABELS} {OWN_TRAINED}",


use rule fig8 as fig_own_apply_ratios with:
    """Show the user's morphed features and their ratios to the target, where flows are applied."""
    input:
        moved=moved_with([targets.OWN_APPLY]),
        script=script("plot/plot_ratios.py"),
        code=code("plot/plot_ratios.py"),
    output:
        **figure("fig_own_apply_ratios", "Own samples", "as Fig. 8", "features, where applied"),
    log:
        paths.log(OUT, "fig_own_apply_ratios"),
    benchmark:
        paths.benchmark(OUT, "fig_own_apply_ratios")
    params:
        options=lambda wildcards: f"{OWN_LABELS} {OWN_LIMITS} {OWN_APPLIED}",


use rule fig6 as fig_own_apply_distances with:
    """Show the distances travelled by the user's points where flows are applied."""
    input:
        moved=moved_with([targets.OWN_APPLY]),
        script=script("plot/plot_distances.py"),
        code=code("plot/plot_distances.py"),
    output:
        **figure("fig_own_apply_distances", "Own samples", "as Fig. 9", "distance, where applied"),
    log:
        paths.log(OUT, "fig_own_apply_distances"),
    benchmark:
        paths.benchmark(OUT, "fig_own_apply_distances")
    params:
        trainings=config["seeds"]["own"],
        options=lambda wildcards: f'--units "scaled features" {OWN_APPLIED}',


localrules:
    apply,
    bundle_transport,
    fig_own_ratios,
    fig_own_distances,
    fig_own_feature_distances,
    fig_own_apply_ratios,
    fig_own_apply_distances,
