"""The figures of a run, a row each: what is drawn, of which moved samples, where it is shown."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flowmorph.plan import methods, own_config, tasks
from flowmorph.plan.seeds import seed_for
from flowmorph.plan.tasks import COLLIDER, OWN, Task

Options = Callable[[dict], str]


@dataclass(frozen=True)
class Figure:
    """A figure of a run: how it is drawn, and what the report says about it.

    Attributes:
        name: of its files.
        category: heading under which the report shows it.
        number: its number in the paper, or what stands in place of one.
        shows: what is seen in it, in a few words.
        drawing: it is drawn by the script ``plot/plot_{drawing}.py``; empty where it has a rule of
            its own.
        tasks: tasks of one family whose moved samples the script gets.
        split: split of these samples; empty for the held-out one of the family.
        repeated: whether the script gets the samples of all trainings, or of the first only.
        options: gives the script's further options from the configuration.
    """

    name: str
    category: str
    number: str
    shows: str
    drawing: str = ""
    tasks: Sequence[Task] = ()
    split: str = ""
    repeated: bool = True
    options: Options = lambda config: ""


_PAPER_ANGLE = 15  # degrees, of the paper's figures that show one
_TOY_END = 10  # of the paper's axes of distance in the toys' plane
_COLLIDER_END = 0.7 / 6  # likewise for the collider features, as a part of their scaled range
# Toys of the rows in the paper's grids.
_ROWS = (
    ("star", "fourcircles"), ("fourcircles", "star"), ("fourcircles", "checkerboard"),
    ("checkerboard", "fourcircles"), ("checkerboard", "star"), ("star", "checkerboard"),
    ("star", "star"), ("fourcircles", "fourcircles"), ("checkerboard", "checkerboard"),
)  # fmt: skip


def _angles(config: dict) -> list[float]:
    return config["rotated"]["angles_deg"]


def _from_to(start: float, end: float) -> str:
    # Joined to its value: one that begins with a minus would be taken for another option.
    return f"--angles={start:g}:{end:g}"


def _one(config: dict) -> str:
    """The option with the angle of figures that show one, which reference and target share."""
    angles, chosen = _angles(config), config["rotated"]["shown_angle_deg"]
    if chosen is None:
        chosen = _PAPER_ANGLE if _PAPER_ANGLE in angles else angles[len(angles) // 2]
    return _from_to(chosen, chosen)


def _turn(config: dict) -> str:
    """The option from the first angle to the last; with the one, if no task turns its points."""
    if config["rotated"]["mode"]["identical"] == "shared":
        return _one(config)
    return _from_to(_angles(config)[0], _angles(config)[-1])


def _each(config: dict) -> str:
    """The options from each angle to itself."""
    return " ".join(_from_to(angle, angle) for angle in _angles(config))


def _angle_options(task: Task, angles: Options | None, config: dict) -> str:
    """Options of a figure of rotated toys, behind a space; none for plain ones."""
    if angles is None:
        return ""
    mode = config["rotated"]["mode"]["identical" if task.identical else "different"]
    return f" {angles(config)}" + (" --shared" if mode == "shared" else "")


def _scatter(name, category, number, shows, task, angles: Options | None = None) -> Figure:
    more = " --same-circle" if task.identical else ""

    def options(config: dict) -> str:
        seed = seed_for(config["seed"], task.reference.name, task.family.held_out)
        return f"--seed {seed}{more}{_angle_options(task, angles, config)}"

    return Figure(name, category, number, shows, "scatter", [task], "", False, options)


def _grid(name, category, number, shows, group, angles: Options | None = None) -> Figure:
    rows = sorted(group, key=lambda task: _ROWS.index((task.reference.toy, task.target.toy)))
    titles = shlex.join(["--titles", *(task.title for task in rows)])

    def options(config: dict) -> str:
        return titles + _angle_options(rows[0], angles, config)

    return Figure(name, category, number, shows, "grid", rows, "", False, options)


def _distances(name, category, number, shows, group, split="", more: Options | None = None):
    def options(config: dict) -> str:
        count = config["seeds"][group[0].family.name]
        return f"--trainings {count}" + (f" {more(config)}" if more else "")

    return Figure(name, category, number, shows, "distances", group, split, True, options)


def _toy_distances(name, number, shows, group) -> Figure:
    linear = f"--linear {_TOY_END}"
    return _distances(name, "Toys", number, shows, group, more=lambda config: linear)


def _limits(scaling: dict) -> str:
    return f"--limits {scaling['low']:g} {scaling['high']:g}"


def _collider(name, number, shows, drawing, split, note, category="Collider data") -> Figure:
    """The drawings of a task's features, for the collider task."""

    def options(config: dict) -> str:
        scaling, noted = config["collider"]["scaling"], shlex.join(["--note", note])
        if drawing == "distances":
            end = _COLLIDER_END * (scaling["high"] - scaling["low"])
            return f'--units "scaled features" --linear {end:g} {noted}'
        return f"{_limits(scaling)} {noted}" if drawing == "ratios" else noted

    if drawing == "distances":
        return _distances(name, category, number, shows, [COLLIDER], split, options)
    return Figure(name, category, number, shows, drawing, [COLLIDER], split, True, options)


