"""What a search for a resonance gains by morphing: significance improvement of each template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from flowmorph.figures import looks, style
from flowmorph.metrics.measures import Measure
from flowmorph.metrics.search import (
    EFFICIENCIES,
    EXCESS_EFFICIENCY,
    IDEALISED,
    SUPERVISED,
    mean_and_error,
)


@style.styled
def search_figure(
    curves: Mapping[str, Sequence[np.ndarray]],
    numbers: Mapping[float, Sequence[Measure]],
    shown: float,
) -> Figure:
    """Draw the improvement against the signal efficiency, its maximum by fraction, and excesses.

    Args:
        curves: background efficiency, (n,), at each of `EFFICIENCIES` of the signal, of every draw
            by template, for data with the fraction ``shown`` of signal.
        numbers: measures of all draws by fraction of signal in the data.
        shown: fraction of signal for each background event.
    """
    fig = style.figure(style.DOUBLE_WIDTH, 2.9)
    left, middle, right = fig.subplots(1, 3, gridspec_kw={"width_ratios": (1.25, 1, 1)})
    for name, efficiencies in curves.items():
        # Where some draws leave too few events, a mean of the others would be another quantity.
        improvement = EFFICIENCIES / np.sqrt(np.mean(efficiencies, axis=0))
        look = looks.look(name)
        left.plot(
            EFFICIENCIES,
            improvement,
            color=look.colour,
            linestyle=look.line,
            linewidth=look.width,
            label=look.label,
        )
    left.plot(EFFICIENCIES, np.sqrt(EFFICIENCIES), color="0.7", lw=0.6, zorder=0)
    left.set_xlabel(r"signal efficiency $\varepsilon_S$")
    left.set_ylabel(r"$\varepsilon_S/\sqrt{\varepsilon_B}$")
    left.set_title(f"{100 * shown:g} % signal in the data", fontsize=7)
    left.set_xlim(0, 1)
    left.set_ylim(bottom=0)
    names = [name for name in curves if name != SUPERVISED]
    signals = [fraction for fraction in numbers if fraction > 0]
    for i, name in enumerate(names):
        offset = (i - (len(names) - 1) / 2) * 0.09
        look = looks.look(name)
        drawn = [
            (middle, "sic_max", signals, True),
            (right, "excess_calibrated", list(numbers), True),
            (right, "excess", list(numbers), name == IDEALISED),
        ]
        for ax, metric, fractions, filled in drawn:
            for place, fraction in enumerate(fractions):
                values, common = (
                    [m.value for m in numbers[fraction] if (m.method, m.metric) == (name, key)]
                    for key in (metric, f"{metric}_common")
                )
                if not values:  # too few events were behind the cut
                    continue
                mean, error = mean_and_error(values, common)
                ax.errorbar(
                    place + offset,
                    mean,
                    error,
                    color=look.colour,
                    fmt=look.marker,
                    ms=3,
                    mew=0 if filled else 0.6,
                    mfc=look.colour if filled else "white",
                    elinewidth=0.7,
                )
    for ax, fractions in ((middle, signals), (right, list(numbers))):
        ax.set_xticks(range(len(fractions)), [f"{100 * f:g} %" for f in fractions])
        ax.set_xlim(-0.6, len(fractions) - 0.4)
        ax.set_xlabel("signal in the data")
    middle.set_ylim(bottom=0)
    middle.set_ylabel(r"largest $\varepsilon_S/\sqrt{\varepsilon_B}$")
    right.axhline(0, color="0.6", lw=0.6, zorder=0)
    right.set_ylabel(f"excess behind a cut at {100 * EXCESS_EFFICIENCY:g} % [σ]")
    right.set_title("filled: calibrated; open: not", fontsize=7)
    fig.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=5)
    return fig
