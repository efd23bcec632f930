"""What rules of every stage share: code as an input, resources, and places in the report."""

from flowmorph.figures.looks import label
from flowmorph.plan.imports import modules_of


def scaled(amount: int):
    """Give a resource of which every retry asks for more: the amount times the attempt."""
    return lambda wildcards, attempt: amount * attempt


def literal(value):
    """Give a parameter as it is: Snakemake would take {braces} of a user's text for wildcards."""
    return lambda wildcards: value


def script(name: str) -> str:
    """Give a script's path."""
    return f"workflow/scripts/{name}"


def code(name: str) -> list[str]:
    """Give the library modules that a script runs, so that editing one reruns its jobs."""
    return [
        f"workflow/flowmorph/{module}" for module in modules_of(os.path.join(PROJECT, script(name)))
    ]


def module_of(method: str) -> list[str]:
    """Give a method's module and the library modules that it imports."""
    name = f"alternatives/{method}.py"
    own = modules_of(os.path.join(LIBRARY, "flowmorph", name))
    return [f"workflow/flowmorph/{module}" for module in (name, *own)]


def soon(wildcards) -> int:
    """Give the priority of what is made of one task or data set."""
    known = dict(wildcards.items())
    names = [known[key] for key in ("task", "dataset") if key in known]
    further = {key: known[key] for key in ("training", "method") if key in known}
    return sum(figures.urgency(name, **further) for name in names)


def densities_of(task: str, training: str) -> dict[str, str]:
    """Give the densities between which a task's transport is trained."""
    return {
        role: paths.flow(paths.density(OUT, dataset.name, training))
        for role, dataset in zip(tasks.SAMPLES, tasks.TASKS[task].datasets, strict=True)
    }


def smoothed_densities_of(task: str, training: str) -> dict[str, list[str]]:
    """Give the smoothed densities between which the transport's training begins, widest first."""
    row = tasks.TASKS[task]
    widths = targets.smoothing(row.family, config).widths
    return {
        f"smoothed_{role}": [
            paths.flow(paths.smoothed(OUT, dataset.name, training, width)) for width in widths
        ]
        for role, dataset in zip(tasks.SAMPLES, row.datasets, strict=True)
    }


def flows_to_move(method: str) -> dict[str, list[str]]:
    """Give the densities and transports with which a method moves the user's files."""
    numbers = [str(member.number) for member in own_members.moving(config)]
    densities = [densities_of(tasks.OWN.name, number) for number in numbers]
    trained = numbers if methods.METHODS[method].trained else []
    return {
        **{role: [each[role] for each in densities] for role in tasks.SAMPLES},
        "transports": [
            paths.flow(paths.transport(OUT, tasks.OWN.name, method, number)) for number in trained
        ],
    }


def spikes_of(task: str) -> list[str]:
    """Give the file that has the intervals of spikes, where features of a task have any."""
    spiked = task == tasks.OWN.name and own_config.spiked(config)
    return [paths.preprocessing(OUT)] if spiked else []


def figure(name: str) -> dict:
    """Give a figure's two outputs, the picture of which goes into the report."""
    row = figures.FIGURES[name]
    picture = report(
        paths.figure(OUT, name, "png"),
        caption=f"../workflow/report/{name}.rst",
        category=row.category,
        labels={"figure": row.number, "shows": row.shows},
    )
    return {"pdf": paths.figure(OUT, name, "pdf"), "png": picture}


def table(name: str, shows: str) -> list[str]:
    """Give a table's three outputs, the page of which goes into the report."""
    page = report(
        paths.table(OUT, name, "html"),
        caption=f"../workflow/report/{name}.rst",
        category="Tables",
        labels={"table": name.replace("_", " "), "shows": shows},
    )
    return [paths.table(OUT, name, "csv"), paths.table(OUT, name, "md"), page]


def loss_picture(model: str, subcategory: str, labels) -> str:
    """Give the picture of a training, which goes into the report.

    ``labels`` is a dict, or gives one for a job's wildcards.
    """
    return report(
        paths.loss_picture(model),
        caption="../workflow/report/loss.rst",
        category="Training",
        subcategory=subcategory,
        labels=labels,
    )


def training_title(name: str, training: int | str) -> str:
    """Give the title of a training's picture; the first one needs no number."""
    return name if int(training) == 1 else f"{name}, training {training}"


def transport_title(task: str, method: str, training: int | str) -> str:
    """Give the title of a transport's picture, in the words of figures."""
    return training_title(f"{tasks.words(task)}, {label(method)}", training)


def transport_labels(method: str):
    """Give what the report calls a transport's picture, from the wildcards of its rule."""
    return lambda wildcards: {
        "task": tasks.words(wildcards.task),
        "training": wildcards.training,
        "method": label(method),
    }
