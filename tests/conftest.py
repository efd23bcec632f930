"""Data that several test files use."""

import os
import sys
from pathlib import Path

import figure_samples
import numpy as np
import pytest

from flowmorph.samples import moved


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the files that take longest first, so that processes of ``-n`` end together."""
    slow = {item.path for item in items if item.get_closest_marker("workflow")}
    items.sort(key=lambda item: (item.path.parent.name != "slurm", item.path not in slow))


@pytest.fixture(autouse=True)
def subnormal_numbers():
    """Jobs take them as zero in their process, which here is that of other tests, too."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(scope="session")
def lhco_tiny() -> Path:
    """The first 1,000 events of the LHC Olympics R&D sample, which is not part of the project."""
    return outside("LHCO_TINY", "events_anomalydetection_tiny.h5", "LHC Olympics events")


@pytest.fixture(scope="session")
def delphes_file() -> Path:
    """Ten events of Delphes, scikit-hep-testdata's uproot-issue513.root."""
    return outside("DELPHES_FILE", "uproot-issue513.root", "Delphes events")


def outside(variable: str, name: str, what: str) -> Path:
    """A file that is not part of the project: where a variable says, or beside the project."""
    beside = Path(__file__).parents[2] / "shared/data" / name
    path = Path(os.environ.get(variable, beside))
    if not path.is_file():
        pytest.skip(f"no {what} at {path}: set {variable}")
    return path


@pytest.fixture(scope="session")
def chain(tmp_path_factory):
    """The science task from events to a figure, one job at a time."""
    from test_workflow import CHAIN, Project

    project = Project(tmp_path_factory.mktemp("chain"))
    project.snakemake("--cores", "1", *CHAIN)
    return project


@pytest.fixture
def toy() -> moved.MovedSample:
    return figure_samples.toy_task()


@pytest.fixture
def rotated() -> moved.MovedSample:
    return figure_samples.rotated_task()


@pytest.fixture
def science() -> moved.MovedSample:
    return figure_samples.science_task()


@pytest.fixture
def history() -> dict[str, np.ndarray]:
    return figure_samples.loss_history()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Folder of a transport with random parameters: features x and k, condition m."""
    import transports  # with torch, which most tests start without

    return transports.make(
        tmp_path_factory.mktemp("transport"), ("x", "k"), ("m",), regions=transports.REGIONS
    )


@pytest.fixture(scope="module")
def transport(folder):
    import flowmorph

    return flowmorph.load(str(folder))


@pytest.fixture(scope="module")
def anywhere(tmp_path_factory):
    """The transport of `transport` without regions."""
    import transports

    import flowmorph

    folder = transports.make(
        tmp_path_factory.mktemp("transport"), ("x", "k"), ("m",), regions=transports.NOWHERE
    )
    return flowmorph.load(str(folder))