def _own(name, number, shows, drawing, split) -> Figure:
    """The same drawings for the user's own task."""

    def options(config: dict) -> str:
        shown = [method for method in methods.PUBLISHED if method in config["own"]["methods"]]
        chosen = own_config.figure_options(config, shown, split == OWN.family.beyond)
        if drawing == "distances":
            return f'--units "scaled features" {chosen}'
        ratios = drawing in ("ratios", "closure_bins")
        more = f" {_limits(config['own']['scaling'])}" if ratios else ""
        if drawing == "correlations":
            more = f" {own_config.condition_options(config)}"
        return f"{own_config.label_options(config)}{more} {chosen}"

    if drawing == "closure_bins":
        return Figure(name, "Own samples", number, shows, split=split, options=options)
    if drawing == "distances":
        return _distances(name, "Own samples", number, shows, [OWN], split, options)
    return Figure(name, "Own samples", number, shows, drawing, [OWN], split, True, options)


def _schematic(name, number, shows, drawing) -> Figure:
    options = f"--drawing {drawing}"
    return Figure(name, "Method", number, shows, "schematic", options=lambda config: options)


_CIRCLES, _CIRCLES_TO_STAR = tasks.IDENTICAL[0], tasks.DIFFERENT[0]
_ROTATED_CIRCLES, _ROTATED_CIRCLES_TO_STAR = tasks.ROTATED_IDENTICAL[0], tasks.ROTATED_DIFFERENT[0]

PAPER = (
    _schematic("fig1", "Fig. 1", "architecture", "architecture"),
    _schematic("fig2", "Fig. 2", "conditional architecture", "conditional"),
    _scatter("fig3", "Toys", "Fig. 3", "points, four circles to themselves", _CIRCLES),
    _scatter("fig4", "Toys", "Fig. 4", "points, four circles to star", _CIRCLES_TO_STAR),
    _grid("fig5", "Toys", "Fig. 5", "distributions, different toys", tasks.DIFFERENT),
    _toy_distances("fig6", "Fig. 6", "distance, different toys", tasks.DIFFERENT),
    Figure("fig7", "Collider data", "Fig. 7", "reference and target"),
    _collider("fig8", "Fig. 8", "features and ratios, sidebands", "ratios", "", "sidebands"),
    _collider("fig9", "Fig. 9", "distance, sidebands", "distances", "", "sidebands"),
    _collider(
        "fig10", "Fig. 10", "distance per feature, sidebands", "distances_per_feature", "",
        "sidebands",
    ),
    _collider(
        "fig_correlations", "correlations", "features and M, sidebands", "correlations", "",
        "sidebands",
    ),
    _grid("figA1", "Toys", "Fig. A.1", "distributions, identical toys", tasks.IDENTICAL),
    _toy_distances("figA2", "Fig. A.2", "distance, identical toys", tasks.IDENTICAL),
    _scatter(
        "figB1", "Conditional toys", "Fig. B.1", "points, four circles to themselves",
        _ROTATED_CIRCLES, _turn,
    ),
    _grid(
        "figB2", "Conditional toys", "Fig. B.2", "distributions, identical toys",
        tasks.ROTATED_IDENTICAL, _turn,
    ),
    _scatter(
        "figB3", "Conditional toys", "Fig. B.3", "points, four circles to star",
        _ROTATED_CIRCLES_TO_STAR, _one,
    ),
    _grid(
        "figB4", "Conditional toys", "Fig. B.4", "distributions, different toys",
        tasks.ROTATED_DIFFERENT, _one,
    ),
    _grid(
        "figB5", "Conditional toys", "Fig. B.5", "distributions at every angle",
        [_ROTATED_CIRCLES_TO_STAR], _each,
    ),
    Figure("table1", "Method", "Table 1", "the five methods"),
    _collider(
        "fig_signal_ratios", "as Fig. 8", "features and ratios", "ratios", "signal",
        "signal region", "Signal region",
    ),
    _collider(
        "fig_signal_distances", "as Fig. 9", "distance", "distances", "signal",
        "signal region", "Signal region",
    ),
    _collider(
        "fig_signal_correlations", "correlations", "features and M", "correlations", "signal",
        "signal region", "Signal region",
    ),
    Figure("fig_closure", "Signal region", "closure", "sidebands and signal region"),
)  # fmt: skip

