"""From events to scaled samples of the collider task."""

if config["collider"]["source"] == "pythia":

    rule generate_events:
        """Generate a chunk of dijet events with Pythia 8 and a parametrised detector."""
        input:
            script=script("events/generate_events.py"),
            code=code("events/generate_events.py"),
        output:
            events=paths.events(OUT, "{sample}", "{chunk}"),
        log:
            paths.log(OUT, "generate_events", "{sample}", "{chunk}"),
        benchmark:
            paths.benchmark(OUT, "events", "generate_events", "{sample}", "{chunk}")
        conda:
            "../envs/environment.yaml"
        resources:
            mem_mb=scaled(1000),
            runtime=scaled(30),
        params:
            job=lambda wildcards: to_json(JOBS.generate(wildcards.sample, wildcards.chunk)),
        shell:
            "python {input.script} --job {params.job:q} --output {output.events} > {log} 2>&1"


if config["collider"]["source"].startswith("lhco"):

    rule download_lhco:
        """Download a published LHC Olympics file, or verify the one that is there."""
        input:
            script=script("events/download_lhco.py"),
            code=code("events/download_lhco.py"),
        output:
            facts=paths.verified(OUT, "{name}"),
        log:
            paths.log(OUT, "download_lhco", "{name}"),
        benchmark:
            paths.benchmark(OUT, "events", "download_lhco", "{name}")
        wildcard_constraints:
            name="|".join(map(re.escape, published_files())),
        # Nodes of a cluster seldom have a network.
        localrule: True
        conda:
            "../envs/environment.yaml"
        params:
            facts=LHCO_FACTS,
            folder=literal(config["collider"]["download"]["folder"]),
            mirrors=literal(config["collider"]["download"]["mirrors"]),
        shell:
            "python {input.script} --facts {params.facts} --name {wildcards.name} "
            " --folder {params.folder:q} --mirrors {params.mirrors:q} "
            " --output {output.facts} > {log} 2>&1"

    rule compare_counts:
        """Hold the numbers of background events against those that were published."""
        input:
            reference=paths.features(OUT, "reference"),
            target=paths.features(OUT, "target"),
            published=LHCO_FACTS,
            script=script("events/compare_counts.py"),
            code=code("events/compare_counts.py"),
        output:
            csv=paths.table(OUT, "event_counts", "csv"),
            md=paths.table(OUT, "event_counts", "md"),
            html=report(
                paths.table(OUT, "event_counts", "html"),
                caption="../workflow/report/event_counts.rst",
                category=counts_category,
                labels={
                    "table": "event counts",
                    "shows": "events by M against the published ones",
                },
            ),
        log:
            paths.log(OUT, "compare_counts"),
        benchmark:
            paths.benchmark(OUT, "features", "compare_counts")
        localrule: True
        conda:
            "../envs/environment.yaml"
        shell:
            "python {input.script} --reference {input.reference} --target {input.target} "
            " --published {input.published} --output {output} > {log} 2>&1"


if config["collider"]["source"] == "lhco":

    rule extract_lhco_events:
        """Read a chunk of background events from an LHC Olympics file."""
        input:
            events=lambda wildcards: lhco_input(wildcards.sample),
            script=script("events/extract_lhco_events.py"),
            code=code("events/extract_lhco_events.py"),
        output:
            # As large as the file itself, and quickly made again.
            events=temp(paths.events(OUT, "{sample}", "{chunk}")),
        log:
            paths.log(OUT, "extract_lhco_events", "{sample}", "{chunk}"),
        benchmark:
            paths.benchmark(OUT, "events", "extract_lhco_events", "{sample}", "{chunk}")
        # Of a file that names no signal this job says so, before any event is clustered.
        priority: lambda wildcards: int([*wildcards] == [tasks.SIGNAL, "0000"])
        conda:
            "../envs/environment.yaml"
        resources:
            mem_mb=scaled(1500),
            runtime=scaled(30),
        params:
            file=lambda wildcards: lhco_file(wildcards.sample),
            rows=lambda wildcards: "--start {} --stop {}".format(
                *targets.chunks(config, wildcards.sample)[int(wildcards.chunk)]
            ),
            kept=lambda wildcards: lhco_kept(wildcards.sample),
        shell:
            "python {input.script} --input {params.file:q} {params.rows} "
            " {params.kept} --output {output.events} > {log} 2>&1"


