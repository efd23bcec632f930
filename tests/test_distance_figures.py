"""Figures of the distance travelled."""

from __future__ import annotations

import numpy as np
import pytest
from figure_samples import (
    texts,
)

from flowmorph.figures import (
    distances,
    looks,
)
from flowmorph.plan.methods import PUBLISHED


def test_distance_legend_states_pooled_mean_and_deviation(toy):
    longer = toy.with_alternative("flows_for_flows", toy.reference + [0.0, 0.5])
    fig = distances.distance_figure([toy, longer], units="scaled features", note="sidebands")
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert [label.split("\n")[0] for label in labels] == [
        looks.LOOKS[name].label for name in distances.COLUMNS
    ]
    assert "base transfer\n0.100 ± 0.000" in labels
    assert "flows for flows\n0.400 ± 0.100" in labels  # 0.3 and 0.5, pooled
    baseline = np.linalg.norm(toy.target - toy.reference, axis=1)
    assert labels[0] == f"baseline\n{baseline.mean():.3f} ± {baseline.std():.3f}"
    (ax,) = fig.axes
    assert ax.get_xlabel() == "distance travelled (scaled features)"
    assert "sidebands" in texts(fig)


def test_distance_histograms_hold_every_point_and_the_baseline_is_hatched(toy):
    # Zero on a logarithmic axis.
    still = toy.with_alternative("identity_initialization", toy.reference)
    (ax,) = distances.distance_figure([still]).axes
    assert len(ax.patches) == 6
    for steps in ax.patches:
        assert steps.get_data().values.sum() == pytest.approx(1.0)
    assert [bool(steps.get_hatch()) for steps in ax.patches] == [True] + 5 * [False]


def test_a_linear_axis_of_distance_counts_what_lies_beyond_it(toy):
    left, right = distances.distance_figure([toy], linear=0.35).axes
    assert left.get_xlim() == (0.0, 0.35) and left.get_xscale() == "linear"
    assert right.get_xscale() == "log"
    shares = {  # of methods that move by 0.1, 0.2, ...
        name: steps.get_data().values.sum()
        for name, steps in zip(distances.COLUMNS, left.patches, strict=True)
    }
    assert [shares[method] for method in PUBLISHED] == pytest.approx([1, 1, 1, 0, 0])
    baseline = np.linalg.norm(toy.target - toy.reference, axis=1)
    assert shares["baseline"] == pytest.approx(np.mean(baseline <= 0.35))
    assert all(steps.get_data().values.sum() == pytest.approx(1.0) for steps in right.patches)
    assert left.get_xlabel() == right.get_xlabel() and len(right.patches) == 6


def test_numbers_of_a_feature_lie_above_the_histograms(science):
    fig = distances.feature_distance_figure(science)
    fig.canvas.draw()
    for ax in fig.axes[:5]:
        lowest = min(text.get_window_extent().y0 for text in ax.texts)
        right = max(text.get_window_extent().x1 for text in ax.texts)
        for steps in ax.patches:
            values, edges, _ = steps.get_data()
            corners = ax.transData.transform(np.column_stack([edges[:-1], values]))
            assert corners[corners[:, 0] < right, 1].max(initial=0) < lowest


def test_feature_distances_have_five_panels_with_means(science):
    fig = distances.feature_distance_figure(science, note="sidebands")
    panels = [ax for ax in fig.axes if ax.get_xlabel()]
    assert len(panels) == 5
    assert all(ax.get_xlabel().endswith("(scaled)") for ax in panels)
    assert [text.get_text() for text in panels[2].texts[1:]] == [
        "0.020",
        "0.040",
        "0.060",
        "0.080",
        "0.100",
    ]
    assert r"\Delta R_{JJ}" in panels[4].get_xlabel()
