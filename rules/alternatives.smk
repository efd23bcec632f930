"""What one could take instead of the flows, and its figures beside them."""

SHOWN_FLOWS = ["flows_for_flows", "movement_penalty"]  # beside the alternatives, in their figures


rule morph_by_alternative:
    """Morph a task's reference points by a method that is no flow."""
    input:
        data=lambda wildcards: [
            file
            for role in ("reference", "target")
            for file in file_of(getattr(targets.pair(wildcards.task), role))
        ],
        module=lambda wildcards: module_of(wildcards.alternative),
        script=script("train/morph_by_alternative.py"),
        code=code("train/morph_by_alternative.py"),
    output:
        morphed=paths.alternative(OUT, "{task}", "{alternative}"),
    log:
        paths.log(OUT, "morph_by_alternative", "{task}", "{alternative}"),
    benchmark:
        paths.benchmark(OUT, "morph_by_alternative", "{task}", "{alternative}")
    wildcard_constraints:
        alternative="|".join(config["alternatives"]["methods"]) or "none",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=scaled(2500),
        runtime=scaled(60),
    params:
        reference=lambda wildcards: targets.pair(repeats.plain(wildcards.task)).reference,
        target=lambda wildcards: targets.pair(repeats.plain(wildcards.task)).target,
        reference_data=lambda wildcards: recipe_of(targets.pair(wildcards.task).reference),
        target_data=lambda wildcards: recipe_of(targets.pair(wildcards.task).target),
        settings=lambda wildcards: as_json(config["alternatives"]["methods"][wildcards.alternative]),
        splits=lambda wildcards: splits_of(wildcards.task),
        seed=lambda wildcards: seed("alternative", wildcards.task, wildcards.alternative),
    shell:
        "python {input.script} --method {wildcards.alternative} --settings {params.settings:q} "
        " --reference {params.reference} --target {params.target} "
        " --reference-data {params.reference_data:q} --target-data {params.target_data:q} "
        " --splits {params.splits} --seed {params.seed} --threads {threads} "
        " --output {output.morphed} > {log} 2>&1"


use rule plot_transport_losses as plot_alternative_losses with:
    """Show the training of a task's further flow methods."""
    input:
        losses=[
            paths.loss_table(paths.transport(OUT, "{task}", method)) for method in methods.FURTHER
        ],
        script=script("plot/plot_loss.py"),
        code=code("plot/plot_loss.py"),
    output:
        [
            report(
                paths.loss_picture(paths.transport(OUT, "{task}", method)),
                caption="../workflow/report/loss.rst",
                category="Training",
                subcategory="transports",
                labels={"task": "{task}", "method": method},
            )
            for method in methods.FURTHER
        ],
    log:
        paths.log(OUT, "plot_alternative_losses", "{task}"),
    benchmark:
        paths.benchmark(OUT, "plot_alternative_losses", "{task}")
    params:
        titles=lambda wildcards: [f"{wildcards.task}, {method}" for method in methods.FURTHER],


use rule fig_closure as fig_alternatives with:
    """Show how well further methods do in both regions, beside the paper's."""
    input:
        sidebands=[paths.measures(OUT, task) for task in repeated(["science"])],
        signal=[paths.measures(OUT, task) for task in repeated(["science_signal"])],
        script=script("plot/plot_closure.py"),
        code=code("plot/plot_closure.py"),
    output:
        **figure("fig_alternatives", "Alternatives", "closure", "both regions"),
    log:
        paths.log(OUT, "fig_alternatives"),
    benchmark:
        paths.benchmark(OUT, "fig_alternatives")
    params:
        further=[
            *targets.flow_alternatives("science", config),
            *targets.alternatives("science", config),
        ],


rule fig_alternative_ratios:
    """Show the collider features after further methods and their ratios to the target."""
    input:
        moved=paths.moved(OUT, "science"),
        alternatives=alternative_files("science"),
        script=script("plot/plot_alternatives.py"),
        code=code("plot/plot_alternatives.py"),
    output:
        **figure("fig_alternative_ratios", "Alternatives", "as Fig. 8", "features and ratios"),
    log:
        paths.log(OUT, "fig_alternative_ratios"),
    benchmark:
        paths.benchmark(OUT, "fig_alternative_ratios")
    conda:
        "../envs/environment.yaml"
    params:
        drawing="ratios",
        methods=SHOWN_FLOWS + targets.flow_alternatives("science", config),
        alternatives=targets.alternatives("science", config),
        split=split_of("science"),
    shell:
        "python {input.script} --drawing {params.drawing} --moved {input.moved} "
        " --methods {params.methods} --alternatives {params.alternatives} "
        " --alternative-files {input.alternatives} --split {params.split} --note sidebands "
        " --output {output.pdf} {output.png} > {log} 2>&1"


use rule fig_alternative_ratios as fig_alternative_distances with:
    """Show the distances that further methods move the collider features."""
    output:
        **figure("fig_alternative_distances", "Alternatives", "as Fig. 9", "distance, sidebands"),
    log:
        paths.log(OUT, "fig_alternative_distances"),
    benchmark:
        paths.benchmark(OUT, "fig_alternative_distances")
    params:
        drawing="distances",
        methods=SHOWN_FLOWS + targets.flow_alternatives("science", config),
        alternatives=targets.alternatives("science", config),
        split=split_of("science"),
