"""Which Delphes files a run reads."""


def delphes_patterns(sample: str) -> list[str]:
    """Give the names or patterns of a sample's files."""
    return own_config.patterns(config["collider"]["delphes"]["files"][sample])


def delphes_files(sample: str) -> list[str]:
    """Give the files that are there; a pattern without any is reported by the job, in words."""
    return own_config.matching(delphes_patterns(sample))
