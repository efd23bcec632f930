"""Numbers for the trained flows: measures, and a table of each kind; a table's rule has its name.

Tables of measures share a script: the first is written out, the others take over its command
(`use rule`) with inputs and options of their own.
"""

DENSITIES = repeated(targets.datasets(config))
MOVED = repeated(targets.moved(config))
ENSEMBLES = targets.ensembles(targets.moved(config), config["seeds"])
COSTS = [paths.cost_measures(OUT, family) for family in targets.families(config)]
MEASURES = [paths.measures(OUT, moved) for moved in MOVED + ENSEMBLES]
FLOW_MEASURES = [paths.flow_measures(OUT, moved) for moved in MOVED]


rule evaluate_densities:
    """Measure each density's likelihood and, for toys, its divergence from the exact density."""
    input:
        densities=[paths.weights(paths.density(OUT, name)) for name in DENSITIES],
        data=[file for name in targets.datasets(config) for file in file_of(name)],
        script=script("measure/evaluate_densities.py"),
        code=code("measure/evaluate_densities.py"),
    output:
        csv=paths.density_measures(OUT),
    log:
        paths.log(OUT, "evaluate_densities"),
    benchmark:
        paths.benchmark(OUT, "evaluate_densities")
    conda:
        "../envs/environment.yaml"
    threads: config["threads"]
    resources:
        mem_mb=scaled(1500),
        runtime=scaled(60),
    params:
        trainings=DENSITIES,
        datasets=[repeats.plain(name) for name in DENSITIES],
        data=[recipe_of(name) for name in DENSITIES],
        splits=[held_out(name) for name in DENSITIES],
        seed=lambda wildcards: seed("evaluate_densities"),
        batch=config["training"]["toy"]["density"]["batch"],
        engine=config["engine"],
        device=config["device"],
    shell:
        "python {input.script} --trainings {params.trainings} --densities {input.densities} "
        " --datasets {params.datasets} --data {params.data:q} --splits {params.splits} "
        " --seed {params.seed} --batch {params.batch} --engine {params.engine} "
        " --device {params.device} --threads {threads} --output {output.csv} > {log} 2>&1"


rule count_costs:
    """Count the optimizer steps of a family's trainings and the points that they were shown."""
    input:
        weights=lambda wildcards: [
            paths.weights(model) for model, _, _ in trainings_of(wildcards.family)
        ],
        histories=lambda wildcards: [
            paths.loss_table(model) for model, _, _ in trainings_of(wildcards.family)
        ],
        script=script("measure/count_costs.py"),
        code=code("measure/count_costs.py"),
    output:
        csv=paths.cost_measures(OUT, "{family}"),
    log:
        paths.log(OUT, "count_costs", "{family}"),
    benchmark:
        paths.benchmark(OUT, "count_costs", "{family}")
    conda:
        "../envs/environment.yaml"
    params:
        tasks=lambda wildcards: [task for _, task, _ in trainings_of(wildcards.family)],
        methods=lambda wildcards: [method for _, _, method in trainings_of(wildcards.family)],
    shell:
        "python {input.script} --tasks {params.tasks} --methods {params.methods} "
        " --weights {input.weights} --histories {input.histories} "
        " --output {output.csv} > {log} 2>&1"


rule measure_task:
    """Measure how well and how far each method moves a task's points."""
    input:
        moved=paths.moved(OUT, "{moved}"),
        alternatives=lambda wildcards: alternative_files(wildcards.moved),
        script=script("measure/measure_task.py"),
        code=code("measure/measure_task.py"),
    output:
        csv=paths.measures(OUT, "{moved}"),
    log:
        paths.log(OUT, "measure_task", "{moved}"),
    benchmark:
        paths.benchmark(OUT, "measure_task", "{moved}")
    wildcard_constraints:
        moved="|".join([*MOVED, *ENSEMBLES, targets.PENALTY_SCAN]),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=scaled(1500),
        runtime=scaled(60),
    params:
        task=lambda wildcards: measured_task(wildcards.moved),
        methods=lambda wildcards: [
            *[name for name in targets.methods(config) if name in methods.UNTRAINED],
            *methods_of(wildcards.moved),
        ],
        alternatives=lambda wildcards: targets.alternatives(wildcards.moved, config),
        split=lambda wildcards: split_of(wildcards.moved),
        features=lambda wildcards: features_of(wildcards.moved),
        half_width=config["flows"]["transport"]["tail_bound"],
        # Repeated trainings are compared on the same points, by the same classifier.
        seed=lambda wildcards: seed(
            "measure_task", repeats.plain(wildcards.moved).removesuffix("_penalty_scan")
        ),
        two_sample=config["measures"]["two_sample_points"],
        assignment=config["measures"]["assignment_points"],
    shell:
        "python {input.script} --task {wildcards.moved} --moved {input.moved} "
        " --methods {params.methods} --features {params.features:q} {params.task} "
        " --alternatives {params.alternatives} --alternative-files {input.alternatives} "
        " --split {params.split} "
        " --half-width {params.half_width} --seed {params.seed} "
        " --two-sample-points {params.two_sample} --assignment-points {params.assignment} "
        " --output {output.csv} > {log} 2>&1"


rule two_sample:
    """Make the table of classifier tests and sliced Wasserstein distances."""
    input:
        measures=MEASURES,
        script=script("measure/make_measure_table.py"),
        code=code("measure/make_measure_table.py"),
    output:
        table=table("two_sample", "how well each method matches the target"),
    log:
        paths.log(OUT, "two_sample"),
    benchmark:
        paths.benchmark(OUT, "two_sample")
    conda:
        "../envs/environment.yaml"
    params:
        kind="two_sample",
    shell:
        "python {input.script} --kind {params.kind} --measures {input.measures} "
        " --output {output.table} > {log} 2>&1"


