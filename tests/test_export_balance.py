"""Weights of `balance` in ONNX models: those of the transport, or refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from test_export import inputs, run
from transports import make, table

import flowmorph
from flowmorph.__main__ import main
from flowmorph.errors import InputError
from flowmorph.preprocess.categories import Categories
from flowmorph.samples import row_hashes
from flowmorph.samples.balancing import FOLDS, Spectrum, fit
from flowmorph.user.export import balance, model

ROWS = 8000
ERAS = ("early", "late", "middle")
#: Values of a discrete condition that float32 and float64 hold as different numbers.
LEVELS = np.array([0.1, 0.3, 0.7, 1.1])


def sample(rows: int, seed: int, target: bool = False) -> dict[str, np.ndarray]:
    """Rows whose conditions the target has by other, dependent, densities."""
    rng = np.random.default_rng(seed)
    m = 2 * rng.beta(2, 2 - 0.8 * target, rows)
    n = rng.choice(LEVELS, rows, p=[0.1, 0.2, 0.3, 0.4] if target else [0.25] * 4)
    era = np.where(rng.random(rows) < (m / 2 if target else 0.3), 1, rng.choice([0, 2], rows))
    return table(rows, seed) | {"m": m, "n": n, "era": era.astype(float), "w": 1 + rng.random(rows)}


def balanced(folder, condition, folds=1, target=None):
    """A transport of random flows, with the weights that are learnt from two samples."""
    start, end = sample(ROWS, 1), sample(ROWS, 2, target=True)
    end = end if target is None else {name: values[target(end)] for name, values in end.items()}
    known = {"era": Categories(ERAS)} if "era" in condition else None
    made = make(folder, ("x", "k"), condition, train=start, categories=known,
                event=["id"], folds=folds)  # fmt: skip
    transport = replace(flowmorph.load(str(made), device="cpu"), weighed=("w",))
    spectra = []
    for each in (start, end):
        read = {name: np.asarray(each[name], float) for name in (*"xk", *condition, "id")}
        placed = transport.place(read, transport.dequantization(0))
        found = row_hashes.hashes(read, ["id"])
        spectra.append(Spectrum(placed.c.numpy(), None, found))
    names = [name for name, _ in transport.preprocessing.names(condition)]
    learnt, _ = fit(*spectra, names, max(folds, 2) if folds > 1 else FOLDS)
    return replace(transport, balance=learnt)


def rows(transport) -> dict[str, np.ndarray]:
    """Rows in the range of the training and beyond it."""
    given = sample(3000, 3)
    given["m"] = np.where(np.arange(3000) % 5, given["m"], 8 * given["m"] - 7)
    given["n"] = np.where(np.arange(3000) % 7, given["n"], 0.5)  # no level
    return given | {"era": np.array(ERAS)[given["era"].astype(int)]}


def fed(transport, given: dict, kind) -> dict:
    """Inputs of the model for rows that the transport is given."""
    codes = {name: list(ERAS).index for name in transport.preprocessing.categories}
    coded = {n: [codes[n](v) for v in values] if n in codes else values
             for n, values in given.items()}  # fmt: skip
    return {
        name: values.astype(np.int64) if name in codes else values
        for name, values in inputs(transport, coded, np.dtype(kind)).items()
    }


@pytest.mark.parametrize("condition", [("m",), ("n",), ("era",), ("m", "n", "era"), ("n", "era")])
def test_weights_are_those_of_the_transport(tmp_path, condition):
    transport = balanced(tmp_path, condition)
    learns = bool(transport.balance.odds)
    assert learns == ("m" in condition)
    for kind in map(np.dtype, ("float32", "float64")):
        eps = np.finfo(kind).eps
        found = transport.export(
            tmp_path / "t.onnx", precision=kind.name, outputs=["balance_factor"]
        )
        assert found.factor_difference < 50 * eps and found.log_difference == 0
        given = rows(transport)
        given |= {name: given[name].astype(kind) for name in "xm"}
        model_given = fed(transport, given, kind)
        if learns:
            fold = transport.fold(given)
            assert sorted(set(fold)) == list(range(FOLDS))
            model_given["balance_fold"] = fold
        got = run(tmp_path / "t.onnx", model_given)["balance_factor"]
        np.testing.assert_allclose(got * given["w"], transport.weights(given), rtol=100 * eps)
        assert 0.9 < got[got > 0].mean() < 1.3 and np.ptp(got) > 0.3
        if "n" in condition:
            assert not got[::7].any() and got.any()
    if learns:
        # Any classifier will do for a new row, and they do not say the same.
        assert any(len(odds.trees.roots) for odds in transport.balance.odds)
        model_given["balance_fold"] = (fold + 1) % FOLDS
        other = run(tmp_path / "t.onnx", model_given)["balance_factor"]
        some = got > 0.1
        assert 0 < np.median(np.abs(other[some] / got[some] - 1)) < 0.1


def test_a_training_by_folds_has_its_own_classifier(tmp_path):
    transport = balanced(tmp_path, ("m",), folds=2)
    given = rows(transport)
    fold, weights = transport.fold(given), transport.weights(given)
    own = row_hashes.hashes({"id": given["id"]}, ["id"]) % np.uint64(2)
    assert np.array_equal(fold, own) and 0.4 < fold.mean() < 0.6
    both = []
    for number in (0, 1):
        path = tmp_path / f"{number}.onnx"
        transport.export(path, precision="float64", outputs=["balance_factor"], fold=number)
        assert "balance_fold" not in model.note(onnx.load(path))["inputs"]
        both.append(run(path, fed(transport, given, "float64"))["balance_factor"] * given["w"])
    np.testing.assert_allclose(np.choose(fold, both), weights, rtol=1e-12)
    assert not np.allclose(*both, rtol=1e-3)


def test_conditions_that_the_target_never_has_weigh_nothing(tmp_path):
    transport = balanced(tmp_path, ("m",), target=lambda end: np.abs(end["m"] - 1) < 0.5)
    transport.export(tmp_path / "t.onnx", precision="float64", outputs=["balance_factor"])
    given = rows(transport)
    fed_ = fed(transport, given, "float64") | {"balance_fold": transport.fold(given)}
    got = run(tmp_path / "t.onnx", fed_)["balance_factor"]
    outside = np.abs(given["m"] - 1) > 0.5
    assert not got[outside].any() and (got[~outside] > 0).mean() > 0.99
    # A fold that there is not is refused, as are the rows that `move` refuses.
    wrong = np.where(np.arange(3000) == 0, -1, np.where(np.arange(3000) == 1, FOLDS, 2))
    for values in run(tmp_path / "t.onnx", fed_ | {"balance_fold": wrong}).values():
        assert np.flatnonzero(np.isnan(values)).tolist() == [0, 1]


def test_a_polynomial_without_trees(tmp_path):
    transport = balanced(tmp_path, ("m",))
    bare = [
        replace(odds, trees=replace(odds.trees, roots=np.empty(0, np.int64)))
        for odds in transport.balance.odds
    ]
    transport = replace(transport, balance=replace(transport.balance, odds=tuple(bare)))
    found = transport.export(tmp_path / "t.onnx", precision="float64", outputs=["balance_factor"])
    assert 0 < found.factor_difference < 1e-14


def test_wrong_weights_are_refused_and_not_written(tmp_path, monkeypatch):
    transport = balanced(tmp_path, ("m", "n"))
    right = balance._trees, balance.reach
    for name, wrong in (
        ("_trees", lambda *given: right[0](*given) + 3e-5),
        ("_depth", lambda *given: 1),
        ("reach", lambda cells: 1e-12),
    ):
        monkeypatch.setattr(balance, name, wrong)
        with pytest.raises(
            InputError, match=r"the model's balance_factor is .* \(at balance_fold = "
        ) as e:
            transport.export(tmp_path / "t.onnx", outputs=["balance_factor"])
        assert "\n" not in str(e.value) and not (tmp_path / "t.onnx").exists()
        monkeypatch.undo()


def test_what_has_no_weights_or_too_fine_values_is_named(tmp_path, monkeypatch):
    transport = balanced(tmp_path, ("n",))
    with pytest.raises(InputError, match="the transport was trained without own.balance"):
        replace(transport, balance=None).export(tmp_path / "t.onnx", outputs=["balance_factor"])
    monkeypatch.setitem(globals(), "LEVELS", 1e9 + LEVELS)
    (tmp_path / "fine").mkdir()
    fine = balanced(tmp_path / "fine", ("n",))
    with pytest.raises(InputError, match="condition 'n': float32 does not tell its values apart"):
        fine.export(tmp_path / "t.onnx", outputs=["balance_factor"])
    fine.export(tmp_path / "t.onnx", precision="float64", outputs=["balance_factor"])


def test_the_command_writes_weights_too(tmp_path, capsys):
    transport = balanced(tmp_path, ("m", "era"))
    transport = replace(transport, note=dict(transport.note) | {"weights": "w"})
    transport.save(tmp_path / "b.safetensors")
    path = str(tmp_path / "t.onnx")
    main(["export", "--transport", str(tmp_path / "b.safetensors"), "--output", path,
          "--also", "balance_factor"])  # fmt: skip
    assert "of weights " in capsys.readouterr().err
    note = model.note(onnx.load(path))
    assert note["agreement"]["factor_difference"] < 1e-6
    assert "0 to 4" in note["inputs"]["balance_fold"] and "own weight" in str(note["outputs"])
