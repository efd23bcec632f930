"""The moved sample: one schema for its file and for all that read it."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from flowmorph.alternatives.interface import Morphed
from flowmorph.errors import InputError
from flowmorph.samples import alternative_points, moved


@pytest.fixture
def weighted(science) -> moved.MovedSample:
    weights = np.linspace(0.5, 2.0, 600)
    signed = np.where(np.arange(600) % 5, weights, -weights)
    return replace(
        science, weight_reference=weights, weight_target=weights[::-1],
        signed_reference=signed, signed_target=signed[::-1],
    )  # fmt: skip


def test_a_file_holds_all_arrays_in_the_order_of_their_names(tmp_path, weighted):
    weighted.save(tmp_path / "moved.npz")
    with np.load(tmp_path / "moved.npz") as stored:
        arrays = dict(stored)
    assert list(arrays) == sorted([*moved.GIVEN, *moved.WEIGHTS, *weighted.methods])
    again = io.BytesIO()
    np.savez(again, **arrays)
    assert (tmp_path / "moved.npz").read_bytes() == again.getvalue()
    for name in weighted.methods:
        np.testing.assert_array_equal(arrays[name], weighted.points(name))


def test_only_the_methods_asked_for_are_read(tmp_path, weighted):
    weighted.save(tmp_path / "moved.npz")
    some = moved.MovedSample.load(tmp_path / "moved.npz", ["unidirectional"])
    assert list(some.methods) == ["unidirectional"] and some.same_points(weighted)
    whole = moved.MovedSample.load(tmp_path / "moved.npz")
    assert set(whole.methods) == set(weighted.methods)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"condition_target": None}, "no array 'condition_target', only base_transfer,"),
        ({"condition_target": np.full((600, 1), np.nan)}, "'condition_target' is not a table"),
        ({"reference": np.zeros(600)}, "'reference' is not a table of finite numbers"),
        ({"target": np.zeros((1, 5))}, "different lengths .* make the file again"),
        ({"weight_target": np.ones(599)}, "'weight_target' is not one finite number a row"),
        ({"weight_reference": np.full(600, np.inf)}, "'weight_reference' is not one finite"),
        ({"signed_target": np.ones((600, 1))}, "'signed_target' is not one finite number a row"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path, weighted, change, message):
    replace(weighted, **change).save(tmp_path / "moved.npz")
    with pytest.raises(InputError, match=message):
        moved.MovedSample.load(tmp_path / "moved.npz")


def test_points_have_the_weights_of_their_samples(science, weighted):
    w_x, w_y = weighted.weight_reference, weighted.weight_target
    pairs = {"reference": w_x, "target": w_y, "base_transfer": w_x, "baseline": w_x * w_y}
    for name, weights in pairs.items():
        np.testing.assert_array_equal(weighted.weights(name), weights)
        assert science.weights(name) is None
    assert weighted.points("baseline") is weighted.target
    own = np.arange(600.0)
    weighing = weighted.with_alternative("weighing", weighted.reference, own)
    assert weighing.weights("weighing") is own and "weighing" not in weighted.methods
    with pytest.raises(ValueError, match="no place for the weights of weighing"):
        weighing.save("nowhere.npz")


def test_rows_are_selected_in_all_arrays(weighted):
    sample = weighted.with_alternative("weighing", weighted.reference, np.arange(600.0))
    rows, others = np.array([5, 2, 2]), slice(3)
    some = sample.select(rows, others)
    assert len(some) == 3
    for name in ("reference", "condition_reference", "weight_reference"):
        np.testing.assert_array_equal(getattr(some, name), getattr(sample, name)[rows])
    for name in ("target", "condition_target", "weight_target"):
        np.testing.assert_array_equal(getattr(some, name), getattr(sample, name)[others])
    for name in sample.methods:
        np.testing.assert_array_equal(some.points(name), sample.points(name)[rows])
    assert some.weights("weighing").tolist() == [5, 2, 2]


def test_alternatives_are_added_from_their_files(tmp_path, science):
    x = science.reference
    for name, weights in (("a", None), ("b", np.ones(600))):
        alternative_points.save(tmp_path / f"{name}.npz", {"signal": (x, Morphed(x + 1, weights))})
    files = [str(tmp_path / f"{name}.npz") for name in "ab"]
    sample = science.with_alternatives(["a", "b"], files, "signal")
    assert list(sample.methods)[-2:] == ["a", "b"] and list(sample.method_weights) == ["b"]
    np.testing.assert_array_equal(sample.points("a"), x + 1)
    with pytest.raises(InputError, match="2 files for 1 alternatives"):
        science.with_alternatives(["a"], files, "signal")


def test_angles_need_a_rotated_toy(toy):
    with pytest.raises(InputError, match="not one of the rotated toys"):
        toy.rows_at_angles(7.5, 45.0)
