"""Pictures of the trainings: one job draws all that belong together, since each is a moment."""


rule plot_density_losses:
    """Show the training of every density."""
    input:
        losses=[
            paths.loss_table(paths.density(OUT, dataset.name, training))
            for dataset, training in targets.densities_trained(config)
        ],
        script=script("plot/plot_loss.py"),
        code=code("plot/plot_loss.py"),
    output:
        [
            loss_picture(
                paths.density(OUT, dataset.name, training),
                "densities",
                {"data set": tasks.words(dataset.name), "training": str(training)},
            )
            for dataset, training in targets.densities_trained(config)
        ],
    log:
        paths.log(OUT, "plot_density_losses"),
    benchmark:
        paths.benchmark(OUT, "figures", "plot_density_losses")
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        titles=[
            training_title(f"density of {tasks.words(dataset.name)}", training)
            for dataset, training in targets.densities_trained(config)
        ],
    shell:
        "python {input.script} --losses @<(lines {input.losses}) "
        " --titles @<(lines {params.titles:q}) --output @<(lines {output}) > {log} 2>&1"


rule plot_transport_losses:
    """Show the training of a task's transport by each of the paper's methods."""
    input:
        losses=[
            paths.loss_table(paths.transport(OUT, "{task}", method, "{training}"))
            for method in targets.trained_methods(config)
        ],
        script=script("plot/plot_loss.py"),
        code=code("plot/plot_loss.py"),
    output:
        [
            loss_picture(
                paths.transport(OUT, "{task}", method, "{training}"),
                "transports",
                transport_labels(method),
            )
            for method in targets.trained_methods(config)
        ],
    log:
        paths.log(OUT, "plot_transport_losses", "{task}", "{training}"),
    benchmark:
        paths.benchmark(OUT, "figures", "plot_transport_losses", "{task}", "{training}")
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        titles=lambda wildcards: [
            transport_title(wildcards.task, method, wildcards.training)
            for method in targets.trained_methods(config)
        ],
    shell:
        "python {input.script} --losses {input.losses} --titles {params.titles:q} "
        " --output {output} > {log} 2>&1"


if targets.further_flows(config):

    use rule plot_transport_losses as plot_alternative_losses with:
        """Show the training of a task's further flow methods."""
        input:
            losses=[
                paths.loss_table(paths.transport(OUT, "{task}", method, "{training}"))
                for method in targets.further_flows(config)
            ],
            script=script("plot/plot_loss.py"),
            code=code("plot/plot_loss.py"),
        output:
            [
                loss_picture(
                    paths.transport(OUT, "{task}", method, "{training}"),
                    "transports",
                    transport_labels(method),
                )
                for method in targets.further_flows(config)
            ],
        log:
            paths.log(OUT, "plot_alternative_losses", "{task}", "{training}"),
        benchmark:
            paths.benchmark(OUT, "figures", "plot_alternative_losses", "{task}", "{training}")
        localrule: True
        params:
            titles=lambda wildcards: [
                transport_title(wildcards.task, method, wildcards.training)
                for method in targets.further_flows(config)
            ],
