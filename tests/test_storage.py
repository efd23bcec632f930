"""The recipe of docs/cluster.md: copies of results on xrootd storage, with a server of its own."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from test_workflow import OUT, ROOT, Project

from flowmorph.plan import paths

pytestmark = pytest.mark.workflow
CONFIGURATION = """\
all.export /data
oss.localroot {folder}
xrd.port {port}
all.adminpath {folder}/admin
all.pidpath {folder}/admin
"""
USER = "daemon"  # the server refuses to serve as root


@pytest.fixture
def server():
    """Give a server's address and the folder that it serves."""
    pytest.importorskip("XRootD", reason="pip install --no-deps -r envs/xrootd.txt")
    program = shutil.which("xrootd")
    if program is None:
        pytest.skip("no xrootd: apt-get install xrootd-server")
    # Not pytest's folder, which the server's user may not enter.
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as free:
        folder, port = Path(name), free.getsockname()[1]
        free.close()
        folder.chmod(0o755)
        for each in ("data", "admin"):
            (folder / each).mkdir()
        (folder / "conf").write_text(CONFIGURATION.format(folder=folder, port=port))
        command = [program, "-c", folder / "conf", "-l", folder / "admin/log"]
        if os.geteuid() == 0:
            for each in ("data", "admin"):
                shutil.chown(folder / each, USER)
            command += ["-R", USER]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            wait(port)
            yield f"root://localhost:{port}//data", folder / "data"
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait(port):
    end = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            assert time.monotonic() < end, "the server does not come up"
            time.sleep(0.1)


def test_results_are_copied_to_storage_once(tmp_path, server):
    address, served = server
    project = Project(tmp_path)
    text = (ROOT / "docs/cluster.md").read_text()
    (recipe,) = re.findall(r"^```python\n(include.*?)^```$", text, re.M | re.S)
    recipe = re.sub(r"^FOLDER = .*$", f'FOLDER = "{address}"', recipe, flags=re.M)
    # Of all results one that takes no training.
    result = paths.figure(OUT, "fig1", "png")
    recipe = recipe.replace("in RESULTS]", f'in RESULTS if path == "{result}"]')
    (project.folder / "storage.smk").write_text(recipe)
    how = ("--snakefile", "storage.smk", "--cores", "1", "stored")
    project.snakemake(*how)
    assert (served / result).read_bytes() == (project.folder / result).read_bytes()
    assert "Nothing to be done" in project.snakemake(*how, "--dry-run").stdout
