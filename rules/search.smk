"""The search that morphing is for: a signal in the signal region, found with each method's template."""

SEARCHED = targets.search_draws(config)


rule prepare_search:
    """Cut out and scale the signal region's events of one sample."""
    input:
        features=lambda wildcards: [
            paths.features(OUT, sample)
            for sample in targets.searched_samples(wildcards.events, config)
        ],
        prepared=lambda wildcards: (
            [] if wildcards.events == tasks.SIGNAL else [paths.prepared(OUT, wildcards.events)]
        ),
        scaling=paths.scaling(OUT),
        script=script("events/prepare_search.py"),
        code=code("events/prepare_search.py"),
    output:
        events=paths.searched(OUT, "{events}"),
    log:
        paths.log(OUT, "prepare_search", "{events}"),
    benchmark:
        paths.benchmark(OUT, "features", "prepare_search", "{events}")
    wildcard_constraints:
        events="|".join((*tasks.SAMPLES, tasks.SIGNAL)),
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        prepared=lambda wildcards, input: f"--prepared {input.prepared}" if input.prepared else "",
        signal=config["collider"]["regions_tev"]["signal"],
    shell:
        "python {input.script} --features {input.features} {params.prepared} "
        " --scaling {input.scaling} --signal {params.signal} --output {output.events} > {log} 2>&1"


use rule move_samples as move_search_samples with:
    """Move the reference's events of the signal region by every method, for the search."""
    input:
        unpack(lambda wildcards: densities_of(tasks.COLLIDER.name, wildcards.training)),
        data=[paths.searched(OUT, sample) for sample in tasks.SAMPLES],
        transports=lambda wildcards: [
            paths.flow(paths.transport(OUT, tasks.COLLIDER.name, method, wildcards.training))
            for method in targets.trained_methods(config)
        ],
        script=script("move/move_samples.py"),
        code=code("move/move_samples.py"),
    output:
        moved=paths.moved_for_search(OUT, "{training}"),
        flow_measures=paths.search_flow_measures(OUT, "{training}"),
    log:
        paths.log(OUT, "move_search_samples", "{training}"),
    benchmark:
        paths.benchmark(OUT, "search", "move_search_samples", "{training}")
    params:
        job=lambda wildcards: to_json(JOBS.search_move(wildcards.training)),


use rule morph_by_alternative as morph_search_by_alternative with:
    """Morph the reference's events of the signal region by a method that is no flow."""
    input:
        data=[paths.searched(OUT, sample) for sample in tasks.SAMPLES],
        module=lambda wildcards: module_of(wildcards.alternative),
        script=script("train/morph_by_alternative.py"),
        code=code("train/morph_by_alternative.py"),
    output:
        morphed=paths.alternative_for_search(OUT, "{alternative}"),
    log:
        paths.log(OUT, "morph_search_by_alternative", "{alternative}"),
    benchmark:
        paths.benchmark(OUT, "search", "morph_search_by_alternative", "{alternative}")
    params:
        job=lambda wildcards: to_json(JOBS.search_alternative(wildcards.alternative)),


use rule mix_ensemble as mix_search_samples with:
    """Send each reference event for the search through one of the repeated flows."""
    input:
        moved=[
            paths.moved_for_search(OUT, training)
            for training in targets.trainings(tasks.COLLIDER.family, config)
        ],
        script=script("move/mix_ensemble.py"),
        code=code("move/mix_ensemble.py"),
    output:
        moved=paths.moved_for_search(OUT, tasks.ENSEMBLE),
        measures=paths.search_flow_measures(OUT, tasks.ENSEMBLE),
    log:
        paths.log(OUT, "mix_search_samples"),
    benchmark:
        paths.benchmark(OUT, "search", "mix_search_samples")
    params:
        task=tasks.COLLIDER.name,
        split=tasks.SEARCH,
        seed=JOBS.mixing_seed(tasks.COLLIDER.name, tasks.SEARCH),


rule search_draw:
    """Look for the signal in one draw of data with every template."""
    input:
        moved=paths.moved_for_search(OUT, targets.search_templates(config)),
        alternatives=[
            paths.alternative_for_search(OUT, method)
            for method in targets.search_alternatives(config)
        ],
        sidebands=paths.moved(
            OUT,
            tasks.COLLIDER.name,
            targets.search_templates(config),
            tasks.COLLIDER.family.held_out,
        ),
        sideband_alternatives=[
            paths.alternative(OUT, tasks.COLLIDER.name, 1, method)
            for method in targets.search_alternatives(config)
        ],
        signal=paths.searched(OUT, tasks.SIGNAL),
        script=script("measure/search_draw.py"),
        code=code("measure/search_draw.py"),
    output:
        curves=paths.search_curves(OUT, "{fraction}", "{draw}"),
        csv=paths.search_measures(OUT, "{fraction}", "{draw}"),
    log:
        paths.log(OUT, "search_draw", "{fraction}", "{draw}"),
    benchmark:
        paths.benchmark(OUT, "search", "search_draw", "{fraction}", "{draw}")
    wildcard_constraints:
        fraction="[0-9.e-]+",
        draw="[0-9]+",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=scaled(1500),
        runtime=scaled(120),
    params:
        job=lambda wildcards: to_json(JOBS.search(wildcards.fraction, int(wildcards.draw))),
    shell:
        "python {input.script} --job {params.job:q} --moved {input.moved} "
        " --alternatives {input.alternatives} --sidebands {input.sidebands} "
        " --sideband-alternatives {input.sideband_alternatives} "
        " --output {output.curves} --measures {output.csv} > {log} 2>&1"


rule fig_search:
    """Show and tabulate what each template finds, draw by draw."""
    input:
        curves=[paths.search_curves(OUT, *draw) for draw in SEARCHED],
        measures=[paths.search_measures(OUT, *draw) for draw in SEARCHED],
        script=script("plot/plot_search.py"),
        code=code("plot/plot_search.py"),
    output:
        **figure("fig_search"),
        tables=table("search", "what a search finds with each method's template"),
    log:
        paths.log(OUT, "fig_search"),
    benchmark:
        paths.benchmark(OUT, "figures", "fig_search")
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        fractions=[fraction for fraction, _ in SEARCHED],
        shown=targets.search_shown(config),
    shell:
        "python {input.script} --curves {input.curves} --measures {input.measures} "
        " --fractions {params.fractions} --shown {params.shown} "
        " --output {output.pdf} {output.png} --table {output.tables} > {log} 2>&1"


rule search:
    """Look for a signal with each method's template, without the rest of the run."""
    input:
        rules.fig_search.output,
    localrule: True
