"""Installing: which PyTorch, what uv is told of pip's settings, what if it fails, which folders."""

import http.server
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TORCH = "torch==2.13.0"
NOWHERE = "http://127.0.0.1:9/whl/cpu"  # the port of a service that nobody runs: refused at once


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("install", ROOT / "envs/install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wheel(folder, name, version, files=None):
    """Write a package of some files, by default of a module that is empty."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    files = (files or {f"{name}.py": ""}) | {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{each},,\n" for each in (*files, f"{about}/RECORD"))
    with zipfile.ZipFile(path, "w") as file:
        for each, text in files.items():
            file.writestr(each, text)
    return path


@pytest.fixture
def serve(tmp_path):
    """Give a function that serves a folder as a package index, and gives its address."""
    servers = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    def start(folder):
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), lambda *given: Quiet(*given, directory=str(folder))
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def cpu_index(tmp_path, serve):
    """An index as PyTorch's own, with a small wheel in place of the large one."""
    wheel(tmp_path / "index/whl/cpu/torch", "torch", "2.13.0+cpu")
    return f"{serve(tmp_path / 'index')}/whl/cpu"


def test_index_with_the_version_answers(script, cpu_index):
    assert script.answers(cpu_index, f"{TORCH}+cpu")
    assert not script.answers(cpu_index, "torch==2.14.0+cpu")
    assert not script.answers(f"{cpu_index}/other", f"{TORCH}+cpu")


def test_an_index_that_is_away_or_silent_is_given_up_in_seconds(script):
    begin = time.monotonic()
    assert not script.answers(NOWHERE, f"{TORCH}+cpu", patience=1)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert not script.answers(address, f"{TORCH}+cpu", patience=1)
    assert time.monotonic() - begin < 5
    assert script.PATIENCE <= 10


def test_build_for_cpus_where_there_is_no_driver(script, cpu_index, monkeypatch, capsys, tmp_path):
    driver, absent = tmp_path / "driver", tmp_path / "absent"
    driver.touch()
    monkeypatch.setattr(script, "CPU_INDEX", cpu_index)
    assert script.torch_index(TORCH, "", "linux", [absent]) == cpu_index
    assert "no NVIDIA driver" in capsys.readouterr().err
    # Where there is a driver, on other systems, and where the user wants another one.
    assert script.torch_index(TORCH, "", "linux", [absent, driver]) == ""
    assert script.torch_index(TORCH, "", "darwin", [absent]) == ""
    assert script.torch_index(TORCH, "default", "linux", [absent]) == ""
    assert (
        script.torch_index(TORCH, "https://x.org/cu130", "linux", [absent]) == "https://x.org/cu130"
    )
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(script, "CPU_INDEX", NOWHERE)
    assert script.torch_index(TORCH, "", "linux", [absent]) == ""
    assert "cannot be reached" in capsys.readouterr().err


def test_uv_is_told_what_pip_is_told(script):
    listed = """\
:env:.find-links='/a /b'
global.cert='/c.crt'
global.disable-pip-version-check='1'
global.extra-index-url='https://x.org/simple\\nhttps://y.org/simple'
global.index-url='https://global.org/simple'
global.timeout='5'
global.find-links='/no'
install.index-url='https://install.org/simple'
download.no-binary='ignored by an installation'
"""
    assert script.uv_settings(listed) == {
        "UV_DEFAULT_INDEX": "https://install.org/simple",
        "UV_INDEX": "https://x.org/simple https://y.org/simple",
        "UV_FIND_LINKS": "/a,/b",
        "SSL_CERT_FILE": "/c.crt",
        "UV_HTTP_TIMEOUT": "5",
    }
    for setting in ("no-index='true'", "proxy='http://x.org'", "target='/x'"):
        with pytest.raises(script.NotForUv, match=setting.partition("=")[0]):
            script.uv_settings(f"global.{setting}")


# A build backend that builds nothing: what it is asked for lies there.
BACKEND = """import shutil
def build_editable(folder, *more):
    return shutil.copy({wheel!r}, folder).rpartition("/")[2]
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment with nothing but this one's pip."""
    folder = tmp_path_factory.mktemp("environment") / ".venv"
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (pip,) = importlib.util.find_spec("pip").submodule_search_locations
    shutil.copytree(pip, packages / "pip")
    return folder


@pytest.fixture
def project(tmp_path, environment):
    """A project of a few small packages with a mirror that has them, and its own environment."""
    folder, mirror = tmp_path / "project", tmp_path / "mirror"
    (folder / "envs").mkdir(parents=True)
    shutil.copy(ROOT / "envs/install.py", folder / "envs")
    pins = {"setuptools": "84.0", "torch": "2.13.0", "small": "3.0"}
    for name, version in pins.items():
        wheel(mirror / name, name, version)
    lock = "".join(f"{name}=={version}\n" for name, version in pins.items())
    (folder / "envs/requirements.lock").write_text(f"{lock}uv==1.0\n")
    own = wheel(tmp_path / "built", "project", "1.0")
    (folder / "backend.py").write_text(BACKEND.format(wheel=str(own)))
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "project"\nversion = "1.0"\n'
    )
    shutil.copytree(environment, folder / ".venv", symlinks=True)
    return folder


