"""Every path of the workflow, as a pattern with wildcards or as a concrete file.

``out`` is the run's folder. No other module builds a path.
"""

from __future__ import annotations

import os

BUNDLE = "transport.safetensors"  # a transport with all that it takes to use it


def run_folder(run: str) -> str:
    """Folder of one configuration's results."""
    return f"results/{run}"


def compiled() -> str:
    """Folder of the flows' compiled kernels, which all runs and clones on a machine share."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("FLOWMORPH_CACHE") or os.path.join(cache, "flowmorph")


def events(out: str, sample: str, chunk: str) -> str:
    """Visible particles of one chunk of collider events (parquet)."""
    return f"{out}/events/{sample}/{chunk}.parquet"


def published(folder: str, name: str) -> str:
    """A published file in the folder for downloads; no output, so Snakemake never deletes it."""
    return f"{folder}/{name}"


def verified(out: str, name: str) -> str:
    """Size and checksum of a published file that is there and right (JSON)."""
    return f"{out}/downloads/{name}.json"


def chunk_features(out: str, sample: str, chunk: str) -> str:
    """Feature table of one chunk (ROOT, tree ``features``)."""
    return f"{out}/features/{sample}/{chunk}.root"


def features(out: str, sample: str) -> str:
    """Feature table of a sample (ROOT, tree ``features``)."""
    return f"{out}/features/{sample}.root"


def prepared(out: str, sample: str) -> str:
    """Scaled samples (ROOT: sidebands ``train`` and ``validation``, region ``signal``)."""
    return f"{out}/collider/{sample}.root"


def scaling(out: str) -> str:
    """The min-max scaling of the collider features (JSON)."""
    return f"{out}/collider/scaling.json"


def searched(out: str, sample: str) -> str:
    """Scaled events of the signal region for the search (ROOT: ``search``, ``train``)."""
    return f"{out}/search/{sample}.root"


def moved_for_search(out: str, training: int | str) -> str:
    """Reference points of the signal region after every method, for the search (npz)."""
    return f"{out}/search/moved/{training}.npz"


def search_flow_measures(out: str, training: int | str) -> str:
    """What is measured with the flows on the search's events (CSV, one number a row)."""
    return f"{out}/search/moved/{training}_flows.csv"


def alternative_for_search(out: str, method: str) -> str:
    """Reference points of the signal region after a method that is no flow, likewise (npz)."""
    return f"{out}/search/moved/{method}.npz"


def search_curves(out: str, fraction: float | str, draw: int | str) -> str:
    """Efficiencies of every template's classifier in one draw of data (npz)."""
    return f"{out}/search/{fraction}/{draw}.npz"


def search_measures(out: str, fraction: float | str, draw: int | str) -> str:
    """What every template finds in one draw of data (CSV, one number a row)."""
    return f"{out}/search/{fraction}/{draw}.csv"


def own_prepared(out: str, dataset: str) -> str:
    """One of the user's samples as flows see it (npz: points, conditions, weights by split)."""
    return f"{out}/own/{dataset}.npz"


def own_closure(out: str, dataset: str) -> str:
    """Rows and columns of one of the user's samples that test transports only (npz)."""
    return f"{out}/own/{dataset}_closure.npz"


def preprocessing(out: str) -> str:
    """How the columns of the user's samples are brought to the flows' box and back (JSON)."""
    return f"{out}/own/preprocessing.json"


def density(out: str, dataset: str, training: int | str) -> str:
    """Folder of one training of a data set's density."""
    return f"{out}/densities/{dataset}/{training}"


def smoothed(out: str, dataset: str, training: int | str, width: float | str) -> str:
    """Folder of the density of a data set's points with Gaussian noise of a width."""
    return f"{density(out, dataset, training)}/smoothed/{width}"


def transport(out: str, task: str, method: str, training: int | str) -> str:
    """Folder of one training of a task's transport."""
    return f"{out}/transports/{task}/{method}/{training}"


def scanned(out: str, strength: float | str) -> str:
    """Folder of the collider task's transport with a penalty of another strength."""
    return f"{out}/penalty_scan/{strength}"


def checkpoint(model: str) -> str:
    """State of a training in progress: no output of a rule, so that Snakemake never deletes it."""
    return f"{model}/checkpoint.safetensors"


def flow(model: str) -> str:
    """A trained flow in its folder."""
    return f"{model}/flow.safetensors"


def bundle(out: str, method: str) -> str:
    """All that it takes to use a transport of the user's samples anywhere."""
    return f"{out}/transports/own/{method}/{BUNDLE}"


