"""Every figure of the paper, of the signal region and of the scan; a rule has its figure's name.

Figures of one kind share a script: the first is written out, the others take over its command
(`use rule`) with inputs and options of their own.
"""


rule fig1:
    """Draw the flows-for-flows architecture."""
    input:
        script=script("plot/plot_schematic.py"),
        code=code("plot/plot_schematic.py"),
    output:
        **figure("fig1", "Method", "Fig. 1", "architecture"),
    log:
        paths.log(OUT, "fig1"),
    benchmark:
        paths.benchmark(OUT, "fig1")
    conda:
        "../envs/environment.yaml"
    params:
        options="--drawing architecture",
    shell:
        "python {input.script} {params.options} --output {output.pdf} {output.png} > {log} 2>&1"


use rule fig1 as fig2 with:
    """Draw the conditional architecture."""
    input:
        script=script("plot/plot_schematic.py"),
        code=code("plot/plot_schematic.py"),
    output:
        **figure("fig2", "Method", "Fig. 2", "conditional architecture"),
    log:
        paths.log(OUT, "fig2"),
    benchmark:
        paths.benchmark(OUT, "fig2")
    params:
        options="--drawing conditional",


rule fig3:
    """Show where the points of the four circles go in a transport to the four circles."""
    input:
        moved=paths.moved(OUT, "fourcircles_to_fourcircles_twin"),
        script=script("plot/plot_scatter.py"),
        code=code("plot/plot_scatter.py"),
    output:
        **figure("fig3", "Toys", "Fig. 3", "points, four circles to themselves"),
    log:
        paths.log(OUT, "fig3"),
    benchmark:
        paths.benchmark(OUT, "fig3")
    conda:
        "../envs/environment.yaml"
    params:
        options="--same-circle",
    shell:
        "python {input.script} --moved {input.moved} {params.options} "
        " --output {output.pdf} {output.png} > {log} 2>&1"


use rule fig3 as fig4 with:
    """Show where the points of the four circles go in a transport to the star."""
    input:
        moved=paths.moved(OUT, "fourcircles_to_star"),
        script=script("plot/plot_scatter.py"),
        code=code("plot/plot_scatter.py"),
    output:
        **figure("fig4", "Toys", "Fig. 4", "points, four circles to star"),
    log:
        paths.log(OUT, "fig4"),
    benchmark:
        paths.benchmark(OUT, "fig4")
    params:
        options="",


rule fig5:
    """Show the six transports between different toys."""
    input:
        moved=[paths.moved(OUT, task) for task in targets.DIFFERENT_TASKS],
        script=script("plot/plot_grid.py"),
        code=code("plot/plot_grid.py"),
    output:
        **figure("fig5", "Toys", "Fig. 5", "distributions, different toys"),
    log:
        paths.log(OUT, "fig5"),
    benchmark:
        paths.benchmark(OUT, "fig5")
    conda:
        "../envs/environment.yaml"
    params:
        tasks=targets.DIFFERENT_TASKS,
        options="",
    shell:
        "python {input.script} --moved {input.moved} --tasks {params.tasks} {params.options} "
        " --output {output.pdf} {output.png} > {log} 2>&1"


rule fig6:
    """Show the distances travelled between different toys."""
    input:
        moved=moved_with(targets.DIFFERENT_TASKS),
        script=script("plot/plot_distances.py"),
        code=code("plot/plot_distances.py"),
    output:
        **figure("fig6", "Toys", "Fig. 6", "distance, different toys"),
    log:
        paths.log(OUT, "fig6"),
    benchmark:
        paths.benchmark(OUT, "fig6")
    conda:
        "../envs/environment.yaml"
    params:
        trainings=config["seeds"]["toy"],
        options="",
    shell:
        "python {input.script} --moved {input.moved} --trainings {params.trainings} "
        " {params.options} --output {output.pdf} {output.png} > {log} 2>&1"


rule fig7:
    """Show the collider observables of reference and target."""
    input:
        reference=paths.features(OUT, "reference"),
        target=paths.features(OUT, "target"),
        script=script("plot/plot_features.py"),
        code=code("plot/plot_features.py"),
    output:
        **figure("fig7", "Collider data", "Fig. 7", "reference and target"),
    log:
        paths.log(OUT, "fig7"),
    benchmark:
        paths.benchmark(OUT, "fig7")
    conda:
        "../envs/environment.yaml"
    params:
        regions=regions,
    shell:
        "python {input.script} --reference {input.reference} --target {input.target} "
        " {params.regions} --output {output.pdf} {output.png} > {log} 2>&1"


