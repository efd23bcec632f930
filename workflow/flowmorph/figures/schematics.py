"""Drawings of the architecture (paper figures 1 and 2) and of the methods (table 1)."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from flowmorph.figures import looks, style
from flowmorph.samples import geometry
from flowmorph.tables.table import HEURISTICS

_SIDE = 1.6  # of a distribution's box, in the drawing's units
_LEFT, _RIGHT, _TOP, _BOTTOM = 1.35, 7.65, 4.25, 1.3
_DENSITY = looks.look("flows_for_flows").colour
_TRANSPORT = looks.look("movement_penalty").colour


@style.styled
def architecture() -> Figure:
    """Draw figure 1: two densities, each a flow from a standard normal, and the flow between."""
    fig, ax = _canvas()
    _distributions(ax, "$p_R(x)$", "$p_T(y)$")
    _flows(ax, r"$f_{\phi_1}$", r"$f_{\phi_2}$", r"$f_\gamma$")
    ax.text(
        4.5,
        _TOP - 0.2,
        "trained in both directions,\n" r"$f_{\phi_1}$ and $f_{\phi_2}$ frozen",
        ha="center",
        va="top",
        fontsize=6.5,
        linespacing=1.4,
    )
    gap = _SIDE / 2 + 0.1
    _arrow(ax, (_LEFT + gap, _BOTTOM), (_RIGHT - gap, _BOTTOM), "0.45", "-|>", dashed=True)
    ax.text(
        4.5,
        _BOTTOM + 0.12,
        r"base transfer: $f_{\phi_2} \circ f_{\phi_1}^{-1}$",
        ha="center",
        va="bottom",
        fontsize=6.5,
    )
    return fig


@style.styled
def conditional_architecture() -> Figure:
    """Draw figure 2: the same with a condition for each density and both for the flow between."""
    fig, ax = _canvas()
    _distributions(ax, r"$p_R(x\,|\,c_x)$", r"$p_T(y\,|\,c_y)$")
    _flows(ax, r"$f_{\phi_1(c_x)}$", r"$f_{\phi_2(c_y)}$", r"$f_{\gamma(c_x,\,c_y)}$")
    middle = (_TOP + _BOTTOM) / 2
    for x, base, name in ((3.5, _LEFT, "c_x"), (5.5, _RIGHT, "c_y")):
        away = 1 if x > base else -1
        ax.add_patch(Circle((x, middle), 0.38, facecolor="0.92", edgecolor="black", lw=0.8))
        ax.text(x, middle, f"${name}$", ha="center", va="center", fontsize=8)
        _arrow(ax, (x - away * 0.42, middle), (base + away * 0.15, middle), "0.45", "-|>")
        _arrow(ax, (x + away * 0.2, middle + 0.4), (4.5 - away * 0.3, _TOP - 0.1), "0.45", "-|>")
    choices = ("shared: $c = c_x = c_y$", "difference: $c_x - c_y$", "both: $(c_x, c_y)$")
    ax.text(
        4.5, middle - 0.6, "\n".join(choices), ha="center", va="top", fontsize=6.5, linespacing=1.45
    )
    return fig


@style.styled
def method_table() -> Figure:
    """Draw table 1: each method's name, the way it is trained, and its line in every figure."""
    row = 0.23  # inches
    height = row * (len(HEURISTICS) + 1.4)
    fig = style.figure(style.SINGLE_WIDTH, height, layout="none")
    ax = fig.add_axes([0, 0, 1, 1])
    ax.set(xlim=(0, style.SINGLE_WIDTH), ylim=(height, 0))
    ax.set_axis_off()
    columns = (0.08, 1.55, 2.82)
    for x, heading in zip(columns, ("method", "training heuristic", "line"), strict=True):
        ax.text(x, 0.65 * row, heading, va="center", weight="bold")
    for i, (name, heuristic) in enumerate(HEURISTICS.items()):
        y = (i + 1.8) * row
        drawn = looks.look(name)
        ax.text(columns[0], y, drawn.label, va="center")
        ax.text(columns[1], y, f"${heuristic}$", va="center", fontsize=9, math_fontfamily="stix")
        ax.plot(
            (columns[2], style.SINGLE_WIDTH - 0.08),
            (y, y),
            color=drawn.colour,
            ls=drawn.line,
            lw=drawn.width,
        )
    for y, width in ((0.1 * row, 1.0), (1.2 * row, 0.6), (height - 0.05 * row, 1.0)):
        ax.axhline(y, 0.02, 0.98, color="black", lw=width)
    return fig


