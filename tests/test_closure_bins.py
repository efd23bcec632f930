"""Comparisons in bins of columns: which rows lie in a bin, and what the table says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scripts_by_name import script

from flowmorph.plan.jobs.form import to_json
from flowmorph.plan.jobs.measuring import ClosureJob
from flowmorph.preprocess.categories import Categories
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples.binned import binned, values
from flowmorph.samples.moved import MovedSample

JOB = ClosureJob(
    "own", ("validation",), ("movement_penalty",), ("x", "n"), ("era", "m"),
    (("z", (0.0, 1.0, 2.0)),), ("z",), "shared", 20_000, 1,
)  # fmt: skip
ROWS = 3000


def fit() -> Preprocessor:
    table = {"x": np.array([-5.0, 5]), "n": np.array([0.0, 9]), "m": np.array([0.0, 1])}
    choices = {"x": {}, "n": {"integer": True}, "era": {}, "m": {}}
    known = {"era": Categories(("a", "b"))}
    return Preprocessor.fit([table], choices, conditions=["era", "m"], categories=known)


def box(x, n, era, m) -> tuple[np.ndarray, np.ndarray]:
    """Points and conditions in the flows' box."""
    scaled = fit().forward({"x": x, "n": n, "era": era, "m": m}, 1)
    return fit().inputs(scaled, ["x", "n"], len(x)), fit().inputs(scaled, ["era", "m"], len(x))


@pytest.fixture
def sample(tmp_path) -> MovedSample:
    """The target has 1 more in x, which the method gives to rows of z < 1 only.

    The prepared files have a few rows more than are compared.
    """
    rng = np.random.default_rng(1)
    found = {}
    for name, shift in (("reference", 0.0), ("target", 1.0)):
        x, n = rng.normal(shift, 1, ROWS), rng.poisson(3, ROWS).clip(0, 9).astype(float)
        z, era, m = rng.uniform(0, 2, ROWS), rng.integers(0, 2, ROWS) * 1.0, rng.random(ROWS)
        found[name] = {"x": x, "n": n, "era": era, "m": m, "z": z}
        more = np.append(z, [0.5] * 20)[:, None]
        np.savez(tmp_path / f"{name}.npz", **{"validation.closure": more})
    columns = ("x", "n", "era", "m")
    (x, c_x), (y, c_y) = (box(*(each[key] for key in columns)) for each in found.values())
    start = found["reference"]
    image = x.copy()
    image[:, 0] += 0.6 * (start["z"] < 1)  # 0.6 in the box is 1 in x
    made = MovedSample(x, y, c_x, c_y, {"movement_penalty": image})
    made.save(tmp_path / "moved.npz")
    fit().save(tmp_path / "pre.json")
    return made


def measured(folder: Path, job: ClosureJob) -> pd.DataFrame:
    script("measure_closure_bins").main(
        ["--job", to_json(job), "--moved", str(folder / "moved.npz"),
         "--reference", str(folder / "reference.npz"), "--target", str(folder / "target.npz"),
         "--preprocessing", str(folder / "pre.json"),
         "--output", str(folder / "bins.csv"), str(folder / "bins.md")]
    )  # fmt: skip
    return pd.read_csv(folder / "bins.csv").set_index(["column", "bin", "method"]).sort_index()


def test_a_map_that_is_right_in_one_bin_only(sample, tmp_path):
    found = measured(tmp_path, JOB)
    right, wrong = (found.loc[("z", each, "movement penalty")] for each in ("0 to 1", "1 to 2"))
    ceiling = found.loc[("z", "1 to 2", "ceiling")]
    assert right["auc"] < 0.53 and right["ks"] < 0.06
    # A shift by one standard deviation has an AUC of 0.76, and a KS of 0.38.
    for each in (wrong, ceiling):
        assert each["feature"] == "x"
        assert each["auc"] == pytest.approx(0.76, abs=0.04)
        assert each["ks"] == pytest.approx(0.38, abs=0.04)
    assert wrong["points"] == ceiling["points"] <= ROWS / 2 + 80
    assert found["auc_low"].le(found["auc"]).all() and found["auc"].le(found["auc_high"]).all()