def uv_package(project, code):
    """Put a package uv into the mirror, whose program is ``code``."""
    wheel(project.parent / "mirror/uv", "uv", "1.0", {"uv/__main__.py": code})


def real_uv(project):
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    assert uv, "uv is pinned, and not installed"
    uv_package(project, f"import os, sys\nos.execv({uv!r}, [{uv!r}, *sys.argv[1:]])\n")


@pytest.fixture
def install(project, serve):
    """Give a function that runs the script with the mirror as the user's index."""
    mirror = serve(project.parent / "mirror")
    return lambda **settings: run(project, {"PIP_INDEX_URL": mirror, **settings})


def run(project, settings):
    """Run the script; give what it says, and who installed which version of each package."""
    unset = ("PIP_", "UV_", "PYTHONPATH", "VIRTUAL_ENV", "TORCH_INDEX")
    environment = {name: each for name, each in os.environ.items() if not name.startswith(unset)}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1"}
    environment |= {"UV_NO_CONFIG": "1", "UV_HTTP_RETRIES": "0"}
    environment |= {"UV_CACHE_DIR": str(project.parent / "cache"), **settings}
    how = {"env": environment, "capture_output": True, "text": True, "timeout": 300}
    python = project / ".venv/bin/python"
    done = subprocess.run([python, project / "envs/install.py"], **how)
    packages = {}
    for about in project.glob(".venv/lib/python*/site-packages/*.dist-info"):
        name, version = about.name.removesuffix(".dist-info").split("-")
        packages[name] = version, (about / "INSTALLER").read_text().strip()
    return done, packages


def test_uv_installs_from_the_users_mirror(project, install):
    real_uv(project)
    done, packages = install(TORCH_INDEX="default")
    assert done.returncode == 0 and done.stderr.count("install:") == 0, done.stderr
    assert packages["torch"] == ("2.13.0", "uv")
    assert packages["small"] == ("3.0", "uv")
    assert packages["project"] == ("1.0", "uv")
    assert list(project.glob(".venv/lib/python*/site-packages/__pycache__/small.*.pyc"))


def test_pip_installs_where_its_settings_are_not_for_uv(project, install):
    real_uv(project)
    done, packages = install(TORCH_INDEX="default", PIP_PROXY="")
    assert done.returncode == 0, done.stderr
    assert "uv knows nothing like pip's setting proxy" in done.stderr
    assert packages["small"] == ("3.0", "pip")


def test_pip_installs_where_uv_fails(project, install):
    uv_package(project, "raise SystemExit('uv is broken')\n")
    done, packages = install(TORCH_INDEX="default")
    assert done.returncode == 0, done.stderr
    assert "uv failed: pip tries the same" in done.stderr
    assert packages["small"] == ("3.0", "pip") and packages["project"] == ("1.0", "pip")


def test_what_nobody_can_install_ends_with_an_error(project, install):
    real_uv(project)
    with open(project / "envs/requirements.lock", "a") as lock:
        lock.write("nowhere-to-be-found==1.0\n")
    done, packages = install(TORCH_INDEX="default")
    assert done.returncode == 1 and "nowhere-to-be-found" in done.stderr
    assert "Traceback" not in done.stderr and "project" not in packages


def test_where_nothing_can_be_fetched_it_ends_in_seconds_with_what_to_do(project, install):
    begin = time.monotonic()
    done, packages = install(PIP_INDEX_URL=NOWHERE, TORCH_INDEX="default", PIP_RETRIES="5")
    assert done.returncode == 1 and time.monotonic() - begin < 30
    last = done.stderr.splitlines()[-1]
    assert last.startswith("install: setuptools==84.0 cannot be fetched") and "network" in last
    assert len(done.stderr.splitlines()) < 10 and "Traceback" not in done.stderr
    assert not packages.keys() & {"setuptools", "torch", "small"}


