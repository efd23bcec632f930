"""One look for every figure: what a method looks like, how large a figure is, how it is saved."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from flowmorph.errors import InputError
from flowmorph.files import atomic

SINGLE_WIDTH = 3.4  # inches: one column of a two-column journal
DOUBLE_WIDTH = 7.0  # inches: both columns

PNG_DPI = 150
RASTER_DPI = 180  # of the parts of a PDF that are pictures (dense scatter plots)


# Behind text that may lie on data.
PATCH = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85}


@dataclass(frozen=True)
class Look:
    """How one sample is drawn: as a line, as points and, for areas, with fill and hatch."""

    label: str
    colour: str
    line: str | tuple = "-"
    width: float = 1.1
    marker: str = "o"
    fill: str = "none"
    hatch: str = ""


# The methods' colours fall evenly in lightness (L* = 71, 58, 46, 34, 18), so that they stay apart
# in grey and for every kind of colour blindness; each has a dash pattern of its own besides.
LOOKS: dict[str, Look] = {
    "target": Look("target", "black", width=0.8, marker="s", fill="0.88"),
    "reference": Look("reference", "0.45", (0, (1, 1)), width=1.3, marker="D"),
    "baseline": Look("baseline", "0.6", width=0.8, fill="0.93", hatch="/////"),
    "base_transfer": Look("base transfer", "#E69F00", (0, (5, 1.2)), width=1.3, marker="^"),
    "unidirectional": Look(
        "unidirectional", "#009E73", (0, (5, 1.2, 1, 1.2)), width=1.2, marker="v"
    ),
    "flows_for_flows": Look("flows for flows", "#0072B2", "-", width=1.2, marker="o"),
    "movement_penalty": Look("movement penalty", "#9E1B32", (0, (2.5, 1.2)), width=1.2, marker="s"),
    "identity_initialization": Look(
        "identity initialization", "#3A0F6E", (0, (4, 1, 1, 1, 1, 1)), width=1.2, marker="P"
    ),
    # What one could take instead.
    "penalty_identity": Look(
        "penalty + identity", "#D55E00", (0, (6, 1, 1, 1)), width=1.2, marker="X"
    ),
    "reweighting": Look("reweighting", "#CC79A7", (0, (3, 1, 3, 2)), width=1.2, marker="<"),
    "quantile_morphing": Look("quantile morphing", "#56B4E9", (0, (1, 0.6)), width=1.3, marker=">"),
    "optimal_transport": Look("optimal transport", "#117733", (0, (7, 2)), width=1.2, marker="p"),
    "flow_matching": Look("flow matching", "#6B4C00", (0, (2, 1, 1, 1)), width=1.2, marker="d"),
}
# For methods that have none of their own, in the order in which they come.
_SPARE_LOOKS = (
    Look("", "#44AA99", (0, (5, 1, 1, 1, 1, 1, 1, 1)), width=1.2, marker="h"),
    Look("", "#999933", (0, (2, 2)), width=1.2, marker="8"),
    Look("", "#332288", (0, (8, 1)), width=1.2, marker="H"),
)

METHODS: tuple[str, ...] = (
    "base_transfer",
    "unidirectional",
    "flows_for_flows",
    "movement_penalty",
    "identity_initialization",
)

# From matplotlib's defaults, not the user's matplotlibrc: a figure must not depend on who draws it.
_RC = {
    key: value
    for key, value in matplotlib.rcParamsDefault.items()
    if not key.startswith(("backend", "interactive", "toolbar"))
} | {
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "axes.titlepad": 4,
    "axes.labelpad": 2.5,
    "axes.linewidth": 0.6,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 1.6,
    "ytick.minor.size": 1.6,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "hatch.linewidth": 0.35,
    "pdf.fonttype": 42,
}


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Run a drawing function under the project's settings, leaving matplotlib's own untouched."""

    @functools.wraps(draw)
    def wrapped(*args, **kwargs) -> Figure:
        with matplotlib.rc_context(_RC):
            return draw(*args, **kwargs)

    return wrapped


def figure(width: float, height: float, **options) -> Figure:
    """Make an empty figure of the given size in inches, laid out when it is drawn."""
    made = Figure(figsize=(width, height), **({"layout": "constrained"} | options))
    FigureCanvasAgg(made)
    return made


def look(name: str) -> Look:
    """Look up how a sample is drawn, by its name in the moved samples."""
    if name not in LOOKS:
        raise InputError(f"no style for sample '{name}'; known: {', '.join(LOOKS)}")
    return LOOKS[name]


def give_looks(names: Iterable[str]) -> None:
    """Give a look to each of these samples that has none, in the order of the names."""
    unknown = [name for name in names if name not in LOOKS]
    for place, name in enumerate(unknown):
        spare = _SPARE_LOOKS[place % len(_SPARE_LOOKS)]
        LOOKS[name] = replace(spare, label=name.replace("_", " "))


def bins(counts: Iterable[int], per_bin: int, low: int, high: int) -> int:
    """Choose how many bins the smallest of the samples can fill with ``per_bin`` points each."""
    return max(low, min(high, min(counts) // per_bin))


def mean_and_spread(rows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """Give the mean of equal arrays, one a training, and their standard deviation if several."""
    rows = np.asarray(rows)
    if len(rows) == 1:
        return rows.mean(axis=0), None
    # What is the same in all must not differ by the rounding of a mean.
    return rows.mean(axis=0), np.where(np.ptp(rows, axis=0) == 0, 0, rows.std(axis=0, ddof=1))


def band(ax: Axes, middle: np.ndarray, spread: np.ndarray, edges: np.ndarray, colour: str) -> None:
    """Shade what a histogram's line varies by from training to training."""
    ax.stairs(
        middle + spread, edges, baseline=middle - spread, fill=True, color=colour, alpha=0.25, lw=0
    )


def line_handle(name: str, label: str | None = None) -> Line2D:
    """Make the legend entry of a sample drawn as a line."""
    drawn = look(name)
    return Line2D(
        [], [], color=drawn.colour, ls=drawn.line, lw=drawn.width, label=label or drawn.label
    )


def area_handle(name: str, label: str | None = None) -> Patch:
    """Make the legend entry of a sample drawn as an area."""
    drawn = look(name)
    return Patch(
        facecolor=drawn.fill,
        edgecolor=drawn.colour,
        hatch=drawn.hatch or None,
        lw=drawn.width,
        label=label or drawn.label,
    )


def save(fig: Figure, outputs: Iterable[str | os.PathLike]) -> None:
    """Write a figure to each of the named files (.pdf or .png) with the same bytes every time.

    Dates and version strings, which would differ between two runs, are left out of the files.
    """
    metadata = {
        ".pdf": {"Creator": "flowmorph", "Producer": None, "CreationDate": None},
        ".png": {"Software": None},
    }
    dpi = {".pdf": RASTER_DPI, ".png": PNG_DPI}
    outputs = [Path(output) for output in outputs]
    for output in outputs:
        if output.suffix not in metadata:
            raise InputError(f"figures are written as .pdf or .png, not as '{output}'")
    with matplotlib.rc_context(_RC):
        engine = fig.get_layout_engine()
        if engine is not None:  # once for all files: else each would be laid out and drawn twice
            engine.execute(fig)
            fig.set_layout_engine(None)
        for output in outputs:
            with atomic(output) as part:
                fig.savefig(part, dpi=dpi[output.suffix], metadata=metadata[output.suffix])
