"""What a run makes: its tasks, methods and trainings, and the lists of files that rules ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from flowmorph.errors import InputError
from flowmorph.plan import figures, own_config, own_members, paths, tables, tasks
from flowmorph.plan.jobs.training import Smoothing
from flowmorph.plan.methods import FURTHER, METHODS, PUBLISHED, SCANNED, variant
from flowmorph.plan.tasks import ENSEMBLE, Dataset, Family, Task


class Moved(NamedTuple):
    """A moved sample: a task, one of its trainings, and the split whose points are moved."""

    task: str
    training: int | str
    split: str


class Trained(NamedTuple):
    """A training: its folder, its data set or task, its method or "density", and its number."""

    folder: str
    name: str
    method: str
    training: int


def run_tasks(config: dict) -> list[Task]:
    """Tasks of a run: the paper's, or the user's own."""
    return [tasks.OWN] if own_config.given(config) else list(tasks.PAPER.values())


def run_datasets(config: dict) -> list[Dataset]:
    """Data sets of a run's tasks."""
    families = run_families(config)
    return [each for each in tasks.DATASETS.values() if each.family in families]


def run_families(config: dict) -> list[Family]:
    """Families of a run's tasks."""
    return list(dict.fromkeys(task.family for task in run_tasks(config)))


def mode(task: Task, config: dict) -> str | None:
    """How the condition enters a task's transport: None, shared, difference or concat."""
    match task.family.name:
        case "toy":
            return None
        case "rotated":
            kind = "identical" if task.identical else "different"
            return config["rotated"]["mode"][kind]
        case "own":
            return "shared" if config["own"]["condition"] else None
        case _:
            return "shared"


def trainings(family: Family, config: dict) -> list[int]:
    """Numbers of the trainings, each with its own seed, of a family's densities and transports."""
    if family is tasks.OWN.family and own_config.given(config):
        return [member.number for member in own_members.members(config)]
    return list(range(1, config["seeds"][family.name] + 1))


def splits(task: Task, config: dict) -> list[str]:
    """Splits of a task whose points are moved and measured."""
    family = task.family
    beyond = family.name != "own" or own_config.applied_elsewhere(config)
    return [family.held_out, *([family.beyond] if family.beyond and beyond else [])]


def moved(config: dict, ensembles: bool = False) -> list[Moved]:
    """Moved samples of a run, split by split: of each training, or of the ``ensembles`` only.

    Only tasks with several trainings have an ensemble.
    """
    found = []
    for task in run_tasks(config):
        numbers: list[int | str] = list(trainings(task.family, config))
        if ensembles:
            numbers = [ENSEMBLE] if len(numbers) > 1 else []
        found += [
            Moved(task.name, training, split)
            for split in splits(task, config)
            for training in numbers
        ]
    return found


def moved_together(
    out: str, group: Sequence[Task], config: dict, split: str = "", repeated: bool = True
) -> list[str]:
    """Moved samples of several tasks, for one figure or table.

    Args:
        out: folder of the run.
        group: tasks of one family; may be empty.
        config: the configuration.
        split: split of the points; empty for the held-out one of the family.
        repeated: whether to give those of all trainings, or of the first only.

    Returns:
        Paths: all tasks of the first training, then all of the second, and so on.
    """
    if not group:
        return []
    family = group[0].family
    numbers = trainings(family, config) if repeated else [1]
    return [
        paths.moved(out, task.name, number, split or family.held_out)
        for number in numbers
        for task in group
    ]


def moved_for(out: str, figure: figures.Figure, config: dict) -> list[str]:
    """Moved samples that a figure is drawn of."""
    if figure.name in figures.FIRST:
        places = [(each.name, each.family.held_out) for each in figure.tasks]
        return [paths.moved_pointwise(out, *place) for place in places]
    return moved_together(out, figure.tasks, config, figure.split, figure.repeated)


def measured_trainings(out: str, task: Task, split: str, config: dict) -> list[str]:
    """Measures of a task's points in a split, one file a training."""
    return [
        paths.measures(out, task.name, number, split) for number in trainings(task.family, config)
    ]