def test_a_proxy_that_refuses_is_named(project, install):
    mirror, proxy = "http://packages.invalid/simple", "http://me:secret@127.0.0.1:9"
    done, _ = install(PIP_INDEX_URL=mirror, HTTPS_PROXY=proxy, HTTP_PROXY=proxy, NO_PROXY="")
    assert done.returncode == 1 and "secret" not in done.stderr
    assert "check the proxy in HTTPS_PROXY" in done.stderr.splitlines()[-1]


def test_a_cache_that_cannot_be_written_is_done_without(project, install):
    real_uv(project)
    home = project.parent / "a file, not a folder"
    home.touch()
    done, packages = install(TORCH_INDEX="default", UV_CACHE_DIR=str(home / "cache"))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("install:") == 1 and "cannot be written" in done.stderr
    assert packages["small"] == ("3.0", "uv")


def test_torch_comes_from_its_own_index_and_stays(project, install, cpu_index):
    real_uv(project)
    done, packages = install(TORCH_INDEX=cpu_index)
    assert done.returncode == 0, done.stderr
    assert packages["torch"] == ("2.13.0+cpu", "uv") and packages["small"] == ("3.0", "uv")


def test_torch_comes_from_the_mirror_where_its_own_index_is_away(project, install):
    real_uv(project)
    done, packages = install(TORCH_INDEX=NOWHERE)
    assert done.returncode == 0, done.stderr
    assert f"PyTorch cannot be installed from {NOWHERE}" in done.stderr
    assert packages["torch"] == ("2.13.0", "uv")


@pytest.fixture
def installed(tmp_path):
    """A folder with an environment of its own, whose snakemake says so, and another one in PATH."""
    folder, elsewhere = tmp_path / "first", tmp_path / "elsewhere"
    (folder / "envs").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("requirements.lock", "install.py"):
        (folder / "envs" / name).touch()
    venv.create(folder / ".venv", with_pip=False, symlinks=True)
    (folder / ".venv/.installed").touch()
    elsewhere.mkdir()
    for place, said in ((folder / ".venv/bin", "own"), (elsewhere, "another")):
        (place / "snakemake").write_text(f"#!/bin/sh\necho {said} snakemake\n")
        (place / "snakemake").chmod(0o755)
    return folder


def make(folder, target, **settings):
    """Run make, with the other snakemake first in PATH."""
    unset = ("MAKE", "MFLAGS", "VIRTUAL_ENV")
    environment = {name: each for name, each in os.environ.items() if not name.startswith(unset)}
    environment |= {"PATH": f"{folder.parent / 'elsewhere'}:{os.environ['PATH']}"}
    given = [f"{name}={value}" for name, value in settings.items()]
    return subprocess.run(
        ["make", "--no-print-directory", target, *given],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def refused(folder, target="quick", **settings):
    """The line with which make stops before it runs anything."""
    done = make(folder, target, **settings)
    assert done.returncode != 0 and "snakemake" not in done.stdout
    line, _ = done.stderr.splitlines()  # the other line is make's own
    return line


def test_the_environment_of_the_folder_or_of_the_one_that_it_links_to_is_taken(installed):
    assert make(installed, "quick").stdout.endswith("own snakemake\n")
    clone = installed.with_name("a clone")
    shutil.copytree(installed, clone, ignore=shutil.ignore_patterns(".venv"))
    (clone / ".venv").symlink_to(installed / ".venv")
    assert make(clone, "quick").stdout.endswith("own snakemake\n")


@pytest.mark.parametrize("copied", [False, True])
def test_a_folder_that_was_renamed_or_copied_stops_with_what_to_do(installed, copied):
    second = installed.with_name("second")
    if copied:
        shutil.copytree(installed, second, symlinks=True)
    else:
        installed.rename(second)
    for target in ("quick", "lint", "all", "test"):
        line = refused(second, target)
        assert line.startswith("error: .venv is not of this folder") and "make clean-venv" in line
    assert make(second, "help").returncode == 0
    assert make(second, "clean-venv").returncode == 0 and not (second / ".venv").exists()


@pytest.mark.parametrize("character", "{}$`")
def test_a_name_that_snakemake_cannot_take_is_refused_before_anything_is_installed(
    installed, character
):
    folder = installed.with_name(f"my {character} folder")
    installed.rename(folder)
    shutil.rmtree(folder / ".venv")
    line = refused(folder, PYTHON=sys.executable)
    assert line == f"error: {folder}: rename this folder, without any of {{}}$`"
    # In the Snakefile's own words, where braces are doubled.
    assert line.rpartition(": ")[2].replace("{}", "{{}}") in (ROOT / "Snakefile").read_text()
    assert not (folder / ".venv").exists()
