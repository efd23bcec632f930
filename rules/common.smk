"""What rules of every stage share: code as an input, slices of the configuration, seeds."""

from flowmorph.plan.imports import modules_of
from flowmorph.plan.seeds import seed_for

PENALTIES = targets.penalty_scan(config["penalty_scan"], config["penalty"]["science"])
COLLIDER_FEATURES = ["m_j1", "delta_m_jj", "tau21_j1", "tau21_j2", "delta_r_jj"]


def scaled(amount: int):
    """Give a resource of which every retry asks for more: the amount times the attempt."""
    return lambda wildcards, attempt: amount * attempt


def script(name: str) -> str:
    """Give a script's path."""
    return f"workflow/scripts/{name}"


def code(name: str) -> list[str]:
    """Give the library modules that a script runs, so that editing one reruns its jobs."""
    return [
        f"workflow/flowmorph/{module}"
        for module in modules_of(os.path.join(workflow.basedir, script(name)))
    ]


def toy_recipe(family: str) -> dict:
    """Give what a toy sample is made from."""
    section = config["toys" if family == "toy" else "rotated"]
    recipe = {"points": section["points"], "seed": config["seed"]}
    return recipe | ({"angles": section["angles"]} if family == "rotated" else {})


def recipe_of(dataset: str) -> str:
    """Give where a data set's points come from, as JSON."""
    if targets.family(dataset) == "science":
        from_file = {"path": paths.prepared(OUT, repeats.plain(dataset)), "condition": ["m_jj"]}
        return as_json(from_file | {"features": COLLIDER_FEATURES})
    if targets.family(dataset) == targets.OWN:
        return as_json(own_recipe(dataset))
    return as_json(toy_recipe(targets.family(dataset)))


def own_recipe(dataset: str) -> dict:
    """Give where the user's own points are and what they are."""
    settings = config["own"]
    return {
        "path": paths.own_prepared(OUT, repeats.plain(dataset)),
        "features": own_config.columns(settings["features"]),
        "condition": own_config.columns(settings["condition"]),
        "weights": settings[repeats.plain(dataset).removeprefix("own_")]["weights"],
    }


def file_of(dataset: str) -> list[str]:
    """Give the prepared file of a data set that is one; the toys are recipes."""
    if targets.family(dataset) == targets.OWN:
        return [paths.own_prepared(OUT, repeats.plain(dataset))]
    if targets.family(dataset) != "science":
        return []
    return [paths.prepared(OUT, repeats.plain(dataset))]


def as_json(settings: dict) -> str:
    """Write settings in one line whose order does not depend on the config file's."""
    return json.dumps(settings, sort_keys=True)


def seed(*names: str) -> int:
    """Give the seed of the job with this name."""
    return seed_for(config["seed"], *names)


def repeated(tasks: list[str]) -> list[str]:
    """Give every training of the tasks or data sets."""
    return targets.repeated(tasks, config["seeds"])


def moved_with(tasks: list[str]) -> list[str]:
    """Give the moved samples of tasks of one family, those of each training together."""
    count = config["seeds"][targets.pair(tasks[0]).family]
    again = [repeats.repeated(task, count) for task in tasks]
    return [paths.moved(OUT, task) for training in zip(*again) for task in training]


def options_of(task: str) -> str:
    """Give the options that name a task's data sets and condition."""
    pair = targets.pair(repeats.plain(task))
    condition = targets.condition(task, config)
    options = f"--reference {pair.reference} --target {pair.target}"
    return options + (f" --condition {condition}" if condition else "")


def density_of(task: str, role: str) -> str:
    """Give the density weights of a task's reference or target."""
    return paths.weights(paths.density(OUT, getattr(targets.pair(task), role)))


def transport_recipe(task: str, method: str) -> dict:
    """Give the training settings of a transport: the family's, then the method's own."""
    settings = config["training"][targets.pair(task).family]["transport"]
    method = method.partition("_w")[0]
    if method in methods.FURTHER:
        return settings | (config["alternatives"]["methods"].get(method) or {})
    return settings | config["training"]["methods"].get(method, {})


def alternative_files(moved: str) -> list[str]:
    """Give what the methods that are no flows make of a task's points."""
    task = moved.removesuffix("_signal")
    return [paths.alternative(OUT, task, name) for name in targets.alternatives(moved, config)]


def penalty_of(task: str, method: str) -> float:
    """Give the strength of the movement penalty; zero for methods that have none."""
    if not methods.parse(method)[0].penalised:
        return 0.0
    return config["penalty"][targets.pair(task).family]


