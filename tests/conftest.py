"""Data that several test files use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def lhco_tiny() -> Path:
    """The first 1,000 events of the LHC Olympics R&D sample, which is not part of the project."""
    beside = Path(__file__).parents[2] / "shared/data/events_anomalydetection_tiny.h5"
    path = Path(os.environ.get("LHCO_TINY", beside))
    if not path.is_file():
        pytest.skip(f"no LHC Olympics events at {path}: set LHCO_TINY")
    return path


@pytest.fixture(scope="session")
def chain(tmp_path_factory):
    """The science task from events to a figure, one job at a time."""
    from test_workflow import CHAIN, Project

    project = Project(tmp_path_factory.mktemp("chain"))
    project.snakemake("--cores", "1", *CHAIN)
    return project
