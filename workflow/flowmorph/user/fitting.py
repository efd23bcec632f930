"""Train a transport between two tables in memory, by the jobs of the workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

import torch

from flowmorph.errors import InputError
from flowmorph.flows import setup
from flowmorph.plan import config, defaults, own_members, paths, tasks
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.jobs.training import DensityJob, TransportJob
from flowmorph.plan.methods import find
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples import own_balance, own_job, own_samples
from flowmorph.transfer import density, points, transport
from flowmorph.transfer.problem import Problem
from flowmorph.transfer.progress import Bar, Progress, Quiet
from flowmorph.transfer.running import Files, run
from flowmorph.user import bundle
from flowmorph.user.arguments import named_as_arguments
from flowmorph.user.table_sample import pair
from flowmorph.user.transport import Transport, load

#: Arguments that are a list of names or entries, where one alone may be given as it is.
LISTS = ("features", "condition", "event")


def fit(
    reference: Any,
    target: Any,
    weights: Sequence[Any],
    columns: Sequence[str] | None,
    own: Mapping[str, Any],
    others: Mapping[str, Any],
    threads: int,
    progress: bool,
) -> Transport:
    """Train a transport; see `flowmorph.fit`.

    ``own`` are keys of ``own`` in the configuration and ``others`` keys beside it, as a user gives
    them; None stands for the default.
    """
    threads = setup.checked(threads)
    with named_as_arguments(), setup.kept(), TemporaryDirectory(prefix="flowmorph-") as folder:
        given = pair(reference, target, weights, columns)
        samples = {
            role: {"files": sample, "weights": weight} for role, (sample, weight) in given.items()
        }
        named = not given["reference"][0].further
        chosen = configuration(samples, own, others)
        setup.start(threads, 0, chosen["device"])
        work = Fit(Jobs(chosen, folder), threads, Bar() if progress else Quiet(), named)
        work.prepare(samples)
        return replace(load(work.train(), chosen["device"], threads), file=None)


def configuration(
    samples: Mapping[str, Mapping], own: Mapping[str, Any], others: Mapping[str, Any]
) -> dict:
    """The configuration of a run on these samples; raises `InputError` for values that do not fit.

    ``own`` and ``others`` are those of `fit`.
    """
    keys: dict[str, Any] = {
        role: {"files": role, "weights": sample["weights"]} for role, sample in samples.items()
    }
    keys |= {name: _plain(value) for name, value in own.items() if value is not None}
    for name in LISTS:
        if name in keys:
            keys[name] = _entries(name, keys[name])
    changes = {name: _plain(value) for name, value in others.items() if value is not None}
    chosen = defaults.changed(defaults.config(), {"own": keys, **changes})
    config.check(chosen, defaults.SCHEMA)
    return chosen


class Fit:
    """The jobs of a fit, one after the other, in a folder of their own.

    The reference's weights are ``named`` if they are a column: no other table has those of an
    array.
    """

    def __init__(self, jobs: Jobs, threads: int, progress: Progress, named: bool) -> None:
        self.jobs, self.threads, self.progress, self.named = jobs, threads, progress, named
        (self.method,) = jobs.config["own"]["methods"]
        self.members = own_members.moving(jobs.config)

    def prepare(self, samples: Mapping[str, Mapping]) -> None:
        """Leave the files of the prepared samples; ``samples`` are those of `own_samples.prepare`.

        Raises `InputError` for samples that any of the trainings would refuse.
        """
        settings = own_job.settings(self.jobs.prepare_own())
        apply = self.jobs.config["own"]["regions"]["apply"]
        prepared, preprocessing, rows = own_samples.prepare(samples, settings, apply)
        places = {
            role: paths.own_prepared(self.jobs.out, dataset.name)
            for role, dataset in zip(tasks.SAMPLES, tasks.OWN.datasets, strict=True)
        }
        own_job.save(prepared, preprocessing, places, paths.preprocessing(self.jobs.out))
        for note in rows.notes:
            self.progress.say(note)
        for member in self.members:
            for dataset in tasks.OWN.datasets:
                first = self.jobs.density(dataset.name, member.number)
                splits = points.load(first.data, torch.device("cpu"))
                found: list[DensityJob | TransportJob] = [first]
                if find(self.method).trained:
                    moving = self._transport(member.number)
                    found.append(moving)
                    found += [
                        self.jobs.smoothed(dataset.name, member.number, str(width))
                        for width in moving.smoothing.widths
                    ]
                for job in found:
                    splits.sample(job.recipe, job.seed)

    def train(self) -> str:
        """Run every training, and join what comes out; gives the transport's file."""
        trainings = []
        for number in (member.number for member in self.members):
            densities = self._densities(number)
            flows = dict(zip(tasks.SAMPLES, densities, strict=True))
            if find(self.method).trained:
                job = self._transport(number)
                smoothed = [self._densities(number, width) for width in job.smoothing.widths]
                problem = transport.of_job(job, densities, smoothed, self.threads)
                folder = paths.transport(self.jobs.out, tasks.OWN.name, self.method, number)
                flows["transport"] = self._run(problem, job, folder)
            trainings.append(flows)
        known = Preprocessor.load(paths.preprocessing(self.jobs.out))
        path = paths.bundle(self.jobs.out, self.method)
        # Without balance there is nothing kept.
        balance = own_balance.kept(paths.own_prepared(self.jobs.out, tasks.OWN.reference.name))
        note = bundle.describe(self.jobs.bundle(self.method), known)
        if note["weights"] is not None and not self.named:
            note["weights"] = None
            self.progress.say(
                "balance: the reference's weights are an array, without a name: the transport's "
                "weights are the factors by which to multiply them"
            )
        bundle.write(trainings, note, path, balance)
        return path

    def _transport(self, number: int) -> TransportJob:
        return self.jobs.transport(tasks.OWN.name, self.method, number)

    def _densities(self, number: int, width: float = 0.0) -> tuple[str, str]:
        """Train the densities of reference and target, of points with noise of a ``width``."""
        files = []
        for name in (dataset.name for dataset in tasks.OWN.datasets):
            if width:
                job = self.jobs.smoothed(name, number, str(width))
                folder = paths.smoothed(self.jobs.out, name, number, width)
            else:
                job = self.jobs.density(name, number)
                folder = paths.density(self.jobs.out, name, number)
            files.append(self._run(density.of_job(job, self.threads), job, folder))
        reference, target = files
        return reference, target

    def _run(self, problem: Problem, job: DensityJob | TransportJob, folder: str) -> str:
        files = Files(paths.flow(folder), paths.loss_table(folder))
        run(problem, job, files, progress=self.progress)
        return files.flow


def _entries(argument: str, value: Any) -> list:
    """Columns as a list of entries: one name, entries, or the options of each by its name."""
    if not isinstance(value, dict) or "column" in value:
        return [value] if isinstance(value, str | dict) else value
    for name, options in value.items():
        if not isinstance(options, dict | None):
            raise InputError(
                f"{argument}: {name!r}: {options!r} are no options: give a dict such as "
                "{'preprocess': 'quantile'}, or None"
            )
    return [{"column": name, **(options or {})} for name, options in value.items()]


def _plain(value: Any) -> Any:
    """A value as YAML would have it: no tuples, arrays, numbers of numpy or indices of pandas."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if hasattr(value, "tolist"):
        return value.tolist()
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