def task_of(moved: str) -> str:
    """Give the task whose transports move these points."""
    moved = moved.removesuffix(repeats.SIGNAL).removesuffix("_penalty_scan")
    own_apply = repeats.plain(moved) == targets.OWN_APPLY
    return targets.OWN + repeats.part(moved) if own_apply else moved


def methods_of(moved: str) -> list[str]:
    """Give the methods that have a transport of these points: in the scan, those of no other."""
    if moved != targets.PENALTY_SCAN:
        return [*targets.trained_methods(config), *targets.flow_alternatives(moved, config)]
    return [name for name in PENALTIES.values() if name not in methods.TRAINED]


def split_of(moved: str) -> str:
    """Give the points that are moved: never those that a flow was trained on."""
    if moved.endswith("_signal"):
        return "signal"
    if repeats.plain(moved) == targets.OWN_APPLY:
        return "apply"
    return "validation" if targets.pair(moved).family in ("science", "own") else "evaluation"


def held_out(dataset: str) -> str:
    """Give the split of a data set that no flow was trained on."""
    return "validation" if targets.family(dataset) in ("science", "own") else "evaluation"


def trainings_of(family: str) -> list[tuple[str, str, str]]:
    """Give folder, data set or task, and method of each training of a family."""
    densities = [
        (paths.density(OUT, name), name, "density")
        for name in repeated(targets.datasets(config))
        if targets.family(name) == family
    ]
    return densities + [
        (paths.transport(OUT, task, method), task, method)
        for task in repeated(targets.tasks(config))
        if targets.pair(task).family == family
        for method in methods_of(task)
    ]


def module_of(method: str) -> list[str]:
    """Give a method's module and the library modules that it imports."""
    name = f"alternatives/{method}.py"
    own = modules_of(os.path.join(LIBRARY, "flowmorph", name))
    return [f"workflow/flowmorph/{module}" for module in (name, *own)]


def splits_of(task: str) -> list[str]:
    """Give the points of a task that are morphed."""
    return [
        split_of(moved)
        for moved in (task, f"{task}_signal")
        if repeats.plain(moved) in targets.MOVED
    ]


def figure(name: str, category: str, number: str, shows: str) -> dict:
    """Give a figure's two outputs, the picture of which goes into the report."""
    picture = report(
        paths.figure(OUT, name, "png"),
        caption=f"../workflow/report/{name}.rst",
        category=category,
        labels={"figure": number, "shows": shows},
    )
    return {"pdf": paths.figure(OUT, name, "pdf"), "png": picture}


def one_angle(wildcards) -> str:
    """Give the middle angle for tasks whose reference and target share it, as FROM:TO."""
    angles = config["rotated"]["angles"]
    return f"{angles[len(angles) // 2]:g}:{angles[len(angles) // 2]:g}"


def turned_angles(wildcards) -> str:
    """Give the angles, as FROM:TO, of tasks that turn the first into the last, if they turn."""
    if config["rotated"]["condition"]["identical"] == "shared":
        return one_angle(wildcards)
    angles = config["rotated"]["angles"]
    return f"{angles[0]:g}:{angles[-1]:g}"


def every_angle(wildcards) -> str:
    """Give each angle to itself, as a list of FROM:TO."""
    return " ".join(f"{angle:g}:{angle:g}" for angle in config["rotated"]["angles"])


def regions(wildcards) -> str:
    """Give the options that mark signal region and sidebands (TeV)."""
    bounds = config["collider"]["regions"]
    sidebands = " ".join(f"{edge:g}" for band in bounds["sidebands"] for edge in band)
    return f"--signal {bounds['signal'][0]:g} {bounds['signal'][1]:g} --sidebands {sidebands}"


def features_of(moved: str) -> list[str]:
    """Give the names of the features that a task moves."""
    if targets.pair(moved).family == targets.OWN:
        return own_config.columns(config["own"]["features"])
    return COLLIDER_FEATURES if moved.startswith(targets.SCIENCE) else ["x1", "x2"]


def measured_task(moved: str) -> str:
    """Give the options that say how a task's condition enters, and whether it takes few values."""
    condition = targets.condition(moved, config)
    options = f"--condition {condition}" if condition else ""
    return options + (" --discrete" if targets.pair(moved).family == "rotated" else "")


def table(name: str, shows: str) -> list[str]:
    """Give a table's two outputs, the CSV of which goes into the report."""
    csv = report(
        paths.table(OUT, name, "csv"),
        caption=f"../workflow/report/{name}.rst",
        category="Tables",
        labels={"table": name, "shows": shows},
    )
    return [csv, paths.table(OUT, name, "md")]
