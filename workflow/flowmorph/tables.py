"""Result tables: numbers in full in CSV, rounded for readers in Markdown."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from flowmorph.errors import InputError
from flowmorph.files import atomic
from flowmorph.metrics.distances import Summary

METHOD_LABELS: dict[str, str] = {
    "baseline": "baseline",
    "base_transfer": "base transfer",
    "unidirectional": "unidirectional transfer",
    "flows_for_flows": "flows for flows",
    "movement_penalty": "movement penalty",
    "identity_initialization": "identity initialization",
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
    "science": ("collider, sidebands (Fig. 9)", "fig9_science_sidebands"),
    "different": ("different toys (Fig. 6)", "fig6_toy_nonidentical"),
    "identical": ("identical toys (Fig. A.2)", "figA2_toy_identical"),
}

Value = str | int | float | None


@dataclass(frozen=True)
class Column:
    """A column: its key in CSV, its heading (with unit) and its decimals in Markdown."""

    key: str
    heading: str
    decimals: int | None = None  # None: not a decimal number


@dataclass(frozen=True)
class Table:
    """Rows that map column keys to values; None stands for "there is no such number"."""

    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Value]]

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
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = []
        for line in cells:
            aligned = zip(line, widths, words, strict=True)
            lines.append([c.ljust(w) if left else c.rjust(w) for c, w, left in aligned])
        marks = zip(widths, words, strict=True)
        lines.insert(1, ["-" * w if left else "-" * (w - 1) + ":" for w, left in marks])
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def save(self, outputs: Iterable[str | os.PathLike]) -> None:
        """Write the table to each file, as .csv or .md by its name."""
        for output in map(Path, outputs):
            if output.suffix not in (".csv", ".md"):
                raise InputError(f"tables are written as .csv or .md, not as '{output}'")
            with atomic(output) as part, part.open("w", encoding="utf-8", newline="") as stream:
                if output.suffix == ".csv":
                    self.csv(stream)
                else:
                    stream.write(self.markdown())


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


def distance_table(ours: Mapping[str, Mapping[str, Summary]], paper: Mapping) -> Table:
    """Put mean and standard deviation of the distance travelled next to the paper's.

    ``ours`` maps a block of `DISTANCE_BLOCKS` to summaries by method (baseline included), in the
    units of the space in which the flow works.
    """
    rows = []
    for block, summaries in ours.items():
        heading, key = DISTANCE_BLOCKS[block]
        for method, summary in summaries.items():
            theirs = paper[key].get(method) or {"mean": None, "std": None}
            rows.append(
                {
                    "sample": heading,
                    "method": METHOD_LABELS[method],
                    "points": summary.points,
                    "mean": summary.mean,
                    "std": summary.std,
                    "paper_mean": theirs["mean"],
                    "paper_std": theirs["std"],
                }
            )
    columns = (
        Column("sample", "sample"),
        Column("method", "method"),
        Column("points", "points"),
        Column("mean", "mean", 3),
        Column("std", "std", 3),
        Column("paper_mean", "paper mean", 3),
        Column("paper_std", "paper std", 3),
    )
    return Table(columns, rows)


def divergence_table(rows: Sequence[Mapping[str, Value]]) -> Table:
    """Format the Kullback-Leibler divergences of the toy densities from the exact ones.

    Each row has dataset, points, divergence and error (nats), and the exact entropy (nats).
    """
    columns = (
        Column("dataset", "data set"),
        Column("points", "points"),
        Column("divergence", "KL(exact, flow) [nats]", 4),
        Column("error", "standard error", 4),
        Column("entropy", "exact entropy [nats]", 4),
    )
    return Table(columns, rows)


def likelihood_table(rows: Sequence[Mapping[str, Value]]) -> Table:
    """Format validation log-likelihoods of target points under each transported density.

    Each row has task, method, points, log_likelihood and error (nats per point).
    """
    columns = (
        Column("task", "task"),
        Column("method", "method"),
        Column("points", "points"),
        Column("log_likelihood", "mean log-likelihood [nats]", 4),
        Column("error", "standard error", 4),
    )
    return Table(columns, [{**row, "method": label(row["method"])} for row in rows])


def method_table() -> Table:
    """Give table 1 of the paper: the five methods and their training heuristics."""
    rows = [
        {"method": METHOD_LABELS[method], "heuristic": f"${heuristic}$"}
        for method, heuristic in HEURISTICS.items()
    ]
    return Table((Column("method", "method"), Column("heuristic", "training heuristic")), rows)


def label(method: str) -> str:
    """Name a method, or a variant such as ``movement_penalty_w0.2``, as a reader would."""
    return METHOD_LABELS.get(method, method.replace("_", " "))


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
