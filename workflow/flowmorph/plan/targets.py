"""What there is to make: data sets, tasks, methods, and the lists of files that rules ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flowmorph.errors import InputError
from flowmorph.plan import own_config, paths, repeats
from flowmorph.plan.methods import FURTHER, PUBLISHED, SCANNED, TRAINED, variant

TOYS = ("fourcircles", "star", "checkerboard")
SCIENCE = "science"
SAMPLES = ("reference", "target")

OWN = "own"
OWN_APPLY = "own_apply"  # the own task's points outside of the region where flows are trained
OWN_SAMPLES = ("own_reference", "own_target")

DIFFERENT_TASKS = [f"{a}_to_{b}" for a in TOYS for b in TOYS if a != b]
IDENTICAL_TASKS = [f"{toy}_to_{toy}_twin" for toy in TOYS]
ROTATED_DIFFERENT_TASKS = [f"rotated_{task}" for task in DIFFERENT_TASKS]
ROTATED_IDENTICAL_TASKS = [f"rotated_{task}" for task in IDENTICAL_TASKS]
TOY_TASKS = DIFFERENT_TASKS + IDENTICAL_TASKS
ROTATED_TASKS = ROTATED_DIFFERENT_TASKS + ROTATED_IDENTICAL_TASKS
TASKS = TOY_TASKS + ROTATED_TASKS + [SCIENCE]
PENALTY_SCAN = f"{SCIENCE}_penalty_scan"  # what only the target penalty_scan moves
MOVED = [*TASKS, f"{SCIENCE}_signal"]

TOY_DATASETS = [f"{toy}{twin}" for toy in TOYS for twin in ("", "_twin")]
DATASETS = TOY_DATASETS + [f"rotated_{name}" for name in TOY_DATASETS] + list(SAMPLES)

FIGURES = [
    *(f"fig{number}" for number in range(1, 11)),
    "figA1", "figA2", "figB1", "figB2", "figB3", "figB4", "figB5", "table1",
    "fig_signal_ratios", "fig_signal_distances", "fig_closure",
]  # fmt: skip
ALTERNATIVE_FIGURES = ("fig_alternatives", "fig_alternative_ratios", "fig_alternative_distances")
TABLES = (
    "distances", "divergences", "likelihoods", "medians",
    "two_sample", "movement", "marginals", "costs", "claims",
)  # fmt: skip
OWN_FIGURES = ("fig_own_ratios", "fig_own_distances", "fig_own_feature_distances")
OWN_APPLY_FIGURES = ("fig_own_apply_ratios", "fig_own_apply_distances")
OWN_TABLES = ("own_rows", "likelihoods", "two_sample", "movement", "marginals", "costs")
ONE_TRAINING = {"toy": 1, "rotated": 1, "science": 1, "own": 1}
PUBLISHED_TABLES = ("event_counts",)  # what only published events can be held against


@dataclass(frozen=True)
class Pair:
    """The two data sets of a task and the family whose settings it follows."""

    family: str
    reference: str
    target: str


def pair(task: str) -> Pair:
    """Split a task's name: ``rotated_a_to_b`` goes from rotated_a to rotated_b.

    The second training of a task belongs to the second trainings of its densities.
    """
    repetition, task = repeats.part(task), repeats.plain(task)
    if task in (OWN, OWN_APPLY):
        return Pair(OWN, *(name + repetition for name in OWN_SAMPLES))
    if task.startswith(SCIENCE):
        family, names = "science", SAMPLES
    else:
        prefix = "rotated_" if task.startswith("rotated_") else ""
        family = "rotated" if prefix else "toy"
        names = [prefix + name for name in task.removeprefix(prefix).split("_to_")]
    return Pair(family, *(name + repetition for name in names))


def family(dataset: str) -> str:
    """The family, toy, rotated, science or own, whose settings a data set follows."""
    if repeats.plain(dataset) in OWN_SAMPLES:
        return OWN
    if repeats.plain(dataset) in SAMPLES:
        return "science"
    return "rotated" if dataset.startswith("rotated_") else "toy"


def repeated(names: Iterable[str], seeds: Mapping[str, int]) -> list[str]:
    """Every training of these tasks or data sets; ``seeds`` counts them by family."""
    return [again for name in names for again in repeats.repeated(name, seeds[_family(name)])]


def ensembles(tasks: Iterable[str], seeds: Mapping[str, int]) -> list[str]:
    """The ensembles of the tasks that are trained more than once."""
    return [name for task in tasks for name in repeats.ensemble(task, seeds[_family(task)])]


def _family(name: str) -> str:
    return family(name) if name in (*DATASETS, *OWN_SAMPLES) else pair(name).family


def condition(task: str, config: dict) -> str | None:
    """How the condition enters a task's transport: None, shared, difference or concat."""
    family = pair(task).family
    if family == "science":
        return "shared"
    if family == OWN:
        return "shared" if config["own"]["condition"] else None
    if family == "toy":
        return None
    kind = "identical" if repeats.plain(task).endswith("_twin") else "different"
    return config["rotated"]["condition"][kind]


def families(config: dict) -> list[str]:
    """Families of a run's tasks."""
    return [OWN] if own_config.given(config) else [name for name in ONE_TRAINING if name != OWN]


def datasets(config: dict) -> list[str]:
    """Data sets of a run: the paper's, or the user's own."""
    return list(OWN_SAMPLES) if own_config.given(config) else DATASETS


def tasks(config: dict) -> list[str]:
    """Tasks of a run."""
    return [OWN] if own_config.given(config) else TASKS


def moved(config: dict) -> list[str]:
    """Tasks of a run, each with every region where its points are moved and measured."""
    if not own_config.given(config):
        return MOVED
    regions = config["own"]["regions"]
    return [OWN, OWN_APPLY] if regions["train"] and regions["closure"] else [OWN]