def fidelity_measures(out: str, config: dict) -> list[str]:
    """Measures of the toys and the collider task, of every training, for the table of fidelity.

    Raises InputError where one training is all there is: it says nothing of the spread.
    """
    if any(config["seeds"][family] < 2 for family in ("toy", "collider")):
        raise InputError(
            "the table of fidelity needs several trainings of the toys and of the collider task: "
            "--configfile config/fidelity.yaml"
        )
    compared = [*tasks.DIFFERENT, *tasks.IDENTICAL, tasks.COLLIDER]
    return [
        place(out, task.name, number, split)
        for task in compared
        for split in splits(task, config)
        for number in trainings(task.family, config)
        for place in (paths.measures, paths.flow_measures)
    ]


def methods(config: dict) -> list[str]:
    """Methods that a run compares, in the paper's order."""
    wanted = config["own"]["methods"] if own_config.given(config) else PUBLISHED
    return [method for method in PUBLISHED if method in wanted]


def trained_methods(config: dict) -> list[str]:
    """Those of a run's methods that train a transport."""
    return [method for method in methods(config) if METHODS[method].trained]


def transports(task: str, config: dict) -> list[str]:
    """Methods, the paper's and further ones, that train a transport of a task."""
    return [*trained_methods(config), *flow_alternatives(task, config)]


def smoothing(family: Family, config: dict) -> Smoothing:
    """The phases between smoothed densities with which a family's transports begin."""
    section = config["training"][family.name].get("smoothing") or {"widths": []}
    # Without widths there are no phases, whatever shares another configuration file has left.
    return Smoothing(section["widths"], section["shares"]) if section["widths"] else Smoothing()


def densities_trained(config: dict) -> list[tuple[Dataset, int]]:
    """Each data set of a run, with the number of each training of its density."""
    every = run_datasets(config)
    return [(each, number) for each in every for number in trainings(each.family, config)]


def trained(family: str, config: dict, out: str) -> Iterator[Trained]:
    """Every training of a family."""
    for dataset, number in densities_trained(config):
        if dataset.family.name == family:
            folder = paths.density(out, dataset.name, number)
            yield Trained(folder, dataset.name, "density", number)
            for width in smoothing(dataset.family, config).widths:
                folder = paths.smoothed(out, dataset.name, number, width)
                yield Trained(folder, dataset.name, f"density, noise {width:g}", number)
    for task in run_tasks(config):
        for number in trainings(task.family, config) if task.family.name == family else ():
            for method in transports(task.name, config):
                folder = paths.transport(out, task.name, method, number)
                yield Trained(folder, task.name, method, number)