#: What is drawn where there are alternatives to the paper's methods.
ALTERNATIVES = (
    Figure("fig_alternatives", "Alternatives", "closure", "both regions"),
    Figure("fig_alternative_ratios", "Alternatives", "as Fig. 8", "features and ratios"),
    Figure("fig_alternative_distances", "Alternatives", "as Fig. 9", "distance, sidebands"),
)

#: What a run draws that looks for a signal.
SEARCH = (Figure("fig_search", "Search", "search", "significance improvement of each template"),)

#: What only the target penalty_scan asks for.
SCAN = (Figure("fig_penalty_scan", "Collider data", "penalty", "accuracy against distance"),)

#: What only the target fig_overview asks for: it shows several trainings.
OVERVIEW = (Figure("fig_overview", "Method", "overview", "shapes, accuracy and distance"),)

OWN_FIGURES = (
    _own("fig_own_ratios", "as Fig. 8", "features and ratios", "ratios", ""),
    _own("fig_own_distances", "as Fig. 9", "distance", "distances", ""),
    _own(
        "fig_own_feature_distances", "as Fig. 10", "distance per feature", "distances_per_feature",
        "",
    ),
    _own("fig_own_correlations", "correlations", "of the features", "correlations", ""),
    _own("fig_own_apply_ratios", "as Fig. 8", "features, where applied", "ratios", "apply"),
    _own("fig_own_apply_distances", "as Fig. 9", "distance, where applied", "distances", "apply"),
)  # fmt: skip

#: What a run of own samples draws with own.closure_in.
CLOSURE_FIGURES = (
    _own("fig_own_closure_bins", "ratios in bins", "features", "closure_bins", OWN.family.held_out),
    _own(
        "fig_own_apply_closure_bins", "ratios in bins", "features, where applied", "closure_bins",
        OWN.family.beyond,
    ),
)  # fmt: skip

#: Figures of the paper that a reader wants to see first, and within minutes, in this order. They
#: show single points of some methods, and do not wait for the others' trainings.
FIRST = ("fig3", "fig4")

FIGURES = {
    figure.name: figure
    for figure in (*PAPER, *ALTERNATIVES, *SEARCH, *SCAN, *OVERVIEW, *OWN_FIGURES, *CLOSURE_FIGURES)
}


def of_run(config: dict, own_splits: Sequence[str], searched: bool) -> list[Figure]:
    """Figures that a run makes.

    ``own_splits`` are those of the user's own task; ``searched`` is whether it looks for a signal.
    """
    if own_config.given(config):
        closure = CLOSURE_FIGURES if config["own"]["closure_in"] else ()
        every = (*OWN_FIGURES, *closure)
        return [each for each in every if not each.split or each.split in own_splits]
    section = config["alternatives"]
    compared = COLLIDER.name in section["tasks"] and any(
        settings is not None for settings in section["methods"].values()
    )
    return [*PAPER, *(ALTERNATIVES if compared else ()), *(SEARCH if searched else ())]


def drawn(config: dict) -> list[Figure]:
    """Figures that are drawn of moved samples alone, of the paper's tasks or the user's own."""
    return [each for each in (OWN_FIGURES if own_config.given(config) else PAPER) if each.drawing]


def urgency(name: str, training: int | str = 1, method: str = "") -> int:
    """How early a job comes: 0, or the more, the earlier the figures are that it is needed for.

    Args:
        name: that of a figure, a task or a data set.
        training: number of the training of its flows; the first figures show the first only.
        method: of a transport; the first figures show some only.
    """
    if str(training) != "1" or (method and method not in methods.POINTWISE):
        return 0
    return sum(
        len(FIRST) - place
        for place, figure in enumerate(FIRST)
        if name == figure
        or any(
            name in (task.name, *(each.name for each in task.datasets))
            for task in FIGURES[figure].tasks
        )
    )
