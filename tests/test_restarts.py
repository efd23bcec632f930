"""A training that ends far from the lowest possible loss begins again; the better end is kept."""

from dataclasses import replace

import pytest
import torch
from small_training import POINTS, Killed, run

from flowmorph.flows.flow import Architecture, Flow
from flowmorph.plan.jobs.training import Network, Recipe
from flowmorph.plan.methods import find
from flowmorph.transfer import transport
from flowmorph.transfer.batches import Points
from flowmorph.transfer.morph import DensityPair
from flowmorph.transfer.points import Splits

RECIPE = Recipe(batch=20, epochs=3, learning_rate=1e-3, warmup_steps=5, clip=5.0, restarts=2)
STEPS = RECIPE.steps(600)
NETWORK = Network(2, 1, 8, 4, 4.0)
FAR_FROM = -9.0  # a lowest loss that no training comes near


def lowest(history) -> float:
    return min(row["validation_loss"] for row in history)


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    """A training that ends far from its goal each time."""
    return run(tmp_path_factory.mktemp("far") / "c", RECIPE, FAR_FROM)


def test_the_best_of_all_ends_is_kept(tmp_path, far):
    flat, history, begun = far
    starts = [row["start"] for row in history]
    assert starts == sorted(starts) and set(starts) == {1, 2, 3}
    assert [max(row["step"] for row in history if row["start"] == n) for n in (1, 2, 3)] == [
        STEPS
    ] * 3
    assert history[-1]["steps_taken"] == 3 * STEPS
    assert [row["restarts"] for row in history] == [start - 1 for start in starts]
    once = replace(RECIPE, restarts=0)
    alone = [run(tmp_path / str(n), once, first=one) for n, one in enumerate(begun)]
    ends = [lowest(each[1]) for each in alone]
    assert len(set(ends)) == 3
    assert torch.equal(flat, alone[ends.index(min(ends))][0])


def test_an_earlier_end_is_kept_where_it_is_the_better_one(tmp_path):
    """The first training goes on from a trained flow, so that no other one ends as low."""
    trained, _, _ = run(tmp_path / "a", replace(RECIPE, restarts=0, epochs=20))
    flat, history, _ = run(tmp_path / "b", RECIPE, FAR_FROM, first=trained)
    alone, rows, _ = run(tmp_path / "c", replace(RECIPE, restarts=0), first=trained)
    assert torch.equal(flat, alone)
    assert lowest(history) == lowest(rows) < lowest([row for row in history if row["start"] > 1])


def test_a_kill_in_any_start_changes_nothing(tmp_path, far):
    for kill_at in (3, STEPS + 4, 2 * STEPS + 50):
        path = tmp_path / str(kill_at)
        with pytest.raises(Killed):
            run(path, RECIPE, FAR_FROM, kill_at=kill_at)
        flat, history, _ = run(path, RECIPE, FAR_FROM)
        assert torch.equal(flat, far[0]) and history == far[1]


def test_a_training_that_ends_near_does_not_begin_again(tmp_path, capsys):
    near, history, _ = run(tmp_path / "near", RECIPE, 99.0)
    once, rows, _ = run(tmp_path / "once", replace(RECIPE, restarts=0), 99.0)
    assert torch.equal(near, once) and history == rows
    assert all(row["above_lowest"] == row["validation_loss"] - 99.0 for row in rows)
    said = capsys.readouterr().out
    assert "begins again" not in said
    run(tmp_path / "far", replace(RECIPE, restarts=1), FAR_FROM)
    said = capsys.readouterr().out
    assert said.count("begins again, and the better one is kept (restart 1 of at most 1)") == 1
    assert "warning: ends 1" in said


def test_what_is_far_is_set(tmp_path):
    once = run(tmp_path / "a", replace(RECIPE, restarts=0, far_nats=20.0), FAR_FROM)
    none = run(tmp_path / "b", replace(RECIPE, far_nats=20.0), FAR_FROM)
    assert torch.equal(once[0], none[0]) and none[1][-1]["restarts"] == 0


def test_a_restart_that_comes_to_nothing_leaves_the_earlier_end(tmp_path):
    """The second training has no finite loss."""
    once, _, _ = run(tmp_path / "once", replace(RECIPE, restarts=0))
    flat, _, _ = run(tmp_path / "a", replace(RECIPE, restarts=1), FAR_FROM, bad_after=STEPS)
    assert torch.equal(flat, once)


@pytest.mark.parametrize("mode", [None, "shared", "difference", "concat"])
@pytest.mark.parametrize("name", ["unidirectional", "flows_for_flows", "identity_initialization"])
def test_the_lowest_loss_of_a_transport_is_that_of_the_identity_between_equal_samples(mode, name):
    torch.manual_seed(1)
    density = Flow(Architecture(2, 0 if mode is None else 1, 2, 1, 8, 4, 4.0))
    c = None if mode is None else torch.randn(600, 1)
    samples = [Splits(Points(POINTS, c), Points(POINTS, c))] * 2
    pair = DensityPair(density, density, mode)
    method = find("identity_initialization")
    identity = transport.problem("same", method, pair, *samples, NETWORK, RECIPE, 0.0, 1)
    assert identity.validate() == pytest.approx(identity.floor(), abs=1e-5)
    other = transport.problem("same", find(name), pair, *samples, NETWORK, RECIPE, 0.0, 1)
    assert other.floor() == pytest.approx(identity.floor(), abs=1e-5)
    assert other.validate() >= other.floor() - 1e-5


def test_a_penalty_hides_the_lowest_loss():
    density = Flow(Architecture(2, 0, 2, 1, 8, 4, 4.0))
    samples = [Splits(Points(POINTS, None), Points(POINTS, None))] * 2
    pair, method = DensityPair(density, density, None), find("movement_penalty")
    problem = transport.problem("same", method, pair, *samples, NETWORK, RECIPE, 0.5, 1)
    assert problem.floor is None
