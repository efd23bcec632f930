"""A training as a job: it goes on from its checkpoint, and its results say what made them."""

from __future__ import annotations

from dataclasses import dataclass

from flowmorph.flows import storage
from flowmorph.plan.jobs.form import as_dict
from flowmorph.plan.jobs.training import DensityJob, TransportJob
from flowmorph.transfer.checkpoint import Checkpoint, checkpoint_minutes, fingerprint
from flowmorph.transfer.progress import Progress
from flowmorph.transfer.training import Problem, train, write_history


@dataclass(frozen=True)
class Files:
    """Where a training puts its flow (safetensors) and its losses (CSV)."""

    flow: str
    history: str


def run(
    problem: Problem,
    job: DensityJob | TransportJob,
    files: Files,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> None:
    """Train, and write parameters and loss history.

    Args:
        problem: what to minimise.
        job: what was asked for; it goes into the file of parameters.
        files: where to put the results.
        checkpoint: where to go on from; it is deleted in the end. None for no such file.
        progress: says how far it is, as lines if it is None.
    """
    history = train(problem, checkpoint, problem.prepare(job.engine), progress)
    storage.save(problem.flow, files.flow, _note(job))
    write_history(history, files.history)
    if checkpoint:
        checkpoint.remove()


def checkpoint_of(
    problem: Problem,
    job: DensityJob | TransportJob,
    path: str,
    script: str,
    reads: list[str],
    threads: int,
) -> Checkpoint:
    """Where a training keeps its state.

    It is taken for that of this training only if the job, the ``script`` with what it imports, the
    files that it ``reads``, the device and the number of threads are the same.
    """
    how = {"device": problem.flow.flat.device.type, "threads": threads}
    return Checkpoint(path, fingerprint(_note(job) | how, script, reads), checkpoint_minutes())


def _note(job: DensityJob | TransportJob) -> dict:
    return storage.provenance(as_dict(job), job.seed)
