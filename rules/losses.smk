"""A picture of every training."""


rule plot_density_loss:
    """Show the training of one density."""
    input:
        losses=paths.loss_table(OUT, paths.density(OUT, "{dataset}")),
        script=script("plot_loss.py"),
        code=code("figures/losses.py", "figures/style.py"),
    output:
        png=report(
            paths.loss_picture(OUT, paths.density(OUT, "{dataset}")),
            caption="../workflow/report/loss.rst",
            category="Training",
            subcategory="densities",
            labels={"data set": "{dataset}"},
        ),
    log:
        paths.log(OUT, "plot_density_loss", "{dataset}"),
    benchmark:
        paths.benchmark(OUT, "plot_density_loss", "{dataset}")
    shell:
        "python {input.script} --losses {input.losses} --titles 'density of {wildcards.dataset}' "
        " --output {output.png} > {log} 2>&1"


rule plot_transport_loss:
    """Show the training of one method's transport."""
    input:
        losses=paths.loss_table(OUT, paths.transport(OUT, "{task}", "{method}")),
        script=script("plot_loss.py"),
        code=code("figures/losses.py", "figures/style.py"),
    output:
        png=report(
            paths.loss_picture(OUT, paths.transport(OUT, "{task}", "{method}")),
            caption="../workflow/report/loss.rst",
            category="Training",
            subcategory="transports",
            labels={"task": "{task}", "method": "{method}"},
        ),
    log:
        paths.log(OUT, "plot_transport_loss", "{task}", "{method}"),
    benchmark:
        paths.benchmark(OUT, "plot_transport_loss", "{task}", "{method}")
    shell:
        "python {input.script} --losses {input.losses} --titles '{wildcards.task}, {wildcards.method}' "
        " --output {output.png} > {log} 2>&1"
