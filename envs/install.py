"""Install the locked packages into the environment whose Python runs this; `make` calls it.

PyTorch comes first. On Linux the package index has it with CUDA libraries of several GB: where
there is no NVIDIA driver the build for CPUs is taken from PyTorch's own index, if that can be
reached. The packages are installed by uv, which keeps what it has fetched for the next folder.
Where pip's settings cannot be told to uv, or uv fails, pip does the same.

    TORCH_INDEX=default    PyTorch from where all other packages come from
    TORCH_INDEX=<address>  from this index, whatever the machine has
"""

from __future__ import annotations

import ast
import os
import re
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from sysconfig import get_path

LOCK = Path(__file__).with_name("requirements.lock")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
DRIVER = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg")  # the last is of WSL
PATIENCE = 5.0  # seconds in which PyTorch's index has to answer
# For the first packages, which are small: they show whether anything can be fetched.
HASTY = ("--retries", "1")
PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "PIP_PROXY")

#: What uv calls a setting of pip, and what stands between several values.
SETTINGS = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "constraint": ("UV_CONSTRAINT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
}
#: Settings of pip that say nothing about which packages are installed, and where they come from.
IRRELEVANT = {
    "cache-dir", "config-file", "disable-pip-version-check", "no-cache-dir", "no-color", "no-input",
    "no-python-version-warning", "progress-bar", "quiet", "require-virtualenv", "retries",
    "root-user-action", "verbose",
}  # fmt: skip


class NotForUv(Exception):
    """A setting of pip that uv cannot be told."""


def main() -> None:
    """Install PyTorch, then all else, then this project."""
    lock = LOCK.read_text()
    tool = installer(pin("uv", lock), os.environ)
    tool.begin(pin("setuptools", lock))
    torch = pin("torch", lock)
    wish, certificates = (tool.environment.get(name) for name in ("TORCH_INDEX", "SSL_CERT_FILE"))
    index = torch_index(torch, wish, sys.platform, DRIVER, certificates)
    if index and not tool.tries("--no-deps", *tool.only(index), local_build(torch, index)):
        say(f"PyTorch cannot be installed from {index}: it comes from where all else does")
    # Two packages without a wheel are built with the locked setuptools, not with the newest.
    tool.install("--no-build-isolation", "--requirement", str(LOCK))
    tool.install("--no-build-isolation", "--no-deps", "--editable", str(LOCK.parents[1]))
    tool.compile()


def say(text: str) -> None:
    """Tell the user."""
    print(f"install: {text}", file=sys.stderr, flush=True)


def pin(name: str, lock: str) -> str:
    """The line of a package in the lock file."""
    found = re.search(rf"^{name}==\S+", lock, re.M)
    if found is None:
        raise SystemExit(f"{LOCK}: {name} is not pinned")
    return found[0]


def torch_index(
    torch: str,
    wish: str | None,
    platform: str,
    driver: Sequence[str],
    certificates: str | None = None,
) -> str:
    """The index from which PyTorch comes; empty for that of all other packages.

    ``torch`` is its pin, ``wish`` what the user says, ``driver`` files of which one is there where
    there is a driver, ``certificates`` a file of them. Says what was chosen, and why.
    """
    if wish:
        return "" if wish == "default" else wish
    if not platform.startswith("linux") or any(map(os.path.exists, driver)):
        return ""
    if not answers(CPU_INDEX, local_build(torch, CPU_INDEX), certificates):
        say(
            f"no NVIDIA driver, but {CPU_INDEX} cannot be reached: PyTorch comes from where all "
            "else does, perhaps with CUDA libraries of several GB"
        )
        return ""
    say(f"no NVIDIA driver: PyTorch's build for CPUs, from {CPU_INDEX}")
    return CPU_INDEX


def local_build(torch: str, index: str) -> str:
    """PyTorch's pin with the name that an index of one kind of builds gives to its own."""
    return f"{torch}+{index.rstrip('/').rpartition('/')[2]}"


def answers(
    index: str, requirement: str, certificates: str | None = None, patience: float = PATIENCE
) -> bool:
    """Whether an index has a version, and says so within ``patience`` seconds."""
    name, _, version = requirement.partition("==")
    found: list[bool] = []

    def look() -> None:
        try:
            trusted = ssl.create_default_context(cafile=certificates)
            page = urllib.request.urlopen(f"{index}/{name}/", timeout=patience, context=trusted)
            with page:
                text = page.read().decode().replace("%2B", "+")
        except (OSError, ValueError):
            return
        found.append(f"{name}-{version}-" in text)

    # In a thread of its own, since nothing else ends a look-up of a name that nobody answers.
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(patience)
    return any(found)


