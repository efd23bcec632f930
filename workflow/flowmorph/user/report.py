"""How well a transport moves one table into another, in the numbers and figures of the workflow."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from flowmorph.errors import InputError, RowError
from flowmorph.figures import chosen, correlations, features, style
from flowmorph.metrics import comparison, measures, spectra
from flowmorph.plan import own_config, tasks
from flowmorph.plan.seeds import seed_for
from flowmorph.preprocess.categories import Vocabulary
from flowmorph.samples import moved, negative_weights, own_categories, reading
from flowmorph.tables.measures import measure_table
from flowmorph.tables.table import Table
from flowmorph.user.arguments import named_as_arguments
from flowmorph.user.table_sample import TableSample, pair
from flowmorph.user.transport import Transport

#: Most points of each sample for exact optimal transport, whose time grows with their cube.
ASSIGNMENT_POINTS = 1000


@dataclass(frozen=True, repr=False)
class Report:
    """A reference before and after moving, held against the target; a notebook shows all of it.

    Attributes:
        table: rows ``floor`` (one half of the target against the other: no map can do better),
            ``ceiling`` (the reference as it is) and the method; columns are those of the workflow's
            ``two_sample.csv``: points, the AUC of a classifier that tells the rows from the
            target's, its interval of 95 %, and the sliced Wasserstein distance.
        marginals: for each feature of each of them, columns of ``marginals.csv``.
        figure: features with their ratios to the target's, in scaled units, and correlations.
    """

    table: pd.DataFrame
    marginals: pd.DataFrame
    figure: Figure

    def __repr__(self) -> str:
        return self.table.to_string(float_format="{:.4g}".format)

    def _repr_html_(self) -> str:
        picture = io.BytesIO()
        self.figure.savefig(picture, format="png", dpi=style.PNG_DPI)
        code = base64.b64encode(picture.getvalue()).decode()
        table = self.table.to_html(float_format="{:.4g}".format, na_rep="")
        return f'{table}<img style="max-width: 100%" src="data:image/png;base64,{code}">'


@named_as_arguments()
def report(
    transport: Transport,
    reference: Any,
    target: Any,
    weights: Sequence[Any],
    columns: Sequence[str] | None,
    missing: str,
    negative: str,
    labels: Mapping[str, str],
    limits: tuple[float, float],
    points: int,
    seed: int,
) -> Report:
    """Compare two tables; see `flowmorph.report`."""
    given = pair(reference, target, weights, columns)
    sides = [
        _side(transport, role, *given[role], missing, negative, seed_for(seed, "report", role))
        for role in tasks.SAMPLES
    ]
    x, c, positive, signed, _ = zip(*sides, strict=True)
    before = moved.MovedSample.paired(x, c, positive, signed, tasks.SAMPLES)
    images = sides[0][4][: len(before)]
    compared = replace(before, methods={transport.method: images})
    sample, size = comparison.comparable(compared, seed)
    if sample is None:
        raise InputError(
            f"report: {size} rows, or what weights are worth, are too few to be compared: give "
            f"{comparison.FEWEST_POINTS} at least"
        )
    setting = comparison.Setting(
        methods=[transport.method],
        features=transport.features,
        mode="shared" if transport.conditions else None,
        discrete=False,
        half_width=transport.morphs[0].flows[0].arch.tail_bound,
        seed=seed,
        two_sample_points=points,
        assignment_points=ASSIGNMENT_POINTS,
        spikes=transport.preprocessing.spike_intervals(),
    )
    whole = None if compared.signed_target is None else compared
    found = [
        measures.Measure(tasks.OWN.name, "validation", "1", *number)
        for number in comparison.measure(sample, setting, True, whole)
    ]
    return Report(
        _frame(measure_table("two_sample", found), "method"),
        _frame(measure_table("marginals", found), "method", "feature"),
        _figure(transport, compared, labels, limits),
    )


def _side(
    transport: Transport, role: str, sample: TableSample, weights: str | None,
    missing: str, negative: str, seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None, np.ndarray]:  # fmt: skip
    """Points, conditions, weights, and weights as given, in random order; points after moving."""
    if negative not in ("error", *negative_weights.WORDS):
        words = ", ".join(("error", *negative_weights.WORDS))
        raise InputError(f"negative: {negative!r} is unknown: choose one of {words}")
    own, categories = transport.preprocessing, transport.preprocessing.categories
    vocabularies = {name: Vocabulary(name) for name in categories}
    table, dropped = reading.read_sample(
        sample, transport.features, transport.conditions, weights, transport.event, missing,
        negative != "error", vocabularies,
    )  # fmt: skip
    for name in own.maps:
        dropped.check(name, table[name], own.allowed(name))
    for name, known in categories.items():
        try:
            table[name] = own_categories.recoded(table[name], vocabularies[name], known)
        except RowError as error:
            raise dropped.named(error, error.row) from error
    order = np.random.default_rng(seed).permutation(len(table[transport.features[0]]))
    table = {name: values[order] for name, values in table.items()}
    given = None if weights is None else table[weights]
    positive, signed = given, None
    if given is not None and (given < 0).any():
        read = {name: table[name] for name in own.columns}
        positive, _ = negative_weights.non_negative(read, given, negative, seed, role)
        signed = given
    try:
        placed = transport.place(table, transport.dequantization(seed % 2**32))
    except RowError as error:
        raise dropped.named(error, int(order[error.row])) from error
    x = placed.x.cpu().numpy()
    c = np.empty((len(x), 0), np.float32) if placed.c is None else placed.c.cpu().numpy()
    images = transport.images(placed).T.astype(np.float32) if role == "reference" else x
    return x, c, positive, signed, images


def _frame(table: Table, *index: str) -> pd.DataFrame:
    """A table as pandas has it, by the keys of its columns."""
    keys = [column.key for column in table.columns if column.key != "task"]
    rows = [{key: row[key] for key in keys} for row in table.rows]
    return pd.DataFrame(rows, columns=keys).set_index(list(index))


def _figure(
    transport: Transport,
    given: moved.MovedSample,
    labels: Mapping[str, str],
    limits: tuple[float, float],
) -> Figure:
    sample = spectra.balanced(given)
    names = ("reference", transport.method)
    columns = (*transport.features, *transport.conditions)
    called = {**dict(zip(columns, own_config.labels(columns), strict=True)), **labels}
    symbols = [called[name] for name in transport.features]
    categories = [
        name for name in transport.conditions if name in transport.preprocessing.categories
    ]
    numbers = [name for name in transport.conditions if name not in categories]
    choice = chosen.largest_differences(sample, [transport.method], symbols)
    panels = len(choice.labels)
    sizes = features.ratio_size(panels, len(names)), correlations.correlation_size(len(names))
    heights = [height for _, height in sizes]
    fig = style.figure(style.DOUBLE_WIDTH, sum(heights))
    top, bottom = fig.subfigures(2, 1, squeeze=False, height_ratios=heights).flat
    balanced = sample is not given
    features.feature_ratios(
        choice.of(sample), names=names, labels=choice.labels, limits=limits, note=choice.note,
        balanced=balanced, onto=top,
    )  # fmt: skip
    correlations.correlation_figure(
        [sample],
        names=names,
        labels=symbols,
        conditions=[called[name] for name in numbers],
        categories=[called[name] for name in categories],
        balanced=balanced,
        onto=bottom,
    )
    return fig