def _canvas() -> tuple[Figure, Axes]:
    width, height = 9.0, 5.75
    fig = style.figure(style.SINGLE_WIDTH, style.SINGLE_WIDTH * height / width, layout="none")
    ax = fig.add_axes([0, 0, 1, 1])
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.set_axis_off()
    return fig, ax


def _distributions(ax: Axes, reference: str, target: str) -> None:
    """Draw the four boxes with a picture of each distribution inside and its name beside."""
    normal = r"$\mathcal{N}(0, 1)$"
    for x, y, picture, name in (
        (_LEFT, _TOP, _circles, f"reference {reference}"),
        (_RIGHT, _TOP, _star, f"target {target}"),
        (_LEFT, _BOTTOM, _normal, normal),
        (_RIGHT, _BOTTOM, _normal, normal),
    ):
        corner = (x - _SIDE / 2, y - _SIDE / 2)
        rounded = "round,pad=0,rounding_size=0.18"
        ax.add_patch(
            FancyBboxPatch(corner, _SIDE, _SIDE, boxstyle=rounded, fc="white", ec="black", lw=0.9)
        )
        picture(ax, x, y)
        above = y == _TOP
        ax.text(
            x,
            y + (0.95 if above else -0.95),
            name,
            ha="center",
            va="bottom" if above else "top",
            fontsize=7,
        )


def _flows(ax: Axes, reference: str, target: str, transport: str) -> None:
    """Draw the two density flows, base to data, and the transport flow, which goes both ways."""
    gap = _SIDE / 2 + 0.1
    for x, name, side in ((_LEFT, reference, "right"), (_RIGHT, target, "left")):
        _arrow(ax, (x, _BOTTOM + gap), (x, _TOP - gap), _DENSITY, "<|-|>")
        shift = -0.15 if side == "right" else 0.15
        ax.text(
            x + shift, (_TOP + _BOTTOM) / 2, name, ha=side, va="center", fontsize=9, color=_DENSITY
        )
    _arrow(ax, (_LEFT + gap, _TOP), (_RIGHT - gap, _TOP), _TRANSPORT, "<|-|>")
    ax.text(4.5, _TOP + 0.12, transport, ha="center", va="bottom", fontsize=9, color=_TRANSPORT)


def _arrow(
    ax: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str,
    heads: str,
    dashed: bool = False,
) -> None:
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle=heads,
            mutation_scale=7,
            lw=1.3 if heads == "<|-|>" else 0.8,
            color=colour,
            linestyle=(0, (4, 2)) if dashed else "-",
            shrinkA=0,
            shrinkB=0,
        )
    )


def _circles(ax: Axes, x: float, y: float) -> None:
    scale = 0.42 * _SIDE / 3.0
    for cx, cy in geometry.CENTRES:
        centre, radius = (x + scale * cx, y + scale * cy), scale * geometry.RADIUS
        ax.add_patch(Circle(centre, radius, fill=False, ec="0.35", lw=1.5))


def _star(ax: Axes, x: float, y: float) -> None:
    scale = 0.42 * _SIDE / geometry.BAR[1]
    for turn in np.deg2rad([0, 90, 180, 270]):
        ends = scale * np.array(geometry.BAR)
        ax.plot(
            x + ends * np.cos(turn),
            y + ends * np.sin(turn),
            color="0.35",
            lw=3,
            solid_capstyle="round",
        )


def _normal(ax: Axes, x: float, y: float) -> None:
    for radius, grey in ((0.72, "0.90"), (0.54, "0.76"), (0.36, "0.60"), (0.18, "0.45")):
        ax.add_patch(Circle((x, y), radius, facecolor=grey, edgecolor="none"))
