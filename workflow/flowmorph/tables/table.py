"""Result tables: numbers in full in CSV, rounded for readers in Markdown and on a page."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from flowmorph.errors import InputError
from flowmorph.files import atomic
from flowmorph.metrics.distances import Summary
from flowmorph.metrics.measures import BASELINE
from flowmorph.plan.labels import label
from flowmorph.plan.tasks import words
from flowmorph.tables.page import page

#: The collider's columns as the paper writes them, in plain text.
FEATURES: dict[str, str] = {
    "m_j1": "m(J1)",
    "delta_m_jj": "Δm(JJ)",
    "tau21_j1": "τ21(J1)",
    "tau21_j2": "τ21(J2)",
    "delta_r_jj": "ΔR(JJ)",
}

# Table 1 of the paper, in the common subset of LaTeX, matplotlib's mathtext and Markdown viewers.
HEURISTICS: dict[str, str] = {
    "base_transfer": r"p_R \rightarrow \mathcal{N}(0, 1) \rightarrow p_T",
    "unidirectional": r"p_R \rightarrow p_T",
    "flows_for_flows": r"p_R \longleftrightarrow p_T",
    "movement_penalty": r"p_R \overset{+L1}{\longleftrightarrow} p_T",
    "identity_initialization": r"p_R\,(\mathbb{I} + \epsilon \leftrightarrow)\,p_T",
}

# Blocks of the distance table: our samples, their heading, and the paper's numbers for them.
DISTANCE_BLOCKS: dict[str, tuple[str, str]] = {
    "collider": ("collider, sidebands (Fig. 9)", "fig9_science_sidebands"),
    "different": ("different toys (Fig. 6)", "fig6_toy_nonidentical"),
    "identical": ("identical toys (Fig. A.2)", "figA2_toy_identical"),
}

# The paper's baseline of the toys: their points were paired in the order in which they were drawn,
# circle by circle and arm by arm.
BASELINE_IN_ORDER = "baseline_in_order"
METHOD_OF = {BASELINE_IN_ORDER: BASELINE}  # whose published number stands beside it

ROUNDING = 1e-9  # spreads of numbers that do not depend on the training, such as a baseline's

Value = str | int | float | None


@dataclass(frozen=True)
class Column:
    """A column: its key in CSV, its heading (with unit) and its decimals in Markdown."""

    key: str
    heading: str
    decimals: int | None = None  # None: not a decimal number


@dataclass(frozen=True)
class Table:
    """Rows that map column keys to values; None stands for "there is no such number".

    ``notes`` are sentences about what is not there, below the table in Markdown.
    """

    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Value]]
    notes: Sequence[str] = ()

    def csv(self, stream) -> None:
        """Write all digits that matter (nine) and empty cells for None."""
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(column.key for column in self.columns)
        for row in self.rows:
            writer.writerow(_plain(row[column.key]) for column in self.columns)

    def markdown(self) -> str:
        """Give a Markdown table with aligned columns, rounded numbers and a dash for None."""
        cells = [[column.heading for column in self.columns]]
        cells += [[_rounded(row[c.key], c.decimals) for c in self.columns] for row in self.rows]
        words = [all(isinstance(r[c.key], str) for r in self.rows) for c in self.columns]
        # Two at least: a number's mark, such as "-:", is no mark without its dash.
        widths = [max(2, *map(len, column)) for column in zip(*cells, strict=True)]
        lines = []
        for line in cells:
            aligned = zip(line, widths, words, strict=True)
            lines.append([c.ljust(w) if left else c.rjust(w) for c, w, left in aligned])
        marks = zip(widths, words, strict=True)
        lines.insert(1, ["-" * w if left else "-" * (w - 1) + ":" for w, left in marks])
        notes = "".join(f"\n{note}\n" for note in self.notes)
        return "".join(f"| {' | '.join(line)} |\n" for line in lines) + notes

    def html(self, title: str) -> str:
        """Give a page with the table for the report, with names of tasks and features in words."""
        said = {"task": words, "feature": lambda name: FEATURES.get(name, name)}
        rows = []
        for row in self.rows:
            # No feature is named where a row is about all of them.
            shown = row | {key: said[key](row[key]) for key in said if row.get(key)}
            rows.append([(_plain(shown[c.key]), _rounded(shown[c.key], c.decimals))
                         for c in self.columns])  # fmt: skip
        numeric = [all(not isinstance(r[c.key], str) for r in self.rows) for c in self.columns]
        return page(title, [c.heading for c in self.columns], rows, numeric, self.notes)

    def save(self, outputs: Iterable[str | os.PathLike]) -> None:
        """Write the table to each file, as .csv, .md or .html by its name."""
        for output in map(Path, outputs):
            if output.suffix not in (".csv", ".md", ".html"):
                raise InputError(f"tables are written as .csv, .md or .html, not as '{output}'")
            with atomic(output) as part, part.open("w", encoding="utf-8", newline="") as stream:
                if output.suffix == ".csv":
                    self.csv(stream)
                elif output.suffix == ".md":
                    stream.write(self.markdown())
                else:
                    stream.write(self.html(output.stem.replace("_", " ")))


def paper_numbers(path: str | os.PathLike) -> dict:
    """Read the numbers that the paper's figures state (``config/paper_numbers.yaml``)."""
    try:
        with open(path, encoding="utf-8") as stream:
            numbers = yaml.safe_load(stream)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from error
    missing = [key for _, key in DISTANCE_BLOCKS.values() if key not in (numbers or {})]
    if missing:
        raise InputError(f"{path}: no block '{missing[0]}' of the paper's numbers")
    return numbers


