"""The data sets and the tasks of the paper and of the user, a row each.

Other modules use their names only: what a data set or a task is made of is written here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import permutations

TOYS = {"fourcircles": "four circles", "star": "star", "checkerboard": "checkerboard"}
SAMPLES = ("reference", "target")
SEARCH = "search"  # name of the signal region's events that the search uses
SIGNAL = "signal"  # events of a new resonance, which the search is for
#: Further events of the signal region for the search, by the sample that they are events of.
FURTHER_EVENTS = {"template": "reference", "background": "target"}
ENSEMBLE = "ensemble"  # in place of a training's number: each point through one of them

#: Columns of the collider samples that are morphed, in the flows' order, and the condition.
COLLIDER_FEATURES = ("m_j1", "delta_m_jj", "tau21_j1", "tau21_j2", "delta_r_jj")
COLLIDER_CONDITION = "m_jj"
GEV_PER_TEV = 1000.0  # regions are in TeV, as in the paper, and columns in GeV


@dataclass(frozen=True)
class Family:
    """Tasks with the same settings.

    ``held_out`` is the split of their data sets that no flow is trained on, in the region where
    flows are trained; ``beyond`` is that outside of it, if there is one. ``discrete``: conditions
    take few values.
    """

    name: str
    held_out: str
    beyond: str = ""
    discrete: bool = False


FAMILIES = {
    family.name: family
    for family in (
        Family("toy", "evaluation"),
        Family("rotated", "evaluation", discrete=True),
        Family("collider", "validation", "signal"),
        Family("own", "validation", "apply"),
    )
}


@dataclass(frozen=True)
class Dataset:
    """One sample; ``toy`` is what it is drawn from, empty where its points are read."""

    name: str
    family: Family
    toy: str = ""


@dataclass(frozen=True)
class Task:
    """A reference, a target, and their family; ``title`` is for readers."""

    name: str
    reference: Dataset
    target: Dataset
    title: str

    @property
    def family(self) -> Family:
        """That of both its data sets."""
        return self.reference.family

    @property
    def identical(self) -> bool:
        """Whether both are draws of one toy."""
        return bool(self.reference.toy) and self.reference.toy == self.target.toy

    @property
    def datasets(self) -> tuple[Dataset, Dataset]:
        """Reference and target."""
        return self.reference, self.target


def _toys(family: str, prefix: str) -> tuple[list[Dataset], list[Task], list[Task]]:
    """Both draws of each toy, the tasks between different toys, and those between equal ones."""
    firsts, twins = (
        {toy: Dataset(f"{prefix}{toy}{twin}", FAMILIES[family], toy) for toy in TOYS}
        for twin in ("", "_twin")
    )

    def task(a: str, b: str, target: Dataset, twin: str) -> Task:
        return Task(f"{prefix}{a}_to_{b}{twin}", firsts[a], target, f"{TOYS[a]} → {TOYS[b]}")

    different = [task(a, b, firsts[b], "") for a, b in permutations(TOYS, 2)]
    identical = [task(toy, toy, twins[toy], "_twin") for toy in TOYS]
    return [each[toy] for toy in TOYS for each in (firsts, twins)], different, identical


def _pair(family: str, prefix: str, title: str) -> tuple[list[Dataset], Task]:
    datasets = [Dataset(prefix + sample, FAMILIES[family]) for sample in SAMPLES]
    return datasets, Task(family, *datasets, title)


_TOYS, DIFFERENT, IDENTICAL = _toys("toy", "")
_ROTATED, ROTATED_DIFFERENT, ROTATED_IDENTICAL = _toys("rotated", "rotated_")
_COLLIDER, COLLIDER = _pair("collider", "", "collider")
_OWN, OWN = _pair("own", "own_", "own")

#: Groups of the paper's tasks, by the names that ``config/claims.yaml`` uses.
GROUPS = {
    "different": DIFFERENT,
    "identical": IDENTICAL,
    "rotated_different": ROTATED_DIFFERENT,
    "rotated_identical": ROTATED_IDENTICAL,
}
#: The task of different toys whose shapes stand for all of them.
SHOWN = DIFFERENT[1]
PAPER = {task.name: task for group in (*GROUPS.values(), [COLLIDER]) for task in group}
TASKS = PAPER | {OWN.name: OWN}
DATASETS = {each.name: each for each in (*_TOYS, *_ROTATED, *_COLLIDER, *_OWN)}


def partner(dataset: Dataset) -> Dataset | None:
    """The other sample of a data set's task; None for a toy, which has several tasks."""
    for task in (COLLIDER, OWN):
        if dataset in task.datasets:
            return task.datasets[1 - task.datasets.index(dataset)]
    return None


def named(task: str, split: str) -> str:
    """Name of a task's points in a split: the task's own, if flows are trained in its region."""
    return task if split in ("validation", "evaluation", "") else f"{task}_{split}"


def words(name: str) -> str:
    """What the report calls a task, in any of its splits, or a data set."""
    for split, said in {"": "", "_signal": ", signal region", "_apply": ", where applied"}.items():
        task = TASKS.get(name.removesuffix(split)) if name.endswith(split) else None
        if task:
            rotated = "rotated " if task.family.name == "rotated" else ""
            return f"{rotated}{task.title}{said}"
    toy = DATASETS[name].toy if name in DATASETS else ""
    plain = name.replace(toy, TOYS[toy]) if toy else name
    return plain.replace("_twin", ", twin").replace("_", " ")


def names(tasks: Iterable[Task]) -> list[str]:
    """The tasks' names."""
    return [task.name for task in tasks]