def test_rows_of_bins_of_every_kind_of_column(sample):
    bins = (
        ("z", (0.0, 0.5)), ("x", (0.0, 1.0)), ("n", (2.0, 4.0, 5.0)), ("era", ()),
        ("m", (0.0, 0.25)),
    )  # fmt: skip
    job = replace(JOB, bins=bins, others=("m", "z"))
    numbers = {"m": (np.arange(4), np.arange(4)), "z": (np.array([0, 0.5, np.nan, 0.4]),) * 2}
    none = np.zeros(4)
    start, _ = box(np.array([0.01, 0.5, 1.01, -0.1]), np.array([2.0, 3, 4, 5]), none, none)
    image, _ = box(np.array([0.5, 1.5, 0.9, 0.1]), np.array([4.0, 3, 9, 5]), none, none)
    eras = np.array([[0.5, 1, 0], [0.1, 0, 1], [0.2, 0, 1], [0.3, 1, 0]], np.float32)
    few = MovedSample(start, start, eras, eras[[0, 0, 0, 1]], {"movement_penalty": image})
    parts = list(binned(few, job, fit(), numbers))
    both = ("reference", "movement_penalty")
    assert [(p.column, p.label, p.names, p.rows.tolist()) for p in parts] == [
        ("z", "0 to 0.5", both, [0, 3]),
        # A feature's bins are those of the value at hand: before and after.
        ("x", "0 to 1", both[:1], [0, 1]), ("x", "0 to 1", both[1:], [0, 2, 3]),
        ("n", "2 to 4", both[:1], [0, 1]), ("n", "2 to 4", both[1:], [1]),
        ("n", "4 to 5", both[:1], [2]), ("n", "4 to 5", both[1:], [0]),
        ("era", "a", both, [0, 3]), ("era", "b", both, [1, 2]),
        ("m", "0 to 0.25", both, [0]),
    ]  # fmt: skip
    assert [p.target_rows.tolist() for p in parts if p.column == "era"] == [[0, 1, 2], [3]]
    inside = next(p for p in parts if p.label == "a").of(few)
    assert inside.reference.shape == inside.target.shape == (2, 2)


def test_values_are_those_of_the_rows_that_were_moved(sample, tmp_path):
    names = ([str(tmp_path / f"{name}.npz")] for name in ("reference", "target"))
    found = values(JOB, "validation", *names, len(sample))
    assert [len(each) for each in found["z"]] == [ROWS, ROWS]


def test_a_bin_of_few_rows_says_so(sample, tmp_path):
    found = measured(tmp_path, replace(JOB, bins=(("z", (0.0, 0.005, 2.0)),)))
    few = found.loc[("z", "0 to 0.005")]
    assert few["auc"].isna().all() and (few["points"] < 20).all()
    assert found.loc[("z", "0.005 to 2")]["auc"].notna().all()
    text = (tmp_path / "bins.md").read_text()
    assert text.count("own: z 0 to 0.005: ") == 1 and "too few to be compared" in text


def test_weights_and_signs_of_both_samples(sample, tmp_path):
    """Events that weights take out are no part of a bin's comparison."""
    spoilt = np.random.default_rng(2).random(ROWS) < 0.3
    image = sample.methods["movement_penalty"].copy()
    image[spoilt, 0] += 1.0
    w, ones = np.where(spoilt, 0.0, 1.0), np.ones(ROWS)
    replace(
        sample, methods={"movement_penalty": image}, weight_reference=w, weight_target=ones,
        signed_reference=w, signed_target=ones,
    ).save(tmp_path / "moved.npz")  # fmt: skip
    right = measured(tmp_path, JOB).loc[("z", "0 to 1", "movement penalty")]
    assert right["auc"] < 0.54 and right["ks"] < 0.06
    assert right["effective_points"] == pytest.approx(0.7 * right["points"], rel=0.1)


def test_figure_of_bins(sample, tmp_path):
    bins = (("z", (0.0, 0.005, 1.0, 2.0)), ("era", ()), ("x", (-1.0, 1.0)))
    script("plot_closure_bins").main(
        ["--job", to_json(replace(JOB, bins=bins)), "--split", "validation",
         "--moved", str(tmp_path / "moved.npz"), "--reference", str(tmp_path / "reference.npz"),
         "--target", str(tmp_path / "target.npz"), "--preprocessing", str(tmp_path / "pre.json"),
         "--labels", "$x$", "n", "--methods", "movement_penalty", "--note", "all rows",
         "--output", str(tmp_path / "bins.png"), str(tmp_path / "bins.pdf")]
    )  # fmt: skip
    assert (tmp_path / "bins.png").stat().st_size