def distance_table(
    ours: Mapping[str, Mapping[str, Sequence[Summary]]],
    paper: Mapping,
    known: Mapping[tuple[str, str], tuple[float, int]] | None = None,
) -> Table:
    """Put mean and standard deviation of the distance travelled next to the paper's.

    Of several trainings the table has the means, the standard deviation of a training's mean
    distance, and by how many standard deviations of the difference the mean is off the paper's,
    which is one training itself.

    Args:
        ours: maps a block of `DISTANCE_BLOCKS` to summaries by method (baseline included), one for
            each training, in the units of the space in which the flow works.
        paper: the paper's numbers.
        known: standard deviations of a training, and the number of trainings that they are from,
            by sample and method (see `known_spreads`); they stand beside single trainings.
    """
    known = known or {}
    rows = []
    for block, methods in ours.items():
        heading, key = DISTANCE_BLOCKS[block]
        for method, summaries in methods.items():
            means = [summary.mean for summary in summaries]
            mean, count = float(np.mean(means)), len(means)
            theirs = paper[key].get(METHOD_OF.get(method, method)) or {"mean": None, "std": None}
            spread = float(np.std(means, ddof=1)) if count > 1 else None
            if spread is not None and spread < ROUNDING:
                spread = 0.0
            off = None
            if spread and theirs["mean"] is not None:
                off = (mean - theirs["mean"]) / (spread * (1 + 1 / count) ** 0.5)
            single, trainings = known.get((heading, label(method)), (None, 0))
            rows.append(
                {
                    "sample": heading,
                    "method": label(method),
                    "points": summaries[0].points,
                    "mean": mean,
                    "std": float(np.mean([summary.std for summary in summaries])),
                    "trainings": count,
                    "mean_spread": spread,
                    "known_spread": single if count == 1 else None,
                    "known_trainings": trainings,
                    "paper_mean": theirs["mean"],
                    "paper_std": theirs["std"],
                    "off": off,
                }
            )
    repeated = any(row["trainings"] > 1 for row in rows)
    extra = (Column("trainings", "trainings"), Column("mean_spread", "± of a training", 3))
    extra *= repeated
    notes = []
    if counts := {row["known_trainings"] for row in rows if row["known_spread"] is not None}:
        extra += (Column("known_spread", "± known of a training", 3),)
        notes.append(
            "Rows of one training: how far such a number scatters is known from "
            f"{' or '.join(map(str, sorted(counts)))} trainings of the default recipe "
            "(docs/fidelity.md)."
        )
    last = (Column("off", "off, in standard deviations", 1),) * repeated
    columns = (
        Column("sample", "sample"),
        Column("method", "method"),
        Column("points", "points"),
        Column("mean", "mean", 3),
        Column("std", "std", 3),
        *extra,
        Column("paper_mean", "paper mean", 3),
        Column("paper_std", "paper std", 3),
        *last,
    )
    return Table(columns, rows, notes)


def known_spreads(path: str | os.PathLike) -> dict[tuple[str, str], tuple[float, int]]:
    """Read the spreads of a distance table of several trainings (CSV), by sample and method."""
    with open(path, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    try:
        return {
            (row["sample"], row["method"]): (float(row["mean_spread"]), int(row["trainings"]))
            for row in rows
            if row["mean_spread"]
        }
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a distance table of several trainings ({error})") from error


def method_table() -> Table:
    """Give table 1 of the paper: the five methods and their training heuristics."""
    rows = [
        {"method": label(method), "heuristic": f"${heuristic}$"}
        for method, heuristic in HEURISTICS.items()
    ]
    return Table((Column("method", "method"), Column("heuristic", "training heuristic")), rows)


def _plain(value: Value) -> str:
    if value is None:
        return ""
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _rounded(value: Value, decimals: int | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value) if decimals is None or isinstance(value, str) else f"{value:.{decimals}f}"
