"""A SLURM cluster of one node on this machine: munged, slurmctld and slurmd."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "sinfo", "scancel")
PACKAGES = "slurmctld slurmd slurm-client munge"
DAEMONS = ("run/slurmd.pid", "run/slurmctld.pid", "munge/munged.pid")  # in the order of stopping

# No accounting and no cgroups, which need services that a container lacks; memory limits are kept
# by polling. Finished jobs stay visible for an hour: squeue is the only source of their states.
SLURM_CONF = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/run/munge.socket,cred_expire=10
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
EnforcePartLimits=ALL
ReturnToService=2
MinJobAge=3600
KillWait=5
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


def obstacle() -> str | None:
    """Say why no cluster can be started here, or give None."""
    if os.geteuid() != 0:
        return "starting SLURM's daemons needs root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"no {', '.join(missing)}: apt-get install {PACKAGES}" if missing else None


def free_ports(count: int) -> list[int]:
    """Give ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Cluster:
    """One node with the CPUs of this machine and most of its memory; nothing outside ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, mode in {"": 0o755, "run": 0o755, "munge": 0o700}.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name).chmod(mode)
        for name in ("bin", "etc", "log", "spool", "state"):
            (folder / name).mkdir()
        controller_port, node_port = free_ports(2)
        memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4 >> 20
        self.configuration = folder / "etc/slurm.conf"
        self.configuration.write_text(
            SLURM_CONF.format(
                folder=folder,
                controller_port=controller_port,
                node_port=node_port,
                cpus=len(os.sched_getaffinity(0)),
                memory_mb=memory_mb,
            )
        )
        # Snakemake's job step drops SLURM_CONF before it calls srun, which then looks in /etc.
        srun = folder / "bin/srun"
        real = shutil.which("srun")
        srun.write_text(f"#!/bin/sh\nSLURM_CONF='{self.configuration}' exec '{real}' \"$@\"\n")
        srun.chmod(0o755)
        self.environment = {
            "SLURM_CONF": str(self.configuration),
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        }

    def run(self, *command: str) -> str:
        """Run a SLURM command and give what it prints."""
        environment = os.environ | self.environment
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    def start(self) -> None:
        """Start the daemons and wait until the node takes jobs."""
        munge = self.folder / "munge"
        key = munge / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(1024))
        self.run(
            "munged",
            f"--key-file={key}",
            f"--socket={self.folder / 'run/munge.socket'}",
            *(f"--{name}-file={munge / 'munged'}.{name}" for name in ("pid", "log", "seed")),
        )
        self.run("slurmctld", "-f", str(self.configuration))
        self.run("slurmd", "-f", str(self.configuration), "-N", "localhost")
        end = time.monotonic() + 60
        while self.node_state() != "idle":
            if time.monotonic() > end:
                logs = [path.read_text()[-2000:] for path in self.folder.glob("log/*")]
                raise TimeoutError("the SLURM node does not come up:\n" + "\n".join(logs))
            time.sleep(0.2)

    def node_state(self) -> str:
        """Give what sinfo says of the node; empty while the controller does not answer."""
        try:
            return self.run("sinfo", "--noheader", "--format=%t").strip()
        except subprocess.CalledProcessError:
            return ""

    def jobs(self, *options: str) -> list[tuple[str, str, str]]:
        """Give id, state and comment of jobs, finished ones included."""
        lines = self.run("squeue", "--noheader", "--states=all", "--format=%i|%T|%k", *options)
        return [tuple(line.split("|", 2)) for line in lines.splitlines()]

    def stop(self) -> None:
        """End all jobs and daemons, and wait until they are gone."""
        if self.node_state():
            self.run("scancel", "--user=root", "--quiet")
        for name in DAEMONS:
            path = self.folder / name
            if path.exists():
                stop_process(int(path.read_text()))
        # Without cgroups SLURM loses what outlives its parent: a snakemake whose shell was killed.
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                environment = process.environ()
                ours = environment.get("SLURM_CONF") == str(self.configuration)
                if ours and "SLURM_JOB_ID" in environment:
                    process.kill()


def stop_process(pid: int) -> None:
    """Ask a process to end; after 30 seconds do not ask."""
    end = time.monotonic() + 30
    number = signal.SIGTERM
    try:
        while True:
            os.kill(pid, number)
            number = 0 if time.monotonic() < end else signal.SIGKILL
            time.sleep(0.1)
    except ProcessLookupError:
        return