if config["collider"]["source"] == "delphes":

    rule extract_delphes_events:
        """Read a chunk of events from Delphes' files."""
        input:
            events=lambda wildcards: delphes_files(wildcards.sample),
            script=script("events/extract_delphes_events.py"),
            code=code("events/extract_delphes_events.py"),
        output:
            events=temp(paths.events(OUT, "{sample}", "{chunk}")),
        log:
            paths.log(OUT, "extract_delphes_events", "{sample}", "{chunk}"),
        benchmark:
            paths.benchmark(OUT, "events", "extract_delphes_events", "{sample}", "{chunk}")
        conda:
            "../envs/environment.yaml"
        resources:
            mem_mb=scaled(1500),
            runtime=scaled(30),
        params:
            files=lambda wildcards: delphes_patterns(wildcards.sample),
            rows=lambda wildcards: "--start {} --stop {}".format(
                *targets.chunks(config, wildcards.sample)[int(wildcards.chunk)]
            ),
        shell:
            "python {input.script} --input {params.files:q} {params.rows} "
            " --output {output.events} > {log} 2>&1"


if config["collider"]["source"] == "lhco_features":

    rule read_lhco_features:
        """Compute the five features and M from the organisers' jets."""
        input:
            jets=lambda wildcards: lhco_input(wildcards.sample),
            script=script("events/read_lhco_features.py"),
            code=code("events/read_lhco_features.py"),
        output:
            features=paths.features(OUT, "{sample}"),
        log:
            paths.log(OUT, "read_lhco_features", "{sample}"),
        benchmark:
            paths.benchmark(OUT, "features", "read_lhco_features", "{sample}")
        # As that of extract_lhco_events.
        priority: lambda wildcards: int(wildcards.sample == tasks.SIGNAL)
        conda:
            "../envs/environment.yaml"
        resources:
            mem_mb=scaled(1500),
            runtime=scaled(30),
        params:
            file=lambda wildcards: lhco_file(wildcards.sample),
            trigger_pt=config["collider"]["trigger_pt_gev"],
            kept=lambda wildcards: lhco_kept(wildcards.sample),
        shell:
            "python {input.script} --input {params.file:q} --trigger-pt {params.trigger_pt} "
            " {params.kept} --output {output.features} > {log} 2>&1"

else:

    rule build_features:
        """Cluster a chunk's jets and compute the five features and M."""
        input:
            events=paths.events(OUT, "{sample}", "{chunk}"),
            script=script("events/build_features.py"),
            code=code("events/build_features.py"),
        output:
            features=paths.chunk_features(OUT, "{sample}", "{chunk}"),
        log:
            paths.log(OUT, "build_features", "{sample}", "{chunk}"),
        benchmark:
            paths.benchmark(OUT, "features", "build_features", "{sample}", "{chunk}")
        conda:
            "../envs/environment.yaml"
        resources:
            mem_mb=scaled(1000),
            runtime=scaled(30),
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
            script=script("events/merge_features.py"),
            code=code("events/merge_features.py"),
        output:
            features=paths.features(OUT, "{sample}"),
        log:
            paths.log(OUT, "merge_features", "{sample}"),
        benchmark:
            paths.benchmark(OUT, "features", "merge_features", "{sample}")
        localrule: True
        conda:
            "../envs/environment.yaml"
        resources:
            mem_mb=scaled(1000),
            runtime=scaled(30),
        shell:
            "python {input.script} --input {input.chunks} --output {output.features} > {log} 2>&1"


rule prepare_samples:
    """Cut sidebands and signal region, split the sidebands and scale both samples together."""
    input:
        reference=paths.features(OUT, "reference"),
        target=paths.features(OUT, "target"),
        signal=targets.leaking_signal(OUT, config),
        script=script("events/prepare_samples.py"),
        code=code("events/prepare_samples.py"),
    output:
        reference=paths.prepared(OUT, "reference"),
        target=paths.prepared(OUT, "target"),
        scaling=paths.scaling(OUT),
    log:
        paths.log(OUT, "prepare_samples"),
    benchmark:
        paths.benchmark(OUT, "features", "prepare_samples")
    localrule: True
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=scaled(1500),
        runtime=scaled(30),
    params:
        job=literal(to_json(JOBS.prepare())),
        signal=lambda wildcards, input: f"--signal {input.signal}" if input.signal else "",
    shell:
        "python {input.script} --reference {input.reference} --target {input.target} "
        " {params.signal} --job {params.job:q} --output-reference {output.reference} "
        " --output-target {output.target} --output-scaling {output.scaling} > {log} 2>&1"


rule compare_medians:
    """Hold the target's medians in the signal region against the LHC Olympics sample's."""
    input:
        target=paths.features(OUT, "target"),
        reference="config/lhco_reference.yaml",
        script=script("events/compare_medians.py"),
        code=code("events/compare_medians.py"),
    output:
        table=table("medians", "target against the LHC Olympics sample"),
    log:
        paths.log(OUT, "compare_medians"),
    benchmark:
        paths.benchmark(OUT, "features", "compare_medians")
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        signal=config["collider"]["regions_tev"]["signal"],
    shell:
        "python {input.script} --target {input.target} --reference {input.reference} "
        " --signal {params.signal} --output {output.table} > {log} 2>&1"
