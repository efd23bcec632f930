"""Folds, resampling and noise that follow from what a row holds."""

import numpy as np
import pytest
from scipy.stats import kstest, poisson

from flowmorph.errors import InputError
from flowmorph.plan.jobs.data import FileData, Part
from flowmorph.samples import datasets, row_hashes

ROWS = 20_000


@pytest.fixture(scope="module")
def table() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {"run": rng.integers(3, size=ROWS).astype(float), "event": np.arange(float(ROWS))}


@pytest.fixture(scope="module")
def found(table) -> np.ndarray:
    return row_hashes.hashes(table, ["run", "event"])


def test_a_row_has_its_hash_wherever_it_is(table, found):
    order = np.random.default_rng(2).permutation(ROWS)[:100]
    some = {name: values[order] for name, values in table.items()}
    np.testing.assert_array_equal(row_hashes.hashes(some, ["run", "event"]), found[order])
    others = row_hashes.hashes(table, ["event", "run"])
    np.testing.assert_array_equal(others == found, table["run"] == table["event"])
    ends = [row_hashes.hashes({"x": np.array([zero])}, ["x"]) for zero in (0.0, -0.0)]
    assert ends[0] == ends[1]


def test_neighbours_fall_into_folds_at_random(found):
    folds = row_hashes.folds(found, 5)
    counts = np.bincount(folds, minlength=5)
    assert len(counts) == 5 and (np.abs(counts - ROWS / 5) < 5 * np.sqrt(ROWS / 5)).all()
    # Of neighbours one in five pairs is in one fold.
    assert np.mean(folds[1:] == folds[:-1]) == pytest.approx(0.2, abs=5 * 0.4 / np.sqrt(ROWS))


def test_noise_is_uniform_and_each_stream_has_its_own(found):
    one, other = (row_hashes.uniform(found, stream) for stream in (1, 2))
    assert kstest(one, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(one, other)[0, 1]) < 5 / np.sqrt(ROWS)
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 5 / np.sqrt(ROWS)
    assert abs(np.corrcoef(one, row_hashes.folds(found, 5))[0, 1]) < 5 / np.sqrt(ROWS)


def test_resampling_is_poisson(found):
    drawn = row_hashes.bootstrap(found, 1)
    counts = np.bincount(drawn.astype(int))
    expected = ROWS * poisson.pmf(np.arange(len(counts)), 1.0)
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected) + 1).all()
    other = row_hashes.bootstrap(found, 2)
    assert abs(np.corrcoef(drawn, other)[0, 1]) < 5 / np.sqrt(ROWS)


def test_rows_that_are_equal_identify_nothing(found):
    assert row_hashes.identify(found)
    assert not row_hashes.identify(np.concatenate([found, found[:1000]]))


@pytest.fixture
def prepared(tmp_path, found) -> str:
    path = tmp_path / "reference.npz"
    points = np.arange(ROWS, dtype=np.float32)[:, None]
    arrays = {"train.points": points, "train.condition": np.empty((ROWS, 0), np.float32)}
    arrays |= {
        "train.weights": np.full(ROWS, 2.0),
        "train.rows": found,
        "train.told": np.array(True),
    }
    np.savez(path, **arrays, **{"validation.points": points, "validation.condition": points[:, :0]})
    return str(path)


def test_each_training_leaves_out_its_fold(prepared, found):
    seen = []
    for fold in range(4):
        data = FileData("own_reference", prepared, ("x",), (), part=Part(folds=4, fold=fold))
        x, c = datasets.load(data, "train")
        assert len(x) == len(c) and datasets.weights(data, "train") is None
        assert (row_hashes.folds(found, 4)[x[:, 0].astype(int)] != fold).all()
        assert len(datasets.load(data, "validation")[0]) == ROWS
        seen.append(x[:, 0])
    assert (np.bincount(np.concatenate(seen).astype(int)) == 3).all()


def test_a_resampled_training_weighs_what_it_sees(prepared, found):
    part = Part(folds=4, fold=1, bootstrap=3)
    kept = row_hashes.folds(found, 4) != 1
    for weighted, factor in ((False, 1.0), (True, 2.0)):
        data = FileData("own_reference", prepared, ("x",), (), weighted, part=part)
        expected = factor * row_hashes.bootstrap(found, 3)[kept]
        np.testing.assert_array_equal(datasets.weights(data, "train"), expected)


def test_equal_rows_need_an_event(prepared):
    arrays = dict(np.load(prepared)) | {"train.told": np.array(False)}
    np.savez(prepared, **arrays)
    for part in (Part(folds=4), Part(bootstrap=1)):
        data = FileData("own_reference", prepared, ("x",), (), part=part)
        with pytest.raises(InputError, match="own_reference: many rows are equal .* own.event"):
            datasets.load(data, "train"), datasets.weights(data, "train")
    plain = FileData("own_reference", prepared, ("x",), ())
    assert len(datasets.load(plain, "train")[0]) == ROWS
