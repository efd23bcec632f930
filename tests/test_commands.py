"""What people type: make's targets and snakemake's profiles."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROFILES = ROOT / "profiles"
# Stands in for Python: makes a `.venv` whose own notes its arguments and fails while `fail` exists.
PYTHON = """#!/bin/sh
echo "python $*" >> calls
[ "$1" = -c ] && exit 0
rm -rf .venv && mkdir -p .venv/bin
echo "VIRTUAL_ENV='$PWD/.venv'" > .venv/bin/activate
echo 'python() { echo "venv: $*" >> calls; test ! -e fail; }' >> .venv/bin/activate
"""


def make(*arguments, cwd=ROOT):
    # What an outer make passes on would change the targets' variables.
    unset = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTHON", "CORES", "ARGS", "PYTEST_ARGS"}
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.fixture
def clone(tmp_path):
    """Give a folder with the Makefile, what it installs from, and a stand-in for Python."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "envs").mkdir()
    for name in ("requirements.lock", "install.py"):
        (tmp_path / "envs" / name).touch()
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def install(clone):
    """Make the environment; give make's result and what was called."""
    calls = clone / "calls"
    calls.unlink(missing_ok=True)
    result = make("PYTHON=./python", ".venv/.installed", cwd=clone)
    return result, calls.read_text() if calls.exists() else ""


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("all", "snakemake --cores all"),
        ("quick", "snakemake --cores all --configfile config/quick.yaml"),
        (
            "test",
            "python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder",
        ),
        ("lint", "snakemake --lint"),
    ],
)
def test_targets_run_one_command_in_the_environment(target, command):
    result = make("--dry-run", target)
    last = result.stdout.strip().splitlines()[-1]
    assert last.strip() == f". .venv/bin/activate && {command}"


def test_default_target_is_the_reproduction():
    assert make("--dry-run").stdout == make("--dry-run", "all").stdout


def test_quick_run_of_one_figure():
    printed = make("--dry-run", "quick", "ARGS=fig9").stdout.strip()
    # The other way round --configfile would swallow the figure.
    assert printed.endswith("snakemake --cores all fig9 --configfile config/quick.yaml")


def test_cores_and_arguments_are_passed_on():
    result = make("--dry-run", "CORES=3", "ARGS=fig9 -n")
    assert result.stdout.strip().endswith("&& snakemake --cores 3 fig9 -n")


def test_environment_is_made_once_from_the_lock(clone):
    result, calls = install(clone)
    assert result.returncode == 0, result.stderr
    assert "python -m venv --clear .venv" in calls
    assert calls.endswith("venv: envs/install.py\n")
    assert install(clone)[1] == ""


def test_changed_lock_is_installed_afresh(clone):
    install(clone)
    stamp = (clone / ".venv/.installed").stat().st_mtime
    os.utime(clone / "envs/requirements.lock", (stamp + 1, stamp + 1))
    assert "venv --clear" in install(clone)[1]


def test_interrupted_installation_starts_again(clone):
    (clone / "fail").touch()
    assert install(clone)[0].returncode != 0
    (clone / "fail").unlink()
    result, calls = install(clone)
    assert result.returncode == 0 and "venv --clear" in calls and "install.py" in calls


@pytest.mark.parametrize("python", ["false", "no-such-python"])
def test_unsuitable_python_is_one_line_and_changes_nothing(clone, python):
    install(clone)
    result = make("-B", f"PYTHON={python}", ".venv/.installed", cwd=clone)
    message, _ = result.stderr.splitlines()  # the other line is make's own
    assert result.returncode != 0
    assert message.startswith(f"error: Python 3.11, 3.12 or 3.13 is needed, and {python} is not")
    assert (clone / ".venv/.installed").exists()


