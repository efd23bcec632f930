"""Declared bounds in every type and format of a column: they hold, and take what lies at them."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from closures import prepare_all
from test_formats import KINDS, SUFFIXES, tree_of
from test_formats import write as write_kind
from test_moved_files import parquet, read
from test_own_samples import settings
from transports import REGIONS, make, table

import flowmorph
from flowmorph.errors import InputError
from flowmorph.formats.tables import open_sample
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples.own_samples import prepare
from flowmorph.user.column_map import ColumnMap
from flowmorph.user.export import check
from flowmorph.user.moved_files import move_files
from flowmorph.user.output import Output

TYPES = (np.float16, np.float32, np.float64, np.longdouble, np.dtype(">f4"))
BOUNDS = [
    (-2.4, 2.4),
    (0, 0.1),
    (-0.1, 0),
    (-1.2, 3.2),
    (-np.pi, np.pi),
    (0.3, 0.9),
    (1e5 + 0.1, 2e6 + 0.1),
]
ETA = {"transform": "logit", "bounds": (-2.4, 2.4)}


def even(bounds, rows: int = 400, kind=np.float64) -> np.ndarray:
    """Numbers of a type between bounds, and its nearest ones to these, often."""
    values = np.linspace(*bounds, rows)
    values[::10], values[5::10] = bounds
    with np.errstate(over="ignore"):
        return values.astype(kind)


def loaded(folder, column="x", condition=(), train=None, **options):
    """A transport of a column whose flow is random, and moves some rows to the lower bound."""
    train = table(400) | ({column: train} if train is not None else {})
    made = make(folder, (column,), condition, train=train, **options)
    return flowmorph.load(str(made), device="cpu")


@pytest.fixture(scope="module")
def eta(tmp_path_factory):
    return loaded(tmp_path_factory.mktemp("eta"), "x", ("m",), even((-2.4, 2.4)), x=ETA)


@pytest.fixture
def wide(monkeypatch):
    """Flows move three times as far, so that many rows come to either bound."""
    images = ColumnMap.images
    monkeypatch.setattr(ColumnMap, "images", lambda *given: 3 * images(*given))


def inside(values, bounds) -> bool:
    values = np.asarray(values, np.longdouble)
    return bool(((values >= bounds[0]) & (values <= bounds[1])).all())


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_a_column_at_its_bounds_is_taken_and_stays_within(tmp_path, wide, bounds, kind):
    given = even(bounds, kind=kind)
    if not np.isfinite(given.astype(float)).all():
        pytest.skip("float16 has no such numbers")
    options = {"transform": "logit", "bounds": bounds}
    fit = Preprocessor.fit([{"x": given}], {"x": options})
    assert fit.usable({"x": given}, 1e15).all() and not fit.beyond({"x": given})["x"].any()
    ends = np.array(bounds)
    held = ends.astype(kind)
    at_bounds = {"x": np.clip(held.astype(float), *bounds)}
    np.testing.assert_array_equal(fit.forward({"x": held})["x"], fit.forward(at_bounds)["x"])
    assert inside(fit.inverse({"x": np.linspace(-9, 9, 99)})["x"], bounds)

    transport = loaded(tmp_path, train=even(bounds), x=options)
    moved = transport.move({"x": given})["x"]
    assert moved.dtype == kind and inside(moved, bounds)
    digits = max(np.finfo(kind).eps, 1e-12)
    near = digits * np.maximum(np.abs(ends), np.ptp(ends))
    assert float(moved.min()) <= bounds[0] + near[0] and float(moved.max()) >= bounds[1] - near[1]
    assert np.isfinite(transport.log_prob({"x": given})).all()


def test_only_what_a_type_holds_for_a_bound_stands_for_it(eta):
    near = np.array([2.4, np.float32(2.4), np.float16(2.4), 2.4 + 1e-9, 2.4000002, 2.41, np.nan])
    assert eta.usable({"x": near, "m": np.ones(7)}).tolist() == [True] * 3 + [False] * 4
    with pytest.raises(InputError, match=r"'x': row 1: 2.4000002 lies outside its bounds \[-2.4,"):
        eta.move({"x": near[[0, 4]], "m": np.ones(2)})


@pytest.mark.parametrize("kind", [np.float16, np.float32], ids=str)
def test_bounds_hold_in_tables_of_every_kind(eta, wide, kind):
    x, m = even((-2.4, 2.4), kind=kind), np.linspace(0, 2, 400)
    tables = {
        "dict": {"x": x, "m": m},
        "structured": np.rec.fromarrays([x, m], names=["x", "m"]),
        "frame": pd.DataFrame({"x": x, "m": m}),
        "arrow": pa.table({"x": x, "m": m}),
        "awkward": ak.Array({"x": x.astype(np.float32), "m": m}),
        "frame of arrow": pd.DataFrame(
            {"x": pd.Series(x, dtype=pd.ArrowDtype(pa.from_numpy_dtype(kind))), "m": m}
        ),
        "lists": {"x": pa.array(list(x.reshape(100, 4))), "m": m[::4]},
        "masked": {"x": np.ma.array(x, mask=np.zeros(400, bool)), "m": m},
    }
    if kind == np.float32:
        tables["nullable"] = pd.DataFrame({"x": pd.array(x, dtype="Float32"), "m": m})
        lists = {"x": ak.unflatten(x, [4] * 100), "m": m[::4]}
        tables["awkward lists"] = ak.zip(lists, depth_limit=1)
    for name, given in tables.items():
        moved = eta.move(given)["x"]
        if isinstance(moved, pa.Array | pa.ChunkedArray):
            moved = moved.to_pylist()
        values = np.concatenate([np.ravel(each) for each in np.asarray(moved, object)])
        values = values.astype(float)
        assert len(values) == 400 and np.ptp(values) > 4.79 and inside(values, (-2.4, 2.4)), name


@pytest.mark.parametrize("columns", ["append", "replace"])
@pytest.mark.parametrize("kind", KINDS)
def test_bounds_hold_in_files_of_every_kind(tmp_path, wide, kind, columns):
    start = table(400) | {"x": even((-2.4, 2.4), kind=np.float32)}
    transport = loaded(tmp_path, "x", ("m",), start["x"], x=ETA, variations=1)
    suffix = SUFFIXES.get(kind, "h5")
    source = write_kind(tmp_path / f"in.{suffix}", kind, start)
    for variations in ("each", "envelope"):
        output = Output(columns, variations=variations)
        counts = move_files(
            transport, [str(source)], tmp_path / f"out.{suffix}", tree=tree_of(kind), output=output
        )
        assert (counts.moved, counts.outside, counts.missing) == (400, 0, 0)
        after = read(tmp_path / f"out.{suffix}", tree_of(kind))
        new = [name for name in after if "x_moved" in name or (name == "x" and output.replace)]
        assert new and len(new) == (2 if variations == "each" else 3)
        for name in new:
            if name != "flowmorph_moved":
                assert inside(after[name], (-2.4, 2.4)), name


def test_half_floats_hold_their_bounds_in_files(tmp_path, wide, eta):
    columns = {"x": even((-2.4, 2.4), kind=np.float16), "m": np.ones(400)}
    source = parquet(tmp_path / "in.parquet", columns)
    assert move_files(eta, [str(source)], tmp_path / "out.parquet").moved == 400
    after = read(tmp_path / "out.parquet")
    assert open_sample(str(tmp_path / "out.parquet")).types["x_moved"] == "halffloat"
    assert inside(after["x_moved"], (-2.4, 2.4))


def test_bounds_between_which_a_type_has_no_number_are_named(tmp_path):
    bounds = (1000.1, 1000.3)
    transport = loaded(
        tmp_path, train=even(bounds), x={"transform": "logit", "bounds": bounds}
    )  # fmt: skip
    with pytest.raises(InputError, match="'x': row 0: 1000.* does not fit float16 .2 such rows"):
        transport.move({"x": np.array([1000.0, 1000.5], np.float16)})


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_a_model_takes_values_at_the_bounds_and_keeps_within(tmp_path, bounds, precision):
    transport = loaded(
        tmp_path, train=even(bounds), x={"transform": "logit", "bounds": bounds}
    )  # fmt: skip
    transport.export(tmp_path / "t.onnx", precision=precision)
    session = check.session((tmp_path / "t.onnx").read_bytes())
    (moved,) = session.run(["x_moved"], {"x": even(bounds, kind=precision)})
    assert moved.dtype == precision and inside(moved, bounds)
    assert moved.min() == pytest.approx(bounds[0], rel=1e-6, abs=1e-12)
    ours = transport.move({"x": even(bounds, kind=precision)})["x"]
    np.testing.assert_allclose(moved, ours, rtol=1e-4, atol=1e-4)


def test_whole_numbers_stay_whole_between_bounds_that_are_not(tmp_path):
    k = np.arange(1, 31).repeat(10).astype(float)
    options = {"transform": "logit", "bounds": (0.1, 30.7), "integer": True}
    transport = loaded(tmp_path, "k", train=k, k=options)
    transport.export(tmp_path / "t.onnx")
    given = {"k": k.astype(np.float32), "k_uniform": np.linspace(0, 0.999, 300, dtype=np.float32)}
    session = check.session((tmp_path / "t.onnx").read_bytes())
    (modelled,) = session.run(["k_moved"], given)
    for moved in (transport.move({"k": k})["k"], modelled):
        np.testing.assert_array_equal(moved, np.round(moved))
        assert moved.min() == 1 and moved.max() <= 30
    back = transport.preprocessing.inverse({"k": np.array([-9.0, 9.0])})["k"]
    assert back.tolist() == [1, 30]


@pytest.mark.parametrize("spike", [0.1, 0.0, -1.0])
def test_spikes_at_a_bound_and_beyond(tmp_path, spike):
    """Every type tells them from the other values, which stay within."""
    values = even((0, 0.1), 2000)
    values[::3] = spike
    options = {"transform": "logit", "bounds": (0, 0.1), "spike": [spike]}
    transport = loaded(tmp_path, train=values, x=options)
    transport.export(tmp_path / "t.onnx")
    session = check.session((tmp_path / "t.onnx").read_bytes())
    for kind in (np.float16, np.float32, np.float64):
        given = values.astype(kind)
        moved = transport.move({"x": given})["x"]
        is_spike = moved == kind(spike)
        exact = transport.move({"x": given.astype(float)})["x"]
        np.testing.assert_array_equal(is_spike, exact == spike)
        assert 0 < is_spike.sum() < 2000 and inside(moved[~is_spike], (0, 0.1))
    u = np.linspace(0, 0.999, 2000, dtype=np.float32)
    (moved,) = session.run(["x_moved"], {"x": values.astype(np.float32), "x_uniform": u})
    is_spike = moved == np.float32(spike)
    assert 0 < is_spike.sum() < 2000 and inside(moved[~is_spike], (0, 0.1))


def test_rows_outside_of_bounds_are_counted_apart(tmp_path):
    transport = loaded(tmp_path, "x", ("m",), even((-2.4, 2.4)), x=ETA, regions=REGIONS)
    x, m = np.zeros(10), np.repeat([0.5, 1.5], 5)
    x[:4], m[3], x[9] = [2.5, -2.5, np.nan, 3], np.nan, 9
    names = {"x": "a_x"}
    source = parquet(tmp_path / "in.parquet", {"a_x": x, "b_x": x[::-1].copy(), "m": m})
    output = Output(objects=flowmorph.plan.objects.moved_objects(objects={"a": names}))
    counts = move_files(transport, [str(source)], tmp_path / "out.parquet", output=output)
    assert (counts.moved, counts.elsewhere, counts.missing, counts.outside) == (1, 4, 2, 3)
    text = "10 rows: 1 moved, 4 outside of the regions to move, 2 with a missing value, "
    text += "3 outside of declared bounds (3 in a_x); beyond the range of the training: none"
    assert str(counts) == text
    after = read(tmp_path / "out.parquet")["flowmorph_a_moved"]
    assert after.tolist() == [-1, -1, -1, -1, 1, 0, 0, 0, 0, -1]


# --- what lies outside is named by its file, column and row, in every door


@pytest.fixture
def two_files(tmp_path) -> dict:
    """Samples for `prepare`, of two files each, whose rows outside of [-2, 3] are few."""
    rng, result = np.random.default_rng(2), {}
    for role in ("reference", "target"):
        for part in (1, 2):
            m = np.sort(rng.uniform(0, 3, 300))
            columns = {"x": rng.uniform(-1.9, 2.9, 300), "k": rng.poisson(3, 300), "m": m}
            pd.DataFrame(columns).to_csv(tmp_path / f"{role}{part}.csv", index=False)
        result[role] = {"files": str(tmp_path / f"{role}?.csv"), "tree": None, "format": None}
        result[role]["weights"] = None
    return result


def spoil(path, column: str, values: dict) -> None:
    frame = pd.read_csv(path)
    frame[column] = frame[column].astype(float)
    for row, value in values.items():
        frame.loc[row, column] = value
    frame.to_csv(path, index=False)


LIMITED = {"transform": "logit", "bounds": [-2, 3]}


@pytest.mark.parametrize("role", ["reference", "target"])
@pytest.mark.parametrize("missing", ["error", "drop"])
def test_the_preparation_names_file_and_row(two_files, tmp_path, role, missing):
    """In the files' order, not in that of the splits, also of a row that chance would leave out."""
    chosen = settings(features={"x": LIMITED}, missing=missing, rows=(20, 10))
    path = tmp_path / f"{role}2.csv"
    if missing == "drop":
        spoil(path, "x", {3: np.nan, 4: np.nan})
        spoil(tmp_path / f"{role}1.csv", "m", {7: np.nan})
    spoil(path, "x", {28: 3.5, 250: -2.5})
    message = rf"^{path}: column 'x': row 28: 3.5 lies outside its bounds \[-2, 3\] \(2 such rows\)"
    with pytest.raises(InputError, match=message + ": remove these rows, or correct the bounds$"):
        prepare(two_files, chosen)


