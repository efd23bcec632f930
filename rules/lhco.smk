"""Which LHC Olympics files a run reads: the user's own or published ones."""

import csv
import re

import yaml

LHCO_FACTS = "config/lhco_reference.yaml"


def published_files() -> list[str]:
    """Give the names of the LHC Olympics files that can be downloaded."""
    with open(LHCO_FACTS) as stream:
        facts = yaml.safe_load(stream)
    return [name for entry in facts.values() for name in entry.get("files", ())]


def lhco_kept(sample: str) -> str:
    """Give the options that say which events of its file a sample is."""
    if sample == tasks.SIGNAL:
        return "--signal-fraction 1 --no-background"
    return f"--signal-fraction {config['collider']['signal_fraction']}"


def lhco_source(sample: str) -> str:
    """Give the sample whose file has a sample's events: the signal's are among the target's."""
    return "target" if sample == tasks.SIGNAL else sample


def lhco_given(sample: str) -> str | None:
    """Give the user's own LHC Olympics file of a sample, if there is one."""
    return config["collider"][config["collider"]["source"]]["files"][lhco_source(sample)]


def lhco_name(sample: str) -> str:
    """Give the name of a sample's published file."""
    with open(LHCO_FACTS) as stream:
        return yaml.safe_load(stream)["samples"][config["collider"]["source"]][lhco_source(sample)]


def lhco_file(sample: str) -> str:
    """Give the LHC Olympics file of a sample: the user's own, or the one that is downloaded."""
    folder = config["collider"]["download"]["folder"]
    return lhco_given(sample) or paths.published(folder, lhco_name(sample))


def lhco_input(sample: str) -> list[str]:
    """Give what a job that reads a sample's LHC Olympics file depends on.

    A missing file of the user's is reported by the job, in words, and not by the graph.
    """
    given = lhco_given(sample)
    if given:
        return [given] if os.path.exists(given) else []
    return [paths.verified(OUT, lhco_name(sample))]


def counts_category(wildcards, output) -> str:
    """Give the report's section for the event counts: a loud one when they do not agree."""
    with open(output.csv, newline="") as stream:
        agree = all(row["verdict"] == "agrees" for row in csv.DictReader(stream))
    return "Tables" if agree else "WARNING: event counts are not the published ones"