def chunks(config: dict, sample: str) -> list[tuple[int, int]]:
    """First and last-plus-one event of each chunk of a sample.

    All chunks have the full size, so that asking for more events adds chunks and changes none.
    """
    settings = config["collider"][config["collider"]["source"]]
    size = settings["chunk_events"]
    events = settings["events"]
    if config["collider"]["source"] == "pythia":
        events = events | config["search"]["pythia"]["events"]
    elif sample == tasks.SIGNAL:  # which is in the target's file
        sample = "target"
    count = -(-events[sample] // size)
    return [(index * size, (index + 1) * size) for index in range(count)]


def searches(config: dict) -> bool:
    """Whether a run looks for a signal; Delphes' files do not say which events are one."""
    labelled = config["collider"]["source"] != "delphes"
    return bool(config["search"]["draws"]) and labelled and not own_config.given(config)


def search_draws(config: dict) -> list[tuple[float, int]]:
    """Fraction of signal and number of each draw of data that is searched."""
    section = config["search"]
    return [
        (fraction, draw)
        for fraction in section["fractions"]
        for draw in range(1, section["draws"] + 1)
    ]


def searched_samples(sample: str, config: dict) -> list[str]:
    """Samples whose events of the signal region a sample has for the search: its own first."""
    if config["collider"]["source"] != "pythia":  # files have what they have
        return [sample]
    return [sample, *(each for each, of in tasks.FURTHER_EVENTS.items() if of == sample)]


def leaking_signal(out: str, config: dict) -> list[str]:
    """Features of the signal events that leak into the target's sidebands, if any do.

    The first chunk is enough, and stays as it is when more events are asked for.
    """
    if not (searches(config) and config["search"]["leak"]):
        return []
    if config["collider"]["source"] == "lhco_features":
        return [paths.features(out, tasks.SIGNAL)]
    return [paths.chunk_features(out, tasks.SIGNAL, "0000")]


def search_shown(config: dict) -> float:
    """Fraction of signal that stands for the search: the one that leaked, if it is searched."""
    section = config["search"]
    leak = section["leak"]
    return leak if leak in section["fractions"] else max(section["fractions"])


def search_templates(config: dict) -> int | str:
    """Which training of the collider flows the templates come from: a mixture, if several are."""
    numbers = trainings(tasks.COLLIDER.family, config)
    return ENSEMBLE if len(numbers) > 1 else numbers[0]


def search_alternatives(config: dict) -> list[str]:
    """Methods that are no flows whose samples are templates, too: of those that the run has."""
    wanted = config["search"]["alternatives"]
    return [name for name in alternatives(tasks.COLLIDER.name, config) if name in wanted]


def results(out: str, config: dict) -> list[str]:
    """All figures, tables and training pictures of a run, and what is made for its user."""
    own = own_config.given(config)
    drawn = [
        figure.name
        for figure in figures.of_run(config, splits(tasks.OWN, config), searches(config))
    ]
    models = [paths.density(out, each.name, number) for each, number in densities_trained(config)]
    models += [
        paths.transport(out, task.name, method, number)
        for task in run_tasks(config)
        for number in trainings(task.family, config)
        for method in transports(task.name, config)
    ]
    made = [
        *(paths.figure(out, name, kind) for name in drawn for kind in ("pdf", "png")),
        *(
            paths.table(out, name, kind)
            for name in tables.of_run(config, searches(config))
            for kind in ("csv", "md", "html")
        ),
        *(paths.loss_picture(model) for model in models),
    ]
    if own:
        made += [paths.bundle(out, method) for method in methods(config)]
        made += moved_references(out, config)
        made += exported(out, config)
    return made


def moved_references(out: str, config: dict) -> list[str]:
    """The user's reference, moved by each method that was asked for."""
    suffix = own_config.suffix(config["own"]["reference"]["files"])
    return [
        paths.moved_reference(out, method, suffix) for method in own_config.output_methods(config)
    ]


def exported(out: str, config: dict) -> list[str]:
    """Models of the transports, if they were asked for, of each method that moves files."""
    if not config["own"]["output"]["onnx"]:
        return []
    folds, chosen = config["own"]["folds"], own_config.output_methods(config)
    return [path for method in chosen for path in paths.models(out, method, folds)]


def applied(out: str, config: dict) -> list[str]:
    """The user's further files, moved by each method that was asked for.

    Raises InputError where there are none: a run that moves nothing would look like a success.
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
    """Files beside its results that a run writes, of formats in which users keep samples."""
    if not own_config.given(config):
        places = (paths.features, paths.prepared)
        written = [place(out, sample) for place in places for sample in tasks.SAMPLES]
        if searches(config):
            written += [paths.searched(out, name) for name in (*tasks.SAMPLES, tasks.SIGNAL)]
            written += [paths.features(out, name) for name in (tasks.SIGNAL, *tasks.FURTHER_EVENTS)]
        return written
    names = own_config.named(config["apply"])
    return [
        *(paths.own_prepared(out, dataset.name) for dataset in tasks.OWN.datasets),
        *(paths.own_closure(out, dataset.name) for dataset in tasks.OWN.datasets),
        *(paths.moved(out, *sample) for sample in moved(config)),
        *(paths.applied(out, method, name) for method in methods(config) for name in names),
    ]


def flow_alternatives(task: str, config: dict) -> list[str]:
    """Further flow methods that are trained on a task."""
    return [name for name in _alternatives(task, config) if name in FURTHER]


def further_flows(config: dict) -> list[str]:
    """Further flow methods that are trained, on whichever tasks."""
    settings = config["alternatives"]["methods"]
    return [name for name in FURTHER if settings.get(name) is not None]


def alternatives(task: str, config: dict) -> list[str]:
    """Methods that are no flows and morph the points of a task."""
    return [name for name in _alternatives(task, config) if name not in FURTHER]


def _alternatives(task: str, config: dict) -> list[str]:
    section = config["alternatives"]
    if task not in section["tasks"]:
        return []
    # Sorted: the order of merged configuration files is nothing to rely on.
    return sorted(name for name, settings in section["methods"].items() if settings is not None)


def scan(config: dict) -> dict[float, str]:
    """Names of the collider task's transports by strength of the movement penalty.

    The configured strength is the method that every run has; the others are trained for the scan.
    """
    scanned = {strength: variant(strength) for strength in config["penalty_scan"]}
    return scanned | {config["penalty"]["collider"]: SCANNED}


def scanned(config: dict) -> list[float]:
    """Strengths of the penalty that are trained for the scan only."""
    return [strength for strength, name in scan(config).items() if name != SCANNED]