class Pip:
    """pip of this environment."""

    command = (sys.executable, "-m", "pip", "install", "--quiet", "--use-pep517")
    environment: Mapping[str, str] = os.environ

    def only(self, index: str) -> tuple[str, ...]:
        """Options to take a package from one index."""
        return ("--index-url", index)

    def tries(self, *arguments: str) -> bool:
        """Install, and say whether that was possible."""
        return not subprocess.run([*self.command, *arguments], env=self.environment).returncode

    def install(self, *arguments: str) -> None:
        """Install, or end."""
        if not self.tries(*arguments):
            raise SystemExit(1)

    def begin(self, requirement: str) -> None:
        """Install what comes first, or end and say why nothing can be installed."""
        if not self.tries(*HASTY, requirement):
            raise SystemExit(unreachable(requirement, self.environment))

    def compile(self) -> None:
        """Compile all modules: pip did, as it installed them."""


class Uv(Pip):
    """uv for this environment, and pip where uv fails."""

    # The index with the best match, not the first with the package: pip's way with several indexes.
    command = (
        sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable,
        "--index-strategy", "unsafe-best-match",
    )  # fmt: skip

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment

    def only(self, index: str) -> tuple[str, ...]:
        """Options to take a package from one index."""
        return ("--default-index", index)

    def install(self, *arguments: str) -> None:
        """Install with uv, or with pip, or end."""
        if not self.tries(*arguments):
            say("uv failed: pip tries the same")
            Pip().install(*arguments)

    def begin(self, requirement: str) -> None:
        """Install what comes first with uv, or with pip, or end."""
        if not self.tries(requirement):
            say("uv failed: pip tries the same")
            Pip().begin(requirement)

    def compile(self) -> None:
        """Compile all modules, or each first import would, with warnings that the tests refuse.

        Some packages have files of other Pythons, which cannot be compiled: no reason to stop.
        """
        command = [sys.executable, "-m", "compileall", "-q", "-j", "0", get_path("purelib")]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def installer(uv: str, environment: Mapping[str, str]) -> Pip:
    """uv of this pin, told what pip is told, or else pip."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    try:
        settings = uv_settings(listed)
    except NotForUv as reason:
        say(f"pip installs, since uv knows nothing like pip's setting {reason}")
        return Pip()
    if not Pip().tries(*HASTY, uv):
        say("uv cannot be installed: pip installs")
        return Pip()
    return Uv({**settings, **cache(environment), **environment})


def cache(environment: Mapping[str, str]) -> dict[str, str]:
    """Settings for uv's cache: none where it can be written, else that there is none."""
    asked = subprocess.run(
        [sys.executable, "-m", "uv", "cache", "dir"],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    folder = asked.stdout.strip()
    if asked.returncode or not folder or writable(Path(folder)):
        return {}
    say(f"{folder} cannot be written, so what is fetched is not kept for the next folder")
    return {"UV_NO_CACHE": "1"}


def writable(folder: Path) -> bool:
    """Whether a folder can be written, or made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


def unreachable(requirement: str, environment: Mapping[str, str]) -> str:
    """Say what to look at when not even the first package can be fetched."""
    proxies = [name for name in PROXIES if environment.get(name)]
    look = f"the proxy in {' and '.join(proxies)}" if proxies else "the network"
    return (
        f"install: {requirement} cannot be fetched, so nothing else can: check {look}, and the "
        "package index that `pip config list` names"
    )


def uv_settings(listed: str) -> dict[str, str]:
    """Environment variables that tell uv what `pip config list` lists.

    A setting of pip's command ``install`` goes before a global one, and a variable before both.
    Raises `NotForUv` for a setting without a counterpart.
    """
    values: dict[str, str] = {}
    for section in ("global", "install", ":env:"):
        for key, value in re.findall(rf"^{section}\.([a-z-]+)=(.*)$", listed, re.M):
            if key not in SETTINGS and key not in IRRELEVANT:
                raise NotForUv(key)
            values[key] = ast.literal_eval(value)
    return {
        SETTINGS[key][0]: SETTINGS[key][1].join(value.split())
        for key, value in values.items()
        if key in SETTINGS
    }


if __name__ == "__main__":
    main()
