"""What a transport's report says of two tables, where the right answer is known."""

from __future__ import annotations

import base64
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from transports import make

import flowmorph
from flowmorph.errors import InputError
from flowmorph.formats.labels import labels
from flowmorph.preprocess.categories import Vocabulary
from flowmorph.samples.own_categories import agreed

ROWS = 3000


def sample(seed: int, shift: float = 0.0, rows: int = ROWS) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1, rows)
    return {
        "x": x,
        "k": rng.poisson(4, rows),
        "m": rng.uniform(0, 2, rows),
        "w": 0.5 + rng.random(rows),
        "era": rng.choice(["early", "late"], rows),
    }


@pytest.fixture(scope="module")
def transport(tmp_path_factory):
    """Random flows: what matters is what the report says of them."""
    train = sample(1)
    folder = make(tmp_path_factory.mktemp("transport"), ("x", "k"), ("m",), train=train, x={})
    return flowmorph.load(str(folder))


@pytest.fixture(scope="module")
def report(transport):
    return transport.report(sample(2), sample(3, 0.7), points=3000, labels={"x": "$x_1$"})


def test_a_reference_like_the_target_is_at_the_floor(transport):
    auc = transport.report(sample(2), sample(3), points=3000).table["auc"]
    assert abs(auc["floor"] - 0.5) < 0.03 and abs(auc["ceiling"] - 0.5) < 0.03
    assert auc["movement penalty"] > 0.6  # random flows


def test_a_shift_has_the_auc_that_is_known(report):
    # Of two normal distributions 0.7 standard deviations apart: Phi(0.7 / sqrt(2)) = 0.690.
    row = report.table.loc["ceiling"]
    assert abs(row["auc"] - 0.690) < 0.03 and row["auc_low"] < 0.690 < row["auc_high"]
    # The largest difference of their cumulative distributions is 2 Phi(0.35) - 1 = 0.274.
    assert abs(report.marginals.loc[("ceiling", "x"), "ks"] - 0.274) < 0.03
    assert report.marginals.loc[("ceiling", "k"), "ks"] < 0.04
    assert report.table["points"].to_list() == [1500, 3000, 3000]


def test_rows_of_the_method_are_those_that_move_gives(transport, report):
    moved = transport.move(sample(2))
    again = transport.report(moved, sample(3, 0.7), points=3000)
    assert again.table.loc["ceiling", "auc"] == pytest.approx(
        report.table.loc["movement penalty", "auc"], abs=0.03
    )


def test_weights_count(transport):
    # Weights that make a shifted reference the target: the ratio of their densities.
    reference = sample(2)
    weights = np.exp(0.5 * reference["x"] - 0.125)
    as_array = transport.report(reference, sample(3, 0.5), weights=(weights, None), points=3000)
    assert as_array.table.loc["ceiling", "auc"] < 0.54
    assert as_array.table.loc["ceiling", "effective_points"] < 2900
    named = transport.report(reference | {"v": weights}, sample(3, 0.5), weights=("v", None))
    pd.testing.assert_frame_equal(named.table, as_array.table)


def test_negative_weights_are_refused_or_resampled(transport):
    reference = sample(2)
    reference["w"] = np.where(np.arange(ROWS) % 10 == 0, -1.0, 1.0)
    with pytest.raises(InputError, match="^reference: weight 'w' of row 0 is neg.* let negative"):
        transport.report(reference, sample(3), weights=("w", None))
    table = transport.report(reference, sample(3), weights=("w", None), negative="absolute").table
    assert table.loc["ceiling", "effective_points"] == pytest.approx(ROWS * 0.8**2, rel=0.01)
    with pytest.raises(InputError, match="negative: 'no' is unknown"):
        transport.report(reference, sample(3), weights=("w", None), negative="no")


def test_a_notebook_shows_table_and_figure(report):
    html = report._repr_html_()
    picture = base64.b64decode(re.search('base64,([^"]+)"', html)[1])
    assert picture[:8] == b"\x89PNG\r\n\x1a\n" and len(picture) > 20_000
    assert "<table" in html and "ceiling" in html and "ceiling" in str(report)
    texts = {text.get_text() for sub in report.figure.subfigs for text in _texts(sub)}
    assert {"$x_1$ (scaled)", "$x_1$", "k", "m"} <= texts


def _texts(sub):
    for ax in sub.axes:
        yield ax.xaxis.label
        yield from ax.get_xticklabels()


def test_the_same_seed_gives_the_same(transport):
    first, second = (transport.report(sample(2), sample(3), points=500) for _ in range(2))
    pd.testing.assert_frame_equal(first.table, second.table)
    assert first._repr_html_() == second._repr_html_()
    other = transport.report(sample(2), sample(3), points=500, seed=1)
    assert not other.table.equals(first.table)


def test_categories_and_folds(tmp_path):
    train, vocabulary = sample(1), Vocabulary("era")
    codes = vocabulary.codes(*labels(train["era"], "era"))
    known = {"era": agreed(vocabulary, {"reference": codes, "target": codes}, "")}
    folder = make(
        tmp_path, ("x",), ("m", "era"), folds=2, train=train | {"era": codes}, x={},
        era={"categorical": True}, categories=known,
    )  # fmt: skip
    report = flowmorph.load(str(folder)).report(sample(2), sample(3), points=500)
    assert report.table.loc["ceiling", "auc"] < 0.6
    with pytest.raises(InputError, match="target: column 'era': row .* has the category 'never'"):
        unknown = sample(3) | {"era": np.full(ROWS, "never")}
        flowmorph.load(str(folder)).report(sample(2), unknown)


@pytest.mark.parametrize(
    ("reference", "target", "message"),
    [
        ({"x": [1.0]}, sample(3), "reference: no column 'k'"),
        (sample(2, rows=10), sample(3), "report: 10 rows.* are too few"),
        (sample(2), sample(3) | {"x": np.full(ROWS, np.nan)}, "target: column 'x': the value of"),
        (sample(2) | {"x": np.full(ROWS, 1e300)}, sample(3), "reference: .* is too far outside"),
        (sample(2), "data.root", "target: str is no table"),
    ],
    ids=str,
)
def test_what_cannot_be_compared_is_named(transport, reference, target, message):
    with pytest.raises(InputError, match=message):
        transport.report(reference, target)


def test_missing_values_can_be_dropped(transport):
    holes = sample(2)
    holes["x"][:100] = np.nan
    table = transport.report(holes, sample(3), missing="drop", points=500).table
    assert table.loc["ceiling", "points"] == ROWS - 100


def test_of_many_features_the_figure_has_those_that_differ_most(tmp_path):
    names = [f"f{i:02d}" for i in range(22)]

    def rows(seed: int, shift: float = 0.0) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        return {name: rng.normal(shift * (name == "f21"), 1, 400) for name in names}

    make(tmp_path, names, (), train=rows(1), width=32)
    report = flowmorph.load(str(tmp_path), device="cpu").report(rows(2), rows(3, 3.0), points=400)
    shown = [ax.get_xlabel() for ax in report.figure.findobj(Axes)]
    drawn = [text.removesuffix(" (scaled)") for text in shown if text.endswith(" (scaled)")]
    assert len(drawn) == 20 and drawn[0] == "f21"
    texts = " ".join(text.get_text() for text in report.figure.findobj(Text))
    assert "20 of 22 features" in texts
    assert len(report.marginals) == 3 * 22