def dry_run(profile, *arguments):
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "--nolock"]
    command += [*arguments, "--workflow-profile", profile, "--configfile", "config/quick.yaml"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("profile", ["default", "slurm"])
def test_profile_is_accepted(profile):
    result = dry_run(PROFILES / profile, "fig9")
    assert result.returncode == 0, result.stdout + result.stderr


def uncommented(text):
    """Turn commented-out settings into settings."""
    return re.sub(r"^( *)# ( *[a-z_-]+:( .*)?)$", r"\1\2", text, flags=re.M)


def test_settings_left_to_the_site_are_accepted_too(tmp_path):
    text = uncommented((PROFILES / "slurm/config.yaml").read_text())
    settings = yaml.safe_load(text)
    assert settings["set-resources"]["train_transport"]["gres"] == "gpu:1"
    assert settings["slurm-status-command"] == "squeue"
    assert settings["default-resources"]["slurm_partition"] == "main"
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    for rule in settings["set-resources"]:
        named = rf"^ *(rule {rule}:|use rule \w+ as {rule} with:)"
        assert re.search(named, rules, re.M), f"no rule {rule}"
    # Without SLURM on the machine the plugin offers no status command to choose.
    text = text.replace("slurm-status-command: squeue", "") if not shutil.which("squeue") else text
    (tmp_path / "config.yaml").write_text(text)
    result = dry_run(tmp_path, "fig9")
    assert result.returncode == 0, result.stdout + result.stderr


def htcondor_profile(tmp_path, plugin):
    """HTCondor's profile, settings left to the site included; without what the ``plugin`` adds."""
    settings = yaml.safe_load(uncommented((PROFILES / "htcondor/config.yaml").read_text()))
    if not plugin:
        settings = {key: value for key, value in settings.items() if "htcondor-" not in key}
        del settings["executor"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


@pytest.mark.parametrize("plugin", [False, True])
def test_profile_of_htcondor_is_accepted(tmp_path, plugin):
    if plugin:
        pytest.importorskip("htcondor2", reason="pip install --no-deps -r envs/htcondor.txt")
    result = dry_run(htcondor_profile(tmp_path, plugin), "fig9")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("own", [False, True])
def test_each_job_that_demands_a_gpu_gets_one(tmp_path, own):
    """With ``device: cuda``, of the settings of both profiles that are left to the site."""
    settings, targets = {"run": "planned", "device": "cuda"}, ["all", "penalty_scan"]
    if own:
        names = [str(tmp_path / f"{name}.csv") for name in ("reference", "target", "more")]
        for name in names:
            Path(name).write_text("x,y\n")
        reference, target, settings["apply"] = names
        samples = {"reference": {"files": reference}, "target": {"files": target}}
        settings["own"] = {**samples, "features": ["x", "y"]}
        targets = ["all", "apply"]
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--printshellcmds", "--nolock"]
    command += [*targets, "--configfile", "tests/tiny.yaml", str(tmp_path / "settings.yaml")]
    planned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    blocks = re.split(r"^((?:local)?rule \w+):$", planned.stdout, flags=re.M)[1:]
    demanding = {
        rule
        for rule, text in zip(blocks[::2], blocks[1::2], strict=True)
        if '"device": "cuda"' in text or "--device cuda" in text
    }
    assert "rule train_transport" in demanding and len(demanding) > 5
    # Where snakemake itself runs there need not be any.
    assert not [rule for rule in demanding if rule.startswith("local")]
    for profile, name, wanted in (("slurm", "gres", "gpu:1"), ("htcondor", "request_gpus", 1)):
        text = (PROFILES / profile / "config.yaml").read_text()
        given = yaml.safe_load(uncommented(text))["set-resources"]
        having = {f"rule {rule}" for rule, more in given.items() if more.get(name) == wanted}
        assert demanding <= having, f"{profile}: {demanding - having}"


def test_each_rule_that_makes_a_chunk_of_events_is_in_a_group():
    texts = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    rules = re.split(r"^ *rule (\w+):$", texts, flags=re.M)[1:]
    chunked = {
        name
        for name, text in zip(rules[::2], rules[1::2], strict=True)
        if re.search(r'^ +output:\n(?: +#.*\n)?.*"\{chunk\}"', text, flags=re.M)
    }
    assert {"generate_events", "build_features"} < chunked and len(chunked) == 4
    for profile in ("slurm", "htcondor"):
        groups = yaml.safe_load((PROFILES / profile / "config.yaml").read_text())["groups"]
        assert chunked == {each.partition("=")[0] for each in groups}


def test_jobs_of_htcondor_ask_for_what_their_rules_need():
    profile = yaml.safe_load((PROFILES / "htcondor/config.yaml").read_text())
    resources, more = profile["default-resources"], profile["set-resources"]
    texts = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    rules = re.split(r"^ *(?:rule|checkpoint) ?(\w*):$", texts, flags=re.M)[1:]
    largest = dict.fromkeys(("mem_mb", "runtime"), 0)
    for name, text in zip(rules[::2], rules[1::2], strict=True):
        for resource, amount in re.findall(r"\b(mem_mb|runtime)=scaled\((\d+)\)", text):
            if resource == "mem_mb" and name in more:
                assert more.pop(name)["htcondor_request_mem_mb"] == f"{amount} * attempt"
            else:
                largest[resource] = max(largest[resource], int(amount))
    assert resources["htcondor_request_mem_mb"] == f"{largest['mem_mb']} * attempt"
    assert resources["classad_MaxRuntime"] == f"{60 * largest['runtime']} * attempt"
    assert not more, "settings of rules that there are not"


@pytest.mark.parametrize("profile", ["default", "slurm", "htcondor"])
def test_each_setting_of_a_profile_has_its_reason(profile):
    blocks = (PROFILES / profile / "config.yaml").read_text().strip().split("\n\n")
    without = [block for block in blocks if not re.match(r"#|executor:", block)]
    assert not without


def test_continuous_integration_ends_with_the_test_command():
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    lint, test = script.read_text().strip().splitlines()[-2:]
    assert (lint, test.split()[:2]) == ("make lint", ["make", "test"])


@pytest.mark.parametrize("name", ["lhco", "own", "paper", "quick", "search"])
def test_every_shipped_configuration_has_a_plan(name):
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "--nolock"]
    command += ["--configfile", f"config/{name}.yaml"]
    result = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
