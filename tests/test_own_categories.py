"""Categorical conditions in the preparation of both samples, and in their spectra."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from closures import prepare_all
from scripts_by_name import script
from test_formats import write as write_kind
from test_own_samples import settings
from transports import NOWHERE, table

from flowmorph.errors import InputError
from flowmorph.metrics import spectra
from flowmorph.plan.jobs.events import OwnFiles, OwnJob
from flowmorph.plan.jobs.form import to_json
from flowmorph.plan.objects import moved_objects
from flowmorph.samples import own_objects, row_hashes
from flowmorph.samples.own_objects import check_categories
from flowmorph.samples.own_samples import prepare
from flowmorph.user.output import Output

PREPARED = {
    "condition": {"era": {"categorical": True}, "m": {}}, "features": {"x": {}}, "regions": NOWHERE,
}  # fmt: skip
REGIONS, APPLY = {"column": "m", "train": [[0, 1.5]]}, [[1.5, 2]]


def write_samples(folder: Path, reference, target, suffix: str = "parquet") -> dict:
    """Samples with these categories."""
    found = {}
    for seed, (name, eras) in enumerate({"reference": reference, "target": target}.items()):
        columns = table(len(eras), seed) | {"era": eras}
        path = folder / f"{name}.{suffix}"
        write_kind(path, "csv" if suffix == "csv" else "parquet", columns)
        found[name] = {"files": str(path), "tree": None, "format": None, "weights": None}
    return found


def eras_of(*parts: tuple) -> list:
    """Categories, each so many times, in random order."""
    every = [label for label, count in parts for _ in range(count)]
    order = np.random.default_rng(3).permutation(len(every))
    return [every[place] for place in order]


def test_both_samples_have_one_input_a_category_in_one_order(tmp_path):
    samples = write_samples(
        tmp_path,
        eras_of(("b", 200), ("a", 100), ("c", 50)),
        eras_of(("c", 90), ("b", 90), ("a", 30)),
    )
    prepared, fit, rows = prepare(samples, settings(**PREPARED))
    assert fit.categories["era"].labels == ("a", "b", "c")
    for name, expected in (("reference", (100, 200, 50)), ("target", (30, 90, 90))):
        found = np.concatenate([prepared[name][f"{s}.condition"] for s in ("train", "validation")])
        assert found.shape[1] == 4 and np.isin(found[:, 1:], (0, 1)).all()
        assert found[:, 1:].sum(axis=0).tolist() == list(expected)
        np.testing.assert_array_equal(prepared[name]["condition.gaps"], np.zeros(4))
    # Fewer than 100 training rows of a sample, and nothing else to say.
    few = [re.match("Warning: condition 'era': the category '(.)' has few", n) for n in rows.notes]
    assert [found and found[1] for found in few] == ["a", "b", "c"]
    # Rows of a fold are those that the transport takes for its.
    table_of = pd.read_parquet(samples["target"]["files"])
    codes = table_of["era"].map({"a": 0.0, "b": 1.0, "c": 2.0})
    hashes = row_hashes.hashes({**table_of, "era": codes}, ["x", "era", "m"])
    assert set(prepared["target"]["train.rows"]) <= set(hashes)


def test_formats_and_types_of_both_samples_may_differ(tmp_path):
    first = write_samples(tmp_path, [1.0, 0.0] * 30, [1, 0] * 30, "csv")
    second = write_samples(tmp_path, [True, False] * 30, [1, 0] * 30)
    samples = {"reference": second["reference"], "target": first["target"]}
    _, fit, _ = prepare(samples, settings(**PREPARED))
    assert fit.categories["era"].labels == (0, 1)


@pytest.mark.parametrize(
    ("reference", "target", "changes", "message"),
    [
        ([("a", 50), ("b", 50), ("c", 20)], [("a", 40), ("b", 40)], {},
         "condition 'era': only the reference has the category 'c' among the rows to train on .18 "
         "rows., not the target, which has 'a', 'b': leave these rows out"),
        ([("a", 50), ("b", 50)], [("a", 40), (2018, 40)], {},
         "only the reference has the category 'b' among"),
        ([("a", 50)], [("b", 50)], {}, "only the reference has the category 'a' among"),
        ([("a", 50)], [("a", 50)], {}, "condition 'era' is constant in both samples: leave it out"),
        ([(i, 1) for i in range(60)], [(1, 60)], {},
         "reference.*: column 'era' has more than 50 categories .such as"),
        ([("a", 50), ("b", 50)], [("a", 50), (None, 50)], {},
         "target.*: column 'era': the value of row . is missing"),
    ],
    ids=["one only", "number and text", "each another", "one in all", "too many", "missing"],
)  # fmt: skip
def test_samples_that_cannot_be_compared_are_refused(tmp_path, reference, target, changes, message):
    columns = [eras_of(*parts) for parts in (reference, target)]
    suffix = "csv" if any(not isinstance(e, str) for part in columns for e in part) else "parquet"
    samples = write_samples(tmp_path, *columns, suffix)
    with pytest.raises(InputError, match=message) as caught:
        prepare(samples, settings(**PREPARED | {"missing": "error"} | changes))
    assert "\n" not in str(caught.value)


def test_a_category_that_is_moved_only_is_refused_before_anything_is_trained(tmp_path):
    samples = write_samples(tmp_path, ["a", "b"] * 100, ["b", "a"] * 100)
    frame = pd.read_parquet(samples["reference"]["files"])
    frame.loc[frame["m"] > 1.9, "era"] = "c"
    frame.to_parquet(samples["reference"]["files"])
    changes = PREPARED | {"regions": REGIONS}
    row = np.flatnonzero(frame["era"] == "c")[0]
    message = f"reference.parquet: column 'era': row {row} has the category 'c', which the training"
    with pytest.raises(InputError, match=message):
        prepare(samples, settings(**changes), APPLY)
    # Of the target such rows are not used.
    samples["reference"], samples["target"] = samples["target"], samples["reference"]
    _, fit, _ = prepare(samples, settings(**changes), APPLY)
    assert fit.categories["era"].labels == ("a", "b")
    with pytest.raises(InputError, match=f"reference.parquet: column 'era': row {row} has"):
        prepare_all(samples, settings(**changes), APPLY)


OBJECTS = {"lead": {}, "sub": {"x": "sub_x", "era": "sub_era"}}


def with_objects(folder: Path) -> tuple[dict, pd.DataFrame]:
    """Samples whose reference has a second object, and this reference."""
    eras = ["a", "b"] * 100
    samples = write_samples(folder, eras, eras, "parquet")
    frame = pd.read_parquet(samples["reference"]["files"])
    return samples, frame.assign(sub_x=frame["x"], sub_era=eras[::-1])


def check_objects(samples: dict, objects=OBJECTS, outside="move", apply=APPLY, **changes) -> None:
    chosen = settings(**PREPARED | {"regions": REGIONS} | changes)
    _, fit, _ = prepare(samples, chosen, apply)
    output = Output(objects=moved_objects(objects=objects), outside=outside)
    check_categories(samples["reference"], chosen, output, fit, apply)


def test_a_category_of_an_object_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    """By the file and row of the first one that would be moved, in chunks too."""
    monkeypatch.setattr(own_objects, "CHUNK_ROWS", 30)
    samples, frame = with_objects(tmp_path)
    path = samples["reference"]["files"]
    frame.loc[0, ["sub_era", "m"]] = "elsewhere", 0.5
    moved = np.flatnonzero(frame["m"] > 1.5)
    assert moved[7] > 30
    frame.loc[moved[7:9], "sub_era"] = "tau"
    frame.loc[moved[1], ["sub_era", "sub_x"]] = "missing", np.nan
    frame.loc[moved[2], "sub_era"] = None
    frame.to_parquet(path)
    message = rf"^{path}: column 'sub_era': row {moved[7]} has the category 'tau', which the train"
    with pytest.raises(InputError, match=message + "ing has not seen .but 'a', 'b'; . such row"):
        check_objects(samples)
    # An object that is not moved may have any.
    check_objects(samples, {"lead": {}})
    frame.loc[moved[7:9], "sub_x"] = 1e6
    frame.to_parquet(path)
    check_objects(samples, outside="keep")
    with pytest.raises(InputError, match="'tau'"):
        check_objects(samples)


def test_categories_of_lists_are_refused_by_row_and_element(tmp_path):
    samples, frame = with_objects(tmp_path)
    frame["sub_x"] = [[0.5, 1.5]] * len(frame)
    frame["sub_era"] = [["a", "b"]] * len(frame)
    frame.to_parquet(samples["reference"]["files"])
    check_objects(samples, regions=NOWHERE, apply=[])
    frame.at[5, "sub_era"] = ["a", "tau"]
    frame.to_parquet(samples["reference"]["files"])
    with pytest.raises(InputError, match="'sub_era': row 5, element 1 has the category 'tau'"):
        check_objects(samples, regions=NOWHERE, apply=[])


def test_the_prepare_job_refuses_a_category_of_an_object(tmp_path):
    samples, frame = with_objects(tmp_path)
    frame.loc[20, "sub_era"] = "tau"
    frame.to_parquet(samples["reference"]["files"])
    files = (OwnFiles(samples[role]["files"], None, None, None) for role in samples)
    columns = [("x", {})], [("era", {"categorical": True}), ("m", {})]
    job = OwnJob(*files, *columns, NOWHERE, "error", (5000, 1000), (-3, 3), 0.3, 1, "error")
    outputs = [str(tmp_path / name) for name in ("r.npz", "t.npz", "pre.json", "rows.csv")]
    options = zip(("reference", "target", "preprocessing", "rows"), outputs, strict=True)
    argv = ["--job", to_json(job), *(text for n, o in options for text in (f"--output-{n}", o))]
    argv += ["--object", "lead", "--object", "sub", "x=sub_x", "era=sub_era"]
    with pytest.raises(InputError, match="column 'sub_era': row 20 has the category 'tau'"):
        script("prepare_own_samples").main(argv)
    assert not any(Path(name).exists() for name in outputs)


def test_dropped_rows_leave_no_category(tmp_path):
    samples = write_samples(tmp_path, ["a", "b", None] * 40, ["b", "a"] * 60)
    prepared, fit, rows = prepare(samples, settings(**PREPARED))
    assert fit.categories["era"].labels == ("a", "b")
    assert rows.rows[0]["missing"] == 40 and len(prepared["reference"]["train.points"]) == 64


# --- spectra


def test_spectra_of_categories_are_balanced_exactly():
    rng = np.random.default_rng(4)
    start, end = (np.eye(3)[rng.choice(3, 2000, p=p)] for p in ([0.6, 0.3, 0.1], [0.2, 0.3, 0.5]))
    weights = spectra.balancing(start, end, False, 1)
    found = (weights[:, None] * start).sum(axis=0) / weights.sum()
    np.testing.assert_allclose(found, end.mean(axis=0), rtol=1e-6)
    assert (
        spectra.balancing(start, np.eye(3)[rng.choice(3, 2000, p=[0.6, 0.3, 0.1])], False, 1)
        is None
    )


def test_spectra_of_categories_beside_numbers_are_balanced_by_a_classifier():
    rng = np.random.default_rng(5)

    def sample(p: float, slope: float) -> np.ndarray:
        era = (rng.random(6000) < p).astype(float)
        number = rng.normal(np.where(era == 1, slope, 0), 1)
        return np.stack([number, era, 1 - era], axis=1)

    start, end = sample(0.7, 0.0), sample(0.3, 0.5)
    weights = spectra.balancing(start, end, False, 1)
    assert np.average(start[:, 1], weights=weights) == pytest.approx(0.3, abs=0.02)
    for era in (1, 2):
        mean = np.average(start[:, 0], weights=weights * start[:, era])
        assert mean == pytest.approx(end[end[:, era] == 1, 0].mean(), abs=0.06)
