"""Small jobs, and their scripts run with them."""

from __future__ import annotations

from pathlib import Path

from scripts_by_name import script

from flowmorph.plan.jobs.data import ToyData
from flowmorph.plan.jobs.form import to_json
from flowmorph.plan.jobs.measuring import MeasureJob
from flowmorph.plan.jobs.training import DensityJob, Network, Recipe

NETWORK = Network(layers=2, blocks=1, width=16, bins=6, tail_bound=4.0)
RECIPE = Recipe(batch=200, epochs=5, learning_rate=5e-3, warmup_steps=5, clip=5.0)
POINTS = {"train": 4000, "validation": 1000, "evaluation": 1000}


def toy(name: str, **options) -> ToyData:
    """A draw of the star."""
    return ToyData(name, "star", POINTS, 5, **options)


def density_job(name: str = "star", recipe: Recipe = RECIPE) -> DensityJob:
    """The training of its density."""
    return DensityJob(toy(name), NETWORK, recipe, 3, "cpu")


def density_options(job: DensityJob, folder: Path) -> list[str]:
    """What the training script is called with; its files lie in a folder."""
    place = {
        "checkpoint": f"{job.data.name}.checkpoint",
        "output": f"{job.data.name}.safetensors",
        "history": f"{job.data.name}.csv",
    }
    options = [part for key, name in place.items() for part in (f"--{key}", str(folder / name))]
    return ["--job", to_json(job), *options]


def train_density(folder: Path, name: str = "star", recipe: Recipe = RECIPE) -> Path:
    """Train the star's density; gives its weights."""
    script("train_density").main(density_options(density_job(name, recipe), folder))
    return folder / f"{name}.safetensors"


def measure_job(
    methods: tuple[str, ...], features: tuple[str, ...], alternatives: tuple[str, ...] = ()
) -> MeasureJob:
    """Measures of few points of the user's own task, or of any other without conditions."""
    return MeasureJob(
        task="own",
        split="validation",
        training="1",
        methods=methods,
        alternatives=alternatives,
        features=features,
        mode=None,
        discrete=False,
        parts=None,
        half_width=4.0,
        two_sample_points=300,
        assignment_points=50,
        seed=1,
    )