def test_rows_that_are_not_used_may_lie_outside(two_files, tmp_path):
    """As those between the training intervals, where there is no closure: moving leaves them."""
    path = tmp_path / "reference1.csv"
    row = int(np.searchsorted(pd.read_csv(path)["m"], 1.5))
    spoil(path, "x", {row: 3.5})
    prepare(two_files, settings(features={"x": LIMITED}))
    with pytest.raises(InputError, match=rf"reference1.csv: column 'x': row {row}: 3.5 lies"):
        prepare_all(two_files, settings(features={"x": LIMITED}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bounds": [3, -2]}, r"bounds \[3, -2\] are no interval"),
        ({"bounds": [-2, 3], "spike": [9.0]}, "row 28: 3.5 .*, or name it as a spike$"),
        (
            {"bounds": [-2, 3.6], "integer": True},
            "reference1.csv: column 'x': row 0: .* no whole number",
        ),
        ({"bounds": [-2, 3], "integer": True}, r"row 28: 3.5 lies outside its bounds \[-2, 3\]"),
    ],
)
def test_the_preparation_says_what_is_wrong_with_a_column(two_files, tmp_path, options, message):
    spoil(tmp_path / "reference1.csv", "x", {28: 3.5})
    with pytest.raises(InputError, match=message):
        prepare(two_files, settings(features={"x": {"transform": "logit"} | options}))


