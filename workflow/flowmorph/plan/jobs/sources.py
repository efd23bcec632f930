"""Where the points of a run's data sets come from, by its configuration."""

from __future__ import annotations

from collections.abc import Collection

from flowmorph.plan import own_config, own_members, paths, regions, tasks
from flowmorph.plan.jobs.data import Data, FileData, Part, ToyData, files_of
from flowmorph.plan.seeds import seed_for
from flowmorph.plan.tasks import COLLIDER, Dataset, Task


class Sources:
    """The data sets of a run whose configuration is ``config`` and whose folder is ``out``."""

    def __init__(self, config: dict, out: str) -> None:
        self.config, self.out = config, out

    def seed(self, *names: object) -> int:
        """Seed of the job with this name."""
        return seed_for(self.config["seed"], *names)

    def data(
        self, dataset: Dataset, training: int | None = None, splits: Collection[str] = ()
    ) -> Data:
        """Where a data set's points come from; for a ``training``, those that it sees.

        Where the user's flows are only tested is known to jobs about these ``splits`` only. Points
        of toys that are only moved are none of these: another number of them retrains nothing.
        """
        config, name = self.config, dataset.name
        if dataset.toy:
            rotated = dataset.family.name == "rotated"
            section = config["rotated" if rotated else "toys"]
            angles = [
                tuple(section[key] or ()) if rotated else ()
                for key in ("angles_deg", "train_angles_deg")
            ]
            points = section["points"]
            if training is not None:
                points = {split: points[split] for split in ("train", "validation")}
            return ToyData(name, dataset.toy, points, config["seed"], *angles)
        if dataset.family.name == COLLIDER.family.name:
            columns = tasks.COLLIDER_FEATURES, (tasks.COLLIDER_CONDITION,)
            return FileData(
                name,
                paths.prepared(self.out, name),
                *columns,
                gaps=(regions.collider_gap(dataset, config),),
            )
        own = config["own"]
        columns = [tuple(own_config.columns(own[kind])) for kind in ("features", "condition")]
        role = tasks.SAMPLES[tasks.OWN.datasets.index(dataset)]
        weighted = own[role]["weights"] is not None
        weighted |= own["balance"] and dataset == tasks.OWN.reference
        parts = {each.number: each.part for each in own_members.members(config)}
        part = Part() if training is None else parts[int(training)]
        beyond = paths.own_closure(self.out, name) if dataset.family.beyond in splits else ""
        prepared = paths.own_prepared(self.out, name)
        return FileData(name, prepared, *columns, weighted, part=part, beyond=beyond)

    def files(self, *datasets: Dataset) -> list[str]:
        """The files that data sets are read from; the toys have none."""
        return files_of(*map(self.data, datasets))

    def features(self, task: Task) -> tuple[str, ...]:
        """Names of the features that a task moves."""
        data = self.data(task.reference)
        return data.features if isinstance(data, FileData) else ("x1", "x2")