def models(out: str, method: str, folds: int | None) -> list[str]:
    """A transport of the user's samples as ONNX models, one a fold if there are some."""
    parts = [f"_fold_{fold}" for fold in range(folds)] if folds else [""]
    return [f"{out}/transports/own/{method}/transport{part}.onnx" for part in parts]


def loss_table(model: str) -> str:
    """Loss history in a flow's folder."""
    return f"{model}/loss.csv"


def loss_picture(model: str) -> str:
    """Picture of the loss history in a flow's folder."""
    return f"{model}/loss.png"


def moved(out: str, task: str, training: int | str, split: str) -> str:
    """A task's reference points of a split before and after every method (npz)."""
    return f"{out}/moved/{task}/{training}/{split}.npz"


def moved_pointwise(out: str, task: str, split: str) -> str:
    """The same of the first training and the methods whose single points are shown (npz)."""
    return f"{out}/moved/{task}/pointwise/{split}.npz"


def pointwise_flow_measures(out: str, task: str, split: str) -> str:
    """What is measured with the flows while at it (CSV, one number a row)."""
    return f"{out}/moved/{task}/pointwise/{split}_flows.csv"


def moved_by_scan(out: str) -> str:
    """The collider task's reference points after the transports of the penalty scan (npz)."""
    return f"{out}/penalty_scan/moved.npz"


def moved_reference(out: str, method: str, suffix: str) -> str:
    """The user's reference, moved by one method, in the format in which it came."""
    return f"{out}/moved/reference/{method}{suffix}"


def applied(out: str, method: str, name: str) -> str:
    """A further file of the user's, moved by one method, in the format in which it came."""
    return f"{out}/applied/{method}/{name}"


def alternative(out: str, task: str, training: int | str, method: str) -> str:
    """A task's reference points after a method that is no flow, with weights if any (npz)."""
    return f"{out}/alternatives/{task}/{training}/{method}.npz"


def measures(out: str, task: str, training: int | str, split: str) -> str:
    """Accuracy and movement of every method on a moved sample (CSV, one number a row)."""
    return f"{out}/measures/{task}/{training}/{split}.csv"


def flow_measures(out: str, task: str, training: int | str, split: str) -> str:
    """What is measured with the flows: likelihood, cycle error, parameters (CSV, likewise)."""
    return f"{out}/measures/{task}/{training}/{split}_flows.csv"


def ensemble_measures(out: str, task: str, split: str) -> str:
    """How far apart a task's repeated trainings send the same points (CSV, likewise)."""
    return f"{out}/measures/{task}/ensemble/{split}_trainings.csv"


def scan_measures(out: str) -> str:
    """Accuracy and movement over strengths of the penalty (CSV, likewise)."""
    return f"{out}/penalty_scan/measures.csv"


def scan_flow_measures(out: str) -> str:
    """What is measured with the flows of the penalty scan (CSV, likewise)."""
    return f"{out}/penalty_scan/flow_measures.csv"


def density_measures(out: str) -> str:
    """Likelihoods and divergences of all densities (CSV, likewise)."""
    return f"{out}/measures/densities.csv"


def cost_measures(out: str, family: str) -> str:
    """What a family's trainings took: optimizer steps, points shown (CSV, likewise)."""
    return f"{out}/measures/costs/{family}.csv"


def figure(out: str, name: str, extension: str) -> str:
    """A figure; ``extension`` is pdf or png."""
    return f"{out}/figures/{name}.{extension}"


def table(out: str, name: str, extension: str) -> str:
    """A table; ``extension`` is csv, md or html."""
    return f"{out}/tables/{name}.{extension}"


def results_page(out: str) -> str:
    """The run's tables on one page (Markdown), with the commit and the machine."""
    return f"{out}/results.md"


def log(out: str, rule: str, *wildcards: str) -> str:
    """Log of a job."""
    return f"{out}/logs/{'/'.join((rule, *wildcards))}.log"


def times(out: str) -> str:
    """What the run's time went into (Markdown); it differs from run to run, as benchmarks do."""
    return f"{benchmarks(out)}/times.md"


def benchmarks(out: str) -> str:
    """Folder of what Snakemake measures of a run's jobs."""
    return f"{out}/benchmarks"


def benchmark(out: str, stage: str, rule: str, *wildcards: str) -> str:
    """Time and memory of a job, measured by Snakemake, in the folder of its stage."""
    return f"{benchmarks(out)}/{'/'.join((stage, rule, *wildcards))}.tsv"