def test_a_gap_may_reach_beyond_the_bounds_of_its_column(two_files):
    regions = {"column": "m", "train": [[-9, -8], [0, 3]]}
    condition = {"m": {"transform": "logit", "bounds": [0, 3]}}
    prepared, *_ = prepare(two_files, settings(condition=condition, regions=regions))
    assert prepared["reference"]["condition.gaps"].tolist() == [0]


@pytest.mark.parametrize("missing", ["error", "drop"])
def test_fit_and_report_name_the_table_and_its_row(eta, missing):
    rng = np.random.default_rng(3)
    good = {"x": rng.uniform(-2, 2, 3000), "m": rng.uniform(0, 2, 3000)}
    bad = {name: values.copy() for name, values in good.items()}
    bad["x"][[2576, 2700]] = 5
    if missing == "drop":
        bad["m"][:100] = np.nan
    message = r"^target: column 'x': row 2576: 5 lies outside its bounds \[-2.4, 2.4\] \(2 such row"
    with pytest.raises(InputError, match=message):
        flowmorph.report(eta, good, bad, missing=missing)
    features = {"x": {"preprocess": "logit", "bounds": [-2.4, 2.4]}}
    with pytest.raises(InputError, match=message):
        flowmorph.fit(good, bad, features=features, condition="m", missing=missing)


def test_moving_names_the_columns_and_rows_of_the_table(eta):
    m, x = np.ones(6), np.array([0, 1, 2, 1, 3.5, -9])
    text = r"^column 'a': row 4: 3.5 lies outside its bounds \[-2.4, 2.4\] \(2 such rows\)"
    for function in (eta.move, eta.log_prob, eta.support):
        with pytest.raises(InputError, match=text):
            function({"a": x, "m": m}, rename={"x": "a"})
    with pytest.raises(InputError, match=text):
        eta.move({"a": x, "b": 0 * x, "m": m}, objects={"one": {"x": "b"}, "two": {"x": "a"}})
    lists = {"a": ak.unflatten(x, [1, 0, 2, 3]), "m": m[:4]}
    text = text.replace("row 4", "row 3, element 1")
    for function in (eta.move, eta.log_prob, eta.support):
        with pytest.raises(InputError, match=text):
            function(ak.zip(lists, depth_limit=1), rename={"x": "a"})
