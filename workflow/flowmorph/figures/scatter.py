"""Where individual points go (paper figures 3, 4, B.1 and B.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from flowmorph.figures import looks, style
from flowmorph.plan.methods import POINTWISE
from flowmorph.samples import moved, toy_parts

COLUMNS = ("reference", *POINTWISE)
POINTS = 7000  # as many as the paper shows
SIDE = (-3.0, 3.0)  # of a panel, as in the paper
# Lightness, chroma and hue (OKLCH) at the middle of each circle's range: circles differ in hue and,
# for readers in grey, in lightness.
_CIRCLES = ((0.80, 0.125, 85.0), (0.66, 0.135, 155.0), (0.52, 0.14, 255.0), (0.42, 0.14, 340.0))
_LIGHTNESS_SWING = 0.07
_HUE_SWING = 34.0


def ring_colours(circle: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Give each place on each circle a colour of its own: a closed loop of shades per circle.

    Returns sRGB of shape (N, 3) in [0, 1]. Conversion from OKLCH: Ottosson 2020.
    """
    lightness, chroma, hue = np.array(_CIRCLES)[circle].T
    lightness = lightness + _LIGHTNESS_SWING * np.sin(angle)
    hue = np.deg2rad(hue + _HUE_SWING * np.cos(angle))
    a, b = chroma * np.cos(hue), chroma * np.sin(hue)
    l_, m_, s_ = (
        (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3,
        (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3,
        (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3,
    )
    linear = np.clip(
        np.column_stack(
            [
                4.0767416621 * l_ - 3.3077115913 * m_ + 0.2309699292 * s_,
                -1.2684380046 * l_ + 2.6097574011 * m_ - 0.3413193965 * s_,
                -0.0041960863 * l_ - 0.7034186147 * m_ + 1.7076147010 * s_,
            ]
        ),
        0.0,
        1.0,
    )
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@style.styled
def transport_scatter(
    sample: moved.MovedSample,
    circle: np.ndarray,
    *,
    points: int = POINTS,
    angles: tuple[float, float] | None = None,
    same_circle: bool = False,
    columns: Sequence[str] = COLUMNS,
) -> Figure:
    """Draw the reference and where methods move it, each point in the colour of where it began.

    Args:
        sample: a moved sample of a task that starts from the four circles.
        circle: the circle, 0 to 3, that each of its points was drawn from, (N,).
        points: how many of its points are drawn, the first ones.
        angles: rotations of reference and target, degrees, printed in the top right corners; None
            for plain toys.
        same_circle: whether to print the share of points that stay nearest to the circle that they
            begin nearest to; of use where the target is the four circles, too.
        columns: what is drawn, a panel each: ``reference`` and methods of the sample.

    Raises:
        InputError: a point of the reference does not lie on its circle.
    """
    start, end = angles if angles else (None, None)
    shown = slice(0, points)
    colours = ring_colours(circle, toy_parts.angle_on(sample.reference, circle, start))[shown]
    nearest, _ = toy_parts.circle_and_angle(sample.reference, start)
    fig, axes = _layout(len(columns))
    for ax, name in zip(axes, columns, strict=True):
        x = sample.points(name)
        ax.scatter(x[shown, 0], x[shown, 1], c=colours, s=2.0, linewidths=0, rasterized=True)
        title = looks.look(name).label
        ax.set_xlabel("$x_1$")
        rotation = start if name == "reference" else end
        if rotation is not None:
            ax.text(
                0.97,
                0.965,
                f"{rotation:g}°",
                transform=ax.transAxes,
                ha="right",
                va="top",
                bbox=style.PATCH,
            )
        if same_circle and name != "reference":
            stay = np.mean(toy_parts.circle_and_angle(x, end)[0] == nearest)
            title += f", same circle: {100 * stay:.0f} %"
        ax.set_title(title)
    for ax in axes:
        ax.set(xlim=SIDE, ylim=SIDE, xticks=range(-3, 4), yticks=range(-3, 4))
        ax.tick_params(labelleft=ax is axes[0])
        ax.minorticks_on()
    axes[0].set_ylabel("$x_2$")
    return fig


def _layout(columns: int) -> tuple[Figure, np.ndarray]:
    """Make a row of square panels with margins and gaps given in inches."""
    left, right, gap, top, below = 0.36, 0.06, 0.2, 0.24, 0.36
    width = style.DOUBLE_WIDTH
    side = (width - left - right - gap * (columns - 1)) / columns
    height = top + side + below
    fig = style.figure(width, height, layout="none")
    margins = {
        "left": left / width,
        "right": 1 - right / width,
        "top": 1 - top / height,
        "bottom": below / height,
        "wspace": gap / side,
    }
    return fig, fig.subplots(1, columns, squeeze=False, gridspec_kw=margins)[0]