rule fig8:
    """Show the morphed collider features and their ratios to the target, sidebands."""
    input:
        moved=moved_with(["science"]),
        script=script("plot/plot_ratios.py"),
        code=code("plot/plot_ratios.py"),
    output:
        **figure("fig8", "Collider data", "Fig. 8", "features and ratios, sidebands"),
    log:
        paths.log(OUT, "fig8"),
    benchmark:
        paths.benchmark(OUT, "fig8")
    conda:
        "../envs/environment.yaml"
    params:
        options="--note sidebands",
    shell:
        "python {input.script} --moved {input.moved} {params.options} "
        " --output {output.pdf} {output.png} > {log} 2>&1"


use rule fig6 as fig9 with:
    """Show the distances travelled in the space of the collider features."""
    input:
        moved=moved_with(["science"]),
        script=script("plot/plot_distances.py"),
        code=code("plot/plot_distances.py"),
    output:
        **figure("fig9", "Collider data", "Fig. 9", "distance, sidebands"),
    log:
        paths.log(OUT, "fig9"),
    benchmark:
        paths.benchmark(OUT, "fig9")
    params:
        trainings=config["seeds"]["science"],
        options='--units "scaled features" --note sidebands',


rule fig10:
    """Show the distances travelled in each collider feature."""
    input:
        moved=moved_with(["science"]),
        script=script("plot/plot_distances_per_feature.py"),
        code=code("plot/plot_distances_per_feature.py"),
    output:
        **figure("fig10", "Collider data", "Fig. 10", "distance per feature, sidebands"),
    log:
        paths.log(OUT, "fig10"),
    benchmark:
        paths.benchmark(OUT, "fig10")
    conda:
        "../envs/environment.yaml"
    params:
        options="--note sidebands",
    shell:
        "python {input.script} --moved {input.moved} {params.options} "
        " --output {output.pdf} {output.png} > {log} 2>&1"


use rule fig8 as fig_signal_ratios with:
    """Show the morphed collider features and their ratios to the target, signal region."""
    input:
        moved=moved_with(["science_signal"]),
        script=script("plot/plot_ratios.py"),
        code=code("plot/plot_ratios.py"),
    output:
        **figure("fig_signal_ratios", "Signal region", "as Fig. 8", "features and ratios"),
    log:
        paths.log(OUT, "fig_signal_ratios"),
    benchmark:
        paths.benchmark(OUT, "fig_signal_ratios")
    params:
        options='--note "signal region"',


use rule fig6 as fig_signal_distances with:
    """Show the distances travelled in the space of the collider features, signal region."""
    input:
        moved=moved_with(["science_signal"]),
        script=script("plot/plot_distances.py"),
        code=code("plot/plot_distances.py"),
    output:
        **figure("fig_signal_distances", "Signal region", "as Fig. 9", "distance"),
    log:
        paths.log(OUT, "fig_signal_distances"),
    benchmark:
        paths.benchmark(OUT, "fig_signal_distances")
    params:
        trainings=config["seeds"]["science"],
        options='--units "scaled features" --note "signal region"',


rule fig_closure:
    """Show how well each method does in the signal region beside the sidebands."""
    input:
        sidebands=[paths.measures(OUT, task) for task in repeated(["science"])],
        signal=[paths.measures(OUT, task) for task in repeated(["science_signal"])],
        script=script("plot/plot_closure.py"),
        code=code("plot/plot_closure.py"),
    output:
        **figure("fig_closure", "Signal region", "closure", "sidebands and signal region"),
    log:
        paths.log(OUT, "fig_closure"),
    benchmark:
        paths.benchmark(OUT, "fig_closure")
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
        measures=[paths.measures(OUT, name) for name in (targets.PENALTY_SCAN, targets.SCIENCE)],
        paper="config/paper_numbers.yaml",
        script=script("plot/plot_penalty_scan.py"),
        code=code("plot/plot_penalty_scan.py"),
    output:
        **figure("fig_penalty_scan", "Collider data", "penalty", "accuracy against distance"),
        tables=table("penalty_scan", "accuracy and distance over strengths of the penalty"),
    log:
        paths.log(OUT, "fig_penalty_scan"),
    benchmark:
        paths.benchmark(OUT, "fig_penalty_scan")
    conda:
        "../envs/environment.yaml"
    params:
        strengths=list(PENALTIES),
        methods=list(PENALTIES.values()),
        configured=config["penalty"]["science"],
    shell:
        "python {input.script} --measures {input.measures} --strengths {params.strengths} "
        " --methods {params.methods} --configured {params.configured} --paper {input.paper} "
        " --output {output.pdf} {output.png} --table {output.tables} > {log} 2>&1"


