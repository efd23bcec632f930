"""How far what a search finds scatters by the training of the flows.

    snakemake search --configfile config/search.yaml
    PYTHONPATH=workflow python benchmarks/search_trainings.py --configfile config/search.yaml

The search sends each event of a template through one of the trainings. This repeats its draws of
data with the template of each training alone, and prints the largest significance improvement as a
part of the idealised template's: of trainings mixed, with the error of the draws (jackknife, since
all templates see the same draws), of each training, and the standard deviation of a training.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from flowmorph.metrics import measures
from flowmorph.metrics.search import IDEALISED
from flowmorph.plan import paths, targets
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.jobs.form import to_json
from flowmorph.plan.tasks import COLLIDER, ENSEMBLE

SCRIPT = Path(__file__).parents[1] / "workflow/scripts/measure/search_draw.py"
METRIC = "sic_max"


def improvements(jobs: Jobs, training: int, fraction: str, draw: int) -> dict[str, float]:
    """Largest significance improvement in one draw with one training's templates, by template."""
    job = replace(jobs.search(fraction, draw), alternatives=())
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "numbers.csv")
        command: list[str | Path] = [
            sys.executable, SCRIPT, "--job", to_json(job),
            "--moved", paths.moved_for_search(jobs.out, training),
            "--sidebands", paths.moved(jobs.out, COLLIDER.name, training, COLLIDER.family.held_out),
            "--output", Path(folder, "curves.npz"), "--measures", found,
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, text=True)
        return by_template(found)


def by_template(path: str | Path) -> dict[str, float]:
    """The metric in a table of measures, by template."""
    return {each.method: each.value for each in measures.read([path]) if each.metric == METRIC}


def ratio(values: np.ndarray, idealised: np.ndarray) -> tuple[float, float]:
    """Ratio of two means over the same draws, (n,), and its error by the jackknife."""
    count = len(values)
    without = (values.sum() - values) / (idealised.sum() - idealised)
    error = np.sqrt((count - 1) / count * np.sum((without - without.mean()) ** 2))
    return float(values.sum() / idealised.sum()), float(error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configfile", nargs="+", required=True, help="of the run")
    parser.add_argument("--fraction", default="0.01", help="of signal")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    args = parser.parse_args()

    config = load_configfile("config/config.yaml")
    for path in args.configfile:
        update_config(config, load_configfile(path))
    jobs = Jobs(config, paths.run_folder(config["run"]))
    draws = range(1, config["search"]["draws"] + 1)
    trainings = targets.trainings(COLLIDER.family, config)
    mixed = [by_template(paths.search_measures(jobs.out, args.fraction, n)) for n in draws]
    wanted = [(training, draw) for training in trainings for draw in draws]
    with ThreadPoolExecutor(args.processes) as pool:
        done = pool.map(lambda each: improvements(jobs, each[0], args.fraction, each[1]), wanted)
        single = dict(zip(wanted, done, strict=True))

    idealised = np.array([each[IDEALISED] for each in mixed])
    print(f"{len(draws)} draws, idealised {idealised.mean():.2f}\n")
    print(f"| template | {ENSEMBLE} | each training | standard deviation |\n|---|---|---|---|")
    for method in targets.methods(config):
        value, error = ratio(np.array([each[method] for each in mixed]), idealised)
        alone = [
            ratio(np.array([single[number, n][method] for n in draws]), idealised)[0]
            for number in trainings
        ]
        listed = ", ".join(f"{each:.2f}" for each in alone)
        spread = np.std(alone, ddof=1) if len(alone) > 1 else 0.0
        print(f"| {method} | {value:.2f} ± {error:.2f} | {listed} | {spread:.2f} |")


if __name__ == "__main__":
    main()
