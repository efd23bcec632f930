"""Which Delphes files a run reads."""

import glob


def delphes_patterns(sample: str) -> list[str]:
    """Give the names or patterns of a sample's files."""
    named = config["collider"]["delphes"]["files"][sample]
    return [named] if isinstance(named, str) else named


def delphes_files(sample: str) -> list[str]:
    """Give the files that are there; a pattern without any is reported by the job, in words."""
    found = [glob.glob(pattern, recursive=True) for pattern in delphes_patterns(sample)]
    return sorted({name for names in found for name in names})
