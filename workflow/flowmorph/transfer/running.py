"""A training as a job: it goes on from its checkpoint, and its results say what made them."""

from __future__ import annotations

from dataclasses import dataclass

from flowmorph.flows import storage
from flowmorph.plan.jobs.form import as_dict
from flowmorph.plan.jobs.training import DensityJob, TransportJob
from flowmorph.transfer.checkpoint import Checkpoint, checkpoint_minutes, fingerprint
from flowmorph.transfer.training import Problem, train, write_history


@dataclass(frozen=True)
class Files:
    """Where a training keeps its state, and puts its flow (safetensors) and losses (CSV)."""

    checkpoint: str
    flow: str
    history: str


def run(
    problem: Problem,
    job: DensityJob | TransportJob,
    files: Files,
    script: str,
    reads: list[str],
    threads: int,
) -> None:
    """Train, and write parameters and loss history.

    A checkpoint is taken for that of this training only if the job, the script with what it
    imports, the files that it reads, the device and the number of threads are the same.

    Args:
        problem: what to minimise.
        job: what the script was told; it goes into the file of parameters.
        files: where to keep the state, and where to put the results.
        script: path of the script.
        reads: paths of the files that the training reads.
        threads: number of CPU threads.
    """
    note = storage.provenance(as_dict(job), job.seed)
    graphs = problem.prepare(job.engine)
    how = {"device": problem.flow.flat.device.type, "threads": threads}
    checkpoint = Checkpoint(
        files.checkpoint, fingerprint(note | how, script, reads), checkpoint_minutes()
    )
    history = train(problem, checkpoint, graphs)
    storage.save(problem.flow, files.flow, note)
    write_history(history, files.history)
    checkpoint.remove()