use rule two_sample as movement with:
    """Make the table of distances, their bounds, box leavers and cycle errors."""
    input:
        measures=MEASURES + FLOW_MEASURES,
        script=script("measure/make_measure_table.py"),
        code=code("measure/make_measure_table.py"),
    output:
        table=table("movement", "how far each method moves, and how far it must"),
    log:
        paths.log(OUT, "movement"),
    benchmark:
        paths.benchmark(OUT, "movement")
    params:
        kind="movement",


use rule two_sample as marginals with:
    """Make the table of Kolmogorov-Smirnov distances, chi2 and movement of each feature."""
    output:
        table=table("marginals", "match and movement of each feature"),
    log:
        paths.log(OUT, "marginals"),
    benchmark:
        paths.benchmark(OUT, "marginals")
    params:
        kind="marginals",


use rule two_sample as likelihoods with:
    """Make the table of likelihoods of densities, and of the target under moved densities."""
    input:
        measures=[paths.density_measures(OUT), *FLOW_MEASURES],
        script=script("measure/make_measure_table.py"),
        code=code("measure/make_measure_table.py"),
    output:
        table=table("likelihoods", "densities, and the target under each method"),
    log:
        paths.log(OUT, "likelihoods"),
    benchmark:
        paths.benchmark(OUT, "likelihoods")
    params:
        kind="likelihoods",


use rule likelihoods as divergences with:
    """Make the table of divergences of densities and moved densities from the exact ones."""
    output:
        table=table("divergences", "densities and moved densities against exact ones"),
    log:
        paths.log(OUT, "divergences"),
    benchmark:
        paths.benchmark(OUT, "divergences")
    params:
        kind="divergences",


use rule two_sample as costs with:
    """Make the table of what trainings took, in numbers that do not depend on the machine."""
    input:
        measures=[*COSTS, paths.density_measures(OUT), *FLOW_MEASURES],
        script=script("measure/make_measure_table.py"),
        code=code("measure/make_measure_table.py"),
    output:
        table=table("costs", "parameters, steps and points of each training"),
    log:
        paths.log(OUT, "costs"),
    benchmark:
        paths.benchmark(OUT, "costs")
    params:
        kind="costs",


rule distances:
    """Put the distances travelled next to the paper's."""
    input:
        science=moved_with(["science"]),
        different=moved_with(targets.DIFFERENT_TASKS),
        identical=moved_with(targets.IDENTICAL_TASKS),
        paper="config/paper_numbers.yaml",
        script=script("measure/make_distance_table.py"),
        code=code("measure/make_distance_table.py"),
    output:
        csv=report(
            paths.table(OUT, "distances", "csv"),
            caption="../workflow/report/distances.rst",
            category="Tables",
            labels={"table": "distances", "shows": "distances next to the paper's"},
        ),
        md=paths.table(OUT, "distances", "md"),
    log:
        paths.log(OUT, "distances"),
    benchmark:
        paths.benchmark(OUT, "distances")
    conda:
        "../envs/environment.yaml"
    params:
        trainings=[config["seeds"][family] for family in ("science", "toy", "toy")],
    shell:
        "python {input.script} --science {input.science} --different {input.different} "
        " --identical {input.identical} --trainings {params.trainings} --paper {input.paper} "
        " --output {output.csv} {output.md} > {log} 2>&1"


rule claims:
    """Test each claim of the paper with a number of this run."""
    input:
        claims="config/claims.yaml",
        paper="config/paper_numbers.yaml",
        measures=[*MEASURES, *FLOW_MEASURES, *COSTS],
        script=script("measure/make_claims_table.py"),
        code=code("measure/make_claims_table.py"),
    output:
        claims=table("claims", "the paper's claims against this run"),
    log:
        paths.log(OUT, "claims"),
    benchmark:
        paths.benchmark(OUT, "claims")
    conda:
        "../envs/environment.yaml"
    params:
        options="",
    shell:
        "python {input.script} --claims {input.claims} --paper {input.paper} "
        " --measures {input.measures} {params.options} --output {output.claims} > {log} 2>&1"


use rule claims as penalty_claims with:
    """Test the claims that need the penalty scan."""
    input:
        claims="config/claims.yaml",
        paper="config/paper_numbers.yaml",
        measures=[
            paths.measures(OUT, targets.PENALTY_SCAN),
            paths.measures(OUT, targets.SCIENCE),
            paths.cost_measures(OUT, "science"),
        ],
        script=script("measure/make_claims_table.py"),
        code=code("measure/make_claims_table.py"),
    output:
        claims=table("penalty_claims", "the claim that needs the penalty scan"),
    log:
        paths.log(OUT, "penalty_claims"),
    benchmark:
        paths.benchmark(OUT, "penalty_claims")
    params:
        options='--needing "snakemake penalty_scan"',


rule times:
    """Add up what the run's time went into, by stage, rule and method."""
    input:
        everything=RESULTS,
        script=script("measure/sum_times.py"),
        code=code("measure/sum_times.py"),
    output:
        md=paths.times(OUT),
    log:
        paths.log(OUT, "times"),
    conda:
        "../envs/environment.yaml"
    params:
        folder=lambda wildcards, output: os.path.dirname(output.md),
    shell:
        "python {input.script} --benchmarks {params.folder} --output {output.md} 2>&1 | tee {log}"
