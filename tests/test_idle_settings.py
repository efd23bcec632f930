"""Settings of trainings: each changes what some training does, or is refused; else it is no part of
the training's job, so that another value retrains nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from functools import cache

import numpy as np
import pytest
import torch
import yaml
from test_config import SCHEMA, read

from flowmorph.errors import InputError
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.plan import tasks
from flowmorph.plan.config import check
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.jobs.data import ToyData
from flowmorph.plan.jobs.training import DensityJob, TransportJob
from flowmorph.samples import datasets
from flowmorph.transfer import density, points, running, transport
from flowmorph.transfer.batches import Points
from flowmorph.transfer.morph import DensityPair
from flowmorph.transfer.points import Splits
from flowmorph.transfer.progress import Quiet

NETWORK = {"layers": 1, "blocks": 0, "width": 6, "bins": 3, "tail_bound": 4.0}
#: Two values of each setting, with which it does something wherever it can.
VALUES: dict[str, tuple] = {
    "batch": (20, 10),
    "epochs": (4, 5),
    "learning_rate": (1e-2, 2e-2),
    "warmup_steps": (2, 3),
    "clip": (1e-3, 1e-2),
    "beta2": (0.99, 0.9),
    "condition_noise": (0.5, 1.0),
    "weight_decay": (0.1, 0.2),
    "condition_decay": (0.1, 0.3),
    "starts": (2, 3),
    "start_share": (0.4, 0.6),
    "restarts": (1, 2),
    "far_nats": (1e-9, 1e9),
    "epoch_of": ("larger", "smaller"),
    "shuffled_condition": (False, True),
    "both_share": (0.5, 0.75),
}
FAMILIES = {
    "toy": ("star", "star_to_checkerboard"),
    "rotated": ("rotated_star", "rotated_star_to_checkerboard"),
    "collider": ("target", "collider"),
    "own": ("own_target", "own"),
}
KINDS = ("density", "smoothing.density", "transport")


@cache
def allowed(family: str, kind: str) -> list[str]:
    """Settings that the schema has for a kind of training of a family."""
    place = schema = yaml.safe_load(SCHEMA.read_text())
    for key in ("training", family, *kind.split(".")):
        place = place["properties"][key]
        while "$ref" in place:
            place = schema["$defs"][place["$ref"].rsplit("/", 1)[1]]
    return list(place["properties"])


def configuration(gap: bool = True) -> dict:
    """Small trainings with the first value of each setting; own samples with a gap or without."""
    config = read("config")
    for sample in tasks.SAMPLES:
        config["own"][sample]["files"] = f"{sample}.csv"
    config["own"] |= {"features": ["x", "y"], "condition": ["m"]}
    config["own"]["regions"] |= {"column": "m", "train": [[0, 1], [2, 3]] if gap else [[0, 3]]}
    config["flows"] = {"density": NETWORK, "transport": NETWORK}
    for section in ("toys", "rotated"):
        config[section]["points"] = {"train": 60, "validation": 40, "evaluation": 100}
    config["rotated"]["mode"] = {"identical": "shared", "different": "shared"}
    config["training"]["methods"] = {}
    for family in FAMILIES:
        found = {kind: {key: VALUES[key][0] for key in allowed(family, kind)} for kind in KINDS}
        smoothing = {"widths": [], "shares": [], "density": found.pop("smoothing.density")}
        config["training"][family] = found | {"smoothing": smoothing}
    return config


@pytest.fixture
def result(monkeypatch) -> Callable[[Jobs, DensityJob | TransportJob], str]:
    """What a training ends with: parameters, losses, and what it says."""
    load, floor = points.load, points.floor

    def drawn(data, device: torch.device) -> Splits:
        if isinstance(data, ToyData):
            return load(data, device)
        rng = np.random.default_rng(len(data.name))
        size = len(data.features), len(data.condition)
        parts = [
            Points(*(torch.tensor(rng.normal(size=(n, k)), dtype=torch.float32) for k in size))
            for n in (40 if "reference" in data.name else 60, 20)
        ]
        return Splits(*parts, torch.tensor(data.gaps or [own_gap], dtype=torch.float32))

    own_gap = 1.0
    monkeypatch.setattr(points, "load", drawn)
    # So few steps come nowhere near a perfect transport.
    lowest = [torch.tensor(-100.0)]
    monkeypatch.setattr(DensityPair, "lowest_losses", lambda *given: lowest)
    # Only toys have an exact density.
    monkeypatch.setattr(points, "floor", lambda d: floor(d) if isinstance(d, ToyData) else None)
    said: list[str] = []

    class Said(Quiet):
        say = staticmethod(said.append)

    def end(jobs: Jobs, job: DensityJob | TransportJob) -> str:
        nonlocal own_gap
        own_gap = 1.0 * (len(jobs.config["own"]["regions"]["train"]) > 1)
        said.clear()
        if isinstance(job, DensityJob):
            problem = density.of_job(job, 1)
        else:
            features, conditions = drawn(job.reference, torch.device("cpu")).sizes
            torch.manual_seed(0)
            flow = Flow(Architecture(features, conditions, **NETWORK)).requires_grad_(False)
            monkeypatch.setattr(transport.storage, "load", lambda path: flow)
            problem = transport.of_job(job, ("reference", "target"), [], 1)
        history = running.train(problem, progress=Said())
        return json.dumps([problem.flow.flat.tolist(), history, said])

    return end


def jobs_of(jobs: Jobs, family: str, kind: str) -> list[DensityJob | TransportJob]:
    """Trainings of a kind: transports with a penalty and without one."""
    dataset, task = FAMILIES[family]
    match kind:
        case "density":
            return [jobs.density(dataset, 1)]
        case "transport":
            methods = ("unidirectional", "movement_penalty")
            return [jobs.transport(task, method, 1) for method in methods]
        case _:
            return [jobs.smoothed(dataset, 1, "0.3")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_setting_changes_a_training_or_is_no_part_of_its_job(result, family, kind):
    config = configuration()
    check(config, SCHEMA)
    *path, last = kind.split(".")
    before = Jobs(config, "out")
    known = [(job, result(before, job)) for job in jobs_of(before, family, kind)]
    for key in allowed(family, kind):
        changed = deepcopy(config)
        place = changed["training"][family]
        for part in path:
            place = place[part]
        place[last][key] = VALUES[key][1]
        after = Jobs(changed, "out")
        found = [(job, result(after, job)) for job in jobs_of(after, family, kind)]
        for (one, ended), (other, ends) in zip(known, found, strict=True):
            assert (one == other) == (ended == ends), key
        assert found != known, key


@pytest.mark.parametrize("kind", KINDS)
def test_settings_that_need_a_gap_or_several_starts_are_no_part_of_a_job_without(result, kind):
    idle = {"condition_noise", "condition_decay"} | {"start_share"}
    jobs, ends = [], []
    for number in (0, 1):
        config = configuration(gap=False)
        section = config["training"]["own"]
        recipe = section["smoothing"]["density"] if "." in kind else section[kind]
        recipe |= {key: VALUES[key][number] for key in idle} | {"starts": 1}
        after = Jobs(config, "out")
        jobs.append(jobs_of(after, "own", kind))
        ends.append([result(after, job) for job in jobs[-1]])
    assert jobs[0] == jobs[1] and ends[0] == ends[1]


@pytest.mark.parametrize(
    ("place", "keys"),
    [
        ("toy.density", ("epoch_of", "shuffled_condition", "condition_noise", "condition_decay")),
        ("rotated.density", ("epoch_of", "shuffled_condition", "condition_noise")),
        ("collider.density", ("epoch_of", "shuffled_condition", "restarts", "far_nats")),
        ("own.density", ("epoch_of", "shuffled_condition", "restarts", "far_nats")),
        ("toy.transport", ("epoch_of", "shuffled_condition", "condition_noise", "both_share")),
        ("rotated.transport", ("epoch_of", "condition_noise", "condition_decay", "both_share")),
        ("own.transport", ("both_share",)),
        ("toy.smoothing.density", ("epoch_of", "restarts", "far_nats", "condition_decay")),
        ("methods.unidirectional", ("both_share",)),
    ],
)
def test_a_setting_that_does_nothing_is_refused_by_its_name(place, keys):
    for key in keys:
        config = read("config")
        section = config["training"]
        for part in place.split("."):
            section = section[part]
        section[key] = VALUES[key][0]
        with pytest.raises(InputError, match=f"training.{place}: .*'{key}'"):
            check(config, SCHEMA)


@pytest.mark.parametrize(("section", "family"), [("toys", "toy"), ("rotated", "rotated")])
def test_toys_that_are_only_moved_are_no_part_of_a_training(section, family):
    dataset, task = FAMILIES[family]
    trained, moved, drawn = [], [], []
    for number in (100, 101):
        config = configuration()
        config[section]["points"]["evaluation"] = number
        jobs = Jobs(config, "out")
        trained.append([job for kind in KINDS for job in jobs_of(jobs, family, kind)])
        moved.append(jobs.move(task, 1, "evaluation"))
        every = jobs.data(tasks.DATASETS[dataset])
        for data in (every, jobs.density(dataset, 1).data):
            drawn.append([datasets.load(data, split)[0] for split in ("train", "validation")])
    assert trained[0] == trained[1] and moved[0] != moved[1]
    for splits in drawn[1:]:
        for one, other in zip(splits, drawn[0], strict=True):
            assert np.array_equal(one, other)
