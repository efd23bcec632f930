"""What one could take instead of the flows, and its figures beside them."""

SHOWN_FLOWS = ["flows_for_flows", "movement_penalty"]  # beside the alternatives, in their figures
COLLIDER_FLOWS = targets.flow_alternatives(tasks.COLLIDER.name, config)
COLLIDER_ALTERNATIVES = targets.alternatives(tasks.COLLIDER.name, config)


rule morph_by_alternative:
    """Morph a task's reference points by a method that is no flow."""
    input:
        data=lambda wildcards: JOBS.alternative(
            wildcards.task, int(wildcards.training), wildcards.alternative
        ).files,
        module=lambda wildcards: module_of(wildcards.alternative),
        script=script("train/morph_by_alternative.py"),
        code=code("train/morph_by_alternative.py"),
    output:
        morphed=paths.alternative(OUT, "{task}", "{training}", "{alternative}"),
    log:
        paths.log(OUT, "morph_by_alternative", "{task}", "{training}", "{alternative}"),
    benchmark:
        paths.benchmark(
            OUT, "alternatives", "morph_by_alternative", "{task}", "{training}", "{alternative}"
        )
    wildcard_constraints:
        alternative="|".join(config["alternatives"]["methods"]) or "none",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=scaled(2500),
        runtime=scaled(60),
    params:
        job=lambda wildcards: to_json(
            JOBS.alternative(wildcards.task, int(wildcards.training), wildcards.alternative)
        ),
    shell:
        "python {input.script} --job {params.job:q} --threads {threads} "
        " --output {output.morphed} > {log} 2>&1"


use rule fig_closure as fig_alternatives with:
    """Show how well further methods do in both regions, beside the paper's."""
    output:
        **figure("fig_alternatives"),
    log:
        paths.log(OUT, "fig_alternatives"),
    benchmark:
        paths.benchmark(OUT, "figures", "fig_alternatives")
    localrule: True
    params:
        further=COLLIDER_FLOWS + COLLIDER_ALTERNATIVES,


for name, drawing in (
    ("fig_alternative_ratios", "ratios"),
    ("fig_alternative_distances", "distances"),
):

    rule:
        """Show what further methods make of the collider features."""
        name:
            name
        input:
            moved=paths.moved(OUT, tasks.COLLIDER.name, 1, tasks.COLLIDER.family.held_out),
            alternatives=[
                paths.alternative(OUT, tasks.COLLIDER.name, 1, method)
                for method in COLLIDER_ALTERNATIVES
            ],
            script=script("plot/plot_alternatives.py"),
            code=code("plot/plot_alternatives.py"),
        output:
            **figure(name),
        log:
            paths.log(OUT, name),
        benchmark:
            paths.benchmark(OUT, "figures", name)
        localrule: True
        conda:
            "../envs/environment.yaml"
        params:
            drawing=drawing,
            methods=SHOWN_FLOWS + COLLIDER_FLOWS,
            alternatives=COLLIDER_ALTERNATIVES,
            split=tasks.COLLIDER.family.held_out,
            limits=[config["collider"]["scaling"][end] for end in ("low", "high")],
        shell:
            "python {input.script} --drawing {params.drawing} --moved {input.moved} "
            " --methods {params.methods} --alternatives {params.alternatives} "
            " --alternative-files {input.alternatives} --split {params.split} --note sidebands "
            " --limits {params.limits} --output {output.pdf} {output.png} > {log} 2>&1"