def methods(config: dict) -> list[str]:
    """Methods that a run compares, in the paper's order."""
    wanted = config["own"]["methods"] if own_config.given(config) else PUBLISHED
    return [method for method in PUBLISHED if method in wanted]


def trained_methods(config: dict) -> list[str]:
    """Those of a run's methods that train a transport."""
    return [method for method in methods(config) if method in TRAINED]


def chunks(config: dict, sample: str) -> list[tuple[int, int]]:
    """First and last-plus-one event of each chunk of a sample.

    All chunks have the full size, so that asking for more events adds chunks and changes none.
    """
    settings = config["collider"][config["collider"]["source"]]
    size = settings["chunk_events"]
    count = -(-settings["events"][sample] // size)
    return [(index * size, (index + 1) * size) for index in range(count)]


def everything(
    out: str, source: str = "pythia", seeds: Mapping[str, int] = ONE_TRAINING
) -> list[str]:
    """All figures, tables and training pictures of a run with this source of events."""
    tables = TABLES + PUBLISHED_TABLES if source.startswith("lhco") else TABLES
    models = [paths.density(out, dataset) for dataset in repeated(DATASETS, seeds)]
    models += [
        paths.transport(out, task, method) for task in repeated(TASKS, seeds) for method in TRAINED
    ]
    return [
        *(paths.figure(out, name, kind) for name in FIGURES for kind in ("pdf", "png")),
        *(paths.table(out, name, kind) for name in tables for kind in ("csv", "md")),
        *(paths.loss_picture(model) for model in models),
        paths.moved(out, f"{SCIENCE}_signal"),
    ]


def results(out: str, config: dict) -> list[str]:
    """All that a run makes."""
    if own_config.given(config):
        return own_results(out, config)
    made = everything(out, config["collider"]["source"], config["seeds"])
    return made + alternative_pictures(out, config)


def own_results(out: str, config: dict) -> list[str]:
    """All that is made from the user's own two samples."""
    figures = [*OWN_FIGURES, *(OWN_APPLY_FIGURES if OWN_APPLY in moved(config) else ())]
    seeds = config["seeds"]
    models = [paths.density(out, dataset) for dataset in repeated(OWN_SAMPLES, seeds)]
    models += [
        paths.transport(out, task, method)
        for task in repeated([OWN], seeds)
        for method in trained_methods(config)
    ]
    return [
        *(paths.figure(out, name, kind) for name in figures for kind in ("pdf", "png")),
        *(paths.table(out, name, kind) for name in OWN_TABLES for kind in ("csv", "md")),
        *(paths.loss_picture(model) for model in models),
        *(paths.bundle(paths.transport(out, OWN, method)) for method in methods(config)),
        *moved_references(out, config),
    ]


def moved_references(out: str, config: dict) -> list[str]:
    """The user's reference, moved by each method that was asked for."""
    suffix = own_config.suffix(config["own"]["reference"]["files"])
    return [
        paths.moved_reference(out, method, suffix) for method in own_config.output_methods(config)
    ]


def applied(out: str, config: dict) -> list[str]:
    """The user's further files, moved by each method that was asked for.

    Raises InputError where there are none: nothing would be made, and nobody told.
    """
    names = own_config.named(config["apply"])
    if not names:
        raise InputError("name the files to move: --config apply='more/*.root'")
    return [
        paths.applied(out, method, name)
        for method in own_config.output_methods(config)
        for name in names
    ]


def samples(out: str, config: dict) -> list[str]:
    """Files beside its results that a run writes in formats in which users keep samples."""
    if not own_config.given(config):
        places = (paths.features, paths.prepared)
        return [place(out, sample) for place in places for sample in SAMPLES]
    names = own_config.named(config["apply"])
    return [
        *(paths.own_prepared(out, sample) for sample in OWN_SAMPLES),
        *(paths.moved(out, task) for task in moved(config)),
        *(paths.applied(out, method, name) for method in methods(config) for name in names),
    ]


def flow_alternatives(moved: str, config: dict) -> list[str]:
    """Further flow methods that are trained on a task, or on the task of a signal region."""
    return [name for name in _alternatives(moved, config) if name in FURTHER]


def alternatives(moved: str, config: dict) -> list[str]:
    """Methods that are no flows and morph the points of a task, or of its signal region.

    Those of an ensemble are flows only.
    """
    if repeats.part(moved) == repeats.ENSEMBLE:
        return []
    return [name for name in _alternatives(moved, config) if name not in FURTHER]


def _alternatives(moved: str, config: dict) -> list[str]:
    section = config["alternatives"]
    if repeats.plain(moved).removesuffix(repeats.SIGNAL) not in section["tasks"]:
        return []
    # Sorted: the order of merged configuration files is nothing to rely on.
    return sorted(name for name, settings in section["methods"].items() if settings is not None)


def alternative_pictures(out: str, config: dict) -> list[str]:
    """Figures of the alternatives on the science task, and pictures of their trainings."""
    tasks = config["alternatives"]["tasks"]
    figures = ALTERNATIVE_FIGURES if _alternatives(SCIENCE, config) else ()
    return [
        *(paths.figure(out, name, kind) for name in figures for kind in ("pdf", "png")),
        *(
            paths.loss_picture(paths.transport(out, task, method))
            for task in tasks
            for method in flow_alternatives(task, config)
        ),
    ]


def penalty_scan(strengths: Iterable[float], configured: float) -> dict[float, str]:
    """Methods of the science task by strength of the movement penalty.

    The configured strength is the method that every run has; the others are variants of it.
    """
    return {strength: variant(SCANNED, strength) for strength in strengths} | {configured: SCANNED}
