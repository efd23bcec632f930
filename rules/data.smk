"""From events to scaled samples of the collider task."""

if config["collider"]["source"] == "pythia":

    rule generate_events:
        """Generate a chunk of dijet events with Pythia 8 and a parametrised detector."""
        input:
            script=script("generate_events.py"),
            code=code("generate_events.py"),
        output:
            events=paths.events(OUT, "{sample}", "{chunk}"),
        log:
            paths.log(OUT, "generate_events", "{sample}", "{chunk}"),
        benchmark:
            paths.benchmark(OUT, "generate_events", "{sample}", "{chunk}")
        conda:
            "../envs/environment.yaml"
        resources:
            mem_mb=1000,
            runtime=30,
        params:
            shower=lambda wildcards: config["collider"]["pythia"]["shower"][wildcards.sample],
            events=config["collider"]["pythia"]["chunk_events"],
            pthat_min=config["collider"]["pythia"]["pthat_min_gev"],
            mhat_min=config["collider"]["pythia"]["mhat_min_gev"],
            mhat_max=config["collider"]["pythia"]["mhat_max_gev"],
            early_pt=config["collider"]["pythia"]["early_jet_pt_gev"],
            early_mass=config["collider"]["pythia"]["early_mass_gev"],
            seed=lambda wildcards: seed("events", wildcards.sample, wildcards.chunk),
        shell:
            "python {input.script} --shower {params.shower} --events {params.events} "
            " --pthat-min {params.pthat_min} --mhat-min {params.mhat_min} "
            " --mhat-max {params.mhat_max} --early-jet-pt {params.early_pt} "
            " --early-mass {params.early_mass} --seed {params.seed} "
            " --output {output.events} > {log} 2>&1"

else:

    rule extract_lhco_events:
        """Read a chunk of background events from an LHC Olympics file."""
        input:
            # A missing file is reported by the job, in words, and not by the graph.
            events=lambda wildcards: [
                file for file in [lhco_file(wildcards.sample)] if os.path.exists(file)
            ],
            script=script("extract_lhco_events.py"),
            code=code("extract_lhco_events.py"),
        output:
            events=paths.events(OUT, "{sample}", "{chunk}"),
        log:
            paths.log(OUT, "extract_lhco_events", "{sample}", "{chunk}"),
        benchmark:
            paths.benchmark(OUT, "extract_lhco_events", "{sample}", "{chunk}")
        conda:
            "../envs/environment.yaml"
        resources:
            mem_mb=1500,
            runtime=30,
        params:
            file=lambda wildcards: lhco_file(wildcards.sample),
            rows=lambda wildcards: "--start {} --stop {}".format(
                *targets.chunks(config, wildcards.sample)[int(wildcards.chunk)]
            ),
        shell:
            "python {input.script} --input {params.file:q} {params.rows} --background-only "
            " --output {output.events} > {log} 2>&1"


rule build_features:
    """Cluster a chunk's jets and compute the five features and M."""
    input:
        events=paths.events(OUT, "{sample}", "{chunk}"),
        script=script("build_features.py"),
        code=code("build_features.py"),
    output:
        features=paths.chunk_features(OUT, "{sample}", "{chunk}"),
    log:
        paths.log(OUT, "build_features", "{sample}", "{chunk}"),
    benchmark:
        paths.benchmark(OUT, "build_features", "{sample}", "{chunk}")
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        trigger_pt=config["collider"]["trigger_pt_gev"],
        radius=config["collider"]["jets"]["radius"],
        engine=config["collider"]["jets"]["engine"],
    shell:
        "python {input.script} --input {input.events} --trigger-pt {params.trigger_pt} "
        " --radius {params.radius} --engine {params.engine} "
        " --output {output.features} > {log} 2>&1"


rule merge_features:
    """Join the chunks of a sample in event order."""
    input:
        chunks=lambda wildcards: [
            paths.chunk_features(OUT, wildcards.sample, f"{index:04d}")
            for index in range(len(targets.chunks(config, wildcards.sample)))
        ],
        script=script("merge_features.py"),
        code=code("merge_features.py"),
    output:
        features=paths.features(OUT, "{sample}"),
    log:
        paths.log(OUT, "merge_features", "{sample}"),
    benchmark:
        paths.benchmark(OUT, "merge_features", "{sample}")
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
    shell:
        "python {input.script} --input {input.chunks} --output {output.features} > {log} 2>&1"


rule prepare_samples:
    """Cut sidebands and signal region, split the sidebands and scale both samples together."""
    input:
        reference=paths.features(OUT, "reference"),
        target=paths.features(OUT, "target"),
        script=script("prepare_samples.py"),
        code=code("prepare_samples.py"),
    output:
        reference=paths.prepared(OUT, "reference"),
        target=paths.prepared(OUT, "target"),
        scaling=paths.scaling(OUT),
    log:
        paths.log(OUT, "prepare_samples"),
    benchmark:
        paths.benchmark(OUT, "prepare_samples")
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        sidebands=[edge for band in config["collider"]["regions"]["sidebands"] for edge in band],
        signal=config["collider"]["regions"]["signal"],
        fraction=config["collider"]["validation_fraction"],
        low=config["collider"]["scaling"]["low"],
        high=config["collider"]["scaling"]["high"],
        seed=lambda wildcards: seed("prepare_samples"),
    shell:
        "python {input.script} --reference {input.reference} --target {input.target} "
        " --sidebands {params.sidebands} --signal {params.signal} --unit 1000 "
        " --validation-fraction {params.fraction} --low {params.low} --high {params.high} "
        " --seed {params.seed} --output-reference {output.reference} "
        " --output-target {output.target} --output-scaling {output.scaling} > {log} 2>&1"


rule compare_medians:
    """Hold the target's medians in the signal region against the LHC Olympics sample's."""
    input:
        target=paths.features(OUT, "target"),
        reference="config/lhco_reference.yaml",
        script=script("compare_medians.py"),
        code=code("compare_medians.py"),
    output:
        csv=report(
            paths.table(OUT, "medians", "csv"),
            caption="../workflow/report/medians.rst",
            category="Tables",
            labels={"table": "medians", "shows": "target against the LHC Olympics sample"},
        ),
        md=paths.table(OUT, "medians", "md"),
    log:
        paths.log(OUT, "compare_medians"),
    benchmark:
        paths.benchmark(OUT, "compare_medians")
    conda:
        "../envs/environment.yaml"
    params:
        signal=config["collider"]["regions"]["signal"],
    shell:
        "python {input.script} --target {input.target} --reference {input.reference} "
        " --signal {params.signal} --unit 1000 --output {output.csv} {output.md} > {log} 2>&1"
