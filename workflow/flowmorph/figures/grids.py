"""Whole distributions before and after each method (paper figures 5, A.1, B.2, B.4 and B.5)."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure, FigureBase
from matplotlib.image import AxesImage

from flowmorph.errors import InputError
from flowmorph.figures import looks, style
from flowmorph.plan.methods import PUBLISHED
from flowmorph.samples import geometry, moved

SIDE = (-geometry.BOX, geometry.BOX)  # of a panel
BINS = (40, 80)  # a side, fewest and most; multiples of 8, so that squares end at bin edges
COLUMNS = ("reference", "target", *PUBLISHED)

# Light to dark on white, without the palest end: a single stray point must still be seen, and the
# order of the colours survives in grey.
_COLOURS = LinearSegmentedColormap.from_list(
    "density", matplotlib.colormaps["magma_r"](np.linspace(0.10, 1.0, 256))
)


@style.styled
def density_grid(
    rows: Sequence[tuple[str, moved.MovedSample]],
    *,
    angles: Sequence[tuple[float, float]] | None = None,
    columns: Sequence[str] = COLUMNS,
) -> Figure:
    """Draw one row of two-dimensional histograms per task, one column per sample.

    ``rows`` are titles and samples of points (N, 2); all panels show [-4, 4]^2 on one logarithmic
    scale of probability per unit area, whose lower end is a single point in a bin. ``angles``, one
    pair (reference, target) in degrees per row, are printed in the panels.
    """
    if not rows:
        raise InputError("a grid needs at least one task")
    densities, norm = _densities([sample for _, sample in rows], columns)
    fig, axes, bar = _layout(len(rows), len(columns))
    for i, (title, _) in enumerate(rows):
        for j, name in enumerate(columns):
            ax = axes[i, j]
            image = _panel(ax, densities[i][j], norm)
            ax.tick_params(labelbottom=i == len(rows) - 1, labelleft=j == 0)
            if i == 0:
                ax.set_title(_heading(name), fontsize=6.5, linespacing=1.0)
            if angles:
                # In the corner where the checkerboard is empty.
                angle = angles[i][0 if name == "reference" else 1]
                ax.text(
                    0.05,
                    0.94,
                    f"{angle:g}°",
                    transform=ax.transAxes,
                    ha="left",
                    va="top",
                    fontsize=6,
                    bbox=style.PATCH,
                )
        axes[i, 0].set_ylabel(title.replace("→ ", "→\n"), fontsize=6.5, labelpad=2)
    for ax in axes[-1]:
        ax.set_xlabel("$x_1$", labelpad=0)
    for ax in axes[:, -1]:
        ax.yaxis.set_label_position("right")
        ax.set_ylabel("$x_2$", labelpad=2)
    fig.colorbar(image, cax=bar, orientation="horizontal")
    bar.set_xlabel("probability per unit area", labelpad=1)
    bar.tick_params(which="both", direction="out", top=False)
    return fig


def shapes(fig: FigureBase, sample: moved.MovedSample, columns: Sequence[str] = COLUMNS) -> None:
    """Draw one row of histograms without axes into a figure, as `density_grid` has them."""
    (densities,), norm = _densities([sample], columns)
    for ax, density, name in zip(fig.subplots(1, len(columns)), densities, columns, strict=True):
        _panel(ax, density, norm)
        ax.set(xticks=[], yticks=[])
        ax.set_title(_heading(name), fontsize=6.5, linespacing=1.0)


def _densities(
    samples: Sequence[moved.MovedSample], columns: Sequence[str]
) -> tuple[list[list[np.ndarray]], LogNorm]:
    """Densities of each sample's columns, and the scale of their colours."""
    fewest = min(map(len, samples))
    bins = 8 * round(float(np.clip(np.sqrt(fewest / 3), *BINS)) / 8)
    edges = np.linspace(*SIDE, bins + 1)
    area = (edges[1] - edges[0]) ** 2
    densities = [
        [_density(sample.points(name), edges) / area for name in columns] for sample in samples
    ]
    floor = min(1.0 / (len(sample) * area) for sample in samples)
    ceiling = max(10 * floor, max(panel.max() for row in densities for panel in row))
    return densities, LogNorm(floor, ceiling)


def _layout(rows: int, columns: int) -> tuple[Figure, np.ndarray, Axes]:
    """Make square panels of equal gaps, given in inches, and a colour bar below them."""
    left, right, gap, top, below, bar = 0.48, 0.2, 0.045, 0.27, 0.75, 0.08
    width = style.DOUBLE_WIDTH
    side = (width - left - right - gap * (columns - 1)) / columns
    height = top + rows * side + (rows - 1) * gap + below
    fig = style.figure(width, height, layout="none")
    axes = fig.subplots(
        rows,
        columns,
        squeeze=False,
        gridspec_kw={
            "left": left / width,
            "right": 1 - right / width,
            "top": 1 - top / height,
            "bottom": below / height,
            "wspace": gap / side,
            "hspace": gap / side,
        },
    )
    return fig, axes, fig.add_axes([0.3, 0.34 / height, 0.4, bar / height])


def _heading(name: str) -> str:
    words = looks.look(name).label.split(" ")
    return "\n".join(["", *words][-2:]) if len(words) < 3 else f"{words[0]} {words[1]}\n{words[2]}"


def _density(x: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Give the share of all points (also those outside the box) in each bin, y along rows."""
    counts, _, _ = np.histogram2d(x[:, 1], x[:, 0], bins=(edges, edges))
    return counts / len(x)


def _panel(ax: Axes, density: np.ndarray, norm: LogNorm) -> AxesImage:
    ax.set(xticks=(-2, 0, 2), yticks=(-2, 0, 2))
    ax.tick_params(length=1.5, width=0.4, labelsize=5.5, pad=1.5)
    return ax.imshow(
        np.ma.masked_equal(density, 0.0),
        extent=(*SIDE, *SIDE),
        origin="lower",
        norm=norm,
        cmap=_COLOURS,
        interpolation="nearest",
    )
