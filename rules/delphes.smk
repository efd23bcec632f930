"""Events of the user's own, from Delphes' ROOT files."""

import glob


def delphes_patterns(sample: str) -> list[str]:
    """Give the names or patterns of a sample's files."""
    named = config["collider"]["delphes"]["files"][sample]
    return [named] if isinstance(named, str) else named


def delphes_files(sample: str) -> list[str]:
    """Give the files that are there; a pattern without any is reported by the job, in words."""
    found = [glob.glob(pattern, recursive=True) for pattern in delphes_patterns(sample)]
    return sorted({name for names in found for name in names})


if config["collider"]["source"] == "delphes":

    rule extract_delphes_events:
        """Read a chunk of events from Delphes' files."""
        input:
            events=lambda wildcards: delphes_files(wildcards.sample),
            script=script("extract_delphes_events.py"),
            code=code("extract_delphes_events.py"),
        output:
            events=temp(paths.events(OUT, "{sample}", "{chunk}")),
        log:
            paths.log(OUT, "extract_delphes_events", "{sample}", "{chunk}"),
        benchmark:
            paths.benchmark(OUT, "extract_delphes_events", "{sample}", "{chunk}")
        conda:
            "../envs/environment.yaml"
        resources:
            mem_mb=1500,
            runtime=30,
        params:
            files=lambda wildcards: delphes_patterns(wildcards.sample),
            rows=lambda wildcards: "--start {} --stop {}".format(
                *targets.chunks(config, wildcards.sample)[int(wildcards.chunk)]
            ),
        shell:
            "python {input.script} --input {params.files:q} {params.rows} "
            " --output {output.events} > {log} 2>&1"