use rule fig5 as figA1 with:
    """Show the three transports between identical toys."""
    input:
        moved=[paths.moved(OUT, task) for task in targets.IDENTICAL_TASKS],
        script=script("plot/plot_grid.py"),
        code=code("plot/plot_grid.py"),
    output:
        **figure("figA1", "Toys", "Fig. A.1", "distributions, identical toys"),
    log:
        paths.log(OUT, "figA1"),
    benchmark:
        paths.benchmark(OUT, "figA1")
    params:
        tasks=targets.IDENTICAL_TASKS,
        options="",


use rule fig6 as figA2 with:
    """Show the distances travelled between identical toys."""
    input:
        moved=moved_with(targets.IDENTICAL_TASKS),
        script=script("plot/plot_distances.py"),
        code=code("plot/plot_distances.py"),
    output:
        **figure("figA2", "Toys", "Fig. A.2", "distance, identical toys"),
    log:
        paths.log(OUT, "figA2"),
    benchmark:
        paths.benchmark(OUT, "figA2")
    params:
        trainings=config["seeds"]["toy"],
        options="",


use rule fig3 as figB1 with:
    """Show where the points of the rotated four circles go in a turn to another angle."""
    input:
        moved=paths.moved(OUT, "rotated_fourcircles_to_fourcircles_twin"),
        script=script("plot/plot_scatter.py"),
        code=code("plot/plot_scatter.py"),
    output:
        **figure("figB1", "Conditional toys", "Fig. B.1", "points, four circles to themselves"),
    log:
        paths.log(OUT, "figB1"),
    benchmark:
        paths.benchmark(OUT, "figB1")
    params:
        options=lambda wildcards: f"--same-circle --angles {turned_angles(wildcards)}",


use rule fig5 as figB2 with:
    """Show the transports between identical rotated toys, from one angle to another."""
    input:
        moved=[paths.moved(OUT, task) for task in targets.ROTATED_IDENTICAL_TASKS],
        script=script("plot/plot_grid.py"),
        code=code("plot/plot_grid.py"),
    output:
        **figure("figB2", "Conditional toys", "Fig. B.2", "distributions, identical toys"),
    log:
        paths.log(OUT, "figB2"),
    benchmark:
        paths.benchmark(OUT, "figB2")
    params:
        tasks=targets.ROTATED_IDENTICAL_TASKS,
        options=lambda wildcards: f"--angles {turned_angles(wildcards)}",


use rule fig3 as figB3 with:
    """Show where the points of the rotated four circles go in a transport to the star."""
    input:
        moved=paths.moved(OUT, "rotated_fourcircles_to_star"),
        script=script("plot/plot_scatter.py"),
        code=code("plot/plot_scatter.py"),
    output:
        **figure("figB3", "Conditional toys", "Fig. B.3", "points, four circles to star"),
    log:
        paths.log(OUT, "figB3"),
    benchmark:
        paths.benchmark(OUT, "figB3")
    params:
        options=lambda wildcards: f"--angles {one_angle(wildcards)}",


use rule fig5 as figB4 with:
    """Show the transports between different rotated toys, at one angle."""
    input:
        moved=[paths.moved(OUT, task) for task in targets.ROTATED_DIFFERENT_TASKS],
        script=script("plot/plot_grid.py"),
        code=code("plot/plot_grid.py"),
    output:
        **figure("figB4", "Conditional toys", "Fig. B.4", "distributions, different toys"),
    log:
        paths.log(OUT, "figB4"),
    benchmark:
        paths.benchmark(OUT, "figB4")
    params:
        tasks=targets.ROTATED_DIFFERENT_TASKS,
        options=lambda wildcards: f"--angles {one_angle(wildcards)}",


use rule fig5 as figB5 with:
    """Show the transport from the rotated four circles to the star at each angle."""
    input:
        moved=paths.moved(OUT, "rotated_fourcircles_to_star"),
        script=script("plot/plot_grid.py"),
        code=code("plot/plot_grid.py"),
    output:
        **figure("figB5", "Conditional toys", "Fig. B.5", "distributions at every angle"),
    log:
        paths.log(OUT, "figB5"),
    benchmark:
        paths.benchmark(OUT, "figB5")
    params:
        tasks="rotated_fourcircles_to_star",
        options=lambda wildcards: f"--angles {every_angle(wildcards)}",


rule table1:
    """Make table 1: the methods, how they are trained, and their lines."""
    input:
        script=script("measure/make_table1.py"),
        code=code("measure/make_table1.py"),
    output:
        **figure("table1", "Method", "Table 1", "the five methods"),
        tables=[paths.table(OUT, "table1", "csv"), paths.table(OUT, "table1", "md")],
    log:
        paths.log(OUT, "table1"),
    benchmark:
        paths.benchmark(OUT, "table1")
    conda:
        "../envs/environment.yaml"
    shell:
        "python {input.script} --figure {output.pdf} {output.png} "
        " --table {output.tables} > {log} 2>&1"
