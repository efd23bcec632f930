"""Every figure; a rule has its figure's name. What each one shows stands in plan/figures.py."""

for row in figures.drawn(config):

    rule:
        """Draw a figure that needs no more than moved samples."""
        name:
            row.name
        input:
            moved=targets.moved_for(OUT, row, config),
            script=script(f"plot/plot_{row.drawing}.py"),
            code=code(f"plot/plot_{row.drawing}.py"),
        output:
            **figure(row.name),
        log:
            paths.log(OUT, row.name),
        benchmark:
            paths.benchmark(OUT, "figures", row.name)
        priority: figures.urgency(row.name)
        localrule: True
        conda:
            "../envs/environment.yaml"
        params:
            moved="--moved" if row.tasks else "",
            options=literal(row.options(config)),
        shell:
            "python {input.script} {params.moved} {input.moved} {params.options} "
            " --output {output.pdf} {output.png} > {log} 2>&1"


rule fig7:
    """Show the collider observables of reference and target."""
    input:
        reference=paths.features(OUT, "reference"),
        target=paths.features(OUT, "target"),
        script=script("plot/plot_features.py"),
        code=code("plot/plot_features.py"),
    output:
        **figure("fig7"),
    log:
        paths.log(OUT, "fig7"),
    benchmark:
        paths.benchmark(OUT, "figures", "fig7")
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        signal=config["collider"]["regions_tev"]["signal"],
        sidebands=[edge for band in config["collider"]["regions_tev"]["sidebands"] for edge in band],
        # Events are generated for the regions: outside of them their spectrum of M is not physics.
        masses="" if config["collider"]["source"] == "pythia" else "--all-masses",
    shell:
        "python {input.script} --reference {input.reference} --target {input.target} "
        " --signal {params.signal} --sidebands {params.sidebands} {params.masses} "
        " --output {output.pdf} {output.png} > {log} 2>&1"


rule fig_closure:
    """Show how well each method does in the signal region beside the sidebands."""
    input:
        sidebands=targets.measured_trainings(OUT, tasks.COLLIDER, "validation", config),
        signal=targets.measured_trainings(OUT, tasks.COLLIDER, "signal", config),
        script=script("plot/plot_closure.py"),
        code=code("plot/plot_closure.py"),
    output:
        **figure("fig_closure"),
    log:
        paths.log(OUT, "fig_closure"),
    benchmark:
        paths.benchmark(OUT, "figures", "fig_closure")
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        further=[],
    shell:
        "python {input.script} --sidebands {input.sidebands} --signal {input.signal} "
        " --further {params.further} --output {output.pdf} {output.png} > {log} 2>&1"


rule fig_penalty_scan:
    """Show and tabulate accuracy against distance over strengths of the movement penalty."""
    input:
        measures=[
            paths.scan_measures(OUT),
            paths.measures(OUT, tasks.COLLIDER.name, 1, tasks.COLLIDER.family.held_out),
        ],
        paper="config/paper_numbers.yaml",
        script=script("plot/plot_penalty_scan.py"),
        code=code("plot/plot_penalty_scan.py"),
    output:
        **figure("fig_penalty_scan"),
        tables=table("penalty_scan", "accuracy and distance over strengths of the penalty"),
    log:
        paths.log(OUT, "fig_penalty_scan"),
    benchmark:
        paths.benchmark(OUT, "figures", "fig_penalty_scan")
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        strengths=list(targets.scan(config)),
        methods=list(targets.scan(config).values()),
        configured=config["penalty"]["collider"],
    shell:
        "python {input.script} --measures {input.measures} --strengths {params.strengths} "
        " --methods {params.methods} --configured {params.configured} --paper {input.paper} "
        " --output {output.pdf} {output.png} --table {output.tables} > {log} 2>&1"


rule fig_overview:
    """Show a toy's shapes, and accuracy against distance for the toys and the collider task."""
    input:
        moved=paths.moved(OUT, tasks.SHOWN.name, 1, tasks.SHOWN.family.held_out),
        fidelity=paths.table(OUT, "fidelity", "csv"),
        script=script("plot/plot_overview.py"),
        code=code("plot/plot_overview.py"),
    output:
        **figure("fig_overview"),
    log:
        paths.log(OUT, "fig_overview"),
    benchmark:
        paths.benchmark(OUT, "figures", "fig_overview")
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        title=tasks.SHOWN.title,
    shell:
        "python {input.script} --moved {input.moved} --title {params.title:q} "
        " --fidelity {input.fidelity} --output {output.pdf} {output.png} > {log} 2>&1"


rule table1:
    """Make table 1: the methods, how they are trained, and their lines."""
    input:
        script=script("measure/make_table1.py"),
        code=code("measure/make_table1.py"),
    output:
        **figure("table1"),
        tables=[paths.table(OUT, "table1", "csv"), paths.table(OUT, "table1", "md")],
    log:
        paths.log(OUT, "table1"),
    benchmark:
        paths.benchmark(OUT, "figures", "table1")
    localrule: True
    conda:
        "../envs/environment.yaml"
    shell:
        "python {input.script} --figure {output.pdf} {output.png} "
        " --table {output.tables} > {log} 2>&1"
