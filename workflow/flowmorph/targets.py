"""What there is to make: data sets, tasks, methods, and the lists of files that rules ask for."""

from __future__ import annotations

from dataclasses import dataclass

from flowmorph import paths

TOYS = ("fourcircles", "star", "checkerboard")
TRAINED_METHODS = (
    "unidirectional",
    "flows_for_flows",
    "movement_penalty",
    "identity_initialization",
)
METHODS = ("base_transfer", *TRAINED_METHODS)
SCIENCE = "science"
SAMPLES = ("reference", "target")

DIFFERENT_TASKS = [f"{a}_to_{b}" for a in TOYS for b in TOYS if a != b]
IDENTICAL_TASKS = [f"{toy}_to_{toy}_twin" for toy in TOYS]
ROTATED_DIFFERENT_TASKS = [f"rotated_{task}" for task in DIFFERENT_TASKS]
ROTATED_IDENTICAL_TASKS = [f"rotated_{task}" for task in IDENTICAL_TASKS]
TOY_TASKS = DIFFERENT_TASKS + IDENTICAL_TASKS
ROTATED_TASKS = ROTATED_DIFFERENT_TASKS + ROTATED_IDENTICAL_TASKS
TASKS = TOY_TASKS + ROTATED_TASKS + [SCIENCE]
MOVED = [*TASKS, f"{SCIENCE}_signal"]

TOY_DATASETS = [f"{toy}{twin}" for toy in TOYS for twin in ("", "_twin")]
DATASETS = TOY_DATASETS + [f"rotated_{name}" for name in TOY_DATASETS] + list(SAMPLES)

FIGURES = [
    *(f"fig{number}" for number in range(1, 11)),
    "figA1", "figA2", "figB1", "figB2", "figB3", "figB4", "figB5", "table1",
    "fig_signal_ratios", "fig_signal_distances", "fig_closure",
]  # fmt: skip
TABLES = (
    "distances", "divergences", "likelihoods", "medians",
    "two_sample", "movement", "marginals", "claims",
)  # fmt: skip
PUBLISHED_TABLES = ("event_counts",)  # what only published events can be held against


@dataclass(frozen=True)
class Pair:
    """The two data sets of a task and the family whose settings it follows."""

    family: str
    reference: str
    target: str


def pair(task: str) -> Pair:
    """Split a task's name: ``rotated_a_to_b`` goes from rotated_a to rotated_b."""
    if task.startswith(SCIENCE):
        return Pair("science", *SAMPLES)
    prefix = "rotated_" if task.startswith("rotated_") else ""
    reference, target = task.removeprefix(prefix).split("_to_")
    return Pair("rotated" if prefix else "toy", prefix + reference, prefix + target)


def condition(task: str, config: dict) -> str | None:
    """How the condition enters a task's transport: None, shared, difference or concat."""
    family = pair(task).family
    if family == "science":
        return "shared"
    if family == "toy":
        return None
    kind = "identical" if task.endswith("_twin") else "different"
    return config["rotated"]["condition"][kind]


def chunks(config: dict, sample: str) -> list[tuple[int, int]]:
    """First and last-plus-one event of each chunk of a sample.

    All chunks have the full size, so that asking for more events adds chunks and changes none.
    """
    settings = config["collider"][config["collider"]["source"]]
    size = settings["chunk_events"]
    count = -(-settings["events"][sample] // size)
    return [(index * size, (index + 1) * size) for index in range(count)]


def everything(out: str, source: str = "pythia") -> list[str]:
    """All figures, tables and training pictures of a run with this source of events."""
    tables = TABLES + PUBLISHED_TABLES if source.startswith("lhco") else TABLES
    models = [paths.density(out, dataset) for dataset in DATASETS]
    models += [paths.transport(out, task, method) for task in TASKS for method in TRAINED_METHODS]
    return [
        *(paths.figure(out, name, kind) for name in FIGURES for kind in ("pdf", "png")),
        *(paths.table(out, name, kind) for name in tables for kind in ("csv", "md")),
        *(paths.loss_picture(model) for model in models),
        paths.moved(out, f"{SCIENCE}_signal"),
    ]


def penalty_scan(out: str, strengths: list[float]) -> list[str]:
    """Trained science transports over the strengths of the movement penalty."""
    return [
        paths.weights(paths.transport(out, SCIENCE, f"movement_penalty_w{strength:g}"))
        for strength in strengths
    ]
