"""Pictures of the trainings: one job draws all that belong together, since each is a moment."""


rule plot_density_losses:
    """Show the training of every density."""
    input:
        losses=[
            paths.loss_table(paths.density(OUT, name))
            for name in repeated(targets.datasets(config))
        ],
        script=script("plot/plot_loss.py"),
        code=code("plot/plot_loss.py"),
    output:
        [
            report(
                paths.loss_picture(paths.density(OUT, name)),
                caption="../workflow/report/loss.rst",
                category="Training",
                subcategory="densities",
                labels={"data set": name},
            )
            for name in repeated(targets.datasets(config))
        ],
    log:
        paths.log(OUT, "plot_density_losses"),
    benchmark:
        paths.benchmark(OUT, "plot_density_losses")
    conda:
        "../envs/environment.yaml"
    params:
        titles=[f"density of {name}" for name in repeated(targets.datasets(config))],
    shell:
        "python {input.script} --losses {input.losses} --titles {params.titles:q} "
        " --output {output} > {log} 2>&1"


rule plot_transport_losses:
    """Show the training of a task's transport by each method."""
    input:
        losses=[
            paths.loss_table(paths.transport(OUT, "{task}", method))
            for method in targets.trained_methods(config)
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
            for method in targets.trained_methods(config)
        ],
    log:
        paths.log(OUT, "plot_transport_losses", "{task}"),
    benchmark:
        paths.benchmark(OUT, "plot_transport_losses", "{task}")
    conda:
        "../envs/environment.yaml"
    params:
        titles=lambda wildcards: [
            f"{wildcards.task}, {method}" for method in targets.trained_methods(config)
        ],
    shell:
        "python {input.script} --losses {input.losses} --titles {params.titles:q} "
        " --output {output} > {log} 2>&1"
