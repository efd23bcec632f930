"""One look for every figure: what a method looks like, how large a figure is, how it is saved."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from flowmorph.errors import InputError
from flowmorph.figures import looks
from flowmorph.files import atomic

SINGLE_WIDTH = 3.4  # inches: one column of a two-column journal
DOUBLE_WIDTH = 7.0  # inches: both columns

PNG_DPI = 150
RASTER_DPI = 180  # of the parts of a PDF that are pictures (dense scatter plots)


# The box behind text that may lie on data.
PATCH = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85}


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
    """Run a drawing function under the project's settings; matplotlib's own stay as they are."""

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


def bins(counts: Iterable[int], per_bin: int, low: int, high: int) -> int:
    """Choose how many bins the smallest of the samples can fill with ``per_bin`` points each."""
    return max(low, min(high, min(counts) // per_bin))


def mean_and_spread(rows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """Give the mean of equally shaped arrays, one for each training, and their spread.

    The spread is the standard deviation over trainings, None for a single one.
    """
    rows = np.asarray(rows)
    if len(rows) == 1:
        return rows.mean(axis=0), None
    # Numbers that are the same in all trainings have a spread of exactly zero, not of rounding.
    return rows.mean(axis=0), np.where(np.ptp(rows, axis=0) == 0, 0, rows.std(axis=0, ddof=1))


def band(ax: Axes, middle: np.ndarray, spread: np.ndarray, edges: np.ndarray, colour: str) -> None:
    """Shade the spread of a histogram over trainings, around its mean.

    Args:
        ax: where to draw.
        middle: mean height of each bin, (B,).
        spread: standard deviation of each height over trainings, (B,).
        edges: edges of the bins, (B + 1,).
        colour: of the band, as matplotlib takes it.
    """
    ax.stairs(
        middle + spread, edges, baseline=middle - spread, fill=True, color=colour, alpha=0.25, lw=0
    )


def line_handle(look: looks.Look, label: str | None = None) -> Line2D:
    """Make the legend entry of a sample drawn as a line."""
    return Line2D([], [], color=look.colour, ls=look.line, lw=look.width, label=label or look.label)


def area_handle(look: looks.Look, label: str | None = None) -> Patch:
    """Make the legend entry of a sample drawn as an area."""
    return Patch(
        facecolor=look.fill,
        edgecolor=look.colour,
        hatch=look.hatch or None,
        lw=look.width,
        label=label or look.label,
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
        if engine is not None:  # once for all files: else each is laid out anew
            engine.execute(fig)
            fig.set_layout_engine(None)
        for output in outputs:
            with atomic(output) as part:
                fig.savefig(part, dpi=dpi[output.suffix], metadata=metadata[output.suffix])
