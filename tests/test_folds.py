"""Transports of several trainings: a row is moved by one that has not seen it, and varied."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from jobs import density_options
from scripts_by_name import script
from transports import make, table

import flowmorph
from flowmorph.errors import InputError
from flowmorph.flows import setup, storage
from flowmorph.plan.jobs.data import FileData, Part
from flowmorph.plan.jobs.training import DensityJob, Network, Recipe
from flowmorph.samples import row_hashes
from flowmorph.user.moved_files import move_files
from flowmorph.user.output import Output
from flowmorph.user.transport import Transport

FOLDS, VARIATIONS, ROWS = 3, 2, 500


@pytest.fixture(scope="module")
def transport(tmp_path_factory) -> Transport:
    folder = tmp_path_factory.mktemp("folds")
    made = make(folder, ("x", "k"), ("m",), event=["id"], folds=FOLDS, variations=VARIATIONS)
    return flowmorph.load(str(made), device="cpu")


def alone(transport: Transport, variation: int, fold: int) -> Transport:
    """The transport of one training."""
    return replace(transport, folds=1, morphs=(transport.morphs[variation * FOLDS + fold],))


def test_a_row_is_moved_by_the_training_without_its_fold(transport):
    assert transport.variations == VARIATIONS
    rows = table(ROWS, seed=5)
    fold = row_hashes.folds(row_hashes.hashes(rows, ["id"]), FOLDS)
    for variation in range(1 + VARIATIONS):
        moved = transport.move(rows, variation=variation)
        for number in range(FOLDS):
            expected = alone(transport, variation, number).move(rows)
            chosen = fold == number
            assert chosen.any()
            np.testing.assert_allclose(moved["x"][chosen], expected["x"][chosen], rtol=1e-5)
            np.testing.assert_array_equal(moved["k"][chosen], expected["k"][chosen])
            assert not np.allclose(moved["x"][~chosen], expected["x"][~chosen], rtol=1e-3)


def test_a_row_moves_the_same_in_every_table(transport):
    rows = table(ROWS, seed=5)
    moved = transport.move(rows)
    order = np.random.default_rng(1).permutation(ROWS)[:70]
    some = transport.move({name: values[order] for name, values in rows.items()})
    np.testing.assert_allclose(some["x"], moved["x"][order], rtol=1e-5)
    # The noise on whole numbers is the row's, too.
    np.testing.assert_array_equal(some["k"], moved["k"][order])
    assert (transport.move(rows, seed=1)["k"] != moved["k"]).any()


def test_without_an_event_the_rows_content_decides(tmp_path):
    made = make(tmp_path, ("x", "k"), ("m",), folds=FOLDS)
    transport = flowmorph.load(str(made), device="cpu")
    rows = table(ROWS, seed=5)
    moved = transport.move(rows)
    some = transport.move({name: values[::-1][:50] for name, values in rows.items()})
    np.testing.assert_array_equal(some["k"], moved["k"][::-1][:50])
    np.testing.assert_allclose(some["x"], moved["x"][::-1][:50], rtol=1e-5)


def test_density_is_the_mean_of_all_folds(transport):
    rows = table(50, seed=6)
    for of in ("moved", "reference", "target"):
        each = [alone(transport, 0, fold).log_prob(rows, of=of) for fold in range(FOLDS)]
        expected = np.log(np.mean(np.exp(each), axis=0))
        np.testing.assert_allclose(transport.log_prob(rows, of=of), expected, atol=1e-4)


@pytest.mark.parametrize("columns", ["append", "replace"])
def test_files_have_each_variation(transport, tmp_path, columns):
    rows = table(ROWS, seed=5)
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    made = {}
    for variations in ("each", "envelope", "none"):
        path = tmp_path / f"{columns}_{variations}.parquet"
        output = Output(columns, variations=variations)
        move_files(transport, [str(tmp_path / "a.parquet")], path, output=output)
        made[variations] = pd.read_parquet(path)
    nominal = "x" if columns == "replace" else "x_moved"
    each = [transport.move(rows, variation=number)["x"] for number in range(1 + VARIATIONS)]
    found = made["each"]
    for name, values in zip([nominal, "x_moved_1", "x_moved_2"], each, strict=True):
        np.testing.assert_allclose(found[name], values, rtol=1e-5)
    assert made["envelope"]["x_moved_up"].equals(
        found[[nominal, "x_moved_1", "x_moved_2"]].max(axis=1).astype(np.float32)
    )
    assert (made["envelope"]["x_moved_down"] <= made["envelope"][nominal]).all()
    assert not [name for name in made["none"] if name.startswith("x_moved_")]
    assert made["none"][nominal].equals(found[nominal])
    assert "k_moved_2" in found and found["k_moved_2"].dtype.kind == "f"


def test_what_cannot_be_moved_is_named(transport, tmp_path):
    rows = table(20)
    with pytest.raises(InputError, match="no variation 3: the transport has 2"):
        transport.move(rows, variation=3)
    for variation in ("1", 0.5):
        with pytest.raises(InputError, match=f"no variation {variation!r}: the transport has 2"):
            transport.move(rows, variation=variation)
    lacking = {name: values for name, values in rows.items() if name != "id"}
    with pytest.raises(InputError, match="'id'"):
        transport.move(lacking)
    pd.DataFrame(lacking).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="'id'"):
        move_files(transport, [str(tmp_path / "a.parquet")], tmp_path / "b.parquet")
    pd.DataFrame(rows | {"x_moved_1": rows["x"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="'x_moved_1' is there already"):
        move_files(transport, [str(tmp_path / "a.parquet")], tmp_path / "b.parquet")


def test_a_row_whose_event_is_missing_is_not_moved(transport, tmp_path):
    rows = table(20)
    rows["id"] = np.where(np.arange(20) == 3, np.nan, rows["id"])
    with pytest.raises(InputError, match="column 'id': the value of row 3 is missing"):
        transport.move(rows)
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    counts = move_files(transport, [str(tmp_path / "a.parquet")], tmp_path / "b.parquet")
    found = pd.read_parquet(tmp_path / "b.parquet")
    assert np.array_equal(found["flowmorph_moved"], np.where(np.arange(20) == 3, -1, 1))
    assert found["x_moved"][3] == rows["x"][3] and counts.missing == 1


def test_a_density_is_unbiased_on_the_fold_that_it_has_not_seen(tmp_path):
    """So few rows that a flow learns them by heart: what it has seen looks too likely."""
    rng = np.random.default_rng(3)
    points, fresh = rng.normal(size=(2, 400, 4)).astype(np.float32)
    hashes = row_hashes.hashes(dict(zip("abcd", points.T, strict=True)), list("abcd"))
    none = np.empty((400, 0), np.float32)
    arrays = {"train.points": points, "train.condition": none, "train.rows": hashes}
    arrays |= {"train.told": np.array(True)}
    arrays |= {"validation.points": fresh, "validation.condition": none}
    np.savez(tmp_path / "r.npz", **arrays, **{"condition.gaps": np.empty(0)})
    data = FileData("r", str(tmp_path / "r.npz"), tuple("abcd"), (), part=Part(2, 0))
    recipe = Recipe(batch=50, epochs=60, learning_rate=5e-3, warmup_steps=2, clip=5.0)
    job = DensityJob(data, Network(2, 1, 32, 8, 4.0), recipe, 3, "cpu")
    script("train_density").main(density_options(job, tmp_path))
    flow = storage.load(tmp_path / "r.safetensors")
    left_out = row_hashes.folds(hashes, 2) == 0
    seen, unseen, new = (
        setup.in_chunks(flow.log_prob, *setup.tensors(x, none[: len(x)], flow.flat.device)).numpy()
        for x in (points[~left_out], points[left_out], fresh)
    )
    error = np.hypot(*(values.std() / np.sqrt(len(values)) for values in (unseen, new)))
    assert abs(unseen.mean() - new.mean()) < 4 * error
    assert seen.mean() - new.mean() > 4 * error
