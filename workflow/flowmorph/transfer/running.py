"""A training from its first step to its files, which goes on from its checkpoint."""

from __future__ import annotations

import csv
from contextlib import nullcontext
from dataclasses import dataclass

from flowmorph.files import atomic
from flowmorph.flows import storage
from flowmorph.plan.jobs.form import as_dict
from flowmorph.plan.jobs.training import DensityJob, TransportJob
from flowmorph.transfer.checkpoint import Checkpoint, checkpoint_minutes, fingerprint
from flowmorph.transfer.problem import Problem
from flowmorph.transfer.progress import Lines, Progress
from flowmorph.transfer.training import Training


@dataclass(frozen=True)
class Files:
    """Where a training puts its flow (safetensors) and its losses (CSV)."""

    flow: str
    history: str


def train(
    problem: Problem,
    checkpoint: Checkpoint | None = None,
    graphs: bool = False,
    progress: Progress | None = None,
) -> list[dict[str, float]]:
    """Train and return the history: one row per validation; ``graphs`` is for a GPU.

    With a ``checkpoint`` it goes on where it was stopped, and takes signals that ask it to stop.
    ``progress`` says how far it is, as lines if it is None. A training that has lost what it had
    learnt goes back (`flowmorph.transfer.rollback`). Raises InputError when the loss is not finite
    and there is no return left, since nothing after that step has meaning, and when a signal asked
    it to stop.
    """
    progress = progress or Lines()
    training = Training(problem, graphs, progress.say)
    if checkpoint:
        training.restore(checkpoint)
    with progress.of(training), checkpoint.listening() if checkpoint else nullcontext():
        while training.done < problem.steps:
            training.step()
            if training.due():
                training.record()
            progress.step()
            if checkpoint and checkpoint.due() and training.done < problem.steps:
                training.save(checkpoint)
    training.finish()
    return training.history


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
    _write_history(history, files.history)
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


def _write_history(history: list[dict[str, float]], path: str) -> None:
    with atomic(path) as part, open(part, "w", newline="") as file:
        writer = csv.DictWriter(file, history[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.8g}" for k, v in row.items()} for row in history)
