"""The cluster that the tests of this folder share."""

import shutil
import tempfile
from pathlib import Path

import pytest
from cluster import Cluster, obstacle


@pytest.fixture(scope="session")
def cluster():
    """Give a running SLURM cluster that this process's children find."""
    reason = obstacle()
    if reason:
        pytest.skip(reason)
    # Not pytest's folder: munged wants everyone to be able to enter the folder of its socket.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    cluster = Cluster(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
            shutil.rmtree(folder)
